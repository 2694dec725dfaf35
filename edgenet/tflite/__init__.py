"""The file format of .tflite: flatbuffer, graph, metadata."""
