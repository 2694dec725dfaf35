"""The report of a phone: its properties and its timings, as JSON from its browser, checked."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import edgenet
from edgenet.benchmarking import latency
from edgenet.errors import EdgenetError
from edgenet.machine import quality
from edgenet.machine.quality import Phase, Reason
from edgenet.machine.sensors import Reading
from edgenet.records import Api, Grade, Latency, Machine, Quality

# Limits of a report.
MAX_ROUNDS, MAX_SAMPLES, MAX_SECONDS = 200, 1_000, 600.0
MAX_THREADS, MAX_CORES, MAX_INFERENCES, MAX_MEMORY_BYTES = 1_024, 1_024, 100_000, 1 << 50
MAX_TEXT_LENGTH = 200
# A larger step of the browser's clock blurs the percentiles, although each sample is then a mean of inferences.
COARSE_CLOCK_SECONDS = 50e-6


class PhoneReport:
    """A phone's report.

    Args:
        data: JSON: `phone` (its properties), `condition` (of the page during the benchmark) and `measurements`
            (timings by variant).
        names: The variants that it must have.

    Attributes:
        machine: The phone.
        starts: Seconds to load each variant, and for its first inference.

    Raises:
        EdgenetError: The report is malformed.
    """

    def __init__(self, data: bytes, names: Sequence[str]):
        try:
            report = json.loads(data, parse_constant=_reject_constant)
            phone, condition, measured = report["phone"], report["condition"], report["measurements"]
            self.machine = _machine(phone)
            self._isolated = phone["isolated"] is True
            self._hidden, self._battery = condition["hidden"] is True, condition["battery"]
            self._clock_step = _seconds(condition["resolution"], smallest=0.0)
            if set(measured) != set(names):
                raise ValueError(f"measurements of {', '.join(map(str, measured))}")
            self.starts = {
                name: (_seconds(measured[name]["load"]), _seconds(measured[name]["first"])) for name in names
            }
            self._threads = [_count(entry["threads"], MAX_THREADS) for entry in measured[names[0]]["latency"]]
            if not self._threads or len(set(self._threads)) < len(self._threads):
                raise ValueError(f"threads {self._threads}")
            self._rounds: dict[tuple[str, int], tuple[tuple[float, ...], ...]] = {}
            self._inferences: set[int] = set()
            for name in names:
                if [entry["threads"] for entry in measured[name]["latency"]] != self._threads:
                    raise ValueError(f"other threads for {name}")
                for entry in measured[name]["latency"]:
                    self._rounds[name, entry["threads"]] = _rounds(entry["rounds"])
                    self._inferences.add(_count(entry["per_sample"], MAX_INFERENCES))
            if len({len(rounds) for rounds in self._rounds.values()}) > 1:
                raise ValueError("different numbers of rounds")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EdgenetError(f"malformed report from the phone ({type(error).__name__}: {error})") from error

    def latencies(self, name: str, base: str | None) -> list[Latency]:
        """The latency of a variant on each number of threads, with the speedup relative to `base`."""
        return [
            latency.summarize(
                count,
                self._rounds[name, count],
                self._rounds.get((base, count)) if base and base != name else None,
            )
            for count in self._threads
        ]

    def quality(self) -> Quality:
        """The quality of the measurement, from the rounds and from the state of the browser."""
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
        return quality.assess(phases, list(self._reasons()))

    def _reasons(self) -> Iterator[Reason]:
        if self._hidden:
            yield Reason(Grade.POOR, "the page was in the background, where browsers slow it down; keep it in front")
        if self._clock_step > COARSE_CLOCK_SECONDS:
            yield Reason(Grade.FAIR, f"the browser's clock has steps of {1e6 * self._clock_step:.0f} us")

    def notes(self) -> Iterator[str]:
        """What a reader of the results should know, a sentence each."""
        yield (
            f"Measured in a browser, with {Api.JAVASCRIPT} in WebAssembly: an app is faster, by a factor that differs "
            "between variants."
        )
        if not self._isolated:
            yield "The page was not isolated, so it had only one thread: open it over https or on localhost."
        if max(self._inferences) > 1:
            yield (
                f"A sample is the mean of up to {max(self._inferences)} inferences in a row, since the browser's clock "
                f"has steps of {1e6 * self._clock_step:.0f} us."
            )


def _machine(phone: dict[str, Any]) -> Machine:
    browser, system = _text(phone["browser"]), _text(phone["system"])
    model = _text(phone["model"]) or "a phone"
    memory = phone["memory_bytes"]
    return Machine(
        cpu=f"{model}, {browser}" if browser else model,
        architecture=_text(phone["architecture"]) or "unknown",
        cores=_count(phone["cores"], MAX_CORES),
        governor=None,
        memory_bytes=None if memory is None else _count(memory, MAX_MEMORY_BYTES),
        system=system or _text(phone["user_agent"]) or "unknown",
        versions={"edgenet": edgenet.__version__, Api.JAVASCRIPT.value: _text(phone["litert"])},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {str(value)[:40]!r}")
    return "".join(c for c in value if c.isprintable())[:MAX_TEXT_LENGTH].strip()


def _count(value: Any, largest: int) -> int:
    if type(value) is not int or not 1 <= value <= largest:
        raise ValueError(f"expected a number from 1 to {largest:,}, got {str(value)[:40]!r}")
    return value


def _seconds(value: Any, smallest: float = 1e-9) -> float:
    if type(value) not in (int, float) or not smallest <= value <= MAX_SECONDS:
        raise ValueError(f"expected seconds, got {str(value)[:40]!r}")
    return float(value)


def _rounds(value: Any) -> tuple[tuple[float, ...], ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_ROUNDS:
        raise ValueError("expected a list of rounds")
    rounds = []
    for samples in value:
        if not isinstance(samples, list) or not 1 <= len(samples) <= MAX_SAMPLES or len(samples) != len(value[0]):
            raise ValueError("expected the same number of samples in each round")
        rounds.append(tuple(round(_seconds(sample), 9) for sample in samples))
    return tuple(rounds)


def _reject_constant(text: str) -> NoReturn:
    """Python reads NaN and Infinity, which are not JSON."""
    raise ValueError(f"expected a number, got {text}")
