"""The plan of a sweep: what it says, and every mistake in it with its line, before anything runs."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from drawn_images import draw

from edgenet.errors import EdgenetError
from edgenet.images import bundled
from edgenet.sweep import plan as plans
from edgenet.sweep.plan import BenchmarkPlan, DevicePlan
from edgenet.sweep.plan_models import Source
from edgenet.sweep.plan_text import init_text

MODEL = '[[models]]\nweights = "bundled"\n'


@pytest.fixture
def read(tmp_path):
    """Read a plan with this text."""

    def read_text(text: str) -> plans.Plan:
        (tmp_path / "sweep.toml").write_text(text, encoding="utf-8")
        return plans.read(tmp_path / "sweep.toml")

    return read_text


@pytest.fixture
def problems(read, tmp_path):
    """The mistakes in a plan with this text, as (line, text)."""

    def problems_of(text: str) -> list[tuple[int, str]]:
        with pytest.raises(EdgenetError) as raised:
            read(text)
        start = re.escape(f"{tmp_path / 'sweep.toml'}, line ")
        found = [re.fullmatch(rf"{start}(\d+): (.*)", line) for line in str(raised.value).splitlines()]
        return [(int(match[1]), match[2].replace(f"{tmp_path}/", "")) for match in found]

    return problems_of


def images(folder, count: int = 2):
    folder.mkdir(parents=True)
    for index in range(count):
        draw(np.random.default_rng(index), 32, 32).save(folder / f"{index}.png")
    return folder


def names(plan) -> list[str]:
    return [model.name for model in plan.models]


def test_a_family_is_one_model_for_each_width_and_size(read):
    plan = read(
        '[images]\ncalibration = "bundled"\n[[models]]\nweights = "imagenet"\nalpha = [0.25, 1]\nsize = [128, 224]'
    )
    assert names(plan) == [f"mobilenet_v1_{alpha}_{size}" for alpha in ("0.25", "1") for size in (128, 224)]
    assert [(one.alpha, one.size, one.classes) for one in plan.models][1] == (0.25, 224, 1000)
    # The table of the README that the checkpoints of 2017 came with.
    assert [model.published_accuracy for model in plan.models] == [0.413, 0.506, 0.641, 0.707]
    assert plan.models[0].spec.name == "mobilenet_v1_0.25_128"


def test_defaults(read, tmp_path):
    plan = read(MODEL)
    assert (plan.name, plan.source, plan.text) == ("sweep", tmp_path / "sweep.toml", MODEL.encode())
    assert plan.devices == (DevicePlan("here", local=True),)
    assert plan.benchmark == BenchmarkPlan()
    assert plan.export == {}
    assert plan.variants == ("float32", "float16", "dynamic", "int8")
    # The bundled weights bring the images and class names that they were trained on.
    assert (plan.images.calibration, plan.images.evaluation) == (bundled.CALIBRATION, bundled.EVALUATION)
    assert (plan.images.calibration_images, plan.images.evaluation_images) == (200, 1000)
    (model,) = plan.models
    assert (model.source, model.labels, model.published_accuracy) == (Source.BUNDLED, bundled.LABELS, None)


def test_everything(read, tmp_path):
    images(tmp_path / "cal", 3), images(tmp_path / "eval"), images(tmp_path / "test" / "ant", 4)
    for file in ("labels.txt", "truth.csv", "own.txt", "model.keras"):
        (tmp_path / file).write_text("ant\n")
    plan = read("""
