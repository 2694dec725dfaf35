"""The link that lets a phone use `edgenet serve`, and its QR code."""

import io
import sys
from importlib.util import find_spec


def invitation(link: str) -> str:
    """How to open the page on a phone: the QR code of a link, where the terminal can show it, and the link."""
    code = _code(link)
    how = f"{code}scan this code, or open {link}" if code else f"open {link} on the phone"
    return f"{how}\none-time link; a new one is printed after use"


def _code(text: str) -> str:
    """A QR code of half blocks; empty where it cannot be made or shown."""
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
