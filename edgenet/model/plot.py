"""Draws the network: its layers from top to bottom, with the cost of each."""

from io import BytesIO
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.model import cost
from edgenet.records import ModelSpec

FORMATS = (".png", ".svg")
_COLOURS = {"stem": "#7b6fb0", "depthwise": "#4c9f9a", "pointwise": "#e0a13c", "pool": "#9a9a9a", "logits": "#c8574e"}


def plot(spec: ModelSpec, path: Path) -> bytes:
    """Draw a MobileNetV1.

    Args:
        spec: The network.
        path: Its suffix decides the format, .png or .svg. Nothing is written.

    Returns:
        The bytes of the image file, always the same for the same network.

    Raises:
        EdgenetError: The suffix is another, or Matplotlib is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise EdgenetError(f"must end in {' or '.join(FORMATS)}, got {path.name!r}", parameter="plot")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EdgenetError(
            "needs Matplotlib; install it with pip install 'edgenet[export]'", parameter="plot"
        ) from error

    layers = cost.layers(spec)
    max_multiply_adds = max(layer.multiply_adds for layer in layers)
    max_parameters = max(layer.parameters for layer in layers)
    figure = Figure(figsize=(9, 0.3 * len(layers) + 1.2), layout="constrained")
    net, adds, parameters = figure.subplots(1, 3, sharey=True, width_ratios=(3, 2, 2))
    for row, layer in enumerate(layers):
        colour = _COLOURS[layer.name.split("_")[-1] if layer.name.startswith("block") else layer.name.split("_")[0]]
        net.barh(row, 1, height=0.8, color=colour)
        net.text(0.03, row, layer.name, va="center", color="white", fontsize=9)
        net.text(0.97, row, " x ".join(map(str, layer.shape)), va="center", ha="right", color="white", fontsize=9)
        for axes, value, limit in (
            (adds, layer.multiply_adds, max_multiply_adds),
            (parameters, layer.parameters, max_parameters),
        ):
            axes.barh(row, value, height=0.8, color=colour)
            axes.text(value + 0.02 * limit, row, f"{value:,}", va="center", fontsize=8)
            axes.set_xlim(0, 1.35 * limit)
    for axes, title in ((net, "layer and its output"), (adds, "multiply-adds"), (parameters, "parameters")):
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    net.set_xlim(0, 1)
    net.set_ylim(len(layers) - 0.4, -0.6)  # the first layer at the top
    figure.suptitle(f"{spec.name}, input {spec.size} x {spec.size} x 3, {spec.classes} classes", fontsize=12)

    buffer = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "edgenet"}):  # the same bytes each time
        figure.savefig(buffer, format=suffix[1:], dpi=150, metadata={"Date": None} if suffix == ".svg" else None)
    return buffer.getvalue()
