"""What a worker does at a time: a job goes out as data, and an answer comes back as data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edgenet.records.enums import TextEnum


class Kind(TextEnum):
    """The kinds of jobs; each is a module of `edgenet.sweep.kinds` with a function `run`."""

    # A model and images become a bundle.
    EXPORT = "export"
    # The scores of a bundle's models on some images.
    EVALUATE = "evaluate"
    # Latency and drift of a bundle on one device.
    MEASURE = "measure"
    # Sleeps: for tests and benchmarks of the engine.
    STUB = "stub"


@dataclass(frozen=True)
class Input:
    """A file or folder that a job reads.

    Attributes:
        path: Where it is on the client.
        digest: The SHA-256 that names its contents: of a file, its own; of a folder, `file_sets.digest`.
    """

    path: Path
    digest: str


@dataclass(frozen=True)
class Job:
    """One piece of work for one worker.

    Attributes:
        key: Names the work, with everything that its result depends on: a SHA-256 in hexadecimal.
        kind: What is to be done.
        name: For people, such as "mobilenet_v1_0.5_96 on pi5".
        request: What the function of its kind gets: JSON.
        inputs: Files and folders that it reads, by the names that the function knows them by.
        device: The device that it must run on; None for any worker that exports.
        makes_files: Whether the answer has a folder of files.
        timeout: Seconds until it counts as hung.
        attempts: How often it is tried before it counts as failed.
    """

    key: str
    kind: Kind
    name: str
    request: Mapping[str, Any]
    inputs: Mapping[str, Input] = field(default_factory=dict)
    device: str | None = None
    makes_files: bool = False
    timeout: float = 3_600.0
    attempts: int = 3


@dataclass(frozen=True)
class Answer:
    """What came of a job. One of `result` and `problem` is None.

    Attributes:
        result: JSON.
        files: A temporary folder on the client with the files that the job made, to be moved to their place; None if
            it makes none.
        problem: What went wrong, in a sentence.
        is_lost: Whether the worker is gone or hangs, so that the job itself may be sound.
        worker: Where it ran, for people.
        seconds: How long it ran.
        is_last: Whether the job is not tried again, whatever comes of it.
    """

    result: Any = None
    files: Path | None = None
    problem: str | None = None
    is_lost: bool = False
    worker: str = ""
    seconds: float = 0.0
    is_last: bool = False


class Worker(Protocol):
    """Runs one job at a time.

    Attributes:
        name: For people.
        machine: Identifies the machine: while a latency is measured, no other job runs there.
        devices: The devices whose latency it measures.
        exports: Whether it takes jobs without a device.
    """

    @property
    def name(self) -> str: ...
    @property
    def machine(self) -> str: ...
    @property
    def devices(self) -> frozenset[str]: ...
    @property
    def exports(self) -> bool: ...

    def start(self, job: Job, done: Callable[[Answer], None]) -> None:
        """Begin a job. `done` is called once, from any thread."""


class Pool(Protocol):
    """The workers at hand, which may come and go."""

    def workers(self) -> Sequence[Worker]:
        """Those that can take jobs now, the same object for the same worker. Called often, so it must be quick.

        Raises:
            EdgenetError: The pool itself is gone, such as the scheduler of a cluster.
        """

    def close(self) -> None:
        """End what the pool has started."""
