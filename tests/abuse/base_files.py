"""The sound files that are damaged: a model of five layers in every format, its bundle, images, results."""

import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
from json_mutations import with_digest
from made_results import drift, flips, results, thumbnail
from measured import changed
from PIL import Image

from edgenet import records
from edgenet.records import Diagnosis

SIZE = 32
LABELS = ("ant", "bee", "cat", "sea urchin")
FORMATS = ("png", "jpg", "webp", "bmp", "tiff", "gif")
# As fast as a benchmark can be; Keras would cost a start of TensorFlow.
FAST = ("--threads", "1", "--rounds", "1", "--seconds", "0.001", "--no-keras")


def make(folder: Path, command) -> None:
    """Fill a folder. command: runs a command line of edgenet in it, and must succeed."""
    _images(folder)
    _models(folder)
    exported = ("--model", "m.keras", "--calibration", "cal", "--evaluation", "ev", "--labels", "labels.txt")
    command("export", *exported, "--out", "b", "--no-apps")
    command("pack", "b")
    command("benchmark", "b", *FAST)
    command("diagnose", "b", "--images", "4")
    _results(folder)


def _images(folder: Path) -> None:
    random = np.random.default_rng(1)
    truth = []
    for split, count in (("cal", 8), ("ev", 8)):
        for number in range(count):
            label = LABELS[number % 4]
            place = folder / split / label.replace(" ", "_")
            place.mkdir(parents=True, exist_ok=True)
            image(random, 36 + number).save(place / f"{number}.png")
            if split == "ev":
                truth.append(f"{place.name}/{number}.png,{label}")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    (folder / "truth.txt").write_text("\n".join(truth) + "\n", encoding="utf-8")
    (folder / "images").mkdir()
    for suffix in FORMATS:
        picture = image(random, 48)
        exif = picture.getexif()
        exif[0x0112], exif[0x010F] = 6, "maker"
        kept = {"exif": exif} if suffix not in ("bmp", "gif") else {}
        picture.save(folder / "images" / f"x.{suffix}", **kept)
    animated = [image(random, 24) for _ in range(3)]
    animated[0].save(folder / "images" / "animated.gif", save_all=True, append_images=animated[1:])


def image(random: np.random.Generator, side: int) -> Image.Image:
    """A small image of waves."""
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(random.uniform(-9, 9) * x + random.uniform(-9, 9) * y + random.uniform(0, 6)) for _ in range(3)]
    return Image.fromarray(np.clip(np.stack(waves, -1) * 100 + 127, 0, 255).astype(np.uint8))


def _models(folder: Path) -> None:
    import h5py
    import keras
    from keras import layers
    from keras.src.legacy.saving import legacy_h5_format

    from edgenet.model import mobilenet, weights
    from edgenet.quiet import quiet
    from edgenet.records import ModelSpec

    with quiet():
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [
                layers.Input((SIZE, SIZE, 3)),
                layers.Conv2D(8, 3, 2, padding="same", use_bias=False),
                layers.BatchNormalization(),
                layers.ReLU(6.0),
                layers.DepthwiseConv2D(3, padding="same"),
                layers.Conv2D(16, 1),
                layers.ReLU(6.0),
                layers.GlobalAveragePooling2D(),
                layers.Dense(len(LABELS)),
                layers.Softmax(),
            ]
        )
        # Statistics as training would leave them, so that the calibration images fit the model.
        paths = sorted((folder / "cal").rglob("*.png"))
        pixels = np.stack([np.asarray(Image.open(path).resize((SIZE, SIZE))) for path in paths])
        found = model.layers[0](pixels.astype(np.float32) / 127.5 - 1).numpy()
        model.layers[1].moving_mean.assign(found.mean(axis=(0, 1, 2)))
        model.layers[1].moving_variance.assign(found.var(axis=(0, 1, 2)))
        model.save(folder / "m.keras")
        model.save(folder / "m.h5")
        model.export(folder / "saved", verbose=False)
        _save_as_keras2(model, folder)
        network = mobilenet.build(ModelSpec(size=SIZE, alpha=0.05, classes=len(LABELS)))
        (folder / "w_32.npz").write_bytes(weights.to_bytes(network))
        network.save_weights(folder / "w_32.weights.h5")
        with h5py.File(folder / "w_32.h5", "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, network)


def _save_as_keras2(model, folder: Path) -> None:
    """The same network in files of Keras 2, with a layer that is left out."""
    import tf_keras
    from tf_keras import layers

    copied = tf_keras.Sequential(
        [
            layers.Input((SIZE, SIZE, 3)),
            layers.Conv2D(8, 3, 2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Conv2D(16, 1),
            layers.ReLU(6.0),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.1),
            layers.Dense(len(LABELS)),
            layers.Softmax(),
        ]
    )
    copied.set_weights(model.get_weights())
    copied.save(folder / "keras2.keras")
    copied.save(folder / "keras2.h5")


def _results(folder: Path) -> None:
    """results/results.json and a diagnosis of the same files beside it."""
    place = folder / "results"
    place.mkdir()
    text = (folder / "b" / "results" / "diagnosis_int8.json").read_bytes()
    diagnosis = records.from_json(Diagnosis, text, "diagnosis")
    made = results({"int8": drift(flips(3))}, rounds=3, samples=4, files=diagnosis.files)
    made = changed(made, thumbnails={f"evaluation/{number}.png": thumbnail(number, 16) for number in range(3)})
    (place / "results.json").write_bytes(records.to_json(made))
    (place / "diagnosis_int8.json").write_bytes(text)


def seal(bundle: Path) -> None:
    """Make the hashes in a bundle's manifest, and its digest, those of the files that are there."""
    path = bundle / "manifest.json"
    body = json.loads(path.read_bytes())
    for name, listed in body["files"].items():
        if (bundle / name).is_file():
            data = (bundle / name).read_bytes()
            listed["bytes"], listed["sha256"] = len(data), hashlib.sha256(data).hexdigest()
    path.write_bytes(with_digest(body))


def copy(source: Path, target: Path) -> Path:
    """Copy a file or a folder. Returns the copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    return target


def png_of(width: int, height: int, mode: str = "1") -> bytes:
    """The bytes of a black image."""
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
