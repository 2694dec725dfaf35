"""What `edgenet serve` shows: the address, the code that a phone scans, and what came of it."""

import io
import sys
from importlib.util import find_spec


def invitation(link: str) -> str:
    """What a person does to let a phone in."""
    code = _code(link)
    what = f"{code}scan this code, or open {link}" if code else f"open {link} on the phone"
    return f"{what}\nit works once; the next one follows when it was used"


def _code(text: str) -> str:
    """A QR code of half blocks, or nothing where it cannot be shown or made."""
    if not sys.stdout.isatty() or not find_spec("segno"):
        return ""
    try:
        "▀▄█".encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return ""
    import segno

    out = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out, compact=True, border=2)
    return out.getvalue()
