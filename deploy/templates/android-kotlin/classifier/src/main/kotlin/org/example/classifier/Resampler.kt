package org.example.classifier

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sin

enum class Filter(val support: Double) { NEAREST(0.0), BILINEAR(1.0), BICUBIC(2.0), LANCZOS(3.0) }

/** STRETCH maps the whole picture to the size, CROP keeps its aspect and cuts the middle out. */
enum class Fit { STRETCH, CROP }

class Step(val width: Int, val height: Int, val filter: Filter, val fit: Fit)

/** Upright 8-bit RGB, row by row: `rgb` holds 3 * width * height bytes. */
class Picture(val width: Int, val height: Int, val rgb: ByteArray)

/** The picture after all steps, one after the other: byte for byte what Pillow makes of it. */
fun Picture.prepared(steps: List<Step>): Picture = steps.fold(this) { picture, step -> picture.resized(step) }

/**
 * One step of a resize chain; a picture that has the size already stays as it is. As Pillow from version 13 on does it:
 * columns before rows where the height shrinks by more than twice as many pixels as the width.
 */
fun Picture.resized(step: Step): Picture {
    if (width == step.width && height == step.height) return this
    val box = boxOf(step)
    if (step.filter == Filter.NEAREST) return picked(box, step)
    val columnsFirst = step.height < height && height - step.height > 2 * (width - step.width)
    return if (columnsFirst) down(box, step).across(box, step) else across(box, step).down(box, step)
}

private const val CHANNELS = 3
private const val PRECISION = 22

/** The part of a picture that is mapped to the size, in pixels. Pillow hands it on in single precision. */
private class Box(val left: Float, val top: Float, val right: Float, val bottom: Float)

/** For each pixel of a line: the first source pixel it is made of, and the weights of that and the following ones. */
private class Weights(val first: IntArray, val taps: Array<IntArray>)

private fun Picture.boxOf(step: Step): Box {
    var cropWidth = width.toDouble()
    var cropHeight = height.toDouble()
    if (step.fit == Fit.CROP) {
        val wanted = step.width.toDouble() / step.height
        val found = width.toDouble() / height
        if (found > wanted) cropWidth = wanted * height
        if (found < wanted) cropHeight = width / wanted
    }
    val left = (width - cropWidth) * 0.5
    val top = (height - cropHeight) * 0.5
    return Box(left.toFloat(), top.toFloat(), (left + cropWidth).toFloat(), (top + cropHeight).toFloat())
}

/** One pass along the rows, where the width or the box asks for it. */
private fun Picture.across(box: Box, step: Step): Picture {
    if (step.width == width && box.left == 0f && box.right == step.width.toFloat()) return this
    val found = Picture(step.width, height, ByteArray(CHANNELS * step.width * height))
    val weights = weights(width, box.left, box.right, step.width, step.filter)
    filterLines(rgb, found.rgb, weights, height, CHANNELS * width, CHANNELS * step.width, CHANNELS, CHANNELS)
    return found
}

/** One pass along the columns. */
private fun Picture.down(box: Box, step: Step): Picture {
    if (step.height == height && box.top == 0f && box.bottom == step.height.toFloat()) return this
    val found = Picture(width, step.height, ByteArray(CHANNELS * width * step.height))
    val weights = weights(height, box.top, box.bottom, step.height, step.filter)
    filterLines(rgb, found.rgb, weights, width, CHANNELS, CHANNELS, CHANNELS * width, CHANNELS * width)
    return found
}

private fun filterLines(
    source: ByteArray,
    target: ByteArray,
    weights: Weights,
    count: Int,
    sourceLine: Int,
    targetLine: Int,
    sourceApart: Int,
    targetApart: Int,
) {
    for (line in 0 until count) {
        for (place in weights.first.indices) {
            val taps = weights.taps[place]
            for (channel in 0 until CHANNELS) {
                var sum = 1 shl (PRECISION - 1)
                var pixel = line * sourceLine + weights.first[place] * sourceApart + channel
                for (tap in taps) {
                    sum += (source[pixel].toInt() and 255) * tap
                    pixel += sourceApart
                }
                target[line * targetLine + place * targetApart + channel] = (sum shr PRECISION).coerceIn(0, 255).toByte()
            }
        }
    }
}

private fun weights(length: Int, from: Float, to: Float, target: Int, filter: Filter): Weights {
    val scale = (to - from).toDouble() / target
    val widened = max(scale, 1.0) // going down, the filter covers more source pixels
    val reach = filter.support * widened
    val first = IntArray(target)
    val taps = Array(target) { place ->
        val center = from + (place + 0.5) * scale
        first[place] = max(0, (center - reach + 0.5).toInt())
        val last = min(length, (center + reach + 0.5).toInt())
        val values = DoubleArray(last - first[place]) { tap ->
            weight(filter, (first[place] + tap - center + 0.5) * (1.0 / widened))
        }
        var total = 0.0
        for (value in values) total += value
        IntArray(values.size) { tap -> fixedPoint(if (total != 0.0) values[tap] / total else values[tap]) }
    }
    return Weights(first, taps)
}

private fun fixedPoint(value: Double): Int {
    val scaled = value * (1 shl PRECISION)
    return (if (scaled < 0) scaled - 0.5 else scaled + 0.5).toInt()
}

private fun weight(filter: Filter, x: Double): Double {
    val a = abs(x)
    return when (filter) {
        Filter.NEAREST -> 0.0
        Filter.BILINEAR -> if (a < 1) 1 - a else 0.0
        Filter.BICUBIC -> when { // Keys' kernel with -0.5
            a < 1 -> (1.5 * a - 2.5) * a * a + 1
            a < 2 -> (((a - 5) * a + 8) * a - 4) * -0.5
            else -> 0.0
        }
        Filter.LANCZOS -> if (-3 <= x && x < 3) sinc(x) * sinc(x / 3) else 0.0
    }
}

private fun sinc(x: Double): Double = if (x == 0.0) 1.0 else sin(x * Math.PI) / (x * Math.PI)

private fun Picture.picked(box: Box, step: Step): Picture {
    val columns = nearest(width, box.left, box.right, step.width)
    val rows = nearest(height, box.top, box.bottom, step.height)
    val found = ByteArray(CHANNELS * step.width * step.height)
    var place = 0
    for (row in rows) {
        for (column in columns) {
            rgb.copyInto(found, place, CHANNELS * (row * width + column), CHANNELS * (row * width + column + 1))
            place += CHANNELS
        }
    }
    return Picture(step.width, step.height, found)
}

/** The source pixel of every place of a line; positions are added up, as Pillow does it. */
private fun nearest(length: Int, from: Float, to: Float, target: Int): IntArray {
    val scale = (to - from).toDouble() / target
    var position = from + scale * 0.5
    return IntArray(target) {
        val found = min(length - 1, position.toInt())
        position += scale
        found
    }
}
