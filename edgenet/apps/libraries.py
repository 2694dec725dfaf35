"""The libraries: what each is called, where its worker is, and how to get it."""

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Library:
    """module: the program that asks it, run as a process of its own. package, project: its name for Python, and for
    pip. install, system: what to do where it is not installed, and where it lacks a library of the system."""

    name: str
    module: str
    package: str
    project: str
    install: str
    system: str

    def missing(self) -> str | None:
        """Why it cannot be asked here, and how to get it; None where it is installed."""
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
