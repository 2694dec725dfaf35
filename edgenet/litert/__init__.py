"""Runs a .tflite file with LiteRT, in this process or in a child process."""
