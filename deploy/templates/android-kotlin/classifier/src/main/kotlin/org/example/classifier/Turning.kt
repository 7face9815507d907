package org.example.classifier

/** A colour over an opaque one, rounded as Pillow does it. */
fun blended(value: Int, behind: Int, alpha: Int): Int {
    val sum = value * alpha * 128 + behind * (255 - alpha) * 128 + 0x4000
    return (((sum shr 8) + sum) shr 8) shr 7
}

/** The picture as it is meant to be seen, by the EXIF orientation 1 to 8 that it was stored with. */
fun Picture.turned(orientation: Int): Picture {
    if (orientation !in 2..8) return this
    val sideways = orientation >= 5
    val found = Picture(if (sideways) height else width, if (sideways) width else height, ByteArray(rgb.size))
    for (y in 0 until found.height) {
        for (x in 0 until found.width) {
            val mirrored = found.width - 1 - x
            val flipped = found.height - 1 - y
            val (column, row) = when (orientation) {
                2 -> mirrored to y
                3 -> mirrored to flipped
                4 -> x to flipped
                5 -> y to x
                6 -> y to mirrored
                7 -> flipped to mirrored
                else -> flipped to x
            }
            rgb.copyInto(found.rgb, 3 * (y * found.width + x), 3 * (row * width + column), 3 * (row * width + column) + 3)
        }
    }
    return found
}
