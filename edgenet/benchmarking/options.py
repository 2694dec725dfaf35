"""The options of a benchmark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgenet import cores
from edgenet.errors import EdgenetError
from edgenet.records import Api

MAX_THREADS = 1_024
MAX_SECONDS = 60.0
# LiteRT's interfaces that can be timed here.
APIS = (Api.INTERPRETER, Api.COMPILED)


@dataclass(frozen=True, init=False)
class BenchmarkOptions:
    """How to measure.

    Args:
        threads: The numbers of threads to time with, 1 to 1,024; 1 and all available cores by default.
        rounds: The number of interleaved rounds, from 1 up.
        seconds: The approximate time of each variant in each round, above 0 and up to 60 seconds.
        api: LiteRT's interface, `Api.INTERPRETER` or `Api.COMPILED`, or its value.
        cooldown: Whether to wait before each turn until the machine is as cool as at the start.
        layers: Whether to time each operator, too.

    Raises:
        EdgenetError: A value is not allowed.
    """

    threads: tuple[int, ...]
    rounds: int
    seconds: float
    api: Api
    cooldown: bool
    layers: bool

    def __init__(
        self,
        threads: Sequence[int] | None = None,
        rounds: int = 20,
        seconds: float = 0.05,
        api: str = Api.INTERPRETER,
        cooldown: bool = False,
        layers: bool = False,
    ) -> None:
        counts = tuple(default_threads() if threads is None else dict.fromkeys(threads))
        if not counts or not all(isinstance(count, int) and 1 <= count <= MAX_THREADS for count in counts):
            raise EdgenetError(f"expected numbers from 1 to {MAX_THREADS:,}, got {list(counts)}", parameter="threads")
        if not isinstance(rounds, int) or rounds < 1:
            raise EdgenetError(f"expected a number from 1 up, got {rounds}", parameter="rounds")
        if not (math.isfinite(seconds) and 0 < seconds <= MAX_SECONDS):
            raise EdgenetError(f"expected seconds above 0, up to {MAX_SECONDS:g}, got {seconds:g}", parameter="seconds")
        if api not in APIS:
            raise EdgenetError(f"expected {' or '.join(APIS)}, got {str(api)!r}", parameter="api")
        values = {
            "threads": counts,
            "rounds": rounds,
            "seconds": float(seconds),
            "api": Api(api),
            "cooldown": cooldown,
            "layers": layers,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the instance is frozen


def default_threads() -> tuple[int, ...]:
    """1, and the number of available cores."""
    return tuple(sorted({1, cores.available()}))
