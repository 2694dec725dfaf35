"""Bundles for tests of the app's code: every kind of recipe, and .tflite files whose scores are their input."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from PIL import Image

from edgenet.app_code import writer
from edgenet.images import preprocess
from edgenet.images.resize_options import PRESETS
from edgenet.records import (
    Calibration,
    EvaluationImage,
    Interpolation,
    Manifest,
    Preprocessing,
    Resize,
    ResizeMode,
    ScoreKind,
    VariantFile,
)
from edgenet.tflite import flatbuffer

# Not square, so that heights and widths cannot be confused.
HEIGHT, WIDTH = 24, 32
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
DTYPES = {
    "float32": schema.TensorType.FLOAT32,
    "uint8": schema.TensorType.UINT8,
    "int8": schema.TensorType.INT8,
}
# Scale and zero point of an input that is the pixels (of [-1, 1]), and of one that is not (of ImageNet's mean and std).
PIXELS = {"float32": None, "uint8": (1 / 127.5, 127), "int8": (1 / 127.5, -1)}
OTHERS = {"float32": None, "uint8": (0.0187, 113), "int8": (0.0187, -15)}


@dataclass(frozen=True)
class Case:
    """A recipe and a file's data type."""

    recipe: Preprocessing
    dtype: str = "float32"
    quantization: tuple[float, int] | None = None
    batch: int = 1

    @property
    def is_rounded(self) -> bool:
        """Whether the input is made of pixels that are integers."""
        return self.recipe.resize.rounded or self.is_antialiased or self.dtype != "float32"

    @property
    def is_antialiased(self) -> bool:
        return self.recipe.resize.antialias and self.recipe.resize.interpolation in preprocess.PILLOW

    @property
    def step(self) -> float:
        """The most that scores differ by if a pixel does by 1 of 255."""
        scale = self.quantization[0] if self.quantization else 1.0
        return max(1 / min(self.recipe.std), 0 if self.dtype == "float32" else scale)


def _recipe(resize: Resize, channels: int = 3, **changed) -> Preprocessing:
    base = Preprocessing(HEIGHT, WIDTH, channels, (127.5,) * channels, (127.5,) * channels, resize=resize)
    return replace(base, **changed)


def cases() -> dict[str, Case]:
    """Recipes by name: each preset with each data type, and each option by itself."""
    found = {
        f"{name} {dtype}": Case(_recipe(resize), dtype, PIXELS[dtype])
        for name, resize in PRESETS.items()
        for dtype in DTYPES
    }
    stretch = PRESETS["keras-dataset"]
    for interpolation in Interpolation:
        for mode in ResizeMode:
            for antialias in (False, True):
                resize = replace(
                    stretch, mode=mode, interpolation=interpolation, antialias=antialias, pad=(10, 200, 90)
                )
                found[f"{mode} {interpolation} {'antialiased' if antialias else 'not'}"] = Case(_recipe(resize))
    normalized = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    for dtype in DTYPES:
        found[f"mean and std {dtype}"] = Case(_recipe(Resize(), **normalized), dtype, OTHERS[dtype])
        found[f"BGR {dtype}"] = Case(_recipe(Resize(), **normalized, order="BGR"), dtype, OTHERS[dtype])
        grey = Resize(ResizeMode.PAD, pad=(10, 200, 90), background=(0, 120, 255))
        found[f"grey {dtype}"] = Case(_recipe(grey, 1), dtype, PIXELS[dtype])
    found["pixels BGR"] = Case(_recipe(Resize(), order="BGR"), "uint8", PIXELS["uint8"])
    found["without quantization"] = Case(_recipe(Resize()), "uint8")
    found["batch"] = Case(_recipe(Resize()), batch=4)
    found["crop 0.6, float, corners"] = Case(_recipe(replace(stretch, mode=ResizeMode.CROP, crop=0.6)))
    corners = Resize(ResizeMode.STRETCH, interpolation=Interpolation.NEAREST, half_pixel_centers=False)
    found["nearest, corners"] = Case(_recipe(corners))
    return found


CASES = cases()


