"""How long a running sweep will still take, by what its jobs took so far."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from edgenet.sweep.estimate import PlannedJob, schedule
from edgenet.sweep.job import Kind


class Forecast:
    """The jobs that are left of a sweep.

    Args:
        planned: All jobs (`estimate.Estimate.planned`).
        workers: How many exports run at a time.
        local: The devices that are this machine.
    """

    def __init__(self, planned: Sequence[PlannedJob], workers: int, local: Collection[str] = ()):
        self._workers, self._local = workers, tuple(local)
        self._left = dict(enumerate(planned))
        # By kind and device: the seconds that jobs took, and those that were expected.
        self._took: dict[tuple[Kind, str | None], tuple[float, float]] = {}

    def done(self, kind: Kind, device: str | None, seconds: float, model: str | None = None) -> PlannedJob | None:
        """Take a job off that is done.

        Args:
            kind: Of the job.
            device: The device that it measured; None for others.
            seconds: How long it took.
            model: Of the job; the first one that fits is taken by default.

        Returns:
            The job; None if none is left that fits.
        """
        for position, job in self._left.items():
            if (job.kind, job.device) == (kind, device) and model in (None, job.model):
                took, expected = self._took.get((kind, device), (0.0, 0.0))
                self._took[kind, device] = took + seconds, expected + job.seconds
                return self._left.pop(position)
        return None

    def drop(self, model: str, device: str | None = None) -> None:
        """Take jobs off that will never run: those of a model, or its row on a device."""
        self._left = {
            position: job
            for position, job in self._left.items()
            if job.model != model or device not in (None, job.device)
        }

    def left(self) -> float:
        """Seconds until the rest is done; jobs that run now count in full.

        Jobs of a kind on a device take longer than expected by the factor that those before took longer by. What was
        expected counts as much as one job.
        """
        positions = {old: new for new, old in enumerate(self._left)}
        rest = [
            replace(
                job,
                seconds=job.seconds * self._factor(job),
                after=None if job.after is None else positions.get(job.after),
            )
            for job in self._left.values()
        ]
        return schedule(rest, self._workers, self._local)

    def _factor(self, job: PlannedJob) -> float:
        took, expected = self._took.get((job.kind, job.device), (0.0, 0.0))
        return (took + job.seconds) / (expected + job.seconds) if job.seconds else 1.0
