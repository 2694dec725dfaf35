"""Fashion-MNIST: 70,000 Zalando product photos, 28 x 28 grey, 10 classes (Xiao et al., arXiv:1708.07747, MIT licence).

Debian ships it as the package dataset-fashion-mnist: four gzipped files in the IDX format of the original MNIST page
(big-endian: two zero bytes, a type byte, the number of dimensions, each dimension as 4 bytes, then the values).
"""

import gzip
import hashlib
import math
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from edgenet.errors import EdgenetError

FOLDER = Path("/usr/share/datasets/fashion-mnist")
LABELS = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SEED = 17
VALIDATION_IMAGES = 5_000


def load(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a split of the dataset.

    Args:
        folder: The folder of the four files.
        split: "train" (60,000 images) or "t10k" (10,000, the test images).

    Returns:
        Images, uint8 (n, 28, 28), and labels, uint8 (n,).

    Raises:
        EdgenetError: A file is missing or damaged.
    """
    check(folder)
    return _read_idx(_images(folder, split), dimensions=3), _read_idx(_labels(folder, split), dimensions=1)


def check(folder: Path) -> None:
    """Raise EdgenetError unless the four files of the dataset are in `folder`."""
    for path in paths(folder):
        if not path.is_file():
            raise EdgenetError(
                f"{path}: no such file of Fashion-MNIST; install Debian's package dataset-fashion-mnist, or unpack it "
                "and give its folder with data="
            )


def paths(folder: Path) -> list[Path]:
    """The four files of the dataset."""
    return [file(folder, split) for split in ("train", "t10k") for file in (_images, _labels)]


def validation_split(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Split the indices of `count` training images into those for training and 5,000 for validation.

    Returns:
        Two sorted arrays of indices, the same in every run.
    """
    order = np.random.default_rng(SEED).permutation(count)
    return np.sort(order[VALIDATION_IMAGES:]), np.sort(order[:VALIDATION_IMAGES])


def first_of_each_class(labels: np.ndarray, candidates: np.ndarray, per_class: int) -> np.ndarray:
    """The first `per_class` of each class among the `candidates` (indices into labels), in ascending order."""
    chosen = [candidates[labels[candidates] == label][:per_class] for label in range(len(LABELS))]
    return np.sort(np.concatenate(chosen))


def write_samples(folder: Path, out: Path) -> None:
    """Write the bundled images: 20 per class for calibration and 100 for evaluation, as PNG files of 28 x 28 pixels.

    Calibration images are from the validation images of training, evaluation images from the official test split.
    `out`/SOURCES.tsv lists the split, the index in it and the SHA-256 of each file.

    Args:
        folder: The folder of the dataset.
        out: The folder to write to.

    Raises:
        EdgenetError: A file of the dataset is missing or damaged.
    """
    train, train_labels = load(folder, "train")
    test, test_labels = load(folder, "t10k")
    _, validation = validation_split(len(train))
    parts = (
        ("calibration", "train", train, train_labels, first_of_each_class(train_labels, validation, 20)),
        ("evaluation", "t10k", test, test_labels, first_of_each_class(test_labels, np.arange(len(test)), 100)),
    )
    rows = ["file\tsplit\tindex\tsha256"]
    for part, split, images, labels, chosen in parts:
        for index in chosen:
            # A folder for each class: the evaluation reads the labels from the names of folders.
            name = f"{part}/{LABELS[labels[index]].replace(' ', '_')}/{split}_{index:05d}.png"
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[index]).save(path, optimize=True)
            rows.append(f"{name}\t{split}\t{index}\t{hashlib.sha256(path.read_bytes()).hexdigest()}")
    (out / "SOURCES.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8", newline="\n")
    (out / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8", newline="\n")


def _images(folder: Path, split: str) -> Path:
    return folder / f"{split}-images-idx3-ubyte.gz"


def _labels(folder: Path, split: str) -> Path:
    return folder / f"{split}-labels-idx1-ubyte.gz"


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise EdgenetError(f"{path}: not a gzipped IDX file ({error}); install the dataset again") from error
    header = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(data[start : start + 4], "big") for start in range(4, header, 4))
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) != header + math.prod(shape):
        raise EdgenetError(f"{path}: not an IDX file of bytes in {dimensions} dimensions; install the dataset again")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


if __name__ == "__main__":
    write_samples(Path(sys.argv[1]), Path(sys.argv[2]))
