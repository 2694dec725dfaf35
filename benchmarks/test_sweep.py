"""What the engine of a sweep costs: a shelf of devices, whose rows take a known time, in a real Dask cluster.

`EDGENET_SHELF=200x100` takes 200 devices with 100 rows each; the default is a shelf that fits into a CI job.
"""

import os
import random
import statistics
from collections import defaultdict
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import intervals
import pytest

from edgenet.sweep.dispatcher import Dispatcher
from edgenet.sweep.job import Job, Kind

pytest.importorskip("distributed")

from edgenet.sweep import dask_pool

DEVICES, ROWS = (int(part) for part in os.environ.get("EDGENET_SHELF", "20x50").split("x"))
# Scheduler, workers and client share one process, and one core: with rows so long it is busy for a quarter of the time.
ROW_SECONDS = 0.02 * DEVICES
# From the end of a row to the begin of the next one on its device.
MAX_OVERHEAD_SECONDS = 0.020
# The memory of this process from the first tenth of the rows to the end. The answers of all rows are small.
MAX_GROWTH_BYTES = 25_000_000


def memory() -> int:
    """The resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def shelf():
    """The begin and end of each row, by device, and the memory after each answer."""
    draw = random.Random(0)
    rows, sizes = defaultdict(list), []

    def take(job, answer):
        assert answer.problem is None, answer.problem
        rows[job.device].append((answer.result["begin"], answer.result["end"]))
        with suppress(OSError):
            sizes.append(memory())
        return True

    devices = [f"device {number}" for number in range(DEVICES)]
    with closing(dask_pool.LocalPool(DEVICES, devices)) as pool:
        dispatcher = Dispatcher(pool, take)
        for row in range(ROWS):
            for device in devices:
                # Of different lengths, so that rows do not end all at once.
                seconds = ROW_SECONDS * draw.uniform(0.5, 1.5)
                dispatcher.add(
                    Job(f"{row} {device}", Kind.STUB, f"{row} on {device}", {"seconds": seconds}, device=device)
                )
        dispatcher.run()
    return rows, sizes


def test_each_row_is_done_once_and_none_overlap(shelf):
    rows, _ = shelf
    assert {device: len(done) for device, done in rows.items()} == {f"device {n}": ROWS for n in range(DEVICES)}
    for done in rows.values():
        assert all(before[1] <= after[0] for before, after in pairwise(sorted(done)))


def test_a_row_costs_less_than_twenty_milliseconds(shelf):
    rows, _ = shelf
    gaps = {device: [b[0] - a[1] for a, b in pairwise(sorted(done))] for device, done in rows.items()}
    # The median of each device: other programs of this machine stop a few rows for long. Devices count as independent.
    medians = [statistics.median(each) for each in gaps.values()]
    mean = statistics.mean(gap for each in gaps.values() for gap in each)
    print(f"\nmean overhead of a row: {mean * 1_000:.1f} ms")
    intervals.check("overhead of a row in seconds", intervals.of_median(medians), most=MAX_OVERHEAD_SECONDS)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_stays_flat(shelf):
    _, sizes = shelf
    growth = max(sizes[len(sizes) // 10 :]) - sizes[len(sizes) // 10]
    print(
        f"\nmemory: {sizes[0] / 1e6:.0f} MB after the first row, {growth / 1e6:.1f} MB more after {len(sizes):,} rows"
    )
    assert growth < MAX_GROWTH_BYTES
