"""Runs .tflite files of any origin in child processes.

LiteRT trusts a file: a corrupt one can crash the process that loads it, keep it busy forever, or make it allocate any
amount of memory.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgenet.errors import EdgenetError, first_line
from edgenet.files import check_is_file
from edgenet.images import resize_entry
from edgenet.litert import child
from edgenet.litert.child import Child
from edgenet.records import Preprocessing, Resize
from edgenet.records.serialization import from_fields

if TYPE_CHECKING:
    from edgenet.litert.runner import Runner

MODULE = "edgenet.litert.remote"
# For loading a file and its first inference, and for each batch of images after that.
TIMEOUT_SECONDS = 60
# The address space that running a file may need: a fixed amount, a multiple of its size, and a stack for each thread.
MEMORY_BYTES, MEMORY_FACTOR, STACK_BYTES = 1_500_000_000, 10, 16_000_000


@dataclass(frozen=True)
class ModelInfo:
    """The properties of a `.tflite` image classifier."""

    # From the file's metadata, or from the scale and zero point of an integer input.
    recipe: Preprocessing
    batch: int
    classes: int
    input_dtype: str
    # The class names in the file's metadata.
    labels: list[str] | None
    # Whether the file does not state its input range, so that the recipe's is the default, [-1, 1].
    range_assumed: bool
    output_dtype: str
    # The scale is 0 for a float output.
    output_scale: float
    output_zero_point: int
    # The input values of pixels 0 to 255, as `Runner.pixel_values`.
    pixel_values: list[list[float]]


class Remote:
    """A `.tflite` file in a child process.

    Args:
        path: The file.
        size: Height and width of the input, for a file that leaves them free.
        timeout: Seconds for one answer.
        threads: CPU threads.

    Attributes:
        info: The properties of the file.
        recipe: The preprocessing that `scores` uses; by default the file's own. It may be set.

    Raises:
        EdgenetError: The file cannot be run.
    """

    def __init__(
        self, path: Path, size: tuple[int, int] | None = None, timeout: float = TIMEOUT_SECONDS, threads: int = 1
    ):
        check_is_file(path, "a .tflite file")
        self.name = path.name
        request = {"files": {self.name: str(path)}, "size": size, "threads": threads}
        self._process = Child(MODULE, request, str(path), timeout)
        try:
            self.info = _info(self._process.receive()[self.name])
            self.recipe = self.info.recipe
        except BaseException:
            self.close()
            raise

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Classify images, as `Runner.scores`."""
        return cast(np.ndarray, self._process.call({"file": self.name, "recipe": asdict(self.recipe)}, pixels))

    def scores_with(self, pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
        """Set another recipe, and classify images with it."""
        self.recipe = recipe
        return self.scores(pixels)

    def close(self) -> None:
        """End the process."""
        self._process.close()


class Pool:
    """Several `.tflite` files in each of `count` processes, so that as many threads can use them at the same time.

    Args:
        files: The files by name.
        recipe: The preprocessing, for all files.
        count: The number of processes.
        timeout: Seconds for one answer.

    Attributes:
        info: The properties of each file, by name.

    Raises:
        EdgenetError: A file cannot be run.
    """

    def __init__(self, files: Mapping[str, Path], recipe: Preprocessing, count: int, timeout: float = TIMEOUT_SECONDS):
        request = {"files": {name: str(path) for name, path in files.items()}, "recipe": asdict(recipe)}
        names = ", ".join(str(path) for path in files.values())
        self._processes: list[Child] = []
        self._free: SimpleQueue[Child] = SimpleQueue()
        try:
            for _ in range(count):
                self._processes.append(Child(MODULE, request, names, timeout))
            for process in self._processes:  # they load at the same time
                self.info = {name: _info(fields) for name, fields in process.receive().items()}
                self._free.put(process)
        except BaseException:
            self.close()
            raise

    def scores(self, name: str, pixels: np.ndarray) -> np.ndarray:
        """Classify images with one of the files, as `Runner.scores`, in a process that is free."""
        process = self._free.get()
        try:
            return cast(np.ndarray, process.call({"file": name}, pixels))
        finally:
            self._free.put(process)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.close()


class Local:
    """A `.tflite` file in this process, with the methods of a `Remote`: for a process that does nothing else.

    Args:
        path: The file.
        size: Height and width of the input, for a file that leaves them free.
        threads: CPU threads.

    Raises:
        EdgenetError: The file cannot be run.
    """

    def __init__(self, path: Path, size: tuple[int, int] | None = None, threads: int = 1):
        check_is_file(path, "a .tflite file")
        self.name, self._path = path.name, path
        with _errors_of(path):
            self._runner, self.info = _load(path, None, size, threads)

    def scores_with(self, pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
        """Set another recipe, and classify images with it."""
        self._runner.recipe = recipe
        with _errors_of(self._path):
            return self._runner.scores(pixels)

    def close(self) -> None:
        """Do nothing: the process ends by itself."""


def limit_memory(path: Path, threads: int = 1, extra_bytes: int = 0) -> None:
    """Limit the memory of this process to what running a `.tflite` file may need.

    Args:
        path: The file.
        threads: CPU threads.
        extra_bytes: What this process needs for other things.
    """
    size = path.stat().st_size if path.is_file() else 0
    child.limit_memory(MEMORY_BYTES + MEMORY_FACTOR * size + STACK_BYTES * threads + extra_bytes)


def _info(fields: dict[str, Any]) -> ModelInfo:
    return ModelInfo(**{**fields, "recipe": _recipe(fields["recipe"])})


def _recipe(fields: dict[str, Any]) -> Preprocessing:
    lists = {name: tuple(fields[name]) for name in ("mean", "std")}
    return Preprocessing(**{**fields, **lists, "resize": from_fields(Resize, fields["resize"])})


def _start(request: dict[str, Any]) -> tuple[dict[str, Any], child.Handler]:
    paths = {name: Path(path) for name, path in request["files"].items()}
    threads = request.get("threads", 1)
    limit_memory(max(paths.values(), key=lambda path: path.stat().st_size), threads)
    recipe = _recipe(request["recipe"]) if "recipe" in request else None
    size = (request["size"][0], request["size"][1]) if request.get("size") else None
    runners: dict[str, Runner] = {}
    infos = {}
    for name, path in paths.items():
        with _errors_of(path):
            runners[name], info = _load(path, recipe, size, threads)
        infos[name] = asdict(info)

    def scores(message: dict[str, Any], pixels: np.ndarray) -> np.ndarray:
        runner = runners[message["file"]]
        if "recipe" in message:
            runner.recipe = _recipe(message["recipe"])
        with _errors_of(paths[message["file"]]):
            return runner.scores(pixels)

    return infos, scores


def _load(
    path: Path, recipe: Preprocessing | None, size: tuple[int, int] | None, threads: int
) -> "tuple[Runner, ModelInfo]":
    """A runner that has run once, and the properties of its file."""
    from edgenet.litert.runner import Runner
    from edgenet.tflite.metadata import read_metadata, read_provenance

    input_range, labels = read_metadata(path)
    runner = Runner(path, recipe, threads, size)
    is_float = runner.input_dtype == np.float32
    if is_float and input_range and not recipe:
        runner.recipe = input_range.recipe(*runner.shape)
    if not recipe:
        runner.recipe = replace(runner.recipe, resize=resize_entry.read(read_provenance(path)))
    runner.scores(np.zeros((1, *runner.shape), np.uint8))
    scale, zero_point = runner.output_quantization
    info = ModelInfo(
        recipe=runner.recipe,
        batch=runner.batch,
        classes=runner.classes,
        input_dtype=runner.input_dtype.name,
        labels=labels,
        range_assumed=is_float and not input_range,
        output_dtype=runner.output_dtype.name,
        output_scale=scale,
        output_zero_point=zero_point,
        pixel_values=runner.pixel_values.tolist(),
    )
    return runner, info


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Turn any exception that a corrupt file may cause into an error that names it."""
    try:
        yield
    except EdgenetError:
        raise
    except Exception as error:
        memory = isinstance(error, MemoryError)
        reason = "it needs more memory than is available" if memory else first_line(error)
        raise EdgenetError(f"{path}: LiteRT cannot run this file: {reason}; it is corrupt") from error


if __name__ == "__main__":
    child.serve(_start)
