"""Text files as people have them: UTF-8, UTF-16, or the 8 bits of older Windows programs."""

import codecs
import errno
from dataclasses import dataclass
from pathlib import Path

from edgenet import files
from edgenet.errors import EdgenetError

# Limits of a text file: a million images with paths of 60 characters.
MAX_BYTES, MAX_LINES = 64_000_000, 1_000_000
# Characters of a text in an error message.
MAX_SHOWN = 100
# Fraction of UTF-16 characters with a zero byte: a line end in 20.
MIN_ZEROS = 0.05

_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Control characters that text may have.
_SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"


@dataclass(frozen=True)
class Text:
    """The text of a file, and in which encoding it is if that had to be guessed."""

    text: str
    note: str | None = None

    def lines(self) -> list[str]:
        """The lines, without spaces around them, and without empty ones at the end."""
        lines = [line.strip() for line in self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def read(path: Path) -> Text:
    """Read a text file.

    Args:
        path: The file. UTF-8 and UTF-16 with or without a byte order mark; anything else is taken for cp1252, the
            encoding of Western European Windows, with a note.

    Raises:
        EdgenetError: The file is missing, too large, or no text.
    """
    try:
        data = files.read_limited(path, MAX_BYTES)
    except OSError as error:
        reason = "no such file" if error.errno == errno.ENOENT else f"cannot be read ({error.strerror})"
        raise EdgenetError(f"{path}: {reason}; give a text file") from error
    try:
        found = _decoded(data)
    except UnicodeDecodeError as error:
        raise EdgenetError(f"{path}: not a text file; save it as UTF-8 text") from error
    if any(character < " " and character not in _SPACES for character in set(found.text)):
        raise EdgenetError(f"{path}: not a text file; save it as UTF-8 text")
    if found.text.count("\n") > MAX_LINES:
        raise EdgenetError(
            f"{path}: more than {MAX_LINES:,} lines; give a text file with a line for each class or image"
        )
    return found


def shown(text: str) -> str:
    """A text for a message: quoted and shortened."""
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}...")


def _decoded(data: bytes) -> Text:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return Text(data.decode(encoding))
    if byte_order := _utf_16(data):
        return Text(data.decode(byte_order))
    try:
        return Text(data.decode("utf-8"))
    except UnicodeDecodeError:
        # Five bytes mean nothing in cp1252; Latin-1 has a character for each.
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    example = next(line for line in text.splitlines() if not line.isascii())
    return Text(text, f"not UTF-8, so taken for cp1252 ({shown(example.strip())}); if this is wrong, save it as UTF-8")


def _utf_16(data: bytes) -> str | None:
    """The byte order of UTF-16 without a mark: one byte of Latin letters is zero, and of line ends in any language."""
    even, odd = data[::2].count(0), data[1::2].count(0)
    if len(data) % 2 or max(even, odd) < MIN_ZEROS * len(data) / 2:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"