def model(case: Case) -> bytes:
    """A .tflite file whose scores are its input: a RESHAPE alone."""
    height, width, channels = case.recipe.shape
    result = schema.ModelT()
    result.version = 3
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    code.version = 1
    result.operatorCodes = [code]
    sizes = np.array([case.batch, height * width * channels], np.int32)
    result.buffers = [schema.BufferT(), flatbuffer.make_buffer(sizes)]
    graph = schema.SubGraphT()
    shapes = {b"image": [case.batch, height, width, channels], b"sizes": [2], b"scores": sizes.tolist()}
    graph.tensors = [_tensor(name, shape, case) for name, shape in shapes.items()]
    graph.tensors[1].buffer, graph.tensors[1].type = 1, schema.TensorType.INT32
    graph.tensors[1].quantization = None
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    graph.operators, graph.inputs, graph.outputs = [operator], [0], [2]
    result.subgraphs = [graph]
    flatbuffer.name_inputs_and_outputs(result)
    return flatbuffer.write(result)


def _tensor(name: bytes, shape: list[int], case: Case) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer, tensor.type = name, shape, 0, DTYPES[case.dtype]
    if case.quantization:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [case.quantization[0]], [case.quantization[1]]
    return tensor


def manifest(
    case: Case, name: str = "test", scores: ScoreKind = ScoreKind.SIGMOID, *, labelled: bool = True, classes: int = 0
) -> Manifest:
    """The manifest of a bundle with one file, int8.tflite."""
    return Manifest(
        name=name,
        classes=classes or int(np.prod(case.recipe.shape)),
        scores=scores,
        model="model.keras",
        preprocessing=case.recipe,
        batch=case.batch,
        variants=(
            VariantFile("float32", "float32.tflite", "float32", "float32", None),
            VariantFile("int8", "int8.tflite", case.dtype, case.dtype, None),
        ),
        evaluation=(EvaluationImage("evaluation/a.png", 0 if labelled else None),),
        calibration=Calibration(0, "", (), {}),
        apps=(),
        versions={},
        files={},
    )


def write(folder: Path, case: Case, name: str = "test") -> Path:
    """A folder with the file, labels and the app's code; its path."""
    folder.mkdir(parents=True)
    labels = [str(number) for number in range(int(np.prod(case.recipe.shape)))]
    (folder / "int8.tflite").write_bytes(model(case))
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    writer.write(folder, manifest(case, name), labels)
    return folder


def draw_images(folder: Path) -> list[Path]:
    """Noise of several shapes and kinds, and a photo-like gradient; lossless, so that no decoder matters."""
    random = np.random.default_rng(3)
    images: dict[str, Image.Image] = {}
    for height, width in ((60, 90), (91, 33), (10, 13), (HEIGHT, WIDTH), (6, 170), (48, 64)):
        images[f"{height}x{width}"] = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
    wave = np.sin(np.linspace(0, 9, 150))[:, None, None] * np.cos(np.linspace(0, 7, 200))[:, None] * np.ones(3)
    images["smooth"] = Image.fromarray((127 + 120 * wave * [1, 0.8, -0.6]).astype(np.uint8))
    images["grey"] = Image.fromarray(random.integers(0, 256, (50, 70), dtype=np.uint8))
    images["transparent"] = Image.fromarray(random.integers(0, 256, (50, 70, 4), dtype=np.uint8))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, image in images.items():
        paths.append(folder / f"{name}.png")
        image.save(paths[-1])
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        paths.append(folder / f"orientation{orientation}.png")
        images["60x90"].save(paths[-1], exif=exif)
    return paths


@contextmanager
def across_first() -> Iterator[None]:
    """Pillow resizes across before down, as before version 13, which begins with the direction that reduces more.

    It rounds in between, so that the order counts: 1 of 255 for the bilinear kernel, more where the bicubic one leaves
    the range.
    """
    resize = Image.Image.resize

    def resize_twice(image: Image.Image, size, method, box):
        left, top, right, bottom = box
        wide = resize(image, (size[0], image.height), method, (left, 0, right, image.height))
        return resize(wide, size, method, (0, top, size[0], bottom))

    with patch.object(Image.Image, "resize", resize_twice):
        yield


def check_steps(found: np.ndarray, expected: np.ndarray, case: Case) -> None:
    """Check that scores, which are pixels, are the same but for rounding."""
    steps = np.abs(found.astype(np.float64) - expected) / case.step
    if case.is_rounded:
        # float32 sums fall on either side of a half. Enlarged 2.5 times, every tenth value of each direction is a half.
        assert steps.max() < 1.01
        assert (steps > 0.01).mean() < (0.1 if case.is_antialiased else 0.01)
    else:
        # 1e-6 of 255 for each of a few dozen terms.
        assert steps.max() < 0.01
