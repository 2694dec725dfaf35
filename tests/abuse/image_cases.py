"""Cases of images."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from base_files import FAST, FORMATS, copy, png_of
from mutations import Random, choose, flip
from PIL import Image
from plans import Plan, finite_results, spoil, whole_bundle

IMAGE_KINDS = (
    "png bomb", "large png", "long png", "wide png", "zTXt bomb", "iCCP bomb", "eps", "other name", "exif",
    "tiff tiles", "animated", "sixteen bits", "palette", "cmyk", "float", "one pixel", "svg", "header size",
)  # fmt: skip


def image(base: Path, work: Path, random: Random) -> Plan:
    folder = copy(base / "ev", work / "ev")
    suffix = choose(random, FORMATS)
    path = copy(base / "images" / f"x.{suffix}", folder / "ant" / f"x.{suffix}")
    if random.random() < 0.25:
        damage, data, suffix = _strange_image(base, random, suffix)
        path.unlink()
        path = folder / "ant" / f"x.{suffix}"
        path.write_bytes(data)
    else:
        damage, path = spoil(path, random)
    damage = f"{suffix} {damage}"
    if random.random() < 0.35:
        model = copy(base / "b" / "int8.tflite", work / "m.tflite")
        labels = copy(base / "labels.txt", work / "labels.txt")
        arguments = ("benchmark", model.name, "--images", "ev", "--labels", labels.name, *FAST, "--json", "r.json")
        return Plan(damage, arguments, outputs=("r.json",), check=finite_results("r.json"))
    copy(base / "m.keras", work / "m.keras")
    if random.random() < 0.85:
        return Plan(damage, ("calibrate", "check", "ev", "--model", "m.keras"), tensorflow=True)
    copy(base / "cal", work / "cal")
    copy(base / "labels.txt", work / "labels.txt")
    source = ("--model", "m.keras", "--calibration", "cal", "--evaluation", "ev", "--labels", "labels.txt")
    arguments = ("export", *source, "--variants", "float32", "--no-apps", "--out", "out")
    return Plan(damage, arguments, outputs=("out",), tensorflow=True, check=whole_bundle("out"))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _strange_image(base: Path, random: Random, suffix: str) -> tuple[str, bytes, str]:
    """A sound or hostile image of an unusual kind: its name, bytes and suffix."""
    kind = choose(random, IMAGE_KINDS)
    whole = Image.open(base / "images" / "x.png")
    png = (base / "images" / "x.png").read_bytes()
    buffer = io.BytesIO()
    if kind == "large png":  # nearly as many pixels as Pillow takes without an error
        return kind, png_of(13_000, 13_000, choose(random, ("1", "RGB", "RGBA"))), "png"
    if kind in ("png bomb", "long png", "wide png"):
        sides = {"png bomb": (30_000, 30_000), "long png": (1, 60_000), "wide png": (60_000, 1)}[kind]
        return kind, png_of(*sides), "png"
    if kind in ("zTXt bomb", "iCCP bomb"):
        packer = zlib.compressobj(9)
        packed = b"".join(packer.compress(bytes(1 << 24)) for _ in range(64)) + packer.flush()
        return kind, png[:33] + _chunk(kind[:4].encode(), b"a\0\0" + packed) + png[33:], "png"
    if kind == "eps":
        text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n(touched) (w) file closefile\n"
        return kind, text, choose(random, ("png", "jpg"))
    if kind == "header size":
        sides = choose(random, ((2**31 - 1, 2**31 - 1), (0, 0), (2**32 - 1, 1), (65_535, 65_535), (20_000, 8_000)))
        return kind, png[:8] + _chunk(b"IHDR", struct.pack(">II", *sides) + png[24:29]) + png[33:], "png"
    if kind == "exif":
        exif = Image.Exif()
        exif[0x0112] = choose(random, (0, 9, 65_535))
        raw = b"Exif\0\0" + flip(exif.tobytes().removeprefix(b"Exif\0\0"), random, 4)
        suffix = choose(random, ("jpg", "png", "webp"))
        whole.save(buffer, {"jpg": "JPEG"}.get(suffix, suffix.upper()), exif=raw)
        return kind, buffer.getvalue(), suffix
    if kind == "other name":
        return kind, png, choose(random, ("jpg", "webp", "bmp", "tiff", "gif"))
    if kind == "animated":
        return kind, (base / "images" / "animated.gif").read_bytes(), choose(random, ("gif", "png"))
    if kind == "svg":
        return kind, b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "png"
    modes = {"sixteen bits": "I;16", "palette": "P", "cmyk": "CMYK", "float": "F"}
    if kind in modes:
        grey = np.asarray(whole.convert("L"))
        made = Image.fromarray(grey.astype(np.uint16) * 257) if kind == "sixteen bits" else whole.convert(modes[kind])
        suffix = "png" if kind in ("sixteen bits", "palette") else "tiff"
        made.save(buffer, suffix.upper())
        return kind, buffer.getvalue(), suffix
    if kind == "one pixel":
        Image.new("RGB", (1, 1)).save(buffer, "PNG")
        return kind, buffer.getvalue(), "png"
    tags = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 9)  # a TIFF that says that it is huge
    for tag, kind_of_value, count, value in (
        (256, 4, 1, 40_000), (257, 4, 1, 40_000), (258, 3, 1, 8), (259, 3, 1, choose(random, (1, 5, 7, 8))),
        (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 40_000), (279, 4, 1, 1_600_000_000),
    ):  # fmt: skip
        tags += struct.pack("<HHII", tag, kind_of_value, count, value)
    return kind, tags + struct.pack("<I", 8) + bytes(100), "tiff"
