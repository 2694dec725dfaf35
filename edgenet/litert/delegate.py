"""Which operators of a .tflite file XNNPACK, LiteRT's delegate for CPUs, runs."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenet.errors import EdgenetError, first_line
from edgenet.litert import child
from edgenet.quiet import quiet
from edgenet.records.enums import Variant

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

MODULE = "edgenet.litert.delegate"
# XNNPACK has no kernels for these between 8-bit tensors, in any file.
NEVER_DELEGATED = ("QUANTIZE", "SOFTMAX")


def load_interpreter(
    model: Path | bytes, shape: tuple[int, int, int] | None = None, delegate: bool = True
) -> "Interpreter":
    """Load a `.tflite` file and allocate its tensors.

    Args:
        model: The file, or its bytes.
        shape: Height, width and channels of the input, for a file that leaves them free.
        delegate: Whether to use XNNPACK.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    options: dict[str, Any] = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    if not delegate:
        options["experimental_op_resolver_type"] = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with quiet():  # LiteRT prints each delegate on stderr
        interpreter = Interpreter(**options)
        for details in interpreter.get_input_details() if shape else ():
            signature = details["shape_signature"].tolist()
            if shape and -1 in signature:
                sides = [fixed if fixed > 0 else side for fixed, side in zip(signature, (1, *shape), strict=True)]
                interpreter.resize_tensor_input(details["index"], sides)
        interpreter.allocate_tensors()
    return interpreter


def inspect_delegation(model: Path | bytes, shape: tuple[int, int, int] | None = None) -> tuple[int, list[str]]:
    """Find the operators that XNNPACK does not run.

    Args:
        model: A `.tflite` file, or its bytes.
        shape: Height, width and channels of the input, for a file that leaves them free.

    Returns:
        The number of operators in the file, and the names of those that LiteRT's own kernels run.
    """
    nodes = load_interpreter(model, shape)._get_ops_details()  # there is no public function for this
    operators, delegated = [node for node in nodes if node["op_name"] != "DELEGATE"], set()
    # Delegated operators stay listed, in the order of execution; a delegate node replaces those between its inputs and
    # its outputs.
    for delegate in (node for node in nodes if node["op_name"] == "DELEGATE"):
        tensors = set(delegate["outputs"])
        for node in reversed(operators):
            if tensors & set(node["outputs"]):
                delegated.add(node["index"])
                tensors |= set(node["inputs"]) - set(delegate["inputs"])
    return len(operators), [node["op_name"] for node in operators if node["index"] not in delegated]


def inspect_files(files: Mapping[str, Path]) -> dict[str, tuple[int, list[str]]]:
    """Run `inspect_delegation` on several files in a child process, which a corrupt file may crash.

    Args:
        files: `.tflite` files by name. Without any, the call checks that LiteRT can be loaded.

    Returns:
        The result of `inspect_delegation`, by name.

    Raises:
        EdgenetError: LiteRT, or one of the files, cannot be loaded.
    """
    request = {"files": {name: str(path) for name, path in files.items()}}
    with closing(child.Child(MODULE, request, ", ".join(request["files"].values()) or "LiteRT")) as process:
        return {name: (count, undelegated) for name, (count, undelegated) in process.receive().items()}


def check_delegation(variant: str, data: bytes, stock: Callable[[], bytes]) -> None:
    """Check that XNNPACK runs at least the operators that it runs of the stock converter's file.

    Args:
        variant: The name of the variant.
        data: Its `.tflite` file.
        stock: Makes the stock converter's file of the same model. It is called only if XNNPACK does not run an operator
            of `data` for which it has a kernel.

    Raises:
        EdgenetError: XNNPACK runs more of the stock file, or LiteRT cannot load the file.
    """
    undelegated = _undelegated(variant, data)
    if variant == Variant.INT8:
        for kind in NEVER_DELEGATED:
            undelegated.pop(kind, None)
    slower = undelegated - _undelegated(variant, stock()) if undelegated else undelegated
    if slower:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(slower.items()))
        raise EdgenetError(
            f"{variant}: XNNPACK does not run {kinds} of this file, but does in the stock converter's, which is "
            'therefore faster. Please report this model; quantizer="stock" exports it until this is fixed'
        )


def _undelegated(variant: str, data: bytes) -> Counter[str]:
    try:
        return Counter(inspect_delegation(data)[1])
    except (ValueError, RuntimeError) as error:
        raise EdgenetError(f"{variant}: LiteRT cannot load the exported file: {first_line(error)}") from error


def _answer(request: dict[str, Any]) -> tuple[dict[str, tuple[int, list[str]]], None]:
    import ai_edge_litert.interpreter  # noqa: F401  checks that it can be loaded, even without files

    return {name: inspect_delegation(Path(path)) for name, path in request["files"].items()}, None


if __name__ == "__main__":
    child.serve(_answer)
