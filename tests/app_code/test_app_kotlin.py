"""The Kotlin code of a bundle, compiled and run: Android and LiteRT are as much of them as it uses (`kotlin/`)."""

import shutil
import struct
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from app_code_cases import CASES, HEIGHT, WIDTH, across_first, check_steps, draw_images, write
from PIL import Image

from edgenet.images import preprocess
from edgenet.litert.runner import Runner

STUBS = Path(__file__).parent / "kotlin"
NAMES = ("Classifier", "ModelImage", "Resampling")


def jars() -> Path:
    """The Kotlin compiler, which the Jupyter kernel of Kotlin brings."""
    spec = find_spec("run_kotlin_kernel")
    if not (spec and spec.submodule_search_locations and shutil.which("java")):
        pytest.skip("needs Java and `pip install kotlin-jupyter-kernel`, which brings the Kotlin compiler")
    return Path(spec.submodule_search_locations[0]) / "jars"


def main(folders: list[Path], images: list[Path]) -> str:
    """A program that classifies each image with the code of each folder, and writes the scores,
    and the first one at the model's size."""
    calls = []
    for number, folder in enumerate(folders):
        calls.append(f"""
fun case{number}(out: java.io.DataOutputStream) {{
    val assets = android.content.res.AssetManager(File("{folder}"))
    val classifier = case{number}.Classifier(android.content.Context(assets))
    for (path in images) {{
        val all = classifier.classify(path, 1 shl 20).associate {{ it.label to it.score }}
        for (label in 0 until all.size) out.writeFloat(all.getValue("$label"))
    }}
    classifier.close()
    val options = android.graphics.BitmapFactory.Options().apply {{ inPremultiplied = false }}
    val image = case{number}.ModelImage.bitmap(android.graphics.BitmapFactory.decodeFile(images[0], options)!!)
    val colors = IntArray(image.width * image.height)
    image.getPixels(colors, 0, image.width, 0, 0, image.width, image.height)
    colors.forEach(out::writeInt)
}}""")
    paths = ", ".join(f'"{path}"' for path in images)
    run = "\n".join(f"        case{number}(out)" for number in range(len(folders)))
    return f"""
import java.io.File
val images = listOf({paths})
{"".join(calls)}
fun main(arguments: Array<String>) {{
    java.io.DataOutputStream(File(arguments[0]).outputStream().buffered()).use {{ out ->
{run}
    }}
}}
"""


def as_raw(path: Path) -> Path:
    """An image file as `kotlin/Android.kt` reads it."""
    with Image.open(path) as image:
        orientation = image.getexif().get(0x0112, 1)
        red, green, blue, alpha = np.moveaxis(np.asarray(image.convert("RGBA")).astype(np.uint32), -1, 0)
    colours = alpha << 24 | red << 16 | green << 8 | blue
    raw = path.with_suffix(".raw")
    raw.write_bytes(struct.pack(">3I", *colours.shape[::-1], orientation) + colours.astype(">u4").tobytes())
    return raw


@pytest.mark.slow  # 110 seconds
def test_scores_are_those_of_edgenet(tmp_path):
    compiler = jars()
    images = draw_images(tmp_path / "images")
    folders = [write(tmp_path / str(number), case) for number, case in enumerate(CASES.values())]
    sources = sorted(STUBS.glob("*.kt"))
    for number, folder in enumerate(folders):
        for name in NAMES:
            code = (folder / "app" / f"{name}.kt").read_text(encoding="utf-8")
            assert code.count("package com.example.classifier\n") == 1
            sources.append(tmp_path / f"{name}{number}.kt")
            sources[-1].write_text(code.replace("com.example.classifier", f"case{number}"), encoding="utf-8")
    sources.append(tmp_path / "Main.kt")
    sources[-1].write_text(main(folders, [as_raw(path) for path in images]), encoding="utf-8")
    standard = next(compiler.glob("kotlin-stdlib-*.jar"))
    compile_ = ["org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-stdlib", "-no-reflect", "-cp", str(standard)]
    java = ["java", "-XX:TieredStopAtLevel=1", "-cp"]
    out = tmp_path / "classes"
    done = subprocess.run(
        [*java, f"{compiler}/*", *compile_, "-d", str(out), *map(str, sources)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    done = subprocess.run([*java, f"{out}:{standard}", "MainKt", str(tmp_path / "out")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    data = (tmp_path / "out").read_bytes()
    for folder, case in zip(folders, CASES.values(), strict=True):
        size = int(np.prod(case.recipe.shape))
        found, data = np.frombuffer(data, ">f4", len(images) * size), data[len(images) * size * 4 :]
        with across_first():
            pixels = np.stack([preprocess.load(path, case.recipe) for path in images])
        expected = Runner(folder / "int8.tflite", case.recipe).scores(pixels)
        check_steps(found.reshape(expected.shape), expected, case)
        # The image for MediaPipe: RGB, opaque.
        colours, data = np.frombuffer(data, ">u4", HEIGHT * WIDTH), data[HEIGHT * WIDTH * 4 :]
        channels = np.stack([colours >> shift & 255 for shift in (16, 8, 0)], axis=-1).reshape(HEIGHT, WIDTH, 3)
        difference = channels.astype(int) - preprocess.rounded(pixels[0])
        assert np.abs(difference).max() <= 1
        assert (colours >> 24 == 255).all()
    assert not data