name = "family"
[images]
calibration = "cal"
evaluation = "eval"
test = "test"
labels = "labels.txt"
truth = "truth.csv"
test_truth = "truth.csv"
[[models]]
file = "model.keras"
name = "mine"
size = [96, 128]
input_range = [0, 1]
channel_order = "BGR"
resize = "pad"
pad_color = "114,114,114"
drop_layer = "augment"
softmax = true
labels = "own.txt"
[[models]]
weights = "random"
name = "wide_{alpha}x{size}"
alpha = [1.0, 2]
size = 96
classes = 10
crop = 0.875
[[models]]
weights = "random"
name = "narrow"
alpha = [0.05, 0.1]
size = 96
classes = 10
[export]
variants = ["int8", "float32"]
keep_float = "until:block01_pointwise"
batch = 4
[benchmark]
threads = [4, 1, 4]
rounds = 3
seconds = 1
api = "compiled"
variants = "mixed"
[[devices]]
name = "laptop"
local = true
[[devices]]
name = "pi5"
[[devices]]
name = "pi4"
ssh = "pi@pi4.local"
command = ".venv/bin/edgenet"
""")
    assert plan.name == "family"
    assert names(plan) == ["mine", "wide_1x96", "wide_2x96", "narrow_0.05_96", "narrow_0.1_96"]
    mine, wide, *_ = plan.models
    assert (mine.source, mine.path, mine.labels, mine.alpha) == (
        Source.FILE,
        tmp_path / "model.keras",
        tmp_path / "own.txt",
        None,
    )
    assert mine.options == {
        **{"size": (96, 128), "input_range": (0, 1), "channel_order": "BGR", "resize": "pad"},
        **{"pad_color": "114,114,114", "drop_layer": ("augment",), "softmax": True},
    }
    assert (wide.labels, wide.options) == (tmp_path / "labels.txt", {"crop": 0.875})
    assert (plan.images.calibration_images, plan.images.evaluation_images) == (3, 2)
    assert [path.name for path in plan.images.test_images] == ["0.png", "1.png", "2.png", "3.png"]
    assert plan.images.truth == plan.images.test_truth == tmp_path / "truth.csv"
    assert plan.export["batch"] == 4
    assert plan.variants == ("int8", "float32", "mixed")
    assert plan.benchmark == BenchmarkPlan((4, 1), 3, 1.0, "compiled", False, ("mixed",))
    assert plan.devices == (
        DevicePlan("laptop", local=True, line=45),
        DevicePlan("pi5", line=48),
        DevicePlan("pi4", ssh="pi@pi4.local", command=".venv/bin/edgenet", line=50),
    )
    assert plan.rows == 15


@pytest.mark.parametrize("written", ["0.5", "1", "1.0"])
def test_weights_of_a_file_are_those_of_its_width_and_size(read, problems, tmp_path, written):
    alpha = float(written)
    if alpha == 0.5:
        shutil.copy(bundled.WEIGHTS, tmp_path / "w_0.5_96.npz")
        text = '[images]\ncalibration = "bundled"\n[[models]]\nweights = "w_{alpha}_{size}.npz"\nalpha = 0.5\nsize = 96'
        (model,) = read(text).models
        assert (model.name, model.source, model.classes) == ("mobilenet_v1_0.5_96", Source.WEIGHTS, 10)
        assert model.path == tmp_path / "w_0.5_96.npz"
        (_, text), *_ = problems(text.replace("alpha = 0.5", "alpha = 0.25"))
        assert text == ("`weights`: w_0.25_96.npz: no such file; check the path, or give imagenet, random or bundled")
    else:
        # People write the width 1 in two ways. What is found is read: this is no network.
        np.savez(tmp_path / f"w_{written}_96.npz", kernel=np.zeros((3, 3, 4, 8), np.float32))
        text = '[images]\ncalibration = "bundled"\n[[models]]\nweights = "w_{alpha}_{size}.npz"\nalpha = 1\nsize = 96'
        ((line, text),) = problems(text)
        assert line == 4
        assert text.startswith(f"`weights`: w_{written}_96.npz: not weights of MobileNetV1: the network has 1 conv")


def test_a_placeholder_needs_its_key(problems):
    found = problems('[images]\ncalibration = "bundled"\n[[models]]\nweights = "w_{alpha}.npz"')
    assert found == [(4, "`weights`: w_{alpha}.npz has {alpha}; give `alpha`")]


def test_every_mistake_is_named_with_its_line(problems):
    text = """nam = "family"
[images]
calibration = "nowhere"
evaluation = 3
test_truth = "test.csv"
[[models]]
weights = "imagenet"
alpha = [
  0.25,
  "0.5",
]
[[models]]
weights = "imagenet"
alpha = [0.3, 0.5]
size = 128
crop = 0.3
resize = "stretch"
[[models]]
weights = "bundled"
size = 128
"""
    assert problems(text) == [
        (1, "`nam`: unknown key; did you mean `name`?"),
        (3, "`calibration`: nowhere: no such folder; give a folder of images"),
        (4, "`evaluation`: expected a text on one line, got 3"),
        (5, "`test_truth`: test.csv: no such file; give a file with the class of each test image"),
        (10, '`alpha`: expected numbers, got "0.5"'),
        (
            13,
            "`weights`: there are ImageNet weights for alpha 0.25, 0.5, 0.75, 1.0 and size 128, 160, 192, 224, but not "
            "for alpha 0.3 and size 128",
        ),
        (16, "`crop`: only crops have a fraction, but `resize = stretch`; leave one out"),
        (20, "`size`: the bundled weights have 96, not 128; leave it out"),
    ]


def test_mistakes_of_the_other_tables(problems):
    text = f"""{MODEL}clases = 10
