"""The rows of a sweep, a model on a device each: which jobs they need, and what becomes of the answers."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgenet import files, records
from edgenet.analysis import sweep_entries
from edgenet.bundle import archive
from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import MANIFEST, Bundle
from edgenet.errors import EdgenetError
from edgenet.images import listing
from edgenet.records import Grade, Results, SweepEntry, SweepFailure
from edgenet.records.serialization import from_fields
from edgenet.sweep import file_sets, keys
from edgenet.sweep.evaluation import ImageFolder
from edgenet.sweep.export_jobs import ExportJobs
from edgenet.sweep.job import Answer, Input, Job, Kind
from edgenet.sweep.keys import SHORT
from edgenet.sweep.plan import Plan
from edgenet.sweep.plan_models import ModelPlan, Source
from edgenet.sweep.scoring import Scoring
from edgenet.sweep.store import BUNDLES, PACKED, RESULTS, Store

# Measurements of a row whose quality is poor: the last one is kept, and says so.
MAX_POOR = 3
# Seconds for a measurement, at least; and how many times as long as its rounds alone it may take.
LEAST_TIMEOUT, TIMEOUT_FACTOR = 3_600.0, 20.0

# A model, a device (None where the model has no bundle), and its entries or what went wrong.
OnRow = Callable[[str, str | None, tuple[SweepEntry, ...] | str], None]


@dataclass
class Rows:
    """All rows of a plan. Jobs that wait for others are added when these are done.

    Attributes:
        plan: The plan.
        store: What is done.
        add: Takes the next job.
        on_row: Called with each row that is finished now, and not by an earlier run.
    """

    plan: Plan
    store: Store
    add: Callable[[Job], None]
    on_row: OnRow
    _scoring: Scoring | None = None
    _exported: dict[str, ModelPlan] = field(default_factory=dict)  # by the keys of exports
    _bundles: dict[str, Bundle] = field(default_factory=dict)  # by the names of models
    _keys: dict[tuple[str, str], str] = field(default_factory=dict)  # of rows, by the names of model and device
    _rows: dict[str, tuple[ModelPlan, str]] = field(default_factory=dict)  # by their keys
    _failures: dict[tuple[str, str | None], str] = field(default_factory=dict)
    _open: set[tuple[str, str]] = field(default_factory=set)  # rows that are neither done nor failed, by their names

    def __post_init__(self) -> None:
        self._open = {(model.name, device.name) for model in self.plan.models for device in self.plan.devices}

    def start(self) -> None:
        """Add the jobs that do not wait for others.

        Raises:
            EdgenetError: A file cannot be read, or test images have classes that a model does not know.
        """
        images = self.plan.images
        if images.test:
            test = ImageFolder.read(images.test, images.test_truth)
            _check_disjoint(test, images.calibration)
            self._scoring = Scoring(test, self.store, lambda job: self.add(job))  # `add` is another one later
        exports = ExportJobs(self.plan)
        for model in self.plan.models:
            if model.source == Source.BUNDLE:
                self._has_bundle(model, self._copied(model))
                continue
            job = exports.job(model)
            self._exported[job.key] = model
            if self.store.details(job.key) is None:
                self.add(job)
            else:
                self._is_exported(job.key)

    def accept(self, job: Job, answer: Answer) -> bool:
        """Take what came of a job. Returns False if it is to be done again."""
        if job.kind == Kind.EXPORT:
            self._accept_bundle(job, answer)
        elif job.kind == Kind.EVALUATE:
            assert self._scoring is not None  # since it made the job
            if problem := self._scoring.accept(job, answer):
                self._fail(self._scoring.model(job), None, problem)
        else:
            return self._accept_results(job, answer)
        return True

    @property
    def unfinished(self) -> int:
        """How many rows are neither done nor failed."""
        return len(self._open)

    def unfinished_devices(self) -> set[str]:
        """The devices that such rows are on."""
        return {device for _, device in self._open}

    def done(self) -> set[tuple[str, str | None]]:
        """The rows that are done, and the models that have a bundle, as (model, None)."""
        return {*(self._keys.keys() - self._open), *((model, None) for model in self._bundles)}

    def model(self, job: Job) -> str:
        """The name of the model that a job is about."""
        if job.kind == Kind.EXPORT:
            return self._exported[job.key].name
        if job.kind == Kind.EVALUATE and self._scoring:
            return self._scoring.model(job)
        return self._rows[job.key][0].name

    def entries(self) -> tuple[SweepEntry, ...]:
        """The entries of all finished rows, in the order of the plan."""
        found: list[SweepEntry] = []
        for model in self.plan.models:
            test = self._scoring.results(model.name) if self._scoring and model.name in self._bundles else None
            for device in self.plan.devices:
                if details := self._details(model.name, device.name):
                    entries = [from_fields(SweepEntry, fields) for fields in details["entries"]]
                    found += sweep_entries.with_drift(entries, test) if self._scoring else entries
        return tuple(found)

    def failures(self) -> tuple[SweepFailure, ...]:
        """The rows that failed, in the order of the plan."""
        devices: list[str | None] = [None, *(device.name for device in self.plan.devices)]
        return tuple(
            SweepFailure(model.name, device, self._failures[model.name, device])
            for model in self.plan.models
            for device in devices
            if (model.name, device) in self._failures
        )

    def _details(self, model: str, device: str) -> dict[str, Any] | None:
        key = self._keys.get((model, device))
        return None if key is None else self.store.details(key)

    def _fail(self, model: str, device: str | None, problem: str) -> None:
        self._failures[model, device] = problem
        if device is None and model not in self._bundles:
            self._open -= {(model, other.name) for other in self.plan.devices}
        self._open.discard((model, str(device)))
        self.on_row(model, device, problem)

    def _copied(self, model: ModelPlan) -> Path:
        """The copy of a bundle of the user's own: all that the table refers to is in the folder of the sweep."""
        assert model.path is not None  # as plans are checked
        bundle = archive.open_bundle(model.path)
        bundles.verify(bundle)
        manifest = files.sha256(bundle.file(MANIFEST))
        path = self.store.folder / BUNDLES / f"{model.name}-{manifest[:SHORT]}"
        if not (path / MANIFEST).exists():
            with files.atomic_folder(path) as copy:
                for name in (MANIFEST, *bundle.manifest.files):
                    (copy / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(bundle.file(name), copy / name)
        return path

    def _accept_bundle(self, job: Job, answer: Answer) -> None:
        model = self._exported[job.key]
        if answer.files is None:
            self._fail(model.name, None, str(answer.problem))
            return
        name = f"{BUNDLES}/{model.name}-{job.key[:SHORT]}/{MANIFEST}"
        self.store.save_folder(job.key, job.kind, job.name, name, answer.files, answer.result)
        shutil.rmtree(answer.files, ignore_errors=True)
        self._is_exported(job.key)

    def _is_exported(self, key: str) -> None:
        path = self.store.path(key)
        assert path is not None  # since it is done
        self._has_bundle(self._exported[key], path.parent)

    def _has_bundle(self, model: ModelPlan, folder: Path) -> None:
        """Add what waits for the bundle of a model."""
        bundle = self._bundles[model.name] = bundles.load(folder)
        if self._scoring:
            try:
                self._scoring.start(model.name, bundle)
            except EdgenetError as error:  # classes that this model does not know
                self._fail(model.name, None, str(error))
        wanted = self.plan.benchmark.variants
        variants = [v.name for v in bundle.manifest.variants if wanted is None or v.name in wanted]
        if not variants:
            del self._bundles[model.name]
            self._fail(model.name, None, f"its bundle has none of the variants to measure: {', '.join(wanted or ())}")
            return
        request = {**asdict(self.plan.benchmark), "variants": variants}
        manifest = files.sha256(folder / MANIFEST)
        whole: Input | None = None  # hashed where a row needs it, once
        for device in self.plan.devices:
            key = keys.key(
                Kind.MEASURE,
                model=model.name,
                bundle=manifest,
                device=device.name,
                versions=keys.measuring_versions(device.local),
                request=request,
            )
            self._keys[model.name, device.name], self._rows[key] = key, (model, device.name)
            if self.store.details(key) is None:
                if device.ssh:
                    given = self._packed(bundle)
                else:
                    given = whole = whole or Input(folder, file_sets.digest(folder))
                self.add(self._measurement(key, model, device.name, request, given))
            else:
                self._open.discard((model.name, device.name))

    def _packed(self, bundle: Bundle) -> Input:
        """The packed file of a bundle, as ssh copies it."""
        path = self.store.folder / PACKED / f"{bundle.folder.name}{archive.SUFFIX}"
        if not path.exists():
            archive.pack(bundle, path)
        return Input(path, files.sha256(path))

    def _measurement(self, key: str, model: ModelPlan, device: str, request: dict[str, Any], bundle: Input) -> Job:
        benchmark = self.plan.benchmark
        rounds = len(request["variants"]) * len(benchmark.threads or (1, 2)) * benchmark.rounds * benchmark.seconds
        return Job(
            key=key,
            kind=Kind.MEASURE,
            name=f"{model.name} on {device}",
            request=request,
            inputs={"bundle": bundle},
            device=device,
            timeout=max(LEAST_TIMEOUT, TIMEOUT_FACTOR * rounds),
            attempts=MAX_POOR,
        )

    def _accept_results(self, job: Job, answer: Answer) -> bool:
        model, device = self._rows[job.key]
        if answer.result is None:
            self._fail(model.name, device, str(answer.problem))
            return True
        data = answer.result["results"].encode()
        path = f"{RESULTS}/{device}/{model.name}-{job.key[:SHORT]}.json"
        try:
            results = records.from_json(Results, data, job.name)
        except EdgenetError as error:
            self._fail(model.name, device, str(error))
            return True
        if results.quality.grade == Grade.POOR and not answer.is_last:
            return False
        recipe, folder = self._bundles[model.name].manifest.preprocessing, self._bundles[model.name].folder
        entries = sweep_entries.entries(
            results,
            model=model.name,
            device=device,
            alpha=model.alpha,
            height=recipe.height,
            width=recipe.width,
            published=model.published_accuracy,
            file_folder=folder.relative_to(self.store.folder).as_posix(),
            results_path=path,
        )
        details = {"entries": [asdict(entry) for entry in entries]}
        self.store.save_file(job.key, job.kind, job.name, path, data, details)
        self._open.discard((model.name, device))
        self.on_row(model.name, device, entries)
        return True


def _check_disjoint(test: ImageFolder, calibration: Path | None) -> None:
    """Raise EdgenetError if a test image calibrates: int8 files would look better than they are."""
    calibrating = {files.sha256(path): path for path in listing.find_images(calibration).paths} if calibration else {}
    for name, digest in zip(test.names, test.digests, strict=True):
        if digest in calibrating:
            raise EdgenetError(
                f"{test.folder / name}: this test image is also in the calibration set ({calibrating[digest]}); remove "
                "it from one of them"
            )
