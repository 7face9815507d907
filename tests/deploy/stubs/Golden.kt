// The pixels of the golden examples without Android and without JUnit.
import java.security.MessageDigest
import org.example.classifier.Contract
import org.example.classifier.GoldenExamples
import org.example.classifier.prepared

fun main() {
    val wrong = GoldenExamples.all.count { example ->
        val digest = MessageDigest.getInstance("SHA-256").digest(example.decoded.prepared(Contract.STEPS).rgb)
        digest.joinToString("") { "%02x".format(it) } != example.sha256
    }
    println("${GoldenExamples.all.size} examples, $wrong with other pixels")
}
