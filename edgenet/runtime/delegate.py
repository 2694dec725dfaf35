"""What XNNPACK, LiteRT's delegate for CPUs, takes of a .tflite file."""

from pathlib import Path

from edgenet.terminal import quiet


def ready(path: Path, shape: tuple[int, int, int] | None = None, delegate: bool = True):
    """An interpreter with its tensors allocated. shape: height, width and channels where the file leaves them free."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    without = {} if delegate else {"experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    with quiet():  # the runtime announces each delegate on stderr
        interpreter = Interpreter(model_path=str(path), **without)
        for details in interpreter.get_input_details() if shape else ():
            signature = details["shape_signature"].tolist()
            if -1 in signature:
                sides = [there if there > 0 else here for there, here in zip(signature, (1, *shape), strict=True)]
                interpreter.resize_tensor_input(details["index"], sides)
        interpreter.allocate_tensors()
    return interpreter


def operators(path: Path, shape: tuple[int, int, int] | None = None) -> tuple[int, list[str]]:
    """How many operators a .tflite file has, and the names of those that XNNPACK leaves to LiteRT's own kernels."""
    nodes = ready(path, shape)._get_ops_details()  # there is no public way
    own, taken = [node for node in nodes if node["op_name"] != "DELEGATE"], set()
    # Operators stay listed, in the order of the data; a delegate stands for those between its inputs and its outputs.
    for delegate in (node for node in nodes if node["op_name"] == "DELEGATE"):
        wanted = set(delegate["outputs"])
        for node in reversed(own):
            if wanted & set(node["outputs"]):
                taken.add(node["index"])
                wanted |= set(node["inputs"]) - set(delegate["inputs"])
    return len(own), [node["op_name"] for node in own if node["index"] not in taken]
