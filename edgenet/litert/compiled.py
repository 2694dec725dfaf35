"""LiteRT's CompiledModel: the API that its own benchmark tool and new mobile apps use."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.options import CpuOptions, Options

from edgenet.errors import EdgenetError, first_line
from edgenet.quiet import quiet


def inference(path: Path, image: np.ndarray, threads: int) -> Callable[[], None]:
    """Load a `.tflite` file for the CPU and set its input.

    Args:
        path: The file.
        image: The input tensor, in the dtype and shape of the file's input.
        threads: CPU threads.

    Returns:
        A function that runs one inference.

    Raises:
        EdgenetError: LiteRT cannot run the file.
    """
    with quiet():  # LiteRT prints each accelerator on stderr
        try:
            options = Options(HardwareAccelerator.CPU, cpu_options=CpuOptions(num_threads=threads))
            model = CompiledModel.from_file(str(path), options=options)
            inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
            inputs[0].write(np.ascontiguousarray(image).ravel())
        except (ValueError, RuntimeError) as error:
            raise EdgenetError(f"{path}: LiteRT's CompiledModel cannot run this file: {first_line(error)}") from error
    return lambda: model.run_by_index(0, inputs, outputs)
