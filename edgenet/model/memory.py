"""A limit on the memory that reading a foreign model file may take: a damaged file can ask for any amount."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgenet import cores

_MIB = 1 << 20
# What a model may take that stores next to nothing. With TensorFlow's own 0.6 GB, a small file stays below 2 GB.
_BASE = 1024 * _MIB
# Keras builds a model with initial values, reads the weights, and TensorFlow traces it: a few copies of each weight,
# which may be compressed in the file.
_COPIES = 20
# TensorFlow starts a few threads for each core, and the system counts their stacks, of 8 MiB each.
_PER_CORE = 32 * _MIB


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Limit the memory that the block may add to the process, for a model of `size` bytes: 1 GiB and 20 times the size.

    Beyond it, numpy raises MemoryError and TensorFlow ResourceExhaustedError. The limit is lifted afterwards. Works on
    Linux; elsewhere the block runs without a limit.
    """
    used = _used()
    if used is None:
        yield
        return
    import resource  # Windows has none

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = used + _BASE + _COPIES * size + _PER_CORE * cores.available()
    limits = [value for value in (wanted, soft, hard) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _used() -> int | None:
    """The bytes that count towards the limit now; None where the system does not say (all but Linux)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("VmData:")]
    return int(sizes[0]) * 1024 if sizes else None
