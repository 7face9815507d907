package org.example.classifier

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import androidx.exifinterface.media.ExifInterface
import java.io.ByteArrayInputStream
import java.io.IOException

/** A picture file to upright RGB: turned as its EXIF says, transparency laid on the contract's background. */
fun decode(content: ByteArray): Picture {
    val options = BitmapFactory.Options()
    options.inPreferredConfig = Bitmap.Config.ARGB_8888
    options.inPremultiplied = false // colours under transparency as they are in the file
    val bitmap = BitmapFactory.decodeByteArray(content, 0, content.size, options)
        ?: throw IOException("The bytes are no picture that Android can decode.")
    val orientation = ExifInterface(ByteArrayInputStream(content))
        .getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)
    return rgb(bitmap).turned(orientation)
}

/** Any bitmap as RGB, on the contract's background. */
fun rgb(bitmap: Bitmap): Picture {
    val colours = IntArray(bitmap.width * bitmap.height)
    bitmap.getPixels(colours, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
    val found = ByteArray(3 * colours.size)
    for ((place, colour) in colours.withIndex()) {
        val alpha = colour ushr 24
        for (channel in 0..2) {
            val value = (colour shr (16 - 8 * channel)) and 255
            found[3 * place + channel] = blended(value, Contract.BACKGROUND[channel], alpha).toByte()
        }
    }
    return Picture(bitmap.width, bitmap.height, found)
}

/** RGB as a bitmap without transparency. */
fun bitmap(picture: Picture): Bitmap {
    val colours = IntArray(picture.width * picture.height) { place ->
        var colour = 255
        for (channel in 0..2) colour = (colour shl 8) or (picture.rgb[3 * place + channel].toInt() and 255)
        colour
    }
    return Bitmap.createBitmap(colours, picture.width, picture.height, Bitmap.Config.ARGB_8888)
}
