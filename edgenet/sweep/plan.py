"""The plan of a sweep: which models, on which images, on which devices. A file of TOML, checked before anything runs.

Nothing here needs TensorFlow.
"""

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgenet import files
from edgenet.benchmarking.options import BenchmarkOptions
from edgenet.convert.options import DEFAULT_VARIANTS, Options
from edgenet.errors import EdgenetError
from edgenet.images import bundled, listing
from edgenet.sweep import plan_models
from edgenet.sweep.plan_lines import Lines
from edgenet.sweep.plan_models import ModelPlan, Source
from edgenet.sweep.plan_table import Problems, Table

# Of a plan's file.
MAX_BYTES = 1 << 20
# The bundled images, instead of a folder.
BUNDLED = "bundled"
# This machine, as a device.
HERE = "here"
# A host of ssh, whose name cannot be taken for an option.
_HOST = re.compile(r"[A-Za-z0-9_][^\s@]*(@[A-Za-z0-9_\[][^\s@]*)?")


@dataclass(frozen=True)
class ImagesPlan:
    """The images of a sweep, and their classes.

    Attributes:
        calibration: Folder of the calibration images; None where nothing is exported.
        evaluation: Folder of the images that go into the bundles; None for a part of the calibration images.
        test: Folder of further images, which are scored in chunks; None for none.
        truth: The class of each evaluation image, a file; None for the names of their folders.
        test_truth: Likewise, of the test images.
        calibration_images, evaluation_images: How many there are.
        test_images: The test images, sorted by path.
    """

    calibration: Path | None = None
    evaluation: Path | None = None
    test: Path | None = None
    truth: Path | None = None
    test_truth: Path | None = None
    calibration_images: int = 0
    evaluation_images: int = 0
    test_images: tuple[Path, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class BenchmarkPlan:
    """How devices measure: arguments of `edgenet.benchmark`.

    Attributes:
        threads: None for 1 and all cores of the device.
        variants: None for all of a bundle.
    """

    threads: tuple[int, ...] | None = None
    rounds: int = 20
    seconds: float = 0.05
    api: str = "interpreter"
    cooldown: bool = False
    variants: tuple[str, ...] | None = None


@dataclass(frozen=True)
class DevicePlan:
    """A device that measures.

    Attributes:
        name: Unique in the sweep, in lower and upper case; a folder can have it.
        local: Whether it is this machine.
        ssh: The host of a device that runs no worker, as ssh takes it.
        command: How edgenet is called there.
        line: In the plan.
    """

    name: str
    local: bool = False
    ssh: str | None = None
    command: str = "edgenet"
    line: int = 1


@dataclass(frozen=True)
class Plan:
    """What a sweep does.

    Attributes:
        name: Of the sweep; a folder can have it.
        source: The plan's file.
        text: Its bytes.
        images: The images.
        models: One for each model, families expanded, in the order of the file.
        export: Arguments of `edgenet.export`, as far as they are given.
        benchmark: How devices measure.
        devices: In the order of the file.
    """

    name: str
    source: Path
    text: bytes = field(repr=False)
    images: ImagesPlan
    models: tuple[ModelPlan, ...]
    export: Mapping[str, Any]
    benchmark: BenchmarkPlan
    devices: tuple[DevicePlan, ...]

    @property
    def rows(self) -> int:
        """Models times devices."""
        return len(self.models) * len(self.devices)

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants that an export writes."""
        chosen = _export_options(self.export).variants
        return tuple(str(variant) for variant in chosen)


def read(path: Path) -> Plan:
    """Read a plan, and check all of it: nothing that can be known now fails later.

    Args:
        path: A file of TOML; the paths in it are relative to its folder.

    Raises:
        EdgenetError: It cannot be read, or something in it is wrong. The message has a line for each mistake, with the
            line of the file that it is in.
    """
    try:
        data = files.read_limited(path, MAX_BYTES)
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise EdgenetError(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise EdgenetError(f"{path}: {reason}; give a plan, or write one with init=True") from error
    values = _values(text, path)
    problems = Problems(path, Lines(text))
    table = Table(values, (), problems, path.parent)
    name = table.name("name") or plan_models.as_name(path.stem)
    image_table, tables = table.table("images"), table.tables("models")
    labels = image_table.file("labels", "a file of class names")
    if not tables and "models" not in table:
        table.add("models", "no models; add a table [[models]] with `weights`, `file` or `bundle`")
    found = [(one, model) for one in tables for model in plan_models.read(one, labels)]
    models = tuple(model for _, model in found)
    images = _images(image_table, {model.source for model in models} - {Source.BUNDLE})
    export = _export(table.table("export"))
    benchmark = _benchmark(table.table("benchmark"))
    devices = _devices(table)
    table.finish()
    _check_unique([(one.name, one.line) for one in models], problems, "model")
    _check_unique([(one.name, one.line) for one in devices], problems, "device")
    problems.raise_any()
    plan = Plan(name, path, data, images, models, export, benchmark, devices)
    _check_variants(plan, table.table("benchmark"))
    problems.raise_any()
    return plan


def _values(text: str, path: Path) -> dict[str, Any]:
    """What `tomllib` makes of a file. Raises EdgenetError with the line of what is not TOML."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError as error:
            raise EdgenetError("a plan needs a package that is missing; pip install 'edgenet[sweep]'") from error
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise EdgenetError(f"{path}: too many brackets in each other; write it as in `edgenet help sweep`") from error
    except ValueError as error:  # TOMLDecodeError, or a number of too many digits
        reason = str(error).partition(" (at ")[0]
        found = re.search(r"\(at line (\d+)", str(error))
        line = f", line {found[1] if found else text.count(chr(10)) + 1}" if " (at " in str(error) else ""
        raise EdgenetError(f"{path}{line}: not TOML: {reason[:1].lower()}{reason[1:]}") from error


def _images(table: Table, exported: Collection[Source]) -> ImagesPlan:
    """The images. `exported` is where the models that are exported come from: the bundled one brings its images."""
    given = table.text("calibration")
    evaluation, test = table.path("evaluation"), table.path("test")
    truth = table.file("truth", "a file with the class of each evaluation image")
    test_truth = table.file("test_truth", "a file with the class of each test image")
    table.finish()
    calibration = table.path("calibration")
    is_missing = "calibration" not in table
    if given == BUNDLED or (is_missing and exported == {Source.BUNDLED}):
        calibration, evaluation = bundled.CALIBRATION, evaluation or bundled.EVALUATION
    elif is_missing and exported:
        table.problems.add(
            table.place, 'no calibration images; give a folder as `calibration` in [images], or "bundled"'
        )
    if test_truth and not test:
        table.add("test_truth", "there are no test images; give `test`, too")
    listed: dict[str, Sequence[Path]] = {}
    for key, folder in (("calibration", calibration), ("evaluation", evaluation), ("test", test)):
        listed[key] = ()
        if folder is not None:
            with table.check(key):
                listed[key] = listing.find_images(folder).paths
    if calibration and not evaluation and len(listed["calibration"]) == 1:
        table.add(
            "calibration",
            f"{calibration}: 1 image; calibration and evaluation need at least 2 different images. Add some, or give "
            "`evaluation`",
        )
    return ImagesPlan(
        calibration,
        evaluation,
        test,
        truth,
        test_truth,
        len(listed["calibration"]),
        len(listed["evaluation"]),
        tuple(listed["test"]),
    )


def _export(table: Table) -> dict[str, Any]:
    read = {
        "variants": table.texts("variants"),
        "quantizer": table.text("quantizer"),
        "io": table.text("io"),
        "keep_float": table.texts("keep_float"),
        "half_arithmetic": table.flag("half_arithmetic"),
        "max_drift": table.number("max_drift"),
        "max_accuracy_drop": table.number("max_accuracy_drop"),
        "batch": table.integer("batch"),
        "skip_broken": table.flag("skip_broken"),
        "author": table.text("author"),
        "license": table.text("license"),
        "description": table.text("description"),
        "model_version": table.text("model_version"),
    }
    table.finish()
    given = {key: value for key, value in read.items() if value is not None}
    for key in ("io", "batch", "quantizer", "max_drift", "max_accuracy_drop"):
        with table.check():
            _export_options({key: given[key]} if key in given else {})
    with table.check():
        _export_options(given)
    return given


def _export_options(given: Mapping[str, Any]) -> Options:
    return Options(
        given.get("variants", DEFAULT_VARIANTS),
        given.get("io", "uint8"),
        given.get("batch", 1),
        given.get("quantizer", "edgenet"),
        given.get("keep_float", ()),
        given.get("half_arithmetic", True),
        max_drift=given.get("max_drift"),
        max_accuracy_drop=given.get("max_accuracy_drop"),
    )


def _benchmark(table: Table) -> BenchmarkPlan:
    default = BenchmarkPlan()
    threads, rounds, seconds = table.integers("threads"), table.integer("rounds"), table.number("seconds")
    api, cooldown, variants = table.text("api"), table.flag("cooldown"), table.texts("variants")
    table.finish()
    plan = BenchmarkPlan(
        None if threads is None else tuple(dict.fromkeys(threads)),
        default.rounds if rounds is None else rounds,
        default.seconds if seconds is None else float(seconds),
        api or default.api,
        bool(cooldown),
        None if variants is None else tuple(dict.fromkeys(variants)),
    )
    checked: list[dict[str, Any]] = [
        {"threads": plan.threads or (1,)},
        {"threads": (1,), "rounds": plan.rounds},
        {"threads": (1,), "seconds": plan.seconds},
        {"threads": (1,), "api": plan.api},
    ]
    for options in checked:
        with table.check():
            BenchmarkOptions(**options)
    return plan


def _check_variants(plan: Plan, table: Table) -> None:
    """Variants to measure that no export writes are a mistake; bundles may have any."""
    for name in plan.benchmark.variants or ():
        if name not in plan.variants and all(model.source != Source.BUNDLE for model in plan.models):
            table.add("variants", f"expected some of {', '.join(plan.variants)}, which are exported, got {name!r}")


def _devices(table: Table) -> tuple[DevicePlan, ...]:
    if "devices" not in table:
        table.tables("devices")
        return (DevicePlan(HERE, local=True),)
    devices = tuple(device for one in table.tables("devices") if (device := _device(one)))
    here = [device for device in devices if device.local]
    for device in here[1:]:
        table.problems.add(
            ("devices", devices.index(device)),
            f"{device.name} is this machine, as {here[0].name} is; leave one of them out",
        )
    return devices


def _device(table: Table) -> DevicePlan | None:
    name, local, ssh, command = table.name("name"), table.flag("local"), table.text("ssh"), table.text("command")
    table.finish()
    if "name" not in table:
        table.problems.add(table.place, "a device without a name; give `name`")
    if ssh is not None and not _HOST.fullmatch(ssh):
        table.add("ssh", f"expected a host, such as pi@pi4.local, got {ssh!r}")
    if ssh is not None and (local or name == HERE):
        table.add("ssh", "this device is this machine; leave `ssh` out, or give the device another name")
    if name == HERE and local is False:
        table.add("local", f"the name {HERE} is that of this machine; give the device another name")
    if command is not None and ssh is None:
        table.add("command", "only devices with `ssh` have a command; leave it out")
    if name is None:
        return None
    return DevicePlan(name, bool(local) or name == HERE, ssh, command or "edgenet", table.line("name"))


def _check_unique(named: Sequence[tuple[str, int]], problems: Problems, what: str) -> None:
    lines: dict[str, int] = {}
    for name, line in named:
        key = name.casefold()
        if key in lines:
            other = "" if lines[key] == line else f", as in line {lines[key]}"
            problems.add_at(line, f"a second {what} with the name {name}{other}; give one of them another `name`")
        lines.setdefault(key, line)
