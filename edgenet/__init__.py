"""edgenet: MobileNetV1 from Keras to TFLite files whose speed and drift are measured."""

__version__ = "0.1.0"
