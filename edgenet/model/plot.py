"""A drawing of the network: its layers from top to bottom, with what each of them costs."""

from io import BytesIO
from pathlib import Path

from edgenet.errors import EdgenetError
from edgenet.model import cost
from edgenet.records import ModelSpec

FORMATS = (".png", ".svg")
_COLOURS = {"stem": "#7b6fb0", "depthwise": "#4c9f9a", "pointwise": "#e0a13c", "pool": "#9a9a9a", "logits": "#c8574e"}


def plot(spec: ModelSpec, path: Path) -> bytes:
    """The drawing as the bytes of a .png or .svg, by the ending of `path`.

    Raises EdgenetError for another ending, or without Matplotlib.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise EdgenetError(f"--plot: expected a file that ends in {' or '.join(FORMATS)}, found {path.name!r}")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EdgenetError(
            "--plot: expected Matplotlib, found none; install it with pip install 'edgenet[export]'"
        ) from error

    layers = cost.layers(spec)
    most = max(layer.multiply_adds for layer in layers)
    largest = max(layer.parameters for layer in layers)
    figure = Figure(figsize=(9, 0.3 * len(layers) + 1.2), layout="constrained")
    net, adds, parameters = figure.subplots(1, 3, sharey=True, width_ratios=(3, 2, 2))
    for row, layer in enumerate(layers):
        colour = _COLOURS[layer.name.split("_")[-1] if layer.name.startswith("block") else layer.name.split("_")[0]]
        net.barh(row, 1, height=0.8, color=colour)
        net.text(0.03, row, layer.name, va="center", color="white", fontsize=9)
        net.text(0.97, row, " x ".join(map(str, layer.shape)), va="center", ha="right", color="white", fontsize=9)
        for axes, value, limit in ((adds, layer.multiply_adds, most), (parameters, layer.parameters, largest)):
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
    with matplotlib.rc_context({"svg.hashsalt": "edgenet"}):  # the same drawing gives the same bytes
        figure.savefig(buffer, format=ending[1:], dpi=150, metadata={"Date": None} if ending == ".svg" else None)
    return buffer.getvalue()
