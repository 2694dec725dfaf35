"""The Makefile: which Python it takes, what it says when none will do, and that it does no work twice.

Nothing is installed. Commands run in a copy, with programs on PATH that stand in for Python: they answer as another
Python would, and write down what they are asked to install and to run.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

TARGETS = ("help", "export", "benchmark", "test", "train", "lint", "lock", "clean")
# What the recipes may use; no Python among them.
TOOLS = ("make", "sh", "sed", "find", "expand", "mkdir", "rm", "touch", "cp", "cat", "chmod", "basename", "tr")

# The program that answers as another Python: {prelude} changes what the real one says of itself.
PYTHON = """#!/bin/sh
case "$1 $2" in
"-m venv")
    echo venv >>log
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp fake_edgenet "$3/bin/edgenet" ;;
"-m pip")
    echo "pip $*" >>log
    [ ! -e no_network ] ;;
"-c "*)
    shift
    exec {python} -c '{prelude}
import sys
code = sys.argv.pop(1)
exec(code)' "$@" ;;
*) echo "python $*" >>log ;;
esac
"""

EDGENET = """#!/bin/sh
echo "edgenet $*" >>log
printf '%s\\n' "$@" >words
[ ! -e broken ] || exit 1
[ "$1" = export ] || exit 0
mkdir -p "$3" && touch "$3/manifest.json"
"""


def version(major: int, minor: int) -> str:
    return f'import sys; sys.version_info = ({major}, {minor}, 0, "final", 0)'


class Copy:
    """A copy of what `make` needs, with a PATH of its own."""

    def __init__(self, folder: Path, programs: Path):
        self.folder, self.programs = folder, programs
        shutil.copytree(ROOT / ".ci", folder / ".ci")
        for name in ("Makefile", "pyproject.toml", "requirements.lock"):
            shutil.copy(ROOT / name, folder / name)
        for name in ("edgenet/model/a.py", "edgenet/export/a.py", "edgenet/images.py", "edgenet/bundled.py"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        (folder / "calibration_data").mkdir()
        (folder / "calibration_data/a.png").touch()
        self._write(folder / "fake_edgenet", EDGENET)
        for tool in TOOLS:
            (programs / tool).symlink_to(shutil.which(tool))

    def python(self, name: str, prelude: str = "") -> Path:
        """Put a stand-in for Python on PATH."""
        return self._write(self.programs / name, PYTHON.format(python=sys.executable, prelude=prelude))

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        """Run make. variables: what else is in its environment."""
        # None of the variables and flags of the `make` that may run this test.
        environment = {"PATH": str(self.programs), "LC_ALL": "C", **variables}
        return subprocess.run(["make", *arguments], cwd=self.folder, env=environment, capture_output=True, text=True)

    def log(self) -> list[str]:
        """What the stand-ins were asked for since the last call."""
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def words(self) -> list[str]:
        """What edgenet was asked for last, word by word."""
        return (self.folder / "words").read_text().splitlines()

    @staticmethod
    def _write(path: Path, text: str) -> Path:
        path.write_text(text)
        path.chmod(0o755)
        return path


@pytest.fixture
def copy(tmp_path) -> Copy:
    # `make` must not mind the space.
    folder, programs = tmp_path / "a checkout", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    return Copy(folder, programs)


@pytest.fixture
def installed(copy) -> Copy:
    """A copy in which `make export` has been run."""
    copy.python("python3", version(3, 12))
    assert copy.make("export").returncode == 0
    copy.log()
    return copy


def error_of(done: subprocess.CompletedProcess) -> str:
    """The one error line of a `make` that failed as it should."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.returncode != 0
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return errors[0].removeprefix("Error: ")


# help


def test_help_is_the_default_and_lists_every_target(copy):
    done = copy.make()
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert done.stdout == copy.make("help").stdout
    for target in TARGETS:
        assert re.search(rf"^  make {target} +\w", done.stdout, re.MULTILINE), target
    assert not (copy.folder / ".venv").exists()


# Which Python


