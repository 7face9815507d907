package org.example.classifier

import java.security.MessageDigest
import org.junit.Assert.assertEquals
import org.junit.Test

/** On the computer: the resize chain gives the pixels that the model file promises, to the byte. */
class GoldenPixelsTest {
    @Test
    fun picturesBecomeTheExpectedPixels() {
        for (example in GoldenExamples.all) {
            val rgb = example.decoded.prepared(Contract.STEPS).rgb
            val found = MessageDigest.getInstance("SHA-256").digest(rgb).joinToString("") { "%02x".format(it) }
            assertEquals(example.name, example.sha256, found)
        }
    }
}
