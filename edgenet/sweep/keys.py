"""The keys of rows: a SHA-256 of everything that a result depends on, so that nothing is done twice."""

import hashlib
import json
from functools import cache
from typing import Any

from edgenet.machine import host
from edgenet.sweep.job import Kind

# Packages that the files of an export depend on, and measurements.
_EXPORTING = ("edgenet", "tensorflow", "keras", "ai-edge-litert", "numpy", "pillow")
_MEASURING = ("edgenet", "ai-edge-litert")
# Characters of a key in a file's name.
SHORT = 8


def key(kind: Kind, **parts: Any) -> str:
    """The key of a job.

    Args:
        kind: Its kind.
        parts: What its result depends on: JSON, with the digests of files instead of their paths.

    Returns:
        A SHA-256 in hexadecimal.

    Example:
        >>> key(Kind.MEASURE, bundle="ab12", device="pi5")[:8]
        '6a0eeeae'
    """
    text = json.dumps({"kind": kind, **parts}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def export_versions() -> dict[str, str]:
    """The versions here that exported files depend on."""
    return _versions(_EXPORTING)


def measuring_versions(local: bool) -> dict[str, str]:
    """The versions that measurements depend on: of a device that is not this machine, edgenet's, which is the same."""
    return _versions(_MEASURING if local else _MEASURING[:1])


@cache
def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    versions = host.versions()
    return {package: versions[package] for package in packages if package in versions}
