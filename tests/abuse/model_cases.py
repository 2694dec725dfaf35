"""Cases of models: .tflite files, and those that TensorFlow reads."""

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
from archive_mutations import zip_members
from base_files import FAST, copy
from json_mutations import json_text, json_value
from mutations import Random, choose
from path_mutations import PATH_KINDS, spoil_path
from plans import Plan, finite_results, spoil, typed, whole_bundle
from tflite_mutations import tflite_tail, tflite_value


def tflite(base: Path, work: Path, random: Random) -> Plan:
    variant = choose(random, ("float32", "float16", "dynamic", "int8"))
    path = copy(base / "b" / f"{variant}.tflite", work / "x.tflite")
    if random.random() < 0.55:
        damage, data = tflite_inside(path.read_bytes(), random)
        path.write_bytes(data)
    else:
        damage, path = spoil(path, random)
    name = typed(path, work)
    check, extra, way = finite_results("r.json"), (), random.random()
    if way < 0.2:
        extra = ("--layers",)
    elif way < 0.3:
        extra = ("--api", "compiled")
    elif way < 0.45:
        copy(base / "ev", work / "ev")
        extra = ("--images", "ev", "--labels", typed(copy(base / "labels.txt", work / "labels.txt"), work))
    elif way < 0.65:
        copy(base / "ev", work / "ev")
        whole = copy(base / "b" / f"{variant}.tflite", work / "whole.tflite").name
        if damage in ("append", "double", "link", "newline", "space", "dash", "255 letters"):
            check = finite_results("r.json", agreement=1.0)
        name, other = (name, whole) if way < 0.55 else (whole, name)
        extra = ("--images", "ev", "--reference", other)
    return Plan(
        f"{variant} {damage}", ("benchmark", name, *extra, *FAST, "--json", "r.json"), outputs=("r.json",), check=check
    )


def tflite_inside(data: bytes, random: Random) -> tuple[str, bytes]:
    """Damage what a checker of flatbuffers does not see."""
    return tflite_value(data, random) if random.random() < 0.8 else tflite_tail(data, random)


def _use_model(base: Path, work: Path, random: Random, damage: str, source: tuple[str, ...]) -> Plan:
    copy(base / "cal", work / "cal")
    if random.random() < 0.8:
        return Plan(damage, ("calibrate", "check", "cal", *source), tensorflow=True)
    copy(base / "labels.txt", work / "labels.txt")
    arguments = ("export", *source, "--calibration", "cal", "--labels", "labels.txt", "--no-apps", "--out", "out")
    variants = choose(random, ("float32", "int8"))
    return Plan(
        damage, (*arguments, "--variants", variants), outputs=("out",), tensorflow=True, check=whole_bundle("out")
    )


def keras_file(base: Path, work: Path, random: Random) -> Plan:
    path = copy(base / choose(random, ("m.keras", "keras2.keras")), work / "m.keras")
    if random.random() < 0.45:
        if random.random() < 0.5:
            damage, data = zip_members(path.read_bytes(), random)
        else:
            damage, data = _config(path.read_bytes(), random)
        path.write_bytes(data)
    else:
        damage, path = spoil(path, random)
    return _use_model(base, work, random, damage, ("--model", typed(path, work)))


