package android.media

import java.io.File
import java.nio.ByteBuffer

class ExifInterface(private val path: String) {
    fun getAttributeInt(tag: String, default: Int): Int {
        check(tag == TAG_ORIENTATION && default == ORIENTATION_NORMAL)
        return ByteBuffer.wrap(File(path).readBytes()).asIntBuffer().get(2)
    }

    companion object {
        const val TAG_ORIENTATION = "Orientation"
        const val ORIENTATION_NORMAL = 1
    }
}
