"""Limits the memory that loading a model file may take: a damaged file can request any amount."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgenet import cores

_MIB = 1 << 20
# For a model that stores next to nothing. With TensorFlow's own 0.6 GB, a small file stays below 2 GB.
_BASE = 1024 * _MIB
# Keras builds a model with initial values, reads the weights, and TensorFlow traces it: a few copies of each weight,
# which may be compressed in the file.
_COPIES = 20
# TensorFlow starts a few threads for each core, and their stacks of 8 MiB each count.
_PER_CORE = 32 * _MIB


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Limit the memory that the block may add to the process: 1 GiB plus 20 times the size of the model's file.

    Beyond the limit, numpy raises MemoryError and TensorFlow ResourceExhaustedError. Works on Linux; on other systems
    the block runs without a limit.

    Args:
        size: The size of the model's file in bytes.
    """
    used = _used()
    if used is None or sys.platform == "win32":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = used + _BASE + _COPIES * size + _PER_CORE * cores.available()
    limits = [value for value in (limit, soft, hard) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _used() -> int | None:
    """The bytes that count towards the limit now; None if not available (on all systems but Linux)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("VmData:")]
    return int(sizes[0]) * 1024 if sizes else None
