"""The drift of one bundle on many images, on all cores of this machine."""

import shutil
import tempfile
from contextlib import closing
from pathlib import Path

from edgenet import cores
from edgenet.bundle.bundle import Bundle
from edgenet.errors import EdgenetError
from edgenet.progress import SILENT, Progress
from edgenet.records import Results
from edgenet.sweep import evaluation
from edgenet.sweep.dask_pool import LocalPool
from edgenet.sweep.dispatcher import Dispatcher
from edgenet.sweep.evaluation import SCORES, ImageFolder
from edgenet.sweep.job import Answer, Job


def evaluate(
    bundle: Bundle,
    folder: Path,
    truth: Path | None,
    variants: list[str],
    workers: int | None = None,
    progress: Progress = SILENT,
) -> Results:
    """Measure drift and accuracy of a bundle on a folder of images.

    Args:
        bundle: A verified bundle.
        folder: The images.
        truth: A file with the class of each image; None for the names of their folders.
        variants: The names of the variants.
        workers: Processes that score images at the same time; one for each core by default.
        progress: Listens to the images.

    Returns:
        Results without latency. They do not depend on the number of workers.

    Raises:
        EdgenetError: An image cannot be read, a class does not fit, or a process failed three times.
    """
    count = cores.available() if workers is None else workers
    if count < 1:
        raise EdgenetError(f"must be 1 or more, got {count}", parameter="workers")
    progress.step("reading the images")
    images = ImageFolder.read(folder, truth)
    jobs = evaluation.jobs(bundle, images, variants)
    progress.step("drift")
    with tempfile.TemporaryDirectory(prefix="edgenet-") as scratch:
        found: dict[str, Path] = {}

        def accept(job: Job, answer: Answer) -> bool:
            if answer.problem or answer.files is None:
                raise EdgenetError(f"{job.name}: {answer.problem}")
            found[job.key] = Path(scratch, f"{job.key}.npz")
            shutil.move(answer.files / SCORES, found[job.key])
            shutil.rmtree(answer.files)
            progress.count(sum(len(one.request["images"]) for one in jobs if one.key in found), len(images.names))
            return True

        with closing(LocalPool(min(count, len(jobs)))) as pool:
            dispatcher = Dispatcher(pool, accept)
            for job in jobs:
                dispatcher.add(job)
            dispatcher.run()
        return evaluation.results(bundle, images, variants, [found[job.key] for job in jobs])
