"""Something else in the place of a file, or another name for it."""

import os
from pathlib import Path

PATH_KINDS = (
    "folder", "fifo", "dangling link", "link to itself", "link to /dev/zero", "link to a folder", "missing", "newline",
    "surrogate", "255 letters", "link", "unreadable", "dash", "space", "long path",
)  # fmt: skip


def spoil_path(path: Path, kind: str) -> Path:
    """Put something else in the place of a file or folder, or give it another name. Returns the name."""
    suffix = path.suffix
    names = {
        "newline": f"a\nError: b{suffix}",
        "surrogate": os.fsdecode(b"\xff\xfe") + suffix,
        "255 letters": "a" * (255 - len(suffix)) + suffix,
        "dash": f"--{path.name}",
        "space": f" a  b {suffix}",
    }
    if kind in names:
        return path.rename(path.parent / names[kind])
    if kind == "long path":
        return path.parent / ("b" * 5000 + suffix)
    if kind == "unreadable":
        path.chmod(0)
        return path
    aside = path.parent / f"aside{suffix}"
    path.rename(aside)
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind != "missing":
        targets = {
            "dangling link": path.parent / "nothing",
            "link to itself": path,
            "link to /dev/zero": "/dev/zero",
            "link to a folder": path.parent,
            "link": aside,
        }
        path.symlink_to(targets[kind])
    return path
