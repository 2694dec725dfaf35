"""Keras models: MobileNetV1, its cost and training, and loading any image classifier."""
