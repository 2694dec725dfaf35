"""The values of fields that allow only a few."""

from enum import Enum


class TextEnum(str, Enum):
    """An enum whose members are their values: in comparisons, in JSON and in print."""

    def __str__(self) -> str:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)


class Variant(TextEnum):
    """The kinds of .tflite files that an export writes."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    DYNAMIC = "dynamic"
    INT8 = "int8"
    # int8 with some layers in float32, which the user names.
    MIXED = "mixed"


class InterfaceType(TextEnum):
    """The data type of an int8 file's input and output. Mobile libraries load uint8 and float32."""

    UINT8 = "uint8"
    INT8 = "int8"
    FLOAT32 = "float32"


class Quantizer(TextEnum):
    """Who chooses the 8-bit weights: `edgenet.quantize`, or TensorFlow's converter alone."""

    EDGENET = "edgenet"
    STOCK = "stock"


class Api(TextEnum):
    """LiteRT's interfaces: the classic one, the one of new apps, and the one in browsers."""

    INTERPRETER = "interpreter"
    COMPILED = "compiled"
    JAVASCRIPT = "LiteRT.js"


class ResizeMode(TextEnum):
    """How an image of another shape becomes one of the model's: its centre, all of it distorted, or with a margin."""

    CROP = "crop"
    STRETCH = "stretch"
    PAD = "pad"


class Interpolation(TextEnum):
    """How pixels between those of an image are computed."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    AREA = "area"


class ChannelOrder(TextEnum):
    """The order of an input's colour channels."""

    RGB = "RGB"
    BGR = "BGR"


class ScoreKind(TextEnum):
    """What a model's scores are: probabilities that sum to 1, a probability for each class, or neither."""

    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    LOGITS = "logits"


class Arithmetic(TextEnum):
    """The data type of most multiply-adds."""

    FLOAT32 = "float32"
    INT8 = "int8"


class Level(TextEnum):
    """How serious a finding is: WARNING, results may be worse for it; WRONG, they would mean nothing."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    WRONG = "wrong"


class Grade(TextEnum):
    """The quality of a latency measurement."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


class Outcome(TextEnum):
    """The outcome of a check."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"


class LibraryOutcome(TextEnum):
    """What a mobile library made of a bundle's files."""

    PASSED = "passed"
    FAILED = "failed"
    UNAVAILABLE = "not available on this platform"
    UNSUPPORTED = "not possible"
