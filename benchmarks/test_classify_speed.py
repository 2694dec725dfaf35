"""From the shell to the first answer: `edgenet classify` beside a bare script."""

import subprocess
import sys
import time
from pathlib import Path

from intervals import check, of_median

ROUNDS = 15

# What anybody would write: no labels, no metadata, no corrupt file, and a resize that the model was not trained with.
SCRIPT = """
import sys
import numpy as np
from PIL import Image
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(model_path=sys.argv[1])
interpreter.allocate_tensors()
(image,), (scores,) = interpreter.get_input_details(), interpreter.get_output_details()
_, height, width, _ = image["shape"]
pixels = np.asarray(Image.open(sys.argv[2]).convert("RGB").resize((width, height), Image.Resampling.BILINEAR))
interpreter.set_tensor(image["index"], pixels[None])
interpreter.invoke()
print(interpreter.get_tensor(scores["index"])[0].argmax())
"""


def test_first_answer_at_most_three_times_a_bare_script(benchmark, bundle, paths, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    arguments = [str(bundle.file("int8.tflite")), str(paths[0])]
    commands = {
        "bare": [sys.executable, str(tmp_path / "script.py"), *arguments],
        "edgenet": [str(Path(sys.executable).parent / "edgenet"), "classify", *arguments],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}

    def run(name: str) -> None:
        begun = time.perf_counter()
        subprocess.run(commands[name], check=True, stdout=subprocess.DEVNULL)
        seconds[name].append(time.perf_counter() - begun)

    for name in commands:  # the files are in the disk cache after this
        run(name)
        seconds[name].clear()
    # Alternating, so that whatever slows the machine meets both.
    benchmark.pedantic(lambda: run("edgenet"), setup=lambda: run("bare"), rounds=ROUNDS)
    ratio = of_median([ours / bare for ours, bare in zip(seconds["edgenet"], seconds["bare"], strict=True)])
    benchmark.extra_info["edgenet, in multiples of a bare script"] = str(ratio)
    check("classify: time to the first answer, in multiples of a bare script's", ratio, most=3)
