"""Folders of photos that tests make, and fingerprints of images that are not in files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from drawn_images import scene
from PIL import Image

from edgenet.training.fingerprint import CHROMA_SIDE, LUMA_SIDE, Fingerprint


def class_folders(folder: Path, counts: Mapping[str, int], seed: int = 0, side: int = 48) -> Path:
    """Write so many different images into a folder for each class; return the folder."""
    random = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            scene(random, side, side).save(folder / name / f"{number:03d}.png", compress_level=1)
    return folder


def fingerprint(image: Image.Image, name: str) -> Fingerprint:
    """As of a file with this name for its digests."""
    luma, *chroma = (
        image.convert("RGB").resize((LUMA_SIDE, LUMA_SIDE), Image.Resampling.BILINEAR).convert("YCbCr").split()
    )
    small = [np.asarray(plane.resize((CHROMA_SIDE, CHROMA_SIDE), Image.Resampling.BOX)) for plane in chroma]
    return Fingerprint(name, name, image.height, image.width, np.asarray(luma), np.stack(small))
