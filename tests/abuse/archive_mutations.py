"""Seeded damage to the members of zip and tar archives."""

import bz2
import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from functools import cache
from pathlib import Path

from mutations import Random, choose, damaged, flip


@cache
def zeros_deflated(size: int) -> bytes:
    """`size` zeros (a multiple of 16 MiB) as a raw deflate stream, made of one block many times over."""
    block = 1 << 24
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * (size // block) + packer.flush(zlib.Z_FINISH)


def gzip_bomb(size: int) -> bytes:
    """A gzip file of `size` zeros, whose check sum is wrong."""
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + zeros_deflated(size) + struct.pack("<II", 0, size & 0xFFFFFFFF)


def _zip_with_bomb(members: dict[str, bytes], target: str, size: int) -> bytes:
    """A zip one of whose members unpacks to `size` zeros, whose check sum is wrong."""
    packed = zeros_deflated(size)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data if name != target else packed)
    data = bytearray(buffer.getvalue())
    # Stored bytes are called deflated ones, in both headers of the member.
    for magic, method, sizes in ((b"PK\x03\x04", 8, 18), (b"PK\x01\x02", 10, 20)):
        place = -1
        while (place := data.find(magic, place + 1)) >= 0:
            length = struct.unpack_from("<H", data, place + (26 if sizes == 18 else 28))[0]
            start = place + (30 if sizes == 18 else 46)
            if data[start : start + length] == target.encode():
                struct.pack_into("<H", data, place + method, 8)
                struct.pack_into("<II", data, place + sizes, len(packed), size)
    return bytes(data)


def zip_members(data: bytes, random: Random) -> tuple[str, bytes]:
    """A zip whose members are renamed, doubled, links, huge or missing."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    target = choose(random, members)
    kind = choose(
        random,
        (
            "../x",
            "/absolute",
            "link",
            "double",
            "bomb",
            "missing",
            "empty",
            "extra ../x",
            "deflated",
            "damaged",
            "many",
        ),
    )
    if kind == "bomb":
        return f"zip {kind} {target}", _zip_with_bomb(members, target, 3 << 30)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, contents in members.items():
            if name == target and kind == "missing":
                continue
            if name == target and kind == "damaged":
                contents = damaged(contents, random)[1]
            info = zipfile.ZipInfo(
                {"../x": f"../{name}", "/absolute": f"/tmp/edgenet_abuse/{name}"}.get(kind, name)
                if name == target
                else name
            )
            info.compress_type = zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED
            if name == target and kind == "link":
                info.external_attr, contents = 0o120777 << 16, b"/etc/passwd"
            archive.writestr(info, b"" if name == target and kind == "empty" else contents)
            if name == target and kind == "double":
                archive.writestr(zipfile.ZipInfo(name), contents[::-1])
        if kind == "extra ../x":
            archive.writestr("../../x", b"x")
        if kind == "many":
            for number in range(20_000):
                archive.writestr(f"many/{number}", b"")
    return f"zip {kind} {target}", buffer.getvalue()


TAR_KINDS = (
    "../x", "/absolute", "symlink", "hard link", "fifo", "device", "folder", "double", "missing", "extra", "extra ../x",
    "order", "bomb", "bomb behind", "bomb manifest", "huge size", "negative size", "long name", "pax", "sparse",
    "surrogate", "many", "damaged", "no gzip", "bzip2", "damaged tar", "dot", "contents",
)  # fmt: skip


def tar_members(members: dict[str, bytes], outside: Path, random: Random) -> tuple[str, bytes]:
    """A packed bundle whose members are renamed, doubled, links, devices, huge or missing."""
    kind, names = choose(random, TAR_KINDS), list(members)
    target = choose(random, names)
    if kind == "bomb":
        return "tar bomb", gzip_bomb(6 << 30)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in names[::-1] if kind == "order" else names:
            contents, info = members[name], tarfile.TarInfo(name)
            if name == target:
                if kind == "missing":
                    continue
                if kind == "contents":
                    contents = flip(contents, random, 1)
                _spoil(info, kind, outside, random)
                if kind == "pax":
                    info.pax_headers = {"comment": "x" * 5_000_000, "size": "99999999999"}
            info.size = 0 if info.type != tarfile.REGTYPE else len(contents)
            archive.addfile(info, io.BytesIO(contents))
            if name == target and kind == "double":
                archive.addfile(tarfile.TarInfo(name))
        if kind.startswith("extra"):
            archive.addfile(tarfile.TarInfo("../../x" if kind == "extra ../x" else "extra.txt"))
        for number in range(30_000 if kind == "many" else 0):
            archive.addfile(tarfile.TarInfo(f"many/{number}"))
    data = bytearray(buffer.getvalue())
    if kind in ("huge size", "negative size", "sparse", "bomb manifest"):
        headers = (place for place in range(0, len(data), 512) if data.startswith(target.encode() + b"\0", place))
        place = 0 if kind == "bomb manifest" else next(headers)
        field = {"huge size": b"\x80" + b"\0" * 3 + b"\x7f" * 8, "negative size": b"\xff" * 12}.get(kind)
        if kind == "bomb manifest":
            field = b"%011o\0" % 99_000_000
        if field:
            data[place + 124 : place + 136] = field
        else:
            data[place + 156] = ord("S")
        header = bytearray(data[place : place + 512])
        header[148:156] = b" " * 8
        data[place + 148 : place + 156] = b"%06o\0 " % sum(header)
    if kind == "damaged tar":
        data = bytearray(damaged(bytes(data), random)[1])
    if kind == "no gzip":
        return f"tar {kind}", bytes(data)
    if kind == "bzip2":
        return f"tar {kind}", bz2.compress(bytes(data))
    packed = gzip.compress(bytes(data), mtime=0)
    if kind == "bomb behind":
        packed += gzip_bomb(6 << 30)
    if kind == "damaged":
        return damaged_name(f"tar {target}", packed, random)
    return f"tar {kind} {target}", packed


def damaged_name(what: str, data: bytes, random: Random) -> tuple[str, bytes]:
    """As `damaged`, the name with what is damaged in front."""
    name, data = damaged(data, random)
    return f"{what} {name}", data


def _spoil(info: tarfile.TarInfo, kind: str, outside: Path, random: Random) -> None:
    types = {
        "symlink": tarfile.SYMTYPE,
        "hard link": tarfile.LNKTYPE,
        "fifo": tarfile.FIFOTYPE,
        "device": tarfile.CHRTYPE,
        "folder": tarfile.DIRTYPE,
    }
    info.type = types.get(kind, tarfile.REGTYPE)
    if kind in ("symlink", "hard link"):
        info.linkname = choose(random, (str(outside / "kept.txt"), "../../outside/kept.txt", "labels.txt", "."))
    if kind == "device":
        info.devmajor, info.devminor = 1, 5  # /dev/zero
    renamed = {
        "../x": f"../../outside/{info.name}",
        "/absolute": f"{outside}/{info.name}",
        "long name": "a" * 300 + "/" + info.name,
        "surrogate": f"\udcff{info.name}",
        "dot": f"./{info.name}",
    }
    info.name = renamed.get(kind, info.name)
