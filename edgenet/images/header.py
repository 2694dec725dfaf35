"""What the header of an image file says, without decoding its pixels."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edgenet.images.decode import ORIENTATION
from edgenet.records import Preprocessing, Resize


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says.

    Attributes:
        height: As it is stored, in pixels.
        width: Likewise.
        orientation: Of its EXIF data, 1 to 8; 0 if unknown.
        is_transparent: Whether parts of it may be transparent.
    """

    height: int
    width: int
    orientation: int
    is_transparent: bool

    @property
    def is_turned(self) -> bool:
        return self.orientation != 1

    def size(self, how: Resize) -> tuple[int, int]:
        """Height and width, upright if EXIF data are honoured."""
        return (self.width, self.height) if how.exif and self.orientation >= 5 else (self.height, self.width)

    def has_size_of(self, recipe: Preprocessing) -> bool:
        """Whether it has the size of the model's input."""
        return self.size(recipe.resize) == (recipe.height, recipe.width)

    def loss(self, recipe: Preprocessing) -> float:
        """The fraction of the image outside of the largest crop of the model's shape."""
        height, width = self.size(recipe.resize)
        ratio = (width * recipe.height) / (height * recipe.width)
        return 1 - min(ratio, 1 / ratio)


def read_header(path: Path) -> ImageHeader | None:
    """Read the header of an image file, without its pixels; None if Pillow alone cannot."""
    try:
        with Image.open(path) as image:
            # Pillow would decode a PNG file to look for EXIF data behind the pixels.
            exif = {} if image.format == "PNG" and "exif" not in image.info else image.getexif()
            orientation = exif.get(ORIENTATION, 1)
            orientation = orientation if orientation in range(1, 9) else 1
            return ImageHeader(image.height, image.width, orientation, image.has_transparency_data)
    except Exception:  # such as damaged EXIF data; the pixels have been read before
        return None
