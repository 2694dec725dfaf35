"""Cases of bundles, in folders and packed."""

import json
import os
from pathlib import Path

import numpy as np
from archive_mutations import tar_members, zip_members
from base_files import FAST, copy, seal
from model_cases import tflite_inside
from mutations import Random, choose, damaged
from plans import EITHER, REFUSED, Plan, finite_results, spoil, typed
from record_cases import same_record, spoil_record


def _use_bundle(base: Path, work: Path, random: Random, damage: str, name: str, must: str, *, light: bool) -> Plan:
    """A command for a bundle. light: mostly those that run no model."""
    verbs = {
        "verify": (("verify", name), ()),
        "benchmark": (("benchmark", name, *FAST, "--json", "r.json"), ("r.json",)),
        "benchmark of one": (("benchmark", name, *FAST, "--json", "r.json", "--variants", "int8"), ("r.json",)),
        "diagnose": (("diagnose", name, "--images", "4"), (f"{name}/results",)),
        "pack": (("pack", name, "--out", "p.tar.gz"), ("p.tar.gz",)),
        "doctor": (("doctor", name), ()),
        "check": (("check", name, "--max-drift", "0.9"), ()),
        "report": (("report", name, "--out", "x.md"), ("x.md",)),
        "compare": (("compare", name, name, "--no-latency"), ()),
        "ablate": (("ablate", name, "--calibration", "cal"), ()),
    }
    weights = dict.fromkeys(verbs, 1)
    weights |= (
        {"verify": 6, "pack": 2} if light else {"benchmark of one": 4, "benchmark": 2, "diagnose": 3, "ablate": 2}
    )
    verb = choose(random, [verb for verb, weight in weights.items() for _ in range(weight)])
    if verb == "ablate":
        copy(base / "cal", work / "cal")
    arguments, outputs = verbs[verb]
    if verb in ("doctor", "check", "report", "compare"):  # those that need not look at every file
        must = EITHER
    check = finite_results("r.json") if "r.json" in outputs else None
    return Plan(damage, arguments, must, outputs, verb == "ablate", check)


def _members(bundle: Path) -> list[Path]:
    """The files of a bundle, each kind about as often as any other."""
    fixed = [bundle / name for name in ("manifest.json", "reference.npz", "labels.txt", "model.keras")]
    models = [bundle / f"{name}.tflite" for name in ("float32", "int8", "dynamic", "float16")]
    images = sorted((bundle / "evaluation").rglob("*.png"))[:2]
    return [*fixed, bundle / "manifest.json", *models, *images]


def stale(base: Path, work: Path, random: Random) -> Plan:
    bundle = copy(base / "b", work / "b")
    path = choose(random, _members(bundle))
    before, must = path.read_bytes(), REFUSED
    if path.name == "manifest.json" and random.random() < 0.6:
        damage = spoil_record(path, random, digest=False)
    else:
        damage, _ = spoil(path, random, 0.25)
    if damage in ("long path", "link") or (damage == "unreadable" and os.geteuid() == 0):
        must = EITHER  # the file is as it was; root may read any
    elif path.is_file() and _same(before, path):
        must = EITHER
    return _use_bundle(base, work, random, f"{path.name} {damage}", "b", must, light=True)


def _same(before: bytes, path: Path) -> bool:
    """Whether a file is as it was; a damage may write what was there, and JSON has many forms."""
    return path.read_bytes() == before or (path.name == "manifest.json" and same_record(before, path))


def sealed(base: Path, work: Path, random: Random) -> Plan:
    bundle = copy(base / "b", work / "b")
    path = choose(random, _members(bundle))
    if path.name == "manifest.json":
        damage = spoil_record(path, random, digest=True)
    else:
        if path.suffix in (".npz", ".keras") and random.random() < 0.5:
            damage, data = zip_members(path.read_bytes(), random)
            path.write_bytes(data)
        elif path.suffix == ".tflite" and random.random() < 0.6:
            damage, data = tflite_inside(path.read_bytes(), random)
            path.write_bytes(data)
        elif path.name == "reference.npz":
            damage = _spoil_scores(path, random)
        else:
            damage, data = damaged(path.read_bytes(), random)
            path.write_bytes(data)
        seal(bundle)
    return _use_bundle(base, work, random, f"{path.name} {damage}", "b", EITHER, light=False)


def _spoil_scores(path: Path, random: Random) -> str:
    """Other reference scores, as edgenet writes them."""

    with np.load(path) as stored:
        scores = stored["scores"]
    kind = choose(random, ("nan", "infinity", "zeros", "huge", "negative", "shape", "random"))
    if kind in ("nan", "infinity"):
        scores[int(random.integers(len(scores)))] = np.nan if kind == "nan" else np.inf
    scores = {
        "zeros": lambda: 0 * scores,
        "huge": lambda: scores * np.float32(3e38),
        "negative": lambda: -scores,
        "shape": lambda: scores.T,
        "random": lambda: random.random(scores.shape, np.float32),
    }.get(kind, lambda: scores)()
    from edgenet.bundle import evaluation

    evaluation.write_scores(path, [scores], scores.shape)
    return f"scores {kind}"


def archive(base: Path, work: Path, random: Random) -> Plan:
    path, must = work / "b.tar.gz", EITHER
    if random.random() < 0.6:
        manifest = json.loads((base / "b" / "manifest.json").read_bytes())
        members = {name: (base / "b" / name).read_bytes() for name in ("manifest.json", *sorted(manifest["files"]))}
        damage, data = tar_members(members, work.parent / "outside", random)
        path.write_bytes(data)
        # What is harmless in some places.
        some = ("tar pax", "tar sparse", "tar damaged", "tar bomb behind", *(f"tar {name} " for name in members))
        must = EITHER if damage.startswith(some) else REFUSED
    else:
        copy(base / "b.tar.gz", path)
        damage, path = spoil(path, random)
    plan = _use_bundle(base, work, random, damage, typed(path, work), must, light=True)
    outputs = () if plan.outputs and plan.outputs[0].endswith("results") else plan.outputs
    return Plan(plan.damage, plan.arguments, plan.must, outputs, plan.tensorflow, plan.check)
