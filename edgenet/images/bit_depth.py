"""Images with 16 bits per channel, and how many of these bits they use.

Many cameras and scanners write 10 or 12 bits into files of 16. Read as 16 bits, such an image is almost black.
"""

from threading import Lock

from PIL import Image

# The largest upper byte of values with so many bits.
_LARGEST_UPPER_BYTES = {8: 0, 10: 3, 12: 15}


def declared(image: Image.Image) -> int:
    """How many bits per channel an image has: 8, 12 or 16. White has the largest number with as many bits.

    Args:
        image: An image whose pixels are not loaded yet, since loading forgets how they are stored.
    """
    stored = _raw_mode(image)
    if stored.endswith("I;12"):
        return 12
    # Pillow scales the values of these files to 16 bits, in a mode of 32.
    is_grey_map = image.format == "PPM" and image.mode == "I"
    has_16_bits = image.mode.startswith("I;16") or (";16" in stored and image.mode != "I")
    return 16 if is_grey_map or has_16_bits else 8


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name of how the pixels are stored in the file; empty where it is unknown."""
    tiles = getattr(image, "tile", None)
    args = tiles[0][3] if tiles else None
    found = args[0] if isinstance(args, tuple) and args else args
    return found if isinstance(found, str) else ""


def _largest(channel: Image.Image) -> int:
    counts = channel.histogram()
    return max(level for level, count in enumerate(counts) if count)


class UsedBits:
    """Collects how many bits the images of a set use. One dark image is no evidence, but all of them are."""

    def __init__(self) -> None:
        self._count, self._largest, self._lock = 0, 0, Lock()

    def add(self, source: Image.Image, converted: Image.Image) -> None:
        """Add an image with 16 bits per channel.

        Args:
            source: The image.
            converted: The same with the upper 8 bits of each value.
        """
        # Pillow itself reads colours as 8 bits: the upper ones. Ink (CMYK) is not light.
        if source.mode not in ("RGB", "RGBA") and not source.mode.startswith("I"):
            return
        read = converted if source.mode.startswith("I") else source
        # Alpha is not light, either.
        largest = max(_largest(read.getchannel(band)) for band in read.getbands() if band != "A")
        with self._lock:
            self._count += 1
            self._largest = max(self._largest, largest)

    def note(self) -> str | None:
        """What to do about images that use few of their bits; None if there are none."""
        for bits, largest in _LARGEST_UPPER_BYTES.items():
            if self._count and self._largest <= largest:
                images = "1 image has" if self._count == 1 else f"{self._count:,} images have"
                looks = "it looks" if self._count == 1 else "they look"
                return (
                    f"{images} 16 bits per channel, but no value is above {2**bits - 1:,} ({bits} bits), so {looks} "
                    f"almost black; multiply the values by {2 ** (16 - bits)}, or save 8 bits per channel"
                )
        return None
