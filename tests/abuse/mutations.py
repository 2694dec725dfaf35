"""Seeded damage to bytes: pure functions of their input and a generator."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache

import numpy as np

Random = np.random.Generator
HUGE = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0x40000000)


def choose(random: Random, items):
    """One of some items."""
    items = list(items)
    return items[int(random.integers(len(items)))]


# Bytes


def flip(data: bytes, random: Random, count: int, end: int | None = None) -> bytes:
    """Change `count` bytes, at places before `end`."""
    if not data:
        return b"\xff"
    changed = bytearray(data)
    for place in random.integers(0, min(end or len(data), len(data)), count):
        changed[place] ^= int(random.integers(1, 256))
    return bytes(changed)


def enlarge(data: bytes, random: Random, end: int | None = None) -> bytes:
    """Overwrite a 32 or 64-bit field with a huge value, in either byte order."""
    size = choose(random, (4, 8))
    code = choose(random, "<>") + {4: "I", 8: "Q"}[size]
    value = choose(random, HUGE) & (1 << 8 * size) - 1
    last = max(1, (min(end or len(data), len(data)) - size) // 4)
    place = 4 * int(random.integers(last))
    return data[:place] + struct.pack(code, value) + data[place + size :]


def splice(data: bytes, random: Random) -> bytes:
    """Copy a piece over another place, or insert or remove one."""
    if len(data) < 8:
        return data + b"\0"
    start, length, place = (int(random.integers(1, len(data))) for _ in range(3))
    length = 1 + length % 512
    piece = data[start : start + length]
    kind = choose(random, ("over", "insert", "remove"))
    if kind == "over":
        return data[:place] + piece + data[place + len(piece) :]
    return data[:place] + piece + data[place:] if kind == "insert" else data[:place] + data[place + length :]


def _blank(data: bytes, random: Random) -> bytes:
    place = int(random.integers(max(1, len(data))))
    return data[:place] + choose(random, (b"\0", b"\xff")) * min(256, len(data) - place) + data[place + 256 :]


BYTES: dict[str, Callable[[bytes, Random], bytes]] = {
    "flip 1": lambda data, random: flip(data, random, 1),
    "flip 8": lambda data, random: flip(data, random, 8),
    "flip many": lambda data, random: flip(data, random, max(32, len(data) // 20)),
    "flip head": lambda data, random: flip(data, random, 1, 64),
    "flip head 4": lambda data, random: flip(data, random, 4, 64),
    "enlarge": enlarge,
    "enlarge again": enlarge,
    "enlarge head": lambda data, random: enlarge(data, random, 128),
    "cut half": lambda data, random: data[: len(data) // 2],
    "cut last": lambda data, random: data[:-1],
    "cut": lambda data, random: data[: int(random.integers(1, max(2, len(data))))],
    "empty": lambda data, random: b"",
    "double": lambda data, random: data + data,
    "append": lambda data, random: data + random.bytes(100),
    "splice": splice,
    "blank": _blank,
}


@cache
def other_kinds() -> dict[str, bytes]:
    """Files of other kinds."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO(b""))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a", b"a")
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    return {
        "text": b"hello\n" * 40,
        "json": b'{"a": [1, 2, 3]}',
        "zip": packed.getvalue(),
        "tar.gz": tar.getvalue(),
        "npy": array.getvalue(),
        "hdf5 magic": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "tflite magic": bytes(4) + b"TFL3" + bytes(200),
        "png magic": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "elf": b"\x7fELF\x02\x01\x01" + bytes(100),
        "html": b"<!DOCTYPE html><html><title>404</title></html>",
        "git lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
        "utf-16": "hello\nworld\n".encode("utf-16"),
        "zeros": bytes(1 << 20),
        "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07builtin\x94.",
    }


def other_kind(data: bytes, random: Random) -> bytes:
    """Another kind of file."""
    return choose(random, other_kinds().values())


def damaged(data: bytes, random: Random) -> tuple[str, bytes]:
    """One of all damages to bytes, and its name."""
    name = choose(random, [*BYTES, "other kind"])
    return name, BYTES.get(name, other_kind)(data, random)
