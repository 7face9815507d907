package android.graphics

class Bitmap {
    enum class Config { ARGB_8888 }
    val width: Int get() = TODO()
    val height: Int get() = TODO()
    fun getPixels(pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int): Unit = TODO()
    companion object {
        fun createBitmap(colors: IntArray, width: Int, height: Int, config: Config): Bitmap = TODO()
    }
}

object BitmapFactory {
    class Options {
        var inPreferredConfig: Bitmap.Config? = null
        var inPremultiplied = true
    }
    fun decodeByteArray(data: ByteArray, offset: Int, length: Int, opts: Options): Bitmap? = TODO()
}
