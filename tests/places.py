"""Where things are."""

from pathlib import Path

# The checkout.
ROOT = Path(__file__).resolve().parents[1]
# ImageNet photos and weights for checking, where they are.
IMAGENET = ROOT.parent / "shared" / "imagenet"
# Models that other people trained.
ZOO = ROOT.parent / "shared" / "zoo"
