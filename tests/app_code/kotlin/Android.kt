// As much of Android as the app's code uses. Images are files of big-endian integers: width, height, EXIF orientation, and
// a color for each pixel (0xAARRGGBB, not premultiplied).
package android.graphics

import java.io.File
import java.nio.ByteBuffer

class Bitmap private constructor(private val colors: IntArray, val width: Int, val height: Int) {
    enum class Config { ARGB_8888 }

    fun getPixels(pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int) {
        require(stride >= width && x >= 0 && y >= 0 && x + width <= this.width && y + height <= this.height)
        for (j in 0 until height) {
            for (i in 0 until width) pixels[offset + j * stride + i] = colors[(y + j) * this.width + x + i]
        }
    }

    companion object {
        fun createBitmap(colors: IntArray, width: Int, height: Int, config: Config): Bitmap {
            require(config == Config.ARGB_8888 && colors.size == width * height)
            return Bitmap(colors.copyOf(), width, height)
        }
    }
}

object BitmapFactory {
    class Options {
        var inPremultiplied = true
    }

    fun decodeFile(path: String, options: Options): Bitmap? {
        check(!options.inPremultiplied)
        val numbers = ByteBuffer.wrap(File(path).readBytes()).asIntBuffer()
        val (width, height) = numbers.get(0) to numbers.get(1)
        val colors = IntArray(width * height) { numbers.get(3 + it) }
        return Bitmap.createBitmap(colors, width, height, Bitmap.Config.ARGB_8888)
    }
}
