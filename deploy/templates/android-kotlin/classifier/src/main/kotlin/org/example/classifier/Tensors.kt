package org.example.classifier

import kotlin.math.round

enum class Type { FLOAT32, UINT8, INT8 }

/** A label with its probability: 0 to 1 when the model ends in a softmax, as edgeproof's do. */
class Answer(val label: String, val probability: Float)

/** Raw RGB bytes of the model's size as its float input wants them; the model scales them itself. */
fun floatInput(rgb: ByteArray): FloatArray = FloatArray(rgb.size) { (rgb[it].toInt() and 255).toFloat() }

/** Raw RGB bytes of the model's size as its integer input wants them. */
fun integerInput(rgb: ByteArray): ByteArray {
    val lowest = if (Contract.INPUT_TYPE == Type.INT8) -128 else 0
    val table = ByteArray(256) {
        // To the nearest, halves to even.
        val value = round(it / Contract.INPUT_SCALE).toInt() + Contract.INPUT_ZERO_POINT
        value.coerceIn(lowest, lowest + 255).toByte()
    }
    return ByteArray(rgb.size) { table[rgb[it].toInt() and 255] }
}

/** Probabilities of an integer output. */
fun dequantised(output: ByteArray): FloatArray = FloatArray(output.size) {
    val value = if (Contract.OUTPUT_TYPE == Type.INT8) output[it].toInt() else output[it].toInt() and 255
    (value - Contract.OUTPUT_ZERO_POINT) * Contract.OUTPUT_SCALE.toFloat()
}

/** The most probable labels, best first. */
fun best(probabilities: FloatArray, top: Int): List<Answer> =
    probabilities.indices.sortedByDescending { probabilities[it] }.take(top)
        .map { Answer(Contract.LABELS[it], probabilities[it]) }
