"""What the server answers with: the bundle's description, pictures, and runs of phones that become results."""

import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Lock

import numpy as np

from edgenet import records
from edgenet.benchmarking import benchmark
from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import Bundle
from edgenet.bundle.evaluation import CHUNK
from edgenet.errors import EdgenetError
from edgenet.litert.remote import Pool
from edgenet.phone import files
from edgenet.phone.access import Doors
from edgenet.phone.files import Files
from edgenet.phone.images import Pictures
from edgenet.phone.phone import Run
from edgenet.records import Results

# Runs at a time; and seconds after which one of which nothing is heard gives way to another.
MOST_RUNS, FORGOTTEN = 8, 60
# Finished runs whose answers are remembered, for phones that did not get them.
MAX_ANSWERS = 64


class RefusalError(Exception):
    """A request that is answered with a status and a line."""

    def __init__(self, status: HTTPStatus, line: str):
        super().__init__(line)
        self.status = status


@dataclass
class _Unwritten:
    """Results that are finished and not on the disk yet."""

    results: Results
    data: bytes


class Service:
    """One bundle, verified, some of its variants, and what phones measure of them.

    tell: gets a line for the terminal. finished: gets the path of results and the results.
    """

    def __init__(
        self,
        bundle: Bundle,
        names: tuple[str, ...] | None,
        doors: Doors,
        *,
        rounds: int,
        seconds: float,
        command: str,
        tell: Callable[[str], None],
        finished: Callable[[Path, Results], None],
        litert: Path | None = None,
    ):
        variants = bundle.variants(names)
        self.doors, self.tell = doors, tell
        self._bundle, self._command, self._finished = bundle, command, finished
        self._subject = benchmark.of_bundle(bundle, variants, keras=False, drift_here=False)
        # In a process of their own, and only to hear what they are: phones run them.
        with closing(Pool(self._subject.models, bundle.manifest.preprocessing, 1)) as pool:
            self._models = pool.about
        self._pictures = Pictures(bundle)
        self.files = Files(self._subject.models, litert or files.LITERT)
        self.description = json.dumps(self._describe(rounds, seconds), ensure_ascii=False).encode()
        self._runs: dict[str, tuple[Run, float]] = {}
        self._unwritten: dict[str, _Unwritten] = {}
        self._answers: OrderedDict[str, dict] = OrderedDict()
        self._lock = Lock()
        self._finishing = Lock()

    def _describe(self, rounds: int, seconds: float) -> dict:
        subject, recipe = self._subject, self._subject.recipe
        return {
            "name": subject.name,
            "classes": self._bundle.manifest.classes,
            "scores": subject.scores,
            "labels": subject.labels,
            "height": recipe.height,
            "width": recipe.width,
            "channels": recipe.channels,
            "order": recipe.order,
            "crop": recipe.crop,
            "batch": subject.batch,
            "base": subject.base,
            "pictures": self._pictures.count,
            "chunk": CHUNK,
            "rounds": rounds,
            "seconds": seconds,
            "litert": self.files.version,
            "variants": [
                {
                    "name": name,
                    "file": f"/models/{name}.tflite",
                    "bytes": subject.models[name].stat().st_size,
                    "input": {"dtype": model.input_dtype, "table": np.transpose(model.table).tolist()},
                    "output": {
                        "dtype": model.output_dtype,
                        "scale": model.output_scale,
                        "zero_point": model.output_zero_point,
                    },
                }
                for name, model in self._models.items()
            ],
        }

    def pictures(self, number: int) -> bytes:
        """A chunk's pixels, uint8 (pictures, height, width, channels). Raises EdgenetError when there is none."""
        if number >= self._pictures.chunks:
            raise EdgenetError(f"expected a chunk below {self._pictures.chunks}, found {number}")
        return self._pictures.chunk(number).pixels.tobytes()

    def begin(self) -> dict:
        """A new run. Raises RefusalError when there are too many."""
        now = time.monotonic()
        with self._lock:
            if len(self._runs) + len(self._unwritten) >= MOST_RUNS:
                self._runs = {
                    name: (run, heard) for name, (run, heard) in self._runs.items() if now - heard < FORGOTTEN
                }
            if len(self._unwritten) >= MOST_RUNS:
                raise RefusalError(
                    HTTPStatus.INSUFFICIENT_STORAGE,
                    f"{len(self._unwritten)} results wait for space on the laptop; see its terminal",
                )
            if len(self._runs) + len(self._unwritten) >= MOST_RUNS:
                raise RefusalError(
                    HTTPStatus.SERVICE_UNAVAILABLE, f"expected at most {MOST_RUNS} phones at a time; wait a minute"
                )
            name = secrets.token_urlsafe(16)
            self._runs[name] = (Run(self._subject, self._models, self._pictures), now)
        return {"id": name}

    def bytes_of(self, name: str, variant: str, number: int) -> int:
        """The size of what `scores` takes."""
        return self._run(name).bytes_of(variant, number)

    def scores(self, name: str, variant: str, number: int, data: bytes) -> dict:
        return asdict(self._run(name).add(variant, number, data))

    def check_begun(self, name: str) -> None:
        """Raise EdgenetError unless `finish` takes a run of this name: before its report is read."""
        with self._lock:
            known = name in self._answers or name in self._unwritten
        if not known:
            self._run(name)

    def finish(self, name: str, data: bytes) -> dict:
        """Write the results of a run, once, and return a summary: the same one whenever the same run is finished again.

        name: of the run. data: a phone's report, as `Run.finish` takes it.

        Raises EdgenetError when scores are missing or the report is malformed, and RefusalError when the results cannot
        be written: they are kept, and written when the run is finished again, or by `close`.
        """
        with self._finishing:  # two requests at the same time get one answer, and few results are in memory
            with self._lock:
                answer, unwritten = self._answers.get(name), self._unwritten.get(name)
            if answer:
                return answer
            if unwritten is None:
                results = self._run(name).finish(data, self._command)
                unwritten = _Unwritten(results, records.to_json(results))
                with self._lock:
                    self._unwritten[name] = unwritten
                    self._runs.pop(name, None)
            return self._write(name, unwritten)

    def close(self) -> None:
        """Write what could not be written before, elsewhere if need be, and say where."""
        with self._finishing, self._lock:
            waiting = list(self._unwritten.values())
            self._unwritten.clear()
        for unwritten in waiting:
            try:
                try:
                    path = bundles.write_result(self._bundle.folder, unwritten.data)
                except EdgenetError:
                    path = bundles.keep_result(unwritten.data)
            except EdgenetError as error:
                self._say(f"results of {unwritten.results.machine.cpu} are lost: {error}")
                continue
            with suppress(OSError):
                self._finished(path, unwritten.results)

    def _write(self, name: str, unwritten: _Unwritten) -> dict:
        results = unwritten.results
        try:
            path = bundles.write_result(self._bundle.folder, unwritten.data)
        except EdgenetError as error:
            self._say(
                f"results of {results.machine.cpu} could not be written: {error}\n"
                "they are kept in memory, and written when the phone sends its report again or this command ends"
            )
            raise RefusalError(
                HTTPStatus.INSUFFICIENT_STORAGE,
                "the laptop could not write the results, and keeps them in memory; see its terminal",
            ) from error
        answer = {"file": f"{bundles.RESULTS}/{path.name}", **_summary(results)}
        with self._lock:
            del self._unwritten[name]
            self._answers[name] = answer
            while len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)
        with suppress(OSError):  # a terminal that has gone is no reason to leave the phone without an answer
            self._finished(path, results)
        return answer

    def _say(self, line: str) -> None:
        with suppress(OSError):
            self.tell(line)

    def _run(self, name: str) -> Run:
        with self._lock:
            if name not in self._runs:
                raise EdgenetError("expected a run that was begun, found none of that name; begin again")
            run, _ = self._runs[name]
            self._runs[name] = (run, time.monotonic())
        return run


def _summary(results: Results) -> dict:
    """What the page shows at the end."""
    return {
        "grade": results.condition.grade,
        "reasons": results.condition.reasons,
        "variants": [
            {
                "name": measured.name,
                "bytes": measured.bytes,
                "agreement": measured.drift.agreement,
                "images": measured.drift.images,
                "accuracy": measured.drift.accuracy,
                "latency": [
                    {
                        "threads": latency.threads,
                        "median": latency.median,
                        "p90": latency.p90,
                        "p99": latency.p99,
                        "speed": latency.speed and asdict(latency.speed),
                    }
                    for latency in measured.latency
                ],
            }
            for measured in results.measurements
        ],
    }
