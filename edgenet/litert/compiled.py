"""LiteRT's CompiledModel, the interface that its own benchmark and new mobile apps use, as something to time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.options import CpuOptions, Options

from edgenet.errors import EdgenetError, first_line
from edgenet.quiet import quiet


def inference(path: Path, image: np.ndarray, threads: int) -> Callable[[], None]:
    """Load a .tflite file for the CPU, set its input, and return what runs one inference.

    image: the input tensor, in the dtype and shape that the file takes. Raises EdgenetError when it cannot be run.
    """
    with quiet():  # the runtime announces each accelerator on stderr
        try:
            options = Options(HardwareAccelerator.CPU, cpu_options=CpuOptions(num_threads=threads))
            model = CompiledModel.from_file(str(path), options=options)
            inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
            inputs[0].write(np.ascontiguousarray(image).ravel())
        except (ValueError, RuntimeError) as error:
            raise EdgenetError(
                f"{path}: expected a model for LiteRT's CompiledModel, found: {first_line(error)}"
            ) from error
    return lambda: model.run_by_index(0, inputs, outputs)
