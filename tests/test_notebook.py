"""The whole way in a Jupyter kernel: no error, and nothing printed but what was asked for."""

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

CELLS = [
    """
    import edgenet
    model = edgenet.mobilenet_v1(size=32, alpha=0.25, classes=3)
    """,
    """
    import numpy as np
    import tensorflow as tf
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(24) % 3
    calibration = tf.data.Dataset.from_tensor_slices(images[:12]).batch(5)
    evaluation = tf.data.Dataset.from_tensor_slices((images[12:], labels[12:])).batch(5)
    """,
    """
    bundle = edgenet.export(
        model, labels=["ant", "bee", "cat"], calibration=calibration, evaluation=evaluation, out="bundle"
    )
    bundle
    """,
    """
    results = edgenet.benchmark(bundle, threads=[1], rounds=2, seconds=0.001, progress=True)
    results
    """,
    """
    edgenet.check(results, max_drift=0.999)
    """,
    """
    print(edgenet.report([results], "report.html"))
    """,
    """
    with edgenet.Classifier(bundle.file("int8.tflite")) as classifier:
        print(len(classifier.classify(images[0], top=2)))
    """,
    # A second time in the same process.
    """
    again = edgenet.export(
        model, labels=["ant", "bee", "cat"], calibration=images[:12], evaluation=images[12:], out="again",
        variants=["int8"],
    )
    print([variant.name for variant in again.manifest.variants])
    """,
]


def lines(cell: str) -> str:
    return "\n".join(line[4:] for line in cell.strip("\n").splitlines())


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """The executed cells."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(lines(cell)) for cell in CELLS])
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()  # raises at the first error
    return notebook.cells


def printed(cell, stream: str = "stdout") -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == stream)


@pytest.mark.slow
def test_nothing_is_printed_that_was_not_asked_for(cells):
    for number, cell in enumerate(cells):
        if number != 3:  # whose progress was asked for
            assert printed(cell, "stderr") == "", cell.source
    assert [printed(cell) for cell in cells] == ["", "", "", "", "", "report.html\n", "2\n", "['int8']\n"]


@pytest.mark.slow
def test_progress_shows_in_a_notebook(cells):
    text = printed(cells[3], "stderr")
    assert "latency, 1 thread" in text
    assert "\x1b" not in text


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 3, 4])
def test_records_show_as_tables(cells, number):
    (shown,) = [output.data for output in cells[number].outputs if output.output_type == "execute_result"]
    assert "<table" in shown["text/html"]
    assert "int8" in shown["text/html"]
