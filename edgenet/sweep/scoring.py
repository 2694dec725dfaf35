"""The test images of a sweep: each bundle's models score them in chunks, on many workers."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

from edgenet import records
from edgenet.bundle.bundle import Bundle
from edgenet.records import Results
from edgenet.sweep import evaluation, keys
from edgenet.sweep.evaluation import SCORES, ImageFolder
from edgenet.sweep.job import Answer, Job
from edgenet.sweep.store import RESULTS, Store
from edgenet.sweep.store import SCORES as SCORES_FOLDER

# The folder of results on the test images, beside those of the devices, whose names do not begin with a dot.
TEST = ".test"


@dataclass
class Scoring:
    """Scores the test images with the models of each bundle, and counts the scores when all are there.

    Attributes:
        images: The test images.
        store: What is done.
        add: Takes the next job.
    """

    images: ImageFolder
    store: Store
    add: Callable[[Job], None]
    _bundles: dict[str, Bundle] = field(default_factory=dict)  # by the names of models
    _jobs: dict[str, list[Job]] = field(default_factory=dict)  # likewise
    _models: dict[str, str] = field(default_factory=dict)  # by the keys of jobs

    def start(self, model: str, bundle: Bundle) -> None:
        """Add the jobs of a bundle that are not done.

        Args:
            model: Its name in the sweep.
            bundle: The bundle.

        Raises:
            EdgenetError: The classes of the images do not fit the model's labels.
        """
        self._bundles[model] = bundle
        self._jobs[model] = jobs = evaluation.jobs(bundle, self.images, self._variants(model))
        self._models |= {job.key: model for job in jobs}
        if self.results(model):
            return
        for job in jobs:
            if self.store.details(job.key) is None:
                self.add(job)
        self._count(model)

    def accept(self, job: Job, answer: Answer) -> str | None:
        """Take the scores of a chunk. Returns what went wrong, None for nothing."""
        if answer.files is None:
            return f"{job.name}: {answer.problem}"
        data = (answer.files / SCORES).read_bytes()
        shutil.rmtree(answer.files, ignore_errors=True)
        self.store.save_file(job.key, job.kind, job.name, f"{SCORES_FOLDER}/{job.key}.npz", data, {})
        self._count(self._models[job.key])
        return None

    def model(self, job: Job) -> str:
        """The name of the model whose job this is."""
        return self._models[job.key]

    def results(self, model: str) -> Results | None:
        """The drift and accuracy of a model's variants; None as long as scores are missing."""
        if model not in self._jobs:
            return None
        details = self.store.details(self._key(model))
        path = self.store.path(self._key(model))
        if details is None or path is None:
            return None
        return records.from_json(Results, path.read_bytes(), str(path))

    def _count(self, model: str) -> None:
        """Count the scores of a model, if all are there."""
        jobs = self._jobs[model]
        if any(self.store.details(job.key) is None for job in jobs):
            return
        paths = [path for job in jobs if (path := self.store.path(job.key))]  # all, as they are done
        found = evaluation.results(self._bundles[model], self.images, self._variants(model), paths)
        key = self._key(model)
        name = f"{RESULTS}/{TEST}/{model}-{key[: keys.SHORT]}.json"
        self.store.save_file(key, jobs[0].kind, model, name, records.to_json(found), {})
        self.store.remove([job.key for job in jobs])

    def _variants(self, model: str) -> list[str]:
        return [variant.name for variant in self._bundles[model].manifest.variants]

    def _key(self, model: str) -> str:
        jobs = self._jobs[model]
        return keys.key(jobs[0].kind, chunks=[job.key for job in jobs])
