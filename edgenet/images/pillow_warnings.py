"""Ignores Pillow's warnings about odd but readable image files."""

import re
import warnings
from threading import Lock
from typing import Any


class IgnoredWarnings:
    """Ignores Pillow's warnings while any thread is in a block with this object.

    `warnings.catch_warnings` would restore the filters of the moment when a thread began, and so undo what the program
    did to them since. Here, the first thread adds one entry and the last thread removes it.
    """

    ENTRY = ("ignore", None, Warning, re.compile(r"(PIL|pillow_heif)\b"), 0)

    def __init__(self) -> None:
        self._threads, self._lock = 0, Lock()
        self._filters: list[Any] = []

    def __enter__(self) -> None:
        with self._lock:
            self._threads += 1
            if self._threads == 1:
                self._filters = _warning_filters()
                self._filters.insert(0, self.ENTRY)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._threads -= 1
            if self._threads == 0:
                # By identity: the program may have added an equal entry.
                own = [index for index, entry in enumerate(self._filters) if entry is self.ENTRY]
                for index in reversed(own):
                    del self._filters[index]


def _warning_filters() -> list[Any]:
    """The list that the warnings module uses; its type stub calls it a read-only Sequence."""
    filters: Any = warnings.filters
    return filters


ignored_warnings = IgnoredWarnings()
