"""Cases of files with class names, and with the class of each image."""

from collections.abc import Callable
from pathlib import Path

from base_files import FAST, copy
from mutations import Random, choose
from plans import Plan, finite_results, spoil, typed, whole_bundle

TEXTS: dict[str, Callable[[str, Random], bytes]] = {
    "one more": lambda text, random: (text + "one more\n").encode(),
    "one less": lambda text, random: "\n".join(text.splitlines()[:-1]).encode(),
    "no end": lambda text, random: text.rstrip("\n").encode(),
    "CRLF": lambda text, random: text.replace("\n", "\r\n").encode(),
    "CR": lambda text, random: text.replace("\n", "\r").encode(),
    "BOM": lambda text, random: b"\xef\xbb\xbf" + text.encode(),
    "utf-16": lambda text, random: text.encode("utf-16"),
    "latin-1": lambda text, random: (text + "\xe9").encode("latin-1"),
    "empty line": lambda text, random: text.replace("\n", "\n\n").encode(),
    "end lines": lambda text, random: (text + "\n\n\n").encode(),
    "nul": lambda text, random: text.replace("e", "\0").encode(),
    "escape": lambda text, random: text.replace("e", "\x1b[31m").encode(),
    "long line": lambda text, random: ("a" * 50_000_000 + "\n" + text).encode(),
    "many lines": lambda text, random: (text * 100_000).encode(),
    "same lines": lambda text, random: "\n".join(text.splitlines()[:1] * len(text.splitlines())).encode(),
    "tabs": lambda text, random: text.replace(",", "\t").encode(),
    "spaces": lambda text, random: text.replace(",", " " * 50_000).encode(),
    "commas": lambda text, random: text.replace(",", "," * 50_000).encode(),
    "separators": lambda text, random: text.replace("\n", "\u2028\u0085\x1c\n").encode(),
    "numbers": lambda text, random: "".join(f"{number}\n" for number in range(len(text.splitlines()))).encode(),
    "huge number": lambda text, random: (text.rsplit(",", 1)[0] + "," + "9" * 5000 + "\n").encode(),
    "negative": lambda text, random: (text.rsplit(",", 1)[0] + ",-1\n").encode(),
    "digits": lambda text, random: (text.rsplit(",", 1)[0] + ",\u0662\n").encode(),
    "outside": lambda text, random: ("../../x.png,ant\n" + text).encode(),
    "shuffled": lambda text, random: "\n".join(random.permutation(text.splitlines()).tolist()).encode(),
}  # fmt: skip


def _spoil_text(path: Path, random: Random) -> tuple[str, Path]:
    if random.random() < 0.5:
        return spoil(path, random, 0.35)
    kind = choose(random, TEXTS)
    path.write_bytes(TEXTS[kind](path.read_text(encoding="utf-8"), random))
    return kind, path


def labels(base: Path, work: Path, random: Random) -> Plan:
    damage, path = _spoil_text(copy(base / "labels.txt", work / "labels.txt"), random)
    copy(base / "ev", work / "ev")
    if random.random() < 0.6:
        model = copy(base / "b" / "int8.tflite", work / "m.tflite")
        arguments = ("benchmark", model.name, "--images", "ev", "--labels", typed(path, work), *FAST)
        return Plan(damage, (*arguments, "--json", "r.json"), outputs=("r.json",), check=finite_results("r.json"))
    copy(base / "m.keras", work / "m.keras")
    copy(base / "cal", work / "cal")
    source = ("--model", "m.keras", "--calibration", "cal", "--evaluation", "ev", "--labels", typed(path, work))
    arguments = ("export", *source, "--variants", "float32", "--no-apps", "--out", "out")
    return Plan(damage, arguments, outputs=("out",), tensorflow=True, check=whole_bundle("out"))


def truth(base: Path, work: Path, random: Random) -> Plan:
    damage, path = _spoil_text(copy(base / "truth.txt", work / "truth.txt"), random)
    copy(base / "ev", work / "ev")
    copy(base / "labels.txt", work / "labels.txt")
    if random.random() < 0.6:
        model = copy(base / "b" / "int8.tflite", work / "m.tflite")
        given = ("--images", "ev", "--labels", "labels.txt", "--truth", typed(path, work))
        arguments = ("benchmark", model.name, *given, *FAST, "--json", "r.json")
        return Plan(damage, arguments, outputs=("r.json",), check=finite_results("r.json"))
    copy(base / "m.keras", work / "m.keras")
    copy(base / "cal", work / "cal")
    source = ("--model", "m.keras", "--calibration", "cal", "--evaluation", "ev", "--labels", "labels.txt")
    arguments = ("export", *source, "--truth", typed(path, work), "--variants", "float32", "--no-apps", "--out", "out")
    return Plan(damage, arguments, outputs=("out",), tensorflow=True, check=whole_bundle("out"))
