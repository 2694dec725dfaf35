"""Finds classes by what people call them: the name in another spelling, the WordNet identifier, the number."""

import re
import unicodedata
from collections.abc import Callable, Sequence

from edgenet.errors import EdgenetError
from edgenet.images import labels as class_names
from edgenet.images.text_file import shown

# What a folder's name may have before that of its class: its number, as in "001.Black_footed_Albatross", or its WordNet
# identifier, as in "n02085620-Chihuahua".
_PREFIX = re.compile(r"(?:[0-9]{1,9}|n[0-9]{8})[\s._)-]+(?=\S)")
# Teachable Machine cuts long names off.
_CUT_OFF = "..."


class ClassIndex:
    """Finds classes by their name, WordNet identifier or number.

    The first of these that fits any class counts: the name; the name with underscores for spaces; the name without
    regard to case, spaces, "_" and "-"; the name without a number or identifier in front; the beginning of the name,
    where the label is cut off ("..."); the WordNet identifier of one of ImageNet's classes; the number, from 0.

    Args:
        names: The class names, in the order of the model's output.
    """

    def __init__(self, names: Sequence[str]):
        self._names = names
        self._spellings = [(spelling, _by(spelling, names)) for spelling in (str.strip, _spaced, _loose)]
        self._bare = _by(_bare, names)
        cut = [(_loose(name.strip().removesuffix(_CUT_OFF)), number) for number, name in enumerate(names)]
        self._cut_off = [(start, number) for start, number in cut if start and names[number].strip().endswith(_CUT_OFF)]

    def find(self, text: str) -> list[int]:
        """The numbers of the classes with this name; if there are none, with this identifier or number."""
        return self.named(text) or self.numbered(text)

    def named(self, text: str) -> list[int]:
        """The numbers of the classes with this name or identifier."""
        for spelling, numbers in self._spellings:
            if found := numbers.get(spelling(text)):
                return found
        # With a number in front of both, "1 euro" would be "5 euro".
        loose = _loose(text)
        for spelled, numbers in ((_bare(text), self._spellings[-1][1]), (loose, self._bare)):
            if len(found := numbers.get(spelled, [])) == 1:
                return found
        if found := [number for start, number in self._cut_off if loose.startswith(start)]:
            return found
        return self._identified(text)

    def numbered(self, text: str) -> list[int]:
        """The class with this number, from 0."""
        return [int(text)] if re.fullmatch(r"[0-9]{1,9}", text) and int(text) < len(self._names) else []

    def choices(self, found: Sequence[int]) -> str:
        """The classes that a name fits, for an error: their numbers, and their names if these differ."""
        names = [self._names[number] for number in found]
        return " or ".join(
            str(number) if len(set(names)) == 1 else f"{number} ({shown(name)})"
            for number, name in zip(found, names, strict=True)
        )

    def _identified(self, text: str) -> list[int]:
        number = class_names.identifiers().get(text.strip())
        if number is None:
            return []
        if len(self._names) in (1000, 1001):
            return [number + len(self._names) - 1000]  # of 1,001 classes, the first is the background
        name = class_names.imagenet()[number]
        return next((found for spelling, numbers in self._spellings if (found := numbers.get(spelling(name)))), [])


def one_class(found: Sequence[int], index: ClassIndex, start: str, instead: str) -> int:
    """The only class that was found.

    Args:
        found: Classes, at least one.
        index: What found them.
        start: Which name it was, for the error.
        instead: What to do, for the error.

    Raises:
        EdgenetError: There are several.
    """
    if len(found) > 1:
        raise EdgenetError(f"{start}; {instead}: {index.choices(found)}")
    return found[0]


def _by(spelling: Callable[[str], str], names: Sequence[str]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        if spelled := spelling(name):
            numbers.setdefault(spelled, []).append(number)
    return numbers


def _spaced(name: str) -> str:
    # File systems may take accents apart.
    return unicodedata.normalize("NFC", name).strip().replace("_", " ")


def _loose(name: str) -> str:
    """Without regard to case, spaces, "_", "-", and what names of folders cannot have."""
    return re.sub(r'[\s_\-/\\:*?"<>|]+', "", unicodedata.normalize("NFKC", name).casefold())


def _bare(name: str) -> str:
    return _loose(_PREFIX.sub("", name.strip(), count=1))
