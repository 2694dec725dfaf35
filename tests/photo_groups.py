"""The 400 ImageNet photos for checking, sorted into five groups by their classes."""

import shutil
from pathlib import Path

from places import IMAGENET

# Indices of ImageNet's classes (WordNet: canine, bird; vehicle and machine by hand).
DOGS = range(151, 269)
BIRDS = (*range(7, 25), *range(80, 101), *range(127, 147))
ANIMALS = range(398)
VEHICLES = {
    *(403, 404, 405, 407, 436, 466, 468, 471, 480, 481, 482, 487, 491, 511, 528, 530, 534, 540, 545, 548, 550, 554),
    *(565, 571, 586, 595, 598, 605, 609, 612, 613, 628, 632, 654, 670, 675, 681, 690, 694, 705, 717, 740, 745, 754),
    *(780, 782, 800, 811, 820, 829, 833, 847, 859, 867, 878, 882, 897, 908, 914),
}


def group(index: int) -> str:
    """The group of a class of ImageNet."""
    if index in DOGS:
        return "dogs"
    if index in BIRDS:
        return "birds"
    if index in ANIMALS:
        return "other animals"
    return "vehicles and machines" if index in VEHICLES else "things and food"


def five_groups(folder: Path) -> Path:
    """Write the photos into a folder for each group; return the folder."""
    for path in sorted((IMAGENET / "images").iterdir()):
        target = folder / group(int(path.name[:3]))
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target / path.name)
    return folder
