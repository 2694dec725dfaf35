"""One phone's run of the benchmark: its scores become drift, and its seconds results, as those of any machine."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

import edgenet
from edgenet.benchmarking import benchmark, latency
from edgenet.benchmarking.benchmark import Subject
from edgenet.benchmarking.drift import Tally
from edgenet.benchmarking.gallery import Gallery
from edgenet.errors import EdgenetError
from edgenet.litert.remote import About
from edgenet.litert.runner import dequantize
from edgenet.machine import quality
from edgenet.machine.quality import FAIR, POOR, Phase, Reason
from edgenet.machine.sensors import Reading
from edgenet.phone.images import Pictures
from edgenet.records import LITERT_JS, Condition, Latency, Machine, Measurement, Results, Start

# What a phone may send of its seconds: numbers of rounds, of inferences in one, and of seconds for one.
MOST_ROUNDS, MOST_SAMPLES, MOST_SECONDS = 200, 1_000, 600.0
# Of what it says of itself, this many characters.
LONGEST_TEXT = 200
# A clock of larger steps blurs the tails, although samples are means of several inferences then.
COARSE_CLOCK = 50e-6


@dataclass(frozen=True)
class Counted:
    """Pictures of which a variant's scores have come, and those of them with Keras' top class."""

    images: int
    agreeing: int


class Run:
    """Takes the scores of each variant, chunk after chunk, then the seconds. One thread at a time."""

    def __init__(self, subject: Subject, models: dict[str, About], pictures: Pictures):
        self._subject, self._models, self._pictures = subject, models, pictures
        self._tallies = {
            name: Tally(subject.scores, model=name, reference="Keras", labels=subject.labels) for name in models
        }
        self._done = dict.fromkeys(models, 0)
        self._gallery = Gallery()
        self._lock = Lock()

    def bytes_of(self, variant: str, number: int) -> int:
        """The size of the scores of a chunk. Raises EdgenetError when there is no such variant or chunk."""
        if variant not in self._models or not 0 <= number < self._pictures.chunks:
            raise EdgenetError(f"expected a variant and a chunk of the bundle, found {variant!r} and {number}")
        model = self._models[variant]
        return len(self._pictures.chunk(number).pictures) * model.classes * np.dtype(model.output_dtype).itemsize

    def add(self, variant: str, number: int, data: bytes) -> Counted:
        """Count the output tensors (pictures, classes) of a chunk, as they lie in memory, little-endian.

        Raises EdgenetError when it is not the next chunk, or of another size. The last one may come again: its answer
        may have been lost.
        """
        expected = self.bytes_of(variant, number)
        if len(data) != expected:
            raise EdgenetError(f"expected {expected:,} bytes of scores, found {len(data):,}")
        chunk, model = self._pictures.chunk(number), self._models[variant]
        dtype = np.dtype(model.output_dtype)
        values = np.frombuffer(data, dtype.newbyteorder("<")).reshape(len(chunk.pictures), -1)
        scores = dequantize(values.astype(dtype), model.output_scale, model.output_zero_point)
        with self._lock:
            tally = self._tallies[variant]
            if number not in (self._done[variant], self._done[variant] - 1):
                raise EdgenetError(f"expected chunk {self._done[variant]} of {variant}, found {number}")
            if number == self._done[variant]:
                for place in tally.add(chunk.reference, scores, chunk.pictures):
                    sureness = float(chunk.reference[place].max())
                    self._gallery.add(chunk.pictures[place].file, chunk.pixels[place], sureness)
                self._done[variant] += 1
            return Counted(tally.compared, tally.compared - len(tally.flips))

    def finish(self, data: bytes, command: str) -> Results:
        """Results, of what came before and a phone's report as JSON.

        Raises EdgenetError when chunks are missing, or the report is not as agreed.
        """
        report = _Report(data, tuple(self._models))
        with self._lock:
            for name, done in self._done.items():
                if done < self._pictures.chunks:
                    raise EdgenetError(f"expected {self._pictures.chunks} chunks of {name}, found {done}")
            measurements = tuple(self._measurement(name, report) for name in self._models)
        return benchmark.record(
            self._subject,
            api=LITERT_JS,
            machine=report.machine,
            measurements=measurements,
            condition=report.condition(),
            peaks=(),
            thumbnails=self._gallery.thumbnails(),
            command=command,
            notes=tuple(report.notes()),
        )

    def _measurement(self, name: str, report: "_Report") -> Measurement:
        return Measurement(
            name=name,
            bytes=self._subject.models[name].stat().st_size,
            starts=(Start(*report.starts[name], peak_bytes=None, baseline_bytes=None),),
            latency=tuple(report.latencies(name, self._subject.base)),
            drift=self._tallies[name].drift(),
            multiply_adds=None,
            delegation=None,
            layers=(),
        )


class _Report:
    """What a phone says of itself and of its seconds, checked. Raises EdgenetError when it is not as agreed."""

    def __init__(self, data: bytes, names: Sequence[str]):
        try:
            report = json.loads(data, parse_constant=_no_number)
            phone, condition, measured = report["phone"], report["condition"], report["measurements"]
            self.machine = _machine(phone)
            self._isolated = phone["isolated"] is True
            self._hidden, self._battery = condition["hidden"] is True, condition["battery"]
            self._resolution = _seconds(condition["resolution"], smallest=0.0)
            if set(measured) != set(names):
                raise ValueError(f"measurements of {', '.join(map(str, measured))}")
            self.starts = {
                name: tuple(_seconds(measured[name][field]) for field in ("load", "first")) for name in names
            }
            self._threads = [_count(entry["threads"], 1_024) for entry in measured[names[0]]["latency"]]
            if not self._threads or len(set(self._threads)) < len(self._threads):
                raise ValueError(f"threads {self._threads}")
            self._rounds, self._inferences = {}, {}
            for name in names:
                if [entry["threads"] for entry in measured[name]["latency"]] != self._threads:
                    raise ValueError(f"other threads for {name}")
                for entry in measured[name]["latency"]:
                    self._rounds[name, entry["threads"]] = _rounds(entry["rounds"])
                    self._inferences[name, entry["threads"]] = _count(entry["per_sample"], 100_000)
            if len({len(rounds) for rounds in self._rounds.values()}) > 1:
                raise ValueError("unlike numbers of rounds")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EdgenetError(
                f"expected a phone's report, found another form ({type(error).__name__}: {error})"
            ) from error

    def latencies(self, name: str, base: str | None) -> list[Latency]:
        return [
            latency.summarize(
                count,
                self._rounds[name, count],
                self._rounds.get((base, count)) if base != name else None,
            )
            for count in self._threads
        ]

    def condition(self) -> Condition:
        """The grade: what the rounds tell, and what the browser does."""
        battery = self._battery if isinstance(self._battery, bool) else None
        readings = [Reading(moment, None, None, None, None, None, None, battery) for moment in (0.0, 1.0)]
        phases = [
            Phase(
                count,
                readings,
                (None, None),
                {name: rounds for (name, threads), rounds in self._rounds.items() if threads == count},
                self.machine.cores,
            )
            for count in self._threads
        ]
        return quality.condition(phases, list(self._reasons()))

    def _reasons(self) -> Iterator[Reason]:
        if self._hidden:
            yield Reason(POOR, "the page was hidden meanwhile, and browsers slow those down; keep it in front")
        if self._resolution > COARSE_CLOCK:
            yield Reason(FAIR, f"the browser's clock goes in steps of {1e6 * self._resolution:.0f} us")

    def notes(self) -> Iterator[str]:
        """What is to be known beside the numbers."""
        yield (
            f"Measured in a browser, with {LITERT_JS} in WebAssembly: an app is faster, and by how much differs "
            "between variants."
        )
        if not self._isolated:
            yield "The page was not isolated, so there was one thread: open it by https or on localhost."
        means = {count for count in self._inferences.values() if count > 1}
        if means:
            yield (
                f"A sample is the mean of up to {max(means)} inferences in a row, since the browser's clock goes in "
                f"steps of {1e6 * self._resolution:.0f} us."
            )


def _machine(phone: dict) -> Machine:
    browser, system = _text(phone["browser"]), _text(phone["system"])
    model = _text(phone["model"]) or "a phone"
    memory = phone["memory_bytes"]
    return Machine(
        cpu=f"{model}, {browser}" if browser else model,
        architecture=_text(phone["architecture"]) or "unknown",
        cores=_count(phone["cores"], 1_024),
        governor=None,
        memory_bytes=None if memory is None else _count(memory, 1 << 50),
        system=system or _text(phone["user_agent"]) or "unknown",
        versions={
            "edgenet": edgenet.__version__,
            LITERT_JS: _text(phone["litert"]),
        },
    )


def _text(value) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:40]!r} for a text")
    return "".join(c for c in value if c.isprintable())[:LONGEST_TEXT].strip()


def _count(value, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{str(value)[:40]!r} for a number from 1 to {most:,}")
    return value


def _seconds(value, smallest: float = 1e-9) -> float:
    if type(value) not in (int, float) or not smallest <= value <= MOST_SECONDS:
        raise ValueError(f"{str(value)[:40]!r} for seconds")
    return float(value)


def _rounds(value) -> tuple[tuple[float, ...], ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_ROUNDS:
        raise ValueError("no list of rounds")
    rounds = []
    for samples in value:
        if not isinstance(samples, list) or not 1 <= len(samples) <= MOST_SAMPLES or len(samples) != len(value[0]):
            raise ValueError("rounds of unlike numbers of samples")
        rounds.append(tuple(round(_seconds(sample), 9) for sample in samples))
    return tuple(rounds)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} for a number")
