"""A model that was loaded to be compared: a .tflite file in child processes, or a Keras model in this process."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from edgenet.benchmarking.drift import Scorer
from edgenet.errors import EdgenetError
from edgenet.images.input_range import InputRange
from edgenet.litert.remote import Remote
from edgenet.quiet import quiet
from edgenet.records import Preprocessing


@dataclass
class LoadedModel:
    """A model that is measured, or that another is compared with. What is not known at first is set later.

    Attributes:
        name: Its name in results.
        path: Its file.
        recipe: From an image to its input.
        classes: The number of its classes.
        runners: Equivalent functions, each for one thread: from uint8 pixels (n, height, width, channels) and a recipe
            to float32 scores (n, classes).
        range_assumed: Whether the input range in `recipe` is only an assumption.
        keras: Whether it is a Keras model.
        batch: Images in one inference.
        labels: The class names in the file.
        extra_classes: How many classes in front are left out.
        notes: What a reader of the results should know.
    """

    name: str
    path: Path
    recipe: Preprocessing
    classes: int
    runners: Sequence[Callable[[np.ndarray, Preprocessing], np.ndarray]]
    range_assumed: bool = False
    keras: bool = False
    batch: int = 1
    labels: list[str] | None = None
    extra_classes: int = 0
    notes: list[str] = field(default_factory=list)
    _processes: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def from_tflite(cls, path: Path, size: tuple[int, int] | None = None, processes: int = 1) -> "LoadedModel":
        """Load a .tflite file; `close` ends its child processes.

        Args:
            path: The file.
            size: Height and width of the input, for a file that leaves them free.
            processes: The number of child processes.

        Raises:
            EdgenetError: It cannot be run.
        """
        with ExitStack() as running:
            remotes = [running.enter_context(closing(Remote(path, size))) for _ in range(processes)]
            info = remotes[0].info
            return cls(
                path.name,
                path,
                info.recipe,
                info.classes,
                [remote.scores_with for remote in remotes],
                info.range_assumed,
                batch=info.batch,
                labels=info.labels,
                _processes=running.pop_all(),
            )

    @classmethod
    def from_keras(
        cls,
        path: Path,
        input_range: InputRange | None = None,
        channel_order: str | None = None,
        size: tuple[int, int] | None = None,
    ) -> "LoadedModel":
        """Load a Keras model: a .keras or .h5 file, or a SavedModel folder.

        Args:
            path: The file or folder.
            input_range: The input range; by default, it is detected in the model.
            channel_order: RGB or BGR, if it is not the model's.
            size: Height and width of the input, for a model that leaves them free.

        Raises:
            EdgenetError: It cannot be loaded, or TensorFlow is not installed.
        """
        if not find_spec("tensorflow"):
            raise EdgenetError(f"{path}: TensorFlow, which a Keras model needs, is not installed")
        with quiet():
            from edgenet.model import keras_model

            classifier = keras_model.load(path, input_range=input_range, channel_order=channel_order, size=size)

        def run(pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
            return next(classifier.scores([pixels]))

        return cls(path.name, path, classifier.recipe, classifier.classes, [run], keras=True)

    def scorers(self) -> list[Scorer]:
        """Equivalent scorers, each for one thread, without the extra classes."""

        def scorer(run: Callable[[np.ndarray, Preprocessing], np.ndarray]) -> Scorer:
            return lambda pixels: run(pixels, self.recipe)[:, self.extra_classes :]

        return [scorer(run) for run in self.runners]

    def top_classes(self, pixels: np.ndarray, recipe: Preprocessing) -> np.ndarray:
        """The top class of each image with any recipe.

        Args:
            pixels: uint8 (n, height, width, channels).
            recipe: The recipe.

        Returns:
            Class indices, int64 (n,), without the extra classes.
        """
        return np.argmax(self.runners[0](pixels, recipe)[:, self.extra_classes :], axis=1)

    def leave_out(self, extra_classes: int) -> None:
        """Leave out some classes in front: a background class, which others do not have."""
        self.extra_classes = extra_classes
        if extra_classes:
            self.notes.append(f"{self.name}: the first of its {self.classes:,} classes, the background, is left out")

    def close(self) -> None:
        """End the child processes."""
        self._processes.close()
