"""One run of the benchmark on a phone: its outputs become drift, and its timings become results."""

from dataclasses import dataclass
from threading import Lock

import numpy as np

from edgenet.benchmarking import benchmark
from edgenet.benchmarking.drift import add_chunk
from edgenet.benchmarking.gallery import Gallery
from edgenet.benchmarking.subject import Subject
from edgenet.benchmarking.tally import Tally
from edgenet.errors import EdgenetError
from edgenet.litert.remote import ModelInfo
from edgenet.litert.runner import dequantize
from edgenet.phone.evaluation_chunks import EvaluationChunks
from edgenet.phone.phone_report import PhoneReport
from edgenet.records import Api, Measurement, Results, Start


@dataclass(frozen=True)
class Agreement:
    """The evaluation images that a variant was scored on so far, and those with Keras' top class, or all its labels."""

    images: int
    agreeing: int


class PhoneRun:
    """Receives the outputs of each variant, one chunk of images after the other, and then the timings.

    Args:
        subject: The bundle.
        models: The properties of each variant's file.
        chunks: The evaluation images.
    """

    def __init__(self, subject: Subject, models: dict[str, ModelInfo], chunks: EvaluationChunks):
        self._subject, self._models, self._chunks = subject, models, chunks
        self._tallies = {
            name: Tally(
                subject.evaluation.scores,
                multi_label=subject.evaluation.multi_label,
                model=name,
                reference="Keras",
                labels=subject.model.labels,
            )
            for name in models
        }
        self._received = dict.fromkeys(models, 0)
        self._gallery = Gallery()
        self._lock = Lock()

    def output_bytes(self, variant: str, number: int) -> int:
        """The size of a variant's output tensors for a chunk.

        Raises:
            EdgenetError: There is no such variant or chunk.
        """
        if variant not in self._models or not 0 <= number < self._chunks.chunks:
            raise EdgenetError(f"expected a variant and a chunk of the bundle, got {variant!r} and {number}")
        model = self._models[variant]
        return len(self._chunks.get(number).images) * model.classes * np.dtype(model.output_dtype).itemsize

    def add(self, variant: str, number: int, data: bytes) -> Agreement:
        """Compare a variant's outputs for a chunk with Keras'.

        Args:
            variant: The variant.
            number: The next chunk; or the last one again, whose response the phone may not have received.
            data: The output tensors (images, classes) in the file's output dtype, little-endian.

        Raises:
            EdgenetError: It is another chunk, its size is wrong, or a score is not finite.
        """
        expected = self.output_bytes(variant, number)
        if len(data) != expected:
            raise EdgenetError(f"expected {expected:,} bytes of scores, got {len(data):,}")
        chunk, model = self._chunks.get(number), self._models[variant]
        dtype = np.dtype(model.output_dtype)
        values = np.frombuffer(data, dtype.newbyteorder("<")).reshape(len(chunk.images), -1)
        scores = dequantize(values.astype(dtype), model.output_scale, model.output_zero_point)
        with self._lock:
            tally = self._tallies[variant]
            if number not in (self._received[variant], self._received[variant] - 1):
                raise EdgenetError(f"expected chunk {self._received[variant]} of {variant}, got {number}")
            if number == self._received[variant]:
                add_chunk(tally, chunk, scores, self._gallery)
                self._received[variant] += 1
            return Agreement(tally.compared, tally.compared - len(tally.flips))

    def finish(self, data: bytes, command: str) -> Results:
        """The results of the run.

        Args:
            data: The phone's report, as `PhoneReport`.
            command: The command line.

        Raises:
            EdgenetError: Chunks are missing, or the report is malformed.
        """
        report = PhoneReport(data, tuple(self._models))
        with self._lock:
            for name, received in self._received.items():
                if received < self._chunks.chunks:
                    raise EdgenetError(f"expected {self._chunks.chunks} chunks of {name}, got {received}")
            measurements = tuple(self._measurement(name, report) for name in self._models)
        return benchmark.record(
            self._subject,
            api=Api.JAVASCRIPT,
            machine=report.machine,
            measurements=measurements,
            quality=report.quality(),
            peaks=(),
            thumbnails=self._gallery.thumbnails(),
            command=command,
            notes=tuple(report.notes()),
        )

    def _measurement(self, name: str, report: PhoneReport) -> Measurement:
        load, first = report.starts[name]
        return Measurement(
            name=name,
            bytes=self._subject.timed.files[name].stat().st_size,
            starts=(Start(load, first, peak_bytes=None, baseline_bytes=None),),
            latency=tuple(report.latencies(name, self._subject.timed.base)),
            drift=self._tallies[name].drift(),
            multiply_adds=None,
            delegation=None,
            layers=(),
        )
