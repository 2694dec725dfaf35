// LiteRT with a model whose output is its input.
package com.google.ai.edge.litert

import android.content.res.AssetManager

enum class Accelerator { CPU }

class TensorBuffer : AutoCloseable {
    var floats: FloatArray? = null
    var bytes: ByteArray? = null

    fun writeFloat(data: FloatArray) {
        floats = data.copyOf()
    }

    fun writeInt8(data: ByteArray) {
        bytes = data.copyOf()
    }

    fun readFloat(): FloatArray = floats!!.copyOf()

    fun readInt8(): ByteArray = bytes!!.copyOf()

    override fun close() = Unit
}

class CompiledModel private constructor() : AutoCloseable {
    class Options(vararg accelerators: Accelerator)

    fun createInputBuffers(): List<TensorBuffer> = listOf(TensorBuffer())

    fun createOutputBuffers(): List<TensorBuffer> = listOf(TensorBuffer())

    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>) {
        outputs[0].floats = inputs[0].floats
        outputs[0].bytes = inputs[0].bytes
    }

    override fun close() = Unit

    companion object {
        fun create(assets: AssetManager, name: String, options: Options): CompiledModel {
            assets.open(name).close()
            return CompiledModel()
        }
    }
}
