"""The responses of the server: the bundle's description, its evaluation images, and runs that become results."""

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
from typing import Any

import numpy as np

from edgenet import records
from edgenet.benchmarking.subject import Subject
from edgenet.bundle import bundle as bundles
from edgenet.bundle import results_files
from edgenet.bundle.bundle import Bundle
from edgenet.errors import EdgenetError
from edgenet.litert.remote import Pool
from edgenet.phone import files
from edgenet.phone.access import SessionStore
from edgenet.phone.evaluation_chunks import EvaluationChunks
from edgenet.phone.files import ServedFiles
from edgenet.phone.phone_run import PhoneRun
from edgenet.records import Drift, Results

# Runs at the same time. If there are as many, a run without a request for this long makes room for a new one.
MAX_RUNS, MAX_IDLE_SECONDS = 8, 60
# Finished runs whose responses are kept, for phones that did not receive them.
MAX_RESPONSES = 64


class RequestError(Exception):
    """A request that is refused with a status and one line of text."""

    def __init__(self, status: HTTPStatus, line: str):
        super().__init__(line)
        self.status = status


@dataclass
class _Unwritten:
    """Results that are not yet in a file."""

    results: Results
    data: bytes


class Service:
    """One verified bundle, and the measurements of phones.

    Args:
        bundle: The bundle.
        names: The variants to measure; None for all.
        sessions: The sessions that may use the server.
        rounds: Interleaved rounds of latency.
        seconds: For each variant in each round.
        command: The command line, for the results.
        log: Called with lines for the terminal.
        on_results: Called with the file of each run's results, and the results.
        litert: The folder of LiteRT.js.

    Raises:
        EdgenetError: A variant does not exist or cannot be loaded, or LiteRT.js is not installed.
    """

    def __init__(
        self,
        bundle: Bundle,
        names: tuple[str, ...] | None,
        sessions: SessionStore,
        *,
        rounds: int,
        seconds: float,
        command: str,
        log: Callable[[str], None],
        on_results: Callable[[Path, Results], None],
        litert: Path | None = None,
    ):
        variants = bundle.variants(names)
        self.sessions, self.log = sessions, log
        self._bundle, self._command, self._on_results = bundle, command, on_results
        self._subject = Subject.from_bundle(bundle, variants, keras=False, drift=False)
        # Only for the properties of the files: phones run them.
        with closing(Pool(self._subject.timed.files, bundle.manifest.preprocessing, 1)) as pool:
            self._models = pool.info
        self._chunks = EvaluationChunks(bundle)
        self.files = ServedFiles(self._subject.timed.files, litert or files.LITERT)
        self.description = json.dumps(self._describe(rounds, seconds), ensure_ascii=False).encode()
        self._runs: dict[str, tuple[PhoneRun, float]] = {}  # with the time of the last request
        self._unwritten: dict[str, _Unwritten] = {}
        self._responses: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lock = Lock()
        self._finishing = Lock()

    def _describe(self, rounds: int, seconds: float) -> dict[str, Any]:
        subject, recipe = self._subject, self._subject.timed.recipe
        return {
            "name": subject.model.name,
            "classes": self._bundle.manifest.classes,
            "scores": subject.evaluation.scores,
            "multi_label": subject.evaluation.multi_label,
            "labels": subject.model.labels,
            "height": recipe.height,
            "width": recipe.width,
            "channels": recipe.channels,
            "order": recipe.order,
            "resize": asdict(recipe.resize),
            "pixels": recipe.dtype,
            "mean": recipe.mean,
            "std": recipe.std,
            "batch": subject.model.batch,
            "base": subject.timed.base,
            "images": self._chunks.images,
            "chunk": self._chunks.size,
            "rounds": rounds,
            "seconds": seconds,
            "litert": self.files.litert_version,
            "variants": [
                {
                    "name": name,
                    "file": f"/models/{name}.tflite",
                    "bytes": subject.timed.files[name].stat().st_size,
                    "input": {"dtype": model.input_dtype, "pixel_values": np.transpose(model.pixel_values).tolist()},
                    "output": {
                        "dtype": model.output_dtype,
                        "scale": model.output_scale,
                        "zero_point": model.output_zero_point,
                    },
                }
                for name, model in self._models.items()
            ],
        }

    def images(self, number: int) -> bytes:
        """The pixels of a chunk of evaluation images, uint8 or little-endian float32 (images, height, width, channels).

        Raises:
            EdgenetError: There is no such chunk.
        """
        if number >= self._chunks.chunks:
            raise EdgenetError(f"expected a chunk below {self._chunks.chunks}, got {number}")
        pixels = self._chunks.get(number).pixels
        return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()

    def begin(self) -> dict[str, str]:
        """Begin a run. Returns its ID.

        Raises:
            RequestError: There are too many runs.
        """
        now = time.monotonic()
        with self._lock:
            if len(self._runs) + len(self._unwritten) >= MAX_RUNS:
                self._runs = {
                    name: (run, last) for name, (run, last) in self._runs.items() if now - last < MAX_IDLE_SECONDS
                }
            if len(self._unwritten) >= MAX_RUNS:
                raise RequestError(
                    HTTPStatus.INSUFFICIENT_STORAGE,
                    f"{len(self._unwritten)} results are waiting for disk space on the laptop; see its terminal",
                )
            if len(self._runs) + len(self._unwritten) >= MAX_RUNS:
                raise RequestError(
                    HTTPStatus.SERVICE_UNAVAILABLE, f"{MAX_RUNS} phones are connected already; try again in a minute"
                )
            name = secrets.token_urlsafe(16)
            self._runs[name] = (PhoneRun(self._subject, self._models, self._chunks), now)
        return {"id": name}

    def output_bytes(self, name: str, variant: str, number: int) -> int:
        """The number of bytes that `scores` expects."""
        return self._run(name).output_bytes(variant, number)

    def scores(self, name: str, variant: str, number: int, data: bytes) -> dict[str, int]:
        """Add a variant's outputs for a chunk to a run, as `PhoneRun.add`."""
        return asdict(self._run(name).add(variant, number, data))

    def check_run(self, name: str) -> None:
        """Raise EdgenetError unless `finish` accepts a run of this ID: before its report is read."""
        with self._lock:
            known = name in self._responses or name in self._unwritten
        if not known:
            self._run(name)

    def finish(self, name: str, data: bytes) -> dict[str, Any]:
        """Write the results of a run.

        Args:
            name: The ID of the run.
            data: The phone's report, as `PhoneReport`.

        Returns:
            A summary; the same one if the same run is finished again, whose results are written only once.

        Raises:
            EdgenetError: Scores are missing, or the report is malformed.
            RequestError: The results cannot be written. They are kept, and written when the run is finished again, or
                by `close`.
        """
        with self._finishing:  # two requests at the same time get the same response, and few results are in memory
            with self._lock:
                response, unwritten = self._responses.get(name), self._unwritten.get(name)
            if response:
                return response
            if unwritten is None:
                results = self._run(name).finish(data, self._command)
                unwritten = _Unwritten(results, records.to_json(results))
                with self._lock:
                    self._unwritten[name] = unwritten
                    self._runs.pop(name, None)
            return self._write(name, unwritten)

    def close(self) -> None:
        """Write the results that could not be written before, to another folder if necessary."""
        with self._finishing, self._lock:
            waiting = list(self._unwritten.values())
            self._unwritten.clear()
        for unwritten in waiting:
            try:
                try:
                    path = results_files.write(self._bundle.folder, unwritten.data)
                except EdgenetError:
                    path = results_files.write_elsewhere(unwritten.data)
            except EdgenetError as error:
                self._log(f"the results of {unwritten.results.machine.cpu} are lost: {error}")
                continue
            with suppress(OSError):
                self._on_results(path, unwritten.results)

    def _write(self, name: str, unwritten: _Unwritten) -> dict[str, Any]:
        results = unwritten.results
        try:
            path = results_files.write(self._bundle.folder, unwritten.data)
        except EdgenetError as error:
            self._log(
                f"the results of {results.machine.cpu} could not be written: {error}\n"
                "They are kept in memory, and written when the phone sends its report again or this command ends."
            )
            raise RequestError(
                HTTPStatus.INSUFFICIENT_STORAGE,
                "the laptop could not write the results and keeps them in memory; see its terminal",
            ) from error
        response = {"file": f"{bundles.RESULTS}/{path.name}", **_summary(results)}
        with self._lock:
            del self._unwritten[name]
            self._responses[name] = response
            while len(self._responses) > MAX_RESPONSES:
                self._responses.popitem(last=False)
        with suppress(OSError):  # the phone gets its response even if the terminal was closed
            self._on_results(path, results)
        return response

    def _log(self, line: str) -> None:
        with suppress(OSError):
            self.log(line)

    def _run(self, name: str) -> PhoneRun:
        with self._lock:
            if name not in self._runs:
                raise EdgenetError("this run does not exist or has expired; start again")
            run, _ = self._runs[name]
            self._runs[name] = (run, time.monotonic())
        return run


def _summary(results: Results) -> dict[str, Any]:
    """The part of the results that the page shows."""
    return {
        "grade": results.quality.grade,
        "reasons": results.quality.reasons,
        "variants": [
            {
                "name": measured.name,
                "bytes": measured.bytes,
                **_drift_summary(measured.drift),
                "latency": [
                    {
                        "threads": latency.threads,
                        "median": latency.median,
                        "p90": latency.p90,
                        "p99": latency.p99,
                        "speedup": latency.speedup and asdict(latency.speedup),
                    }
                    for latency in measured.latency
                ],
            }
            for measured in results.measurements
        ],
    }


def _drift_summary(drift: Drift | None) -> dict[str, float | None]:
    return {
        "agreement": drift.image_agreement.value if drift and drift.image_agreement else None,
        "images": drift.images if drift else 0,
        "accuracy": drift.accuracy.top1 if drift and drift.accuracy else None,
    }
