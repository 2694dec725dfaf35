"""Other people's .tflite files, run in processes of their own.

LiteRT trusts a file: a damaged one can crash the process that loads it, keep it busy for ever, or ask it for any amount
of memory.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from edgenet.errors import EdgenetError, first_line
from edgenet.litert import child
from edgenet.litert.child import Child
from edgenet.records import Preprocessing

MODULE = "edgenet.litert.remote"
# Seconds for loading a file and its first inference, and for a chunk of images.
TIMEOUT_SECONDS = 60
# Address space that running a file may take: so much, and so many times its size, and the stack of each thread.
MEMORY_BYTES, MEMORY_FACTOR, STACK_BYTES = 1_500_000_000, 10, 16_000_000


@dataclass(frozen=True)
class About:
    """What a file says of itself. recipe: from an image to its input, as its metadata or its integers tell it. labels:
    the class names in its metadata, if any. assumed: whether nothing told the recipe's range, which is [-1, 1] then.

    output_scale, output_zero_point: of the output's quantization; the scale is 0 for a float output. table: what the
    input tensor holds for each level of a pixel, as `Runner.table`."""

    recipe: Preprocessing
    batch: int
    classes: int
    input_dtype: str
    labels: list[str] | None
    assumed: bool
    output_dtype: str
    output_scale: float
    output_zero_point: int
    table: list[list[float]]


class Remote:
    """A file in a process of its own. size: height and width where the file leaves them free.

    recipe: what `scores` makes of images; as the file says it, until it is set. Raises EdgenetError when the file
    cannot be run.
    """

    def __init__(self, path: Path, size: tuple[int, int] | None = None, timeout: float = TIMEOUT_SECONDS):
        if not path.is_file():
            raise EdgenetError(
                f"{path}: expected a .tflite file, found {'a folder' if path.is_dir() else 'nothing'}; name another"
            )
        self.name = path.name
        self._process = Child(MODULE, {"files": {self.name: str(path)}, "size": size}, str(path), timeout)
        try:
            self.about = _about(self._process.receive()[self.name])
            self.recipe = self.about.recipe
        except BaseException:
            self.close()
            raise

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """As `Runner.scores`."""
        return self._process.ask({"file": self.name, "recipe": asdict(self.recipe)}, pixels)

    def scores_with(self, pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
        """The same with another recipe, for this time and from now on."""
        self.recipe = recipe
        return self.scores(pixels)

    def close(self) -> None:
        """End the process."""
        self._process.close()


class Pool:
    """Several files with one recipe in each of `count` processes, so that as many threads can have them scored.

    about: what each file says of itself, by name. Raises EdgenetError when a file cannot be run.
    """

    def __init__(self, files: Mapping[str, Path], recipe: Preprocessing, count: int, timeout: float = TIMEOUT_SECONDS):
        request = {"files": {name: str(path) for name, path in files.items()}, "recipe": asdict(recipe)}
        where = ", ".join(request["files"].values())
        self._processes = []
        self._free: SimpleQueue[Child] = SimpleQueue()
        try:
            for _ in range(count):
                self._processes.append(Child(MODULE, request, where, timeout))
            for process in self._processes:  # they load at the same time
                self.about = {name: _about(said) for name, said in process.receive().items()}
                self._free.put(process)
        except BaseException:
            self.close()
            raise

    def scores(self, name: str, pixels: np.ndarray) -> np.ndarray:
        """The scores of one of the files, as `Runner.scores` gives them, by a process that is free."""
        process = self._free.get()
        try:
            return process.ask({"file": name}, pixels)
        finally:
            self._free.put(process)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.close()


def limit_memory(path: Path, threads: int = 1) -> None:
    """Limit what this process may take from now on to what running a .tflite file may need."""
    size = path.stat().st_size if path.is_file() else 0
    child.limit_memory(MEMORY_BYTES + MEMORY_FACTOR * size + STACK_BYTES * threads)


def _about(said: dict[str, Any]) -> About:
    return About(**{**said, "recipe": _recipe(said["recipe"])})


def _recipe(said: dict[str, Any]) -> Preprocessing:
    return Preprocessing(**{**said, "mean": tuple(said["mean"]), "std": tuple(said["std"])})


def _start(request: dict) -> tuple[dict, child.Handler]:
    from edgenet.litert.runner import Runner

    paths = {name: Path(path) for name, path in request["files"].items()}
    limit_memory(max(paths.values(), key=lambda path: path.stat().st_size))
    recipe = _recipe(request["recipe"]) if "recipe" in request else None
    size = tuple(request["size"]) if request.get("size") else None
    runners: dict[str, Runner] = {}
    found = {}
    for name, path in paths.items():
        with _reading(path):
            runners[name], found[name] = _load(path, recipe, size)

    def scores(message: dict, pixels: np.ndarray | None) -> np.ndarray:
        runner = runners[message["file"]]
        if "recipe" in message:
            runner.recipe = _recipe(message["recipe"])
        with _reading(paths[message["file"]]):
            return runner.scores(pixels)

    return found, scores


def _load(path: Path, recipe: Preprocessing | None, size: tuple[int, int] | None):
    """A runner that has run once, and what there is to say of its file."""
    from edgenet.litert.runner import Runner
    from edgenet.tflite.metadata import said

    mean_std, labels = said(path)
    runner = Runner(path, recipe, size=size)
    floats = runner.input_dtype == np.float32
    if floats and mean_std and not recipe:
        runner.recipe = mean_std.recipe(*runner.shape)
    runner.scores(np.zeros((1, *runner.shape), np.uint8))
    about = About(
        recipe=runner.recipe,
        batch=runner.batch,
        classes=runner.classes,
        input_dtype=runner.input_dtype.name,
        labels=labels,
        assumed=floats and not mean_std,
        output_dtype=runner.output_dtype.name,
        output_scale=float(runner.output_quantization[0]),
        output_zero_point=int(runner.output_quantization[1]),
        table=runner.table.tolist(),
    )
    return runner, asdict(about)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns whatever a damaged file leads to into an error that names it."""
    try:
        yield
    except EdgenetError:
        raise
    except Exception as error:
        reason = "it needs more memory than is available" if isinstance(error, MemoryError) else first_line(error)
        raise EdgenetError(f"{path}: expected a model for LiteRT, found: {reason}; the file is damaged") from error


if __name__ == "__main__":
    child.serve(_start)
