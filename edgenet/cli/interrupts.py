"""The signals that end a program, as KeyboardInterrupt."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# An interrupt that Python dropped is repeated after this time.
REPEAT_SECONDS = 1.0
# A terminal and a parent process may both send a signal: the second one comes within this time.
TWICE_SECONDS = 2.0

# Until this time of the monotonic clock, signals are ignored.
_ignored_until = 0.0


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the signals that end a program into KeyboardInterrupt, so that temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():  # a notebook or a server may call from others
        yield
        return
    handlers = {number: signal.signal(number, _interrupt) for number in _signals()}
    try:
        yield
    finally:
        stop_repeating()
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)


def stop_repeating() -> None:
    """An interrupt has arrived, and need not be repeated."""
    _set_alarm(0)


def go_on() -> None:
    """An interrupt has ended a part of the work, and the rest goes on; another one later ends that, too."""
    global _ignored_until
    stop_repeating()
    _ignored_until = time.monotonic() + TWICE_SECONDS


def end() -> None:
    """An interrupt has ended the program: until its last words are said, further ones are ignored.

    A terminal and a parent process may both send a signal.
    """
    stop_repeating()
    if threading.current_thread() is threading.main_thread():
        for number in _signals():
            signal.signal(number, signal.SIG_IGN)


def _signals() -> list[int]:
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM")  # a closed terminal, too; Windows has two of them
    return [number for name in names if (number := getattr(signal, name, None))]


def _interrupt(*_: Any) -> None:
    if _is_ending() or time.monotonic() < _ignored_until:  # what is unwound now cleans up, and is left to do so
        return
    # Python ignores an exception raised in a destructor or a callback: repeat the signal if the program goes on.
    _set_alarm(REPEAT_SECONDS)
    raise KeyboardInterrupt


def _is_ending() -> bool:
    """Whether the code that a signal has come into is running because of a KeyboardInterrupt."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def _set_alarm(seconds: float) -> None:
    if sys.platform != "win32" and hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
