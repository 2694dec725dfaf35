"""The mobile inference libraries: their names, and how to install them."""

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Library:
    """A mobile inference library."""

    name: str
    # The module of edgenet that runs it, in a process of its own.
    module: str
    # Its name for `import`, and for pip.
    package: str
    project: str
    # What to do where it is not installed, and where it lacks a library of the system.
    install: str
    system: str

    def missing(self) -> str | None:
        """Why the library is not available, and how to install it; None if it is installed."""
        return None if find_spec(self.package) else f"{self.project} is not installed; {self.install}"


TASK_LIBRARY = Library(
    name="task library",
    module="edgenet.apps.task_library",
    package="tflite_support",
    project="tflite-support",
    install="pip install 'edgenet[export]', on Linux, x86-64, with Python 3.10 or 3.11",
    system="pip install libusb-package",
)
MEDIAPIPE_TASKS = Library(
    name="mediapipe tasks",
    module="edgenet.apps.mediapipe_tasks",
    package="mediapipe",
    project="mediapipe",
    install="pip install --no-deps mediapipe==1.2.2",
    system="on Debian: apt install libegl1 libgles2",
)
LIBRARIES = (TASK_LIBRARY, MEDIAPIPE_TASKS)
