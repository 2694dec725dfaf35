"""Run cases in forked children, and judge what each left behind."""

import hashlib
import json
import os
import queue
import re
import shutil
import stat
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cases
from plans import REFUSED, Plan

TIMEOUT_SECONDS = 60
MAX_BYTES = 2_000_000_000
WORKERS = 2
# One in so many device-side cases starts the `edgenet` program; one that needs TensorFlow would take seconds.
REAL_EVERY = 20
# What Python, TensorFlow and C++ print before they give up.
_STACK = re.compile(
    r"Traceback \(most recent|Fatal Python error|stack trace|core dumped|terminate called|Segmentation fault|"
    r"Exception ignored in|^\S+:\d+: \w*Warning: |^[EF]\d{4} [\d:.]+ ",
    re.MULTILINE,
)


@dataclass
class Outcome:
    """What became of a case. faults: what must not be, in words; empty when all is well."""

    number: int
    kind: str
    plan: Plan
    code: int | None
    signal: int | None
    stopped: str | None
    seconds: float
    cpu: float
    bytes: int
    stdout: str
    stderr: str
    folder: Path
    faults: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        return self.code in (0, 2)


class Zygote:
    """A process of `zygote.py` that has imported what device-side commands need, or TensorFlow, too."""

    def __init__(self, kind: str):
        self._kind, self._process = kind, None

    def run(self, request: dict) -> dict:
        """Run one command. See `zygote._wait` for the answer."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self._kind} zygote died with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        if self._process:
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()

    def _start(self) -> None:
        code = (
            f"import sys; sys.path[0] = {str(Path(__file__).parent)!r}; import zygote; del sys.path[0]; zygote.serve()"
        )
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "LC_ALL": "C.UTF-8", "MPLBACKEND": "agg"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, self._kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **quiet},
        )


def command(zygote: Zygote, arguments: Iterable[str], folder: Path, real: bool = False) -> dict:
    """Run a command line of edgenet in `folder`/work, with a home and a folder for temporary files of its own."""
    places = {name: folder / name for name in ("work", "home", "tmp")}
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    return zygote.run(
        {
            "arguments": list(arguments),
            "cwd": str(places["work"]),
            "env": {"HOME": str(places["home"]), "TMPDIR": str(places["tmp"])},
            "stdout": str(folder / "stdout.txt"),
            "stderr": str(folder / "stderr.txt"),
            "timeout": TIMEOUT_SECONDS,
            "real": real,
        }
    )


def run_all(numbers: Iterable[int], base: Path, folder: Path, keep: bool = False) -> list[Outcome]:
    """Run cases, two at a time. keep: whether the files of sound ones stay, too."""
    numbers = list(numbers)
    zygotes = {kind: queue.SimpleQueue() for kind in ("device", "tensorflow")}
    made = [(kind, Zygote(kind)) for kind in zygotes for _ in range(min(WORKERS, len(numbers)))]
    for kind, zygote in made:
        zygotes[kind].put(zygote)
    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            # Kinds mixed, so that both sorts of zygotes are busy; a prime takes every number once.
            mixed = sorted(numbers, key=lambda number: number * 997 % cases.TOTAL)
            outcomes = pool.map(lambda number: run_case(number, base, folder, zygotes, keep), mixed)
            return sorted(outcomes, key=lambda outcome: outcome.number)
    finally:
        for _, zygote in made:
            zygote.close()


def run_case(number: int, base: Path, folder: Path, zygotes: dict[str, queue.SimpleQueue], keep: bool) -> Outcome:
    """Run one case in a folder of its own, which goes where all is well."""
    place = folder / f"{number:04d}"
    work = place / "work"
    for name in ("work/mine", "home", "outside", "tmp"):
        (place / name).mkdir(parents=True)
        (place / name / "kept.txt").write_text(f"{name}: this file must stay as it is\n")
    plan = cases.plan(number, base, work)
    before = _tree(place)
    queue_of_kind = zygotes["tensorflow" if plan.tensorflow else "device"]
    zygote = queue_of_kind.get()
    try:
        real = not plan.tensorflow and number % REAL_EVERY == 0
        answer = command(zygote, plan.arguments, place, real)
    finally:
        queue_of_kind.put(zygote)
    left = answer.pop("left")
    texts = {name: (place / f"{name}.txt").read_text(errors="replace")[-200_000:] for name in ("stdout", "stderr")}
    outcome = Outcome(number, cases.kind_of(number), plan, **answer, **texts, folder=place)
    outcome.faults += [f"left running: {line}" for line in left]
    outcome.faults += _judge(outcome)
    outcome.faults += _changed(before, _tree(place), plan, outcome)
    if outcome.accepted and plan.check and (fault := plan.check(work)):
        outcome.faults.append(f"wrong result: {fault}")
    if outcome.faults:
        with open(folder / "faults.txt", "a") as log:  # as they come: a whole run takes minutes
            log.write(faults([outcome]) + "\n")
    elif not keep:
        shutil.rmtree(place)
    return outcome


def _judge(outcome: Outcome) -> list[str]:
    """What is wrong with how a command ended, and with what it printed."""
    faults, verb = [], outcome.plan.arguments[0]
    if outcome.stopped:
        faults.append("hang" if outcome.stopped == "timeout" else "memory")
    elif outcome.signal:
        faults.append(f"crash: signal {outcome.signal}")
    elif outcome.code not in (0, 1, 2) or (outcome.code == 2 and verb != "check"):
        faults.append(f"exit code {outcome.code}")
    if outcome.bytes > MAX_BYTES and not outcome.stopped:
        faults.append(f"memory: {outcome.bytes / 1e6:,.0f} MB")
    for text in (outcome.stdout, outcome.stderr):
        if found := _STACK.search(text):
            last = text.strip().splitlines()[-1][:300]
            faults.append(f"{'traceback' if 'Traceback' in text else 'stack or warning'}: {found.group()} ... {last}")
    if outcome.code == 1 and not faults:
        lines = outcome.stderr.rstrip("\n").split("\n")
        errors = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
        failed = verb == "check" and not errors and outcome.stdout.strip()
        if not failed and (len(errors) != 1 or len(lines) - errors[0] > 2):
            faults.append(f"{len(errors)} errors, in {len(lines)} lines: {lines[-3:]}")
        elif errors and len(lines[errors[0]]) > 1500:
            faults.append(f"an error of {len(lines[errors[0]]):,} letters")
    if outcome.accepted:
        if outcome.plan.must == REFUSED:
            faults.append("accepted although it was changed")
        if not outcome.stdout.strip():
            faults.append("accepted without a word")
    return faults


def _tree(folder: Path) -> dict[str, tuple]:
    """What there is below a folder: the kind, mode and contents of everything."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(place, name)
            status = os.lstat(path)
            contents = None
            if stat.S_ISLNK(status.st_mode):
                contents = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                contents = status.st_size, status.st_mtime_ns
                if status.st_size < 1_000_000 and os.access(path, os.R_OK):
                    contents = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            found[os.path.relpath(path, folder)] = status.st_mode, contents
    return found