[export]
variant = ["float32"]
quantizer = "stok"
max_drift = 2
variants = []
[benchmark]
threads = [1, 0]
rounds = 0
seconds = true
[[devices]]
name = "a b"
[[devices]]
ssh = "-oProxyCommand=true"
[[devices]]
name = "pi"
command = "edgenet"
[[devices]]
name = "PI"
[[devices]]
name = "here"
local = false
"""
    assert problems(text) == [
        (3, "`clases`: unknown key with `weights`; did you mean `classes`?"),
        (5, "`variant`: unknown key; did you mean `variants`?"),
        (6, "`quantizer`: expected one of edgenet, stock, got 'stok'"),
        (7, "`max_drift`: expected a fraction from 0 to below 1, got 2"),
        (8, "`variants`: expected texts, got none; leave it out for the default"),
        (10, "`threads`: expected numbers from 1 to 1,024, got [1, 0]"),
        (11, "`rounds`: expected a number from 1 up, got 0"),
        (12, "`seconds`: expected a number, got true"),
        (
            14,
            "`name`: expected letters, digits, dots, underscores and hyphens, at most 100, with a letter or digit in "
            'front, got "a b"',
        ),
        (15, "a device without a name; give `name`"),
        (16, "`ssh`: expected a host, such as pi@pi4.local, got '-oProxyCommand=true'"),
        (19, "`command`: only devices with `ssh` have a command; leave it out"),
        (21, "a second device with the name PI, as in line 18; give one of them another `name`"),
        (24, "`local`: the name here is that of this machine; give the device another name"),
    ]


NAME = "expected letters, digits, dots, underscores and hyphens, at most 100, with a letter or digit in front"
BUNDLED = '[images]\ncalibration = "bundled"\n[[models]]\n'


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("", 1, "no models; add a table [[models]] with `weights`, `file` or `bundle`"),
        ("models = 3", 1, "`models`: expected tables, each of which begins with [[models]], got 3"),
        ("\n[models]", 2, "`models`: expected tables, each of which begins with [[models]], got {}"),
        ("images = []\n" + MODEL, 1, "`images`: expected a table, which begins with [images], got []"),
        ('[[models]]\nweights = "random"\nclasses = 9', 1, "no calibration images; give a folder as `calibration` in "
         '[images], or "bundled"'),
        (MODEL + "[[models]]", 3, "give one of `weights`, `file` and `bundle`"),
        (MODEL + 'file = "a.keras"', 1, "give one of `weights`, `file` and `bundle`, not weights and file"),
        (BUNDLED + 'weights = "random"\nclasses = 1', 5, "`classes`: must be an integer from 2 up, got 1"),
        (BUNDLED + 'weights = "random"', 4, "`weights`: random weights need a number of `classes`"),
        (BUNDLED + 'file = "a.keras"', 4, "`file`: a.keras: no such file or folder; check the path"),
        (BUNDLED + 'weights = "imagenet"\nclasses = 9', 5, "`classes`: the ImageNet weights have 1,000 classes, not 9; "
         "leave it out"),
        ('[[models]]\nbundle = "gone"', 2, "`bundle`: gone: not a bundle (no such folder); create one with "
         "`edgenet export`"),
        (MODEL + MODEL, 4, "a second model with the name mobilenet_v1_0.5_96, as in line 2; give one of them another "
         "`name`"),
        (MODEL + "alpha = [0.5, 0.5]", 2, "a second model with the name mobilenet_v1_0.5_96; give one of them another "
         "`name`"),
        (MODEL + 'name = "../up"', 3, f'`name`: {NAME}; or {{alpha}} and {{size}}; got "../up"'),
        ('name = """a\nb"""\n' + MODEL, 1, '`name`: expected a text on one line, got "a\\nb"'),
        ('name = "a."\n' + MODEL, 1, f'`name`: {NAME}, got "a."'),
        (MODEL + "alpha = 1" + "0" * 400, 3, f"`alpha`: expected numbers, got 1{'0' * 59}..."),
        (MODEL + f"alpha = {list(range(1, 300))}\nsize = {list(range(1, 300))}", 3, "`alpha`: expected at most 10,000 "
         "models, got 89,401"),
        (MODEL + '[export]\nvariants = ["int8", "mixed"]', 4, "`variants`: mixed: name the layers that stay in "
         "float32, with `keep_float`, or give `max_drift`"),
        (MODEL + '[export]\nvariants = ["int8"]\n[benchmark]\nvariants = ["float32"]', 6, "`variants`: expected some "
         "of int8, which are exported, got 'float32'"),
        (MODEL + '[[devices]]\nname = "a"\nlocal = true\n[[devices]]\nname = "here"', 6, "here is this machine, as a "
         "is; leave one of them out"),
        (MODEL + '[[devices]]\nname = "here"\nssh = "pi"', 5, "`ssh`: this device is this machine; leave `ssh` out, "
         "or give the device another name"),
    ],
)  # fmt: skip
def test_one_mistake(problems, text, line, expected):
    assert problems(text) == [(line, expected)]


def test_a_folder_with_one_image_is_not_split(problems, tmp_path):
    images(tmp_path / "cal", 1)
    (tmp_path / "none").mkdir()
    ((line, text),) = problems('[images]\ncalibration = "cal"\n' + MODEL)
    assert (line, text) == (
        2,
        "`calibration`: cal: 1 image; calibration and evaluation need at least 2 different images. Add some, or give "
        "`evaluation`",
    )
    ((line, text),) = problems('[images]\ncalibration = "none"\n' + MODEL)
    assert line == 2
    assert text.startswith("`calibration`: none: no images (")


def test_many_mistakes_are_counted(read):
    with pytest.raises(EdgenetError, match=r"and 25 more problems$") as raised:
        read(MODEL + "".join(f"wrong{number} = 1\n" for number in range(40)))
    assert len(str(raised.value).splitlines()) == 16


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a = 1\nb = \nc = 3", r", line 2: not TOML: invalid value"),
        (b"a = 1\na = 2", r", line 2: not TOML: cannot overwrite a value"),
        (b'a = "x', r", line 1: not TOML: unterminated string|, line 1: not TOML: "),
        (b"a = 1\nb = '\xff'", r", line 2: not UTF-8; save the file as UTF-8"),
        (b"a = " + b"[" * 100_000, r"too many brackets in each other|not TOML"),
        (b"a = 1" + b"0" * 5_000, r": not TOML: |`a`: unknown key"),
    ],
)
def test_what_is_not_toml(tmp_path, data, expected):
    (tmp_path / "sweep.toml").write_bytes(data)
    with pytest.raises(EdgenetError, match=expected):
        plans.read(tmp_path / "sweep.toml")


def test_files_of_windows_are_read(tmp_path):
    (tmp_path / "sweep.toml").write_bytes(b"\xef\xbb\xbf" + MODEL.replace("\n", "\r\n").encode())
    assert names(plans.read(tmp_path / "sweep.toml")) == ["mobilenet_v1_0.5_96"]


def test_a_plan_that_is_not_there(tmp_path):
    with pytest.raises(EdgenetError, match=r"sweep.toml: no such file; give a plan, or write one with init=True$"):
        plans.read(tmp_path / "sweep.toml")


def test_the_first_plan_works_as_it_is(read):
    plan = read(init_text())
    assert names(plan) == ["random_0.25_128", "random_0.5_128", "mobilenet_v1_0.5_96"]
    assert plan.devices == (DevicePlan("here", local=True, line=plan.devices[0].line),)


def test_what_is_commented_out_in_the_first_plan_works_too(read, tmp_path):
    for folder in ("images/evaluation", "images/test"):
        images(tmp_path / folder)
    for file in ("labels.txt", "truth.csv", "test.csv", "my_model.keras"):
        (tmp_path / file).write_text("ant\n")
    text = re.sub(r"^# (?=\[\[|[a-z_]+ = )", "", init_text(), flags=re.MULTILINE)
    # What is left out here needs files that take long to make.
    for start in ("mine/", "build/"):
        text = re.sub(rf'\[\[models\]\]\n\w+ = "{start}.*?\n\n', "", text, flags=re.DOTALL)
    plan = read(text)
    assert len(plan.models) == 2 + 1 + 16 + 1
    assert [device.name for device in plan.devices] == ["here", "pi5", "pi4"]
    assert plan.export["quantizer"] == "stock"
    assert plan.images.test_images


def test_reading_a_plan_needs_neither_tensorflow_nor_a_cluster(tmp_path):
    (tmp_path / "sweep.toml").write_text(init_text())
    code = """
import sys
from pathlib import Path
from edgenet.sweep import plan
plan.read(Path(sys.argv[1]))
print(sorted({"tensorflow", "keras", "dask", "distributed"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "sweep.toml")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
