"""Measures a bundle on this machine, as `edgenet benchmark` does.

The request has `variants` (names; None for all) and the fields of `BenchmarkOptions`: `threads` (None for 1 and all
cores), `rounds`, `seconds`, `api`, `cooldown`, `layers`. Input: `bundle`, a folder or a packed file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenet import records
from edgenet.benchmarking import benchmark
from edgenet.benchmarking.options import BenchmarkOptions
from edgenet.benchmarking.subject import Subject
from edgenet.bundle import archive
from edgenet.bundle import bundle as bundles


def run(request: Mapping[str, Any], paths: Mapping[str, Path], files: Path | None) -> dict[str, Any]:
    """Measure.

    Returns:
        `results`: the text of a results file.

    Raises:
        EdgenetError: The bundle was changed, or a file of it cannot be run.
    """
    bundle = archive.open_bundle(paths["bundle"])
    bundles.verify(bundle)
    options = {name: value for name, value in request.items() if name != "variants"}
    subject = Subject.from_bundle(bundle, bundle.variants(request["variants"]), keras=False)
    results = benchmark.run(subject, BenchmarkOptions(**options))
    return {"results": records.to_json(results).decode()}
