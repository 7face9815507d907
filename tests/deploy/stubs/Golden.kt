// What a test wants to know of generated Kotlin, without Android and without JUnit.
import java.io.DataInputStream
import java.security.MessageDigest
import org.example.classifier.Contract
import org.example.classifier.Filter
import org.example.classifier.Fit
import org.example.classifier.GoldenExamples
import org.example.classifier.Picture
import org.example.classifier.Step
import org.example.classifier.blended
import org.example.classifier.prepared
import org.example.classifier.resized
import org.example.classifier.turned

fun main(arguments: Array<String>) {
    val given = DataInputStream(System.`in`.buffered())
    fun number() = Integer.reverseBytes(given.readInt())
    when (arguments[0]) {
        "golden" -> {
            val wrong = GoldenExamples.all.count { example ->
                val digest = MessageDigest.getInstance("SHA-256").digest(example.decoded.prepared(Contract.STEPS).rgb)
                digest.joinToString("") { "%02x".format(it) } != example.sha256
            }
            println("${GoldenExamples.all.size} examples, $wrong with other pixels")
        }
        "resize" -> repeat(number()) {
            val (width, height, toWidth, toHeight) = List(4) { number() }
            val step = Step(toWidth, toHeight, Filter.entries[number()], Fit.entries[number()])
            val rgb = ByteArray(3 * width * height).also { given.readFully(it) }
            System.out.write(Picture(width, height, rgb).resized(step).rgb)
        }
        "turn" -> {
            val (width, height, orientation) = List(3) { number() }
            val rgb = ByteArray(3 * width * height).also { given.readFully(it) }
            System.out.write(Picture(width, height, rgb).turned(orientation).rgb)
        }
        "blend" -> for (alpha in 0..255) {
            System.out.write(ByteArray(256) { blended(it, 77, alpha).toByte() })
        }
    }
    System.out.flush()
}
