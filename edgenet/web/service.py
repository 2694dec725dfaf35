"""What the server answers with: the bundle's description, pictures, and runs of phones that become results."""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from threading import Lock

from edgenet import records
from edgenet.errors import EdgenetError
from edgenet.records import Results
from edgenet.runtime import benchmark
from edgenet.runtime import bundle as bundles
from edgenet.runtime.bundle import Bundle
from edgenet.runtime.drift import CHUNK
from edgenet.runtime.runner import Runner
from edgenet.web import files
from edgenet.web.access import Doors
from edgenet.web.files import Files
from edgenet.web.phone import Run
from edgenet.web.pictures import Pictures

# Runs at a time; and seconds after which one of which nothing is heard gives way to another.
MOST_RUNS, FORGOTTEN = 8, 60


class RefusalError(Exception):
    """A request that is answered with a status and a line."""

    def __init__(self, status: HTTPStatus, line: str):
        super().__init__(line)
        self.status = status


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
        self._runners = {
            name: Runner(path, bundle.manifest.preprocessing) for name, path in self._subject.models.items()
        }
        self._pictures = Pictures(bundle)
        self.files = Files(self._subject.models, litert or files.LITERT)
        self.description = json.dumps(self._describe(rounds, seconds), ensure_ascii=False).encode()
        self._runs: dict[str, tuple[Run, float]] = {}
        self._lock = Lock()

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
                    "input": {"dtype": runner.input_dtype.name, "table": runner.table.T.tolist()},
                    "output": {
                        "dtype": runner.output_dtype.name,
                        "scale": runner.output_quantization[0],
                        "zero_point": runner.output_quantization[1],
                    },
                }
                for name, runner in self._runners.items()
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
            alive = {name: (run, heard) for name, (run, heard) in self._runs.items() if now - heard < FORGOTTEN}
            if len(self._runs) >= MOST_RUNS:
                self._runs = alive
            if len(self._runs) >= MOST_RUNS:
                raise RefusalError(
                    HTTPStatus.SERVICE_UNAVAILABLE, f"expected at most {MOST_RUNS} phones at a time; wait a minute"
                )
            name = secrets.token_urlsafe(16)
            self._runs[name] = (Run(self._subject, self._runners, self._pictures), now)
        return {"id": name}

    def bytes_of(self, name: str, variant: str, number: int) -> int:
        """The size of what `scores` takes."""
        return self._run(name).bytes_of(variant, number)

    def scores(self, name: str, variant: str, number: int, data: bytes) -> dict:
        return asdict(self._run(name).add(variant, number, data))

    def finish(self, name: str, data: bytes) -> dict:
        """Write the results of a run, whole, and say what they are."""
        results = self._run(name).finish(data, self._command)
        path = bundles.write_result(self._bundle.folder, records.to_json(results))
        with self._lock:
            self._runs.pop(name, None)
        self._finished(path, results)
        return {"file": f"{bundles.RESULTS}/{path.name}", **_summary(results)}

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
