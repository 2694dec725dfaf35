"""What XNNPACK, LiteRT's delegate for CPUs, takes of a .tflite file."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from edgenet.errors import EdgenetError, first_line
from edgenet.litert import child
from edgenet.quiet import quiet

MODULE = "edgenet.litert.delegate"
# XNNPACK has no kernels for these between 8-bit tensors, in any file: finding them elsewhere proves nothing.
NEVER_DELEGATED = ("QUANTIZE", "SOFTMAX")


def ready(model: Path | bytes, shape: tuple[int, int, int] | None = None, delegate: bool = True):
    """An interpreter of a .tflite file, or of its bytes, with its tensors allocated.

    shape: height, width and channels where the file leaves them free.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    without = {} if delegate else {"experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    with quiet():  # the runtime announces each delegate on stderr
        content = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
        interpreter = Interpreter(**content, **without)
        for details in interpreter.get_input_details() if shape else ():
            signature = details["shape_signature"].tolist()
            if -1 in signature:
                sides = [there if there > 0 else here for there, here in zip(signature, (1, *shape), strict=True)]
                interpreter.resize_tensor_input(details["index"], sides)
        interpreter.allocate_tensors()
    return interpreter


def operators(model: Path | bytes, shape: tuple[int, int, int] | None = None) -> tuple[int, list[str]]:
    """How many operators a .tflite file has, and the names of those that XNNPACK leaves to LiteRT's own kernels."""
    nodes = ready(model, shape)._get_ops_details()  # there is no public way
    own, taken = [node for node in nodes if node["op_name"] != "DELEGATE"], set()
    # Operators stay listed, in the order of the data; a delegate stands for those between its inputs and its outputs.
    for delegate in (node for node in nodes if node["op_name"] == "DELEGATE"):
        wanted = set(delegate["outputs"])
        for node in reversed(own):
            if wanted & set(node["outputs"]):
                taken.add(node["index"])
                wanted |= set(node["inputs"]) - set(delegate["inputs"])
    return len(own), [node["op_name"] for node in own if node["index"] not in taken]


def operators_apart(files: Mapping[str, Path]) -> dict[str, tuple[int, list[str]]]:
    """As `operators`, of some files by their names, in a process of its own: a damaged file may crash it.

    Without files, it shows that LiteRT can be loaded. Raises EdgenetError when it cannot, or when a file cannot.
    """
    request = {"files": {name: str(path) for name, path in files.items()}}
    with closing(child.Child(MODULE, request, ", ".join(request["files"].values()) or "LiteRT")) as process:
        return {name: (count, left) for name, (count, left) in process.receive().items()}


def check_delegation(variant: str, data: bytes, stock: Callable[[], bytes]) -> None:
    """Check that XNNPACK, LiteRT's delegate for CPUs, runs at least what it runs of the stock converter's file.

    data: the .tflite file of `variant`. stock: makes the stock converter's file of the same model; it is called only
    where an operator of `data`, of a kind that XNNPACK has kernels for, is not run by XNNPACK.

    Raises EdgenetError with the kinds of operators that XNNPACK runs there and not here, or when LiteRT does not load
    the file.
    """
    ours = _not_delegated(variant, data)
    if variant == "int8":
        for kind in NEVER_DELEGATED:
            ours.pop(kind, None)
    slower = ours - _not_delegated(variant, stock()) if ours else ours
    if slower:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(slower.items()))
        raise EdgenetError(
            f"{variant}: XNNPACK does not run {kinds} of this file, but does in the stock converter's, which is "
            "therefore faster; please report this model, and use the stock quantizer until it is fixed"
        )


def _not_delegated(variant: str, data: bytes) -> Counter:
    try:
        return Counter(operators(data)[1])
    except (ValueError, RuntimeError) as error:
        raise EdgenetError(f"{variant}: LiteRT cannot load the exported file: {first_line(error)}") from error


def _answer(request: dict) -> tuple[dict, None]:
    import ai_edge_litert.interpreter  # noqa: F401  whether it can be loaded is the first question

    return {name: operators(Path(path)) for name, path in request["files"].items()}, None


if __name__ == "__main__":
    child.serve(_answer)