def _config(data: bytes, random: Random) -> tuple[str, bytes]:
    """A .keras file with another config.json."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = members["config.json"]
    if random.random() < 0.75:
        changed = json.dumps(json_value(json.loads(config), random)).encode()
    else:
        changed = json_text(config, random)
    members["config.json"] = changed
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    return "config.json", buffer.getvalue()


def h5(base: Path, work: Path, random: Random) -> Plan:
    path = copy(base / choose(random, ("m.h5", "keras2.h5")), work / "m.h5")
    damage, path = _spoil_h5(path, random)
    return _use_model(base, work, random, damage, ("--model", typed(path, work)))


H5_KINDS = ("huge", "huge chunked", "external link", "soft link", "cycle", "external data", "group", "scalar", "text",
            "config", "config text", "attributes", "missing", "nan", "deep")  # fmt: skip


def _spoil_h5(path: Path, random: Random) -> tuple[str, Path]:
    """Damage an HDF5 file as bytes, or by HDF5's own means."""
    if random.random() < 0.55:
        return spoil(path, random)
    kind = choose(random, H5_KINDS)
    with h5py.File(path, "r+") as file:
        datasets = []
        file.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
        target = choose(random, datasets)
        values = file[target][()]
        shape = values.shape
        if kind in ("config", "config text") and "model_config" in file.attrs:
            config = file.attrs["model_config"]
            if kind == "config":
                file.attrs["model_config"] = json.dumps(json_value(json.loads(config), random)).replace("\0", "")
            else:
                config = config if isinstance(config, bytes) else config.encode()
                file.attrs["model_config"] = np.bytes_(json_text(config, random)[:60_000] or b"x")
        elif kind == "attributes":
            for item in (file, *(file[name].parent for name in datasets)):
                for name in list(item.attrs):
                    if random.random() < 0.3:
                        del item.attrs[name]
        else:
            del file[target]
            make = {
                "huge": lambda: file.create_dataset(target, (2**40,), "f4"),
                "huge chunked": lambda: file.create_dataset(
                    target, (2**20, 2**10), "f4", chunks=(2**10, 2**10), compression="gzip"
                ),
                "external link": lambda: file.__setitem__(target, h5py.ExternalLink("/etc/passwd", "/x")),
                "soft link": lambda: file.__setitem__(target, h5py.SoftLink("/nothing")),
                "cycle": lambda: file.__setitem__(target, file),
                "external data": lambda: file.create_dataset(target, shape, "f4", external=[("/etc/passwd", 0, 10**6)]),
                "group": lambda: file.create_group(target),
                "scalar": lambda: file.create_dataset(target, data=1.0),
                "text": lambda: file.create_dataset(target, data="text"),
                "nan": lambda: file.create_dataset(target, data=np.full_like(values, np.nan)),
                "deep": lambda: file.create_group("/".join("a" * 2000)),
            }.get(kind)
            if make:
                make()
    return f"hdf5 {kind}", path


def savedmodel(base: Path, work: Path, random: Random) -> Plan:
    folder = copy(base / "saved", work / "saved")
    if random.random() < 0.1:
        damage = choose(random, PATH_KINDS)
        folder = spoil_path(folder, damage)
    else:
        members = sorted(path for path in folder.rglob("*") if path.is_file())
        path = choose(random, [*members, folder / "saved_model.pb"])
        damage, _ = spoil(path, random)
        damage = f"{path.name} {damage}"
    return _use_model(base, work, random, damage, ("--model", typed(folder, work)))


def weights(base: Path, work: Path, random: Random) -> Plan:
    suffix = choose(random, ("npz", "h5", "weights.h5"))
    path = copy(base / f"w_32.{suffix}", work / f"w_32.{suffix}")
    if suffix != "npz":
        damage, path = _spoil_h5(path, random)
    elif random.random() < 0.5:
        damage, data = zip_members(path.read_bytes(), random)
        path.write_bytes(data)
    elif random.random() < 0.4:
        damage = _spoil_arrays(path, random)
    else:
        damage, path = spoil(path, random)
    source = ("--weights", typed(path, work))
    if random.random() < 0.3:
        source += ("--size", "32")
    return _use_model(base, work, random, f"{suffix} {damage}", source)


def _spoil_arrays(path: Path, random: Random) -> str:
    """Change one array of an .npz file."""
    with np.load(path) as stored:
        arrays = dict(stored)
    name, kind = choose(random, arrays), choose(random, ("nan", "complex", "text", "object", "huge", "shape", "empty"))
    values = arrays[name]
    arrays[name] = {
        "nan": lambda: np.full_like(values, np.nan),
        "complex": lambda: values.astype(np.complex64),
        "text": lambda: np.full(values.shape, "a"),
        "object": lambda: np.array([{}], dtype=object),
        "huge": lambda: np.full(values.shape, 3e38, np.float32),
        "shape": lambda: values[..., None],
        "empty": lambda: np.zeros((0, *values.shape[1:])),
    }[kind]()
    np.savez_compressed(path, **arrays)
    return f"array {kind}"
