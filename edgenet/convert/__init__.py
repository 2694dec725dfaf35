"""TensorFlow's converter: from a Keras model to .tflite bytes, and the proof that they are what their name says."""