def _changed(before: dict[str, tuple], after: dict[str, tuple], plan: Plan, outcome: Outcome) -> list[str]:
    """Files that were made, changed or removed where nothing may be; outputs of a refused command."""
    faults = []
    ours = ("stdout.txt", "stderr.txt", "home/.cache")
    announced = tuple(f"work/{name}" for name in plan.outputs)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) == after.get(name) or _within(name, ours):
            continue
        what = "changed" if name in before and name in after else "made" if name in after else "removed"
        if not _within(name, announced):
            faults.append(f"{what}: {name}")
        elif what == "made" and not outcome.accepted:
            faults.append(f"half-made: {name}")
    return faults


def _within(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places)


def table(outcomes: Iterable[Outcome]) -> str:
    """The outcomes by kind."""
    rows = defaultdict(list)
    for outcome in outcomes:
        rows[outcome.kind].append(outcome)
    rows["all"] = [outcome for some in list(rows.values()) for outcome in some]
    titles = ("tried", "accepted", "refused", "faults", "longest s", "CPU s", "most MB")
    lines = [f"{'kind':15}" + "".join(f"{title:>11}" for title in titles)]
    for kind, some in rows.items():
        numbers = (
            len(some),
            sum(one.accepted for one in some),
            sum(one.code == 1 for one in some),
            sum(bool(one.faults) for one in some),
            round(max(one.seconds for one in some), 1),
            round(sum(one.cpu for one in some)),
            round(max(one.bytes for one in some) / 1e6),
        )
        lines.append(f"{kind:15}" + "".join(f"{number:>11,}" for number in numbers))
    return "\n".join(lines)


def faults(outcomes: Iterable[Outcome]) -> str:
    """The cases with faults, each with its command."""
    lines = []
    for one in outcomes:
        if one.faults:
            lines.append(
                f"case {one.number} ({one.kind}: {one.plan.damage}) edgenet {' '.join(one.plan.arguments)[:300]!a}"
            )
            lines += [f"    {fault[:600]!a}" for fault in one.faults[:6]]
    return "\n".join(lines)


def totals(outcomes: Iterable[Outcome]) -> Counter:
    """How many cases have a fault of each sort."""
    return Counter(sort for one in outcomes for sort in {fault.split(":")[0] for fault in one.faults})
