"""Running a .tflite file with LiteRT, in this process or in one of its own."""
