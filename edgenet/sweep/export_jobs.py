"""The jobs that export the models of a plan."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgenet.named_weights import BUNDLED, IMAGENET, RANDOM, NamedWeights
from edgenet.sweep import file_sets, keys
from edgenet.sweep.job import Input, Job, Kind
from edgenet.sweep.plan import Plan
from edgenet.sweep.plan_models import ModelPlan, Source

# Seconds: a search for a file that keeps a budget of drift takes up to an hour on a slow machine.
TIMEOUT_SECONDS = 4 * 3_600.0

_WEIGHTS = {Source.IMAGENET: IMAGENET, Source.RANDOM: RANDOM, Source.BUNDLED: BUNDLED}


@dataclass
class ExportJobs:
    """Makes the jobs. Each file and folder is read once, for its digest.

    Attributes:
        plan: The plan.
    """

    plan: Plan
    _inputs: dict[Path, Input] = field(default_factory=dict)
    _versions: dict[str, str] = field(default_factory=keys.export_versions)

    def job(self, model: ModelPlan) -> Job:
        """The job that exports a model.

        Raises:
            EdgenetError: A file of its inputs cannot be read.
        """
        images = self.plan.images
        paths = {
            "calibration": images.calibration,
            "evaluation": images.evaluation,
            "truth": images.truth,
            "labels": model.labels,
            "model": model.path if model.source == Source.FILE else None,
            "weights": model.path if model.source == Source.WEIGHTS else None,
        }
        inputs = {name: self._input(path) for name, path in paths.items() if path is not None}
        request: dict[str, Any] = {"name": model.name, "model": dict(model.options), "export": self._export()}
        if model.source != Source.FILE:
            weights = NamedWeights(_WEIGHTS.get(model.source, ""), model.alpha, model.size, model.classes)
            request["weights"] = asdict(weights)
        digests = {name: one.digest for name, one in inputs.items()}
        # A file's name can say how its model was trained, or be that of the bundle.
        names = {name: inputs[name].path.name for name in ("model", "weights") if name in inputs}
        return Job(
            key=keys.key(Kind.EXPORT, inputs=digests, names=names, versions=self._versions, request=request),
            kind=Kind.EXPORT,
            name=model.name,
            request=request,
            inputs=inputs,
            makes_files=True,
            timeout=TIMEOUT_SECONDS,
        )

    def _input(self, path: Path) -> Input:
        if path not in self._inputs:
            self._inputs[path] = Input(path, file_sets.digest(path))
        return self._inputs[path]

    def _export(self) -> dict[str, Any]:
        """Arguments of `edgenet.export`. The check with mobile libraries would take longer than the export."""
        return {"apps": False, **self.plan.export}
