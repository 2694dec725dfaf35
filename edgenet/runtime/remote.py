"""A .tflite file that this project did not make, run in a process of its own.

LiteRT trusts a file: a damaged one can crash the process that loads it, or keep it busy for ever.
"""

import os
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from edgenet.errors import EdgenetError, first_line
from edgenet.records import Preprocessing

# Seconds for loading a file and its first inference, and for a chunk of pictures.
PATIENCE = 120


@dataclass(frozen=True)
class About:
    """What a file says of itself. recipe: from a picture to its input, as its metadata or its integers tell it. labels:
    the class names in its metadata, if any. assumed: whether nothing told the recipe's range, which is [-1, 1] then."""

    recipe: Preprocessing
    batch: int
    classes: int
    input_dtype: str
    labels: list[str] | None
    assumed: bool


class Remote:
    """The other end of such a process. size: height and width where the file leaves them free.

    recipe: what `scores` makes of pictures; as the file says it, until it is set. Raises EdgenetError when the file
    cannot be run.
    """

    def __init__(self, path: Path, size: tuple[int, int] | None = None, patience: float = PATIENCE):
        if not path.is_file():
            raise EdgenetError(
                f"{path}: expected a .tflite file, found {'a folder' if path.is_dir() else 'nothing'}; name another"
            )
        self._path, self._patience = path, patience
        self.name = path.name
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, path, size), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.about: About = self._answer()
            self.recipe = self.about.recipe
        except BaseException:
            self.close()
            raise

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """As `Runner.scores`."""
        try:
            self._connection.send((self.recipe, pixels))
        except OSError as error:
            raise self._gone() from error
        return self._answer()

    def scores_with(self, pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
        """The same with another recipe, for this time and from now on."""
        self.recipe = recipe
        return self.scores(pixels)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _answer(self):
        if not self._connection.poll(self._patience):
            self._process.kill()
            raise EdgenetError(
                f"{self._path}: expected a model that answers, found none after {self._patience:g} s; "
                "it is damaged or far too large for this machine"
            )
        try:
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._gone() from error
        if isinstance(answer, EdgenetError):
            raise answer
        return answer

    def _gone(self) -> EdgenetError:
        self._process.join(10)
        code = self._process.exitcode
        how = f"by signal {signal.Signals(-code).name}" if code and code < 0 else f"with code {code}"
        return EdgenetError(
            f"{self._path}: expected a model for LiteRT, found that the runtime ended {how}; the file is damaged, or "
            "needs more memory than there is"
        )


def _serve(connection: Connection, path: Path, size: tuple[int, int] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this one
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # this system knows no such limit, or has a lower one
            resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))
    from edgenet.runtime.runner import Runner
    from edgenet.tflite.metadata import said

    def answer(make) -> None:
        try:
            found = make()
        except EdgenetError as error:
            found = error
        except Exception as error:  # whatever a damaged file leads to
            found = EdgenetError(
                f"{path}: expected a model for LiteRT, found: {first_line(error)}; the file is damaged"
            )
        connection.send(found)

    runner = None

    def start() -> About:
        nonlocal runner
        mean_std, labels = said(path)
        runner = Runner(path, size=size)
        floats = runner.input_dtype == np.float32
        if floats and mean_std:
            runner.recipe = mean_std.recipe(*runner.shape)
        runner.scores(np.zeros((1, *runner.shape), np.uint8))
        return About(
            runner.recipe,
            runner.batch,
            runner.classes,
            runner.input_dtype.name,
            labels,
            floats and not mean_std,
        )

    answer(start)
    while runner:
        try:
            runner.recipe, pixels = connection.recv()
        except EOFError:
            return
        answer(partial(runner.scores, pixels))