@pytest.mark.parametrize(
    ("target", "prelude", "found"),
    [
        ("benchmark", version(2, 7), "got Python 2.7;"),
        ("benchmark", version(3, 9), "got Python 3.9;"),
        ("export", version(3, 14), "got Python 3.14;"),
        ("export", 'import sys; sys.modules["venv"] = None', "without venv; sudo apt install python3-venv"),
        ("export", 'import sys; sys.modules["ensurepip"] = None', "without venv; sudo apt install python3-venv"),
        ("export", "import sys; sys.maxsize = 2**31 - 1", "got a 32-bit Python;"),
        ("export", 'import platform; platform.machine = lambda: "riscv64"', " riscv64;"),
        ("export", "raise SystemExit(1)", "python3, which does not run;"),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_a_python_that_will_not_do(copy, target, prelude, found, named):
    if "riscv64" in found:
        prelude += '; platform.system = lambda: "Linux"'
    copy.python("python3", prelude)
    error = error_of(copy.make(target, *(["PYTHON=python3"] if named else [])))
    assert error.startswith("expected Python 3.10 to 3.13, got ")
    assert found in error
    assert copy.log() == []
    assert not (copy.folder / ".venv").exists()


def test_no_python_at_all(copy):
    assert error_of(copy.make("benchmark")).startswith("expected Python 3.10 to 3.13, got no program python3; ")
    assert not (copy.folder / ".venv").exists()


def test_a_python_that_is_not_there(copy):
    copy.python("python3")  # another one than the one that is named is not taken
    error = error_of(copy.make("export", "PYTHON=python3.99"))
    assert error.startswith("expected Python 3.10 to 3.13, got no program python3.99; ")
    assert not (copy.folder / ".venv").exists()


def test_the_device_side_takes_a_newer_python(copy):
    copy.python("python3", version(3, 15))
    assert error_of(copy.make("benchmark", "BUNDLE=mine")).startswith("expected Python 3.10 to 3.14, got Python 3.15")
    copy.python("python3", version(3, 14))
    assert copy.make("benchmark", "BUNDLE=mine").returncode == 0


def test_the_laptop_side_in_a_venv_of_a_python_for_the_device_alone(copy):
    copy.python("python3", version(3, 14))
    assert copy.make("benchmark", "BUNDLE=mine").returncode == 0
    error = error_of(copy.make("export"))
    assert error.startswith("expected Python 3.10 to 3.13 in .venv, got one for the device side only")


@pytest.mark.parametrize("minor", [10, 13])
def test_the_oldest_and_the_newest_python_do(copy, minor):
    copy.python("python3", version(3, minor))
    assert copy.make("export").returncode == 0
    assert copy.log()[0] == "venv"


def test_another_python_is_looked_for(copy):
    copy.python("python3", version(3, 9))
    copy.python("python3.12", version(3, 12))
    assert copy.make("export").returncode == 0
    assert (copy.folder / ".venv/bin/python").read_text() == (copy.programs / "python3.12").read_text()


def test_a_python_in_a_folder_with_a_space(copy):
    folder = copy.folder / "my pythons"
    folder.mkdir()
    shutil.move(copy.python("another"), folder / "another")
    done = copy.make("export", f"PYTHON={folder / 'another'}")
    assert done.returncode == 0, done.stderr


def test_a_place_that_cannot_be_written(copy):
    copy.python("python3", version(3, 12))
    (copy.folder / "a_file").touch()
    error = error_of(copy.make("export", "VENV=a_file/venv"))
    assert error.startswith("a_file/venv cannot be created, since its folder is not writable; ")


# What is installed, and when


def test_the_laptop_side_installs_from_the_lock(copy):
    copy.python("python3", version(3, 12))
    assert copy.make("export").returncode == 0
    venv, device, package, laptop, export = copy.log()
    assert venv == "venv"
    assert device.endswith("--require-hashes -r .venv/device.txt")
    assert package.endswith("--no-deps --no-build-isolation --editable .")
    assert laptop.endswith("--require-hashes -r requirements.lock")
    assert export == "edgenet export --out build/mobilenet_v1_0.5_96"


def test_the_device_side_installs_no_tensorflow(copy):
    copy.python("python3", version(3, 12))
    done = copy.make("benchmark", "BUNDLE=my bundle", "BENCHMARK_FLAGS=--rounds 3")
    assert done.returncode == 0, done.stderr
    log = copy.log()
    assert not any("requirements.lock" in line for line in log)
    assert log[-1] == "edgenet benchmark my bundle --report --rounds 3"
    installed = (copy.folder / ".venv/device.txt").read_text()
    pinned = set(re.findall(r"^([a-z0-9._-]+)==", installed, re.MULTILINE))
    assert {"ai-edge-litert", "numpy", "pillow"} <= pinned
    assert not {"tensorflow", "keras", "tflite-support"} & pinned
    # The laptop side can still be added to it.
    assert copy.make("export").returncode == 0
    assert any(line.endswith("-r requirements.lock") for line in copy.log())


def test_an_install_that_failed_is_begun_anew(copy):
    copy.python("python3", version(3, 12))
    (copy.folder / "no_network").touch()
    error = error_of(copy.make("export"))
    assert error.startswith("installing from requirements.lock failed (see above); ")
    assert not any(line.startswith("edgenet") for line in copy.log())
    assert copy.make("-q", "export").returncode == 1
    (copy.folder / "no_network").unlink()
    (copy.folder / ".venv/of_the_failed_one").touch()
    assert copy.make("export").returncode == 0
    assert copy.log()[0] == "venv"
    assert not (copy.folder / ".venv/of_the_failed_one").exists()


def test_a_new_lock_is_installed_into_the_venv_that_is_there(installed):
    for stamp in ("laptop", "device"):
        age(installed.folder / ".venv" / stamp)
    assert installed.make("export").returncode == 0
    log = installed.log()
    assert any(line.endswith("-r requirements.lock") for line in log)
    assert "venv" not in log


# Nothing is done twice


def age(path: Path) -> None:
    """Make a file older than whatever it is made of."""
    os.utime(path, (0, 0))


def test_a_second_export_does_nothing(installed):
    assert installed.make("-q", "export").returncode == 0
    done = installed.make("-n", "export")
    assert "edgenet" not in done.stdout
    assert "install" not in done.stdout
    installed.make("export")
    assert installed.log() == []


def test_a_benchmark_after_it_only_measures(installed):
    assert installed.make("benchmark").returncode == 0
    assert installed.log() == ["edgenet benchmark build/mobilenet_v1_0.5_96 --report"]


@pytest.mark.parametrize("changed", ["edgenet/model/a.py", "edgenet/images.py", "calibration_data/a.png"])
def test_what_the_bundle_is_made_of_makes_it_again(installed, changed):
    assert installed.make("-q", "export").returncode == 0
    os.utime(installed.folder / changed)
    assert installed.make("export").returncode == 0
    assert installed.log() == ["edgenet export --out build/mobilenet_v1_0.5_96"]


def test_export_flags_force_an_export(installed):
    assert installed.make("export", "EXPORT_FLAGS=--variants int8").returncode == 0
    assert installed.log() == ["edgenet export --out build/mobilenet_v1_0.5_96 --variants int8"]


def test_an_export_that_failed_is_done_again(copy):
    copy.python("python3", version(3, 12))
    (copy.folder / "broken").touch()
    assert copy.make("export").returncode != 0
    (copy.folder / "broken").unlink()
    copy.log()
    assert copy.make("export").returncode == 0
    assert copy.log() == ["edgenet export --out build/mobilenet_v1_0.5_96"]


def test_other_places(copy):
    copy.python("python3", version(3, 12))
    done = copy.make("benchmark", "VENV=there/venv", "BUILD=there/build")
    assert done.returncode == 0, done.stderr
    assert copy.log()[-2:] == [
        "edgenet export --out there/build/mobilenet_v1_0.5_96",
        "edgenet benchmark there/build/mobilenet_v1_0.5_96 --report",
    ]
    assert not (copy.folder / ".venv").exists()
    assert not (copy.folder / "build").exists()


def test_the_other_targets_run_their_program(installed):
    assert installed.make("test").returncode == 0
    assert installed.make("train", "TRAIN_FLAGS=--data mine").returncode == 0
    assert installed.make("train", "DATA=my photos/").returncode == 0
    tests = "python -m pytest -q -n 2 --dist loadfile"
    trained = "edgenet train my photos/ --out build/train/my photos"
    assert installed.log() == [tests, "edgenet train --out build/train --data mine", trained]


# Models of one's own


@pytest.mark.parametrize(
    ("variables", "folder", "options"),
    [
        ({"WEIGHTS": "imagenet"}, "mobilenet_v1_1_224", ["--weights", "imagenet"]),
        (
            {"WEIGHTS": "imagenet", "ALPHA": "0.75", "SIZE": "160"},
            "mobilenet_v1_0.75_160",
            ["--weights", "imagenet", "--alpha", "0.75", "--size", "160"],
        ),
        (
            {"WEIGHTS": "my nets/mine_96.weights.h5", "ALPHA": "0.5", "LABELS": "my nets/labels.txt"},
            "mine_96",
            ["--weights", "my nets/mine_96.weights.h5", "--alpha", "0.5", "--labels", "my nets/labels.txt"],
        ),
        ({"MODEL": "my nets/a net.keras"}, "a_net", ["--model", "my nets/a net.keras"]),
        ({"MODEL": "my nets/two  spaces.h5"}, "two__spaces", ["--model", "my nets/two  spaces.h5"]),
        ({"MODEL": "Ann's net.keras"}, None, ["--model", "Ann's net.keras"]),
        ({"MODEL": "nets/v1.2 (last), new;.keras"}, None, ["--model", "nets/v1.2 (last), new;.keras"]),
        ({"MODEL": "saved net"}, "saved_net", ["--model", "saved net"]),
        (
            {"MODEL": "a.keras", "CALIBRATION": "my photos", "EVALUATION": "other photos", "TRUTH": "the truth.txt"},
            "a",
            [
                *("--model", "a.keras", "--calibration", "my photos"),
                *("--evaluation", "other photos", "--truth", "the truth.txt"),
            ],
        ),
        ({"CALIBRATION": "my photos"}, "mobilenet_v1_0.5_96", ["--calibration", "my photos"]),
        (
            {"MODEL": "a.keras", "EXPORT_FLAGS": "--variants int8 --io int8"},
            "a",
            ["--model", "a.keras", "--variants", "int8", "--io", "int8"],
        ),
    ],
)
def test_variables_become_options_of_export_word_by_word(installed, variables, folder, options):
    given = [f"{name}={value}" for name, value in variables.items()]
    done = installed.make("export", *given)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    verb, out, place, *words = installed.words()
    assert (verb, out) == ("export", "--out")
    assert words == options
    if folder:
        assert place == f"build/{folder}"
    assert (installed.folder / place / "manifest.json").exists()
    installed.log()
    # Nothing of it is done again for a measurement, which is of that bundle.
    assert installed.make("benchmark", *given).returncode == 0
    assert installed.log() == [f"edgenet benchmark {place} --report"]


def test_export_makes_a_model_of_ones_own_again_and_benchmark_does_not(installed):
    export = "edgenet export --out build/mine --model mine.keras"
    benchmark = "edgenet benchmark build/mine --report"
    assert installed.make("benchmark", "MODEL=mine.keras").returncode == 0
    assert installed.log() == [export, benchmark]
    assert installed.make("benchmark", "MODEL=mine.keras").returncode == 0
    assert installed.log() == [benchmark]
    for _ in range(2):
        assert installed.make("export", "MODEL=mine.keras").returncode == 0
        assert installed.log() == [export]


def test_another_wish_for_the_same_bundle_makes_it_again(installed):
    assert installed.make("benchmark", "MODEL=a/mine.keras").returncode == 0
    assert installed.make("benchmark", "MODEL=b/mine.keras").returncode == 0
    assert installed.log()[2:] == [
        "edgenet export --out build/mine --model b/mine.keras",
        "edgenet benchmark build/mine --report",
    ]
    assert installed.make("benchmark", "MODEL=b/mine.keras", "CALIBRATION=photos").returncode == 0
    assert installed.log()[0] == "edgenet export --out build/mine --model b/mine.keras --calibration photos"


def test_a_model_of_ones_own_leaves_the_bundled_one_alone(installed):
    assert installed.make("benchmark", "WEIGHTS=imagenet").returncode == 0
    installed.log()
    assert installed.make("-q", "export").returncode == 0
    assert installed.make("benchmark").returncode == 0
    assert installed.log() == ["edgenet benchmark build/mobilenet_v1_0.5_96 --report"]


def test_a_failed_export_of_a_model_of_ones_own_is_not_measured(installed):
    (installed.folder / "broken").touch()
    assert installed.make("benchmark", "MODEL=mine.keras").returncode != 0
    assert installed.log() == ["edgenet export --out build/mine --model mine.keras"]
    (installed.folder / "broken").unlink()
    assert installed.make("benchmark", "MODEL=mine.keras").returncode == 0
    assert len(installed.log()) == 2


def test_flags_with_quotes_are_the_same_flags_the_next_time(installed):
    flags = "EXPORT_FLAGS=--calibration 'my photos'"
    for _ in range(2):
        assert installed.make("export", flags).returncode == 0
    assert installed.log() == ["edgenet export --out build/mobilenet_v1_0.5_96 --calibration my photos"]


@pytest.mark.parametrize("name", ["MODEL", "WEIGHTS", "ALPHA", "SIZE", "LABELS", "CALIBRATION", "EVALUATION", "TRUTH"])
def test_variables_of_the_environment_mean_nothing(installed, name):
    assert installed.make("-q", "export", **{name: "0.5"}).returncode == 0
    assert installed.make("benchmark", "MODEL=mine.keras", **{name: "0.5"}).returncode == 0
    assert installed.log() == [
        "edgenet export --out build/mine --model mine.keras",
        "edgenet benchmark build/mine --report",
    ]


def test_clean_removes_what_make_made_and_nothing_else(installed):
    (installed.folder / "mine").touch()
    assert installed.make("clean").returncode == 0
    left = {path.name for path in installed.folder.iterdir()}
    assert {"mine", "Makefile", "edgenet"} <= left
    assert not {".venv", "build"} & left
