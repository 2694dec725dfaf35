"""SavedModels: those of classifiers are loaded; those that do more are refused before anything of them runs."""

import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.attr_value_pb2 import NameAttrList
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from edgenet.errors import EdgenetError
from edgenet.images.input_range import describe
from edgenet.model import keras_model

SHAPE = (None, 8, 8, 3)
IMAGES = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)


def save(path: Path, step=lambda scores: scores, module: tf.Module | None = None, **functions) -> Path:
    """A classifier of five classes, with a `step` behind its scores, and other functions beside its signature."""
    module = module or tf.Module()
    module.weights = tf.Variable(np.random.default_rng(2).normal(size=(3, 5)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec(SHAPE, tf.float32, name="image")])
    def serve(image):
        return {"scores": step(tf.reduce_mean(image, axis=(1, 2)) @ module.weights)}

    for name, function in functions.items():
        setattr(module, name, function)
    tf.saved_model.save(module, str(path), signatures=serve)
    return path


def edit(path: Path, change) -> Path:
    """Change a SavedModel's protocol buffer, as no library would write it."""
    file = path / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    change(model)
    file.write_bytes(model.SerializeToString())
    return path


def functions(model: SavedModel) -> list:
    return list(model.meta_graphs[0].graph_def.library.function)


def serving(model: SavedModel):
    """The function that computes the scores."""
    return next(function for function in functions(model) if any(node.op == "MatMul" for node in function.node_def))


@pytest.fixture
def nothing_runs(monkeypatch, tmp_path):
    """Fails the test when TensorFlow is asked to load anything, or a file appears."""
    monkeypatch.setattr(tf.saved_model, "load", lambda path: pytest.fail("TensorFlow was asked to load the model"))
    monkeypatch.setenv("EDGENET_TEST_MARK", str(tmp_path / "mark"))
    yield
    assert not list(tmp_path.glob("mark*"))


def refused(path: Path, text: str) -> None:
    with pytest.raises(EdgenetError, match=text) as caught:
        keras_model.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


# What a graph may do beside computing


def _mark() -> str:
    return os.environ["EDGENET_TEST_MARK"]


def _after(operation, scores):
    with tf.control_dependencies([operation]):
        return tf.identity(scores)


def _touch(scores):
    Path(_mark()).touch()
    return scores


def _write(scores):
    return _after(tf.io.write_file(_mark(), "code"), scores)


def _read(scores):
    name = tf.strings.as_string(tf.cast(scores[0, 0], tf.int32))  # as the image says
    return scores + 0 * tf.cast(tf.strings.length(tf.io.read_file(name)), tf.float32)


def _print(scores):
    tf.print("code", output_stream=f"file://{_mark()}")
    return scores


def _match(scores):
    return scores + 0 * tf.cast(tf.size(tf.io.matching_files("/*")), tf.float32)


def _lines(scores):
    count = tf.data.TextLineDataset(__file__).reduce(np.int64(0), lambda count, _: count + 1)
    return scores + 0 * tf.cast(count, tf.float32)


def _records(scores):
    data = tf.data.Dataset.from_tensors(tf.constant("code"))
    return _after(
        tf.raw_ops.DatasetToTFRecord(
            input_dataset=data._variant_tensor, filename=tf.constant(_mark()), compression_type=""
        ),
        scores,
    )


def _save_tensors(scores):
    return _after(tf.raw_ops.Save(filename=_mark(), tensor_names=["scores"], data=[scores]), scores)


def _save_tensors_v2(scores):
    save = tf.raw_ops.SaveV2(prefix=_mark(), tensor_names=["scores"], shape_and_slices=[""], tensors=[scores])
    return _after(save, scores)


def _restore(scores):
    (read,) = tf.raw_ops.RestoreV2(prefix="/x", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])
    return scores + 0 * tf.cast(tf.size(read), tf.float32)


def _merge(scores):
    return _after(tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=["/x"], destination_prefix=_mark()), scores)


def _summary(scores):
    writer = tf.raw_ops.SummaryWriter(shared_name="", container="")
    made = tf.raw_ops.CreateSummaryFileWriter(
        writer=writer, logdir=_mark(), max_queue=1, flush_millis=1, filename_suffix=""
    )
    return _after(made, scores)


def _table(scores):
    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
    filled = tf.raw_ops.InitializeTableFromTextFileV2(
        table_handle=table, filename=__file__, key_index=-2, value_index=-1, vocab_size=-1, delimiter="\t"
    )
    return _after(filled, scores)


def _endless(scores):
    return tf.while_loop(lambda x: tf.reduce_sum(x) < np.inf, lambda x: [x * 1.0], [scores])[0]


CODE = {
    "PyFunc": lambda scores: tf.ensure_shape(tf.numpy_function(_touch, [scores], tf.float32), scores.shape),
    "EagerPyFunc": lambda scores: tf.ensure_shape(tf.py_function(_touch, [scores], tf.float32), scores.shape),
    "WriteFile": _write,
    "ReadFile": _read,
    "PrintV2": _print,
    "MatchingFiles": _match,
    "TextLineDataset": _lines,
    "DatasetToTFRecord": _records,
    "Save": _save_tensors,
    "SaveV2": _save_tensors_v2,
    "RestoreV2": _restore,
    "MergeV2Checkpoints": _merge,
    "CreateSummaryFileWriter": _summary,
    "InitializeTableFromTextFileV2": _table,
    "StatelessWhile": _endless,
}


@pytest.mark.parametrize("operation", CODE)
def test_an_operator_that_does_more_than_compute_is_refused_before_it_runs(tmp_path, nothing_runs, operation):
    # A data set of lines is read by a function inside of another one: either of them may be named.
    refused(save(tmp_path / "own", CODE[operation]), rf"operators? .*\b({operation}|FlatMapDataset)\b")


def test_such_an_operator_runs_when_tensorflow_alone_loads_the_model(tmp_path, monkeypatch):
    # The test above can fail.
    monkeypatch.setenv("EDGENET_TEST_MARK", str(tmp_path / "mark"))
    for operation in ("WriteFile", "DatasetToTFRecord"):
        path = save(tmp_path / operation, CODE[operation])
        tf.saved_model.load(str(path)).signatures["serving_default"](image=tf.zeros((1, 8, 8, 3)))
        (tmp_path / "mark").unlink()


# Operators without a function in Python, or that need more than one machine: as a hand-made file has them.
@pytest.mark.parametrize(
    "operation",
    [
        "LoadLibrary",
        "XlaCallModule",
        "RpcCall",
        "RemoteCall",
        "CollectiveReduceV2",
        "_Send",
        "HostConst",
        "IteratorGetNext",
        "StageV9",
        "AnonymousHashTable",
        "WholeFileReaderV2",
        "ConfigureDistributedTPU",
        "ImmutableConst",
    ],
)
@pytest.mark.parametrize("place", ["function", "graph"])
def test_every_operator_that_is_not_listed_is_refused(tmp_path, nothing_runs, operation, place):
    def add(model):
        nodes = serving(model).node_def if place == "function" else model.meta_graphs[0].graph_def.node
        nodes.add(name="other", op=operation)

    refused(edit(save(tmp_path / "own"), add), rf"operator {operation} ")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "x" * 10_000])
def test_names_in_messages_are_short_and_printable(tmp_path, nothing_runs, name):
    with pytest.raises(EdgenetError) as caught:
        keras_model.load(edit(save(tmp_path / "own"), lambda model: serving(model).node_def.add(name="x", op=name)))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def _unused(model):
    function = model.meta_graphs[0].graph_def.library.function.add()
    function.signature.name = "unused"
    function.node_def.add(name="x", op="WriteFile")


def _attribute(model):
    _unused(model)
    serving(model).node_def.add(name="call", op="NoOp").attr["f"].func.CopyFrom(NameAttrList(name="unused"))


def _second_graph(model):
    model.meta_graphs.add().CopyFrom(model.meta_graphs[0])
    model.meta_graphs[1].graph_def.node.add(name="x", op="WriteFile")


@pytest.mark.parametrize("change", [_unused, _attribute, _second_graph])
def test_wherever_the_operator_is(tmp_path, nothing_runs, change):
    refused(edit(save(tmp_path / "own"), change), "operator WriteFile ")


def test_in_a_branch_of_a_branch(tmp_path, nothing_runs):
    def inner(scores):
        return tf.cond(tf.reduce_sum(scores) > 1, lambda: _write(scores), lambda: scores)

    path = save(tmp_path / "own", lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: inner(x), lambda: x))
    refused(path, "operator WriteFile ")


@pytest.mark.parametrize("operation", ["WriteFile", "SaveV2"])
def test_in_a_function_that_is_no_signature(tmp_path, nothing_runs, operation):
    # SaveV2 is in every SavedModel, but among the functions that its objects have it does not belong.
    other = tf.function(CODE[operation], input_signature=[tf.TensorSpec((None, 5), tf.float32)])
    refused(save(tmp_path / "own", other=other), rf"operator {operation} ")


class _Resource(tf.saved_model.experimental.TrackableResource):
    """Runs code when TensorFlow loads it, whether anything uses it or not."""

    def _create_resource(self):
        return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[])

    def _initialize(self):
        tf.io.write_file(_mark(), "code")

    def _destroy_resource(self):
        pass


@pytest.mark.filterwarnings("ignore")
def test_objects_that_run_code_when_they_are_loaded(tmp_path, nothing_runs):
    module = tf.Module()
    module.resource = _Resource()
    assert module.resource.resource_handle is not None
    refused(save(tmp_path / "own", module=module), "object of the kind 'resource'")


def test_files_beside_the_model(tmp_path, nothing_runs):
    (tmp_path / "words.txt").write_text("a\nb\n")
    module = tf.Module()
    module.asset = tf.saved_model.Asset(str(tmp_path / "words.txt"))
    refused(save(tmp_path / "own", module=module), "object of the kind 'asset'")


# What never ends, or takes all memory


def test_a_function_that_calls_itself(tmp_path, nothing_runs):
    def change(model):
        function = serving(model)
        call = function.node_def.add(name="again", op="PartitionedCall")
        call.attr["f"].func.name = function.signature.name

    refused(edit(save(tmp_path / "own"), change), "calls itself")


def test_calls_that_double_forty_times(tmp_path, nothing_runs):
    def change(model):
        library = model.meta_graphs[0].graph_def.library
        for number in range(40):
            function = library.function.add()
            function.signature.name = f"f{number}"
            for half in ("a", "b"):
                function.node_def.add(name=half, op=f"f{number + 1}" if number < 39 else "NoOp")

    refused(edit(save(tmp_path / "own"), change), "runs over 2,000,000 operators")


def test_a_function_named_as_an_operator(tmp_path, nothing_runs):
    def change(model):
        model.meta_graphs[0].graph_def.library.function.add().signature.name = "WriteFile"
        serving(model).node_def.add(name="x", op="WriteFile")

    refused(edit(save(tmp_path / "own"), change), "named as the operator WriteFile")


def test_a_constant_of_terabytes(tmp_path, nothing_runs):
    def change(model):
        tensor = serving(model).node_def.add(name="big", op="Const").attr["value"].tensor
        tensor.dtype = tf.float32.as_datatype_enum
        tensor.float_val.append(1.0)  # fills it
        tensor.tensor_shape.dim.add(size=10**12)

    refused(edit(save(tmp_path / "own"), change), "declares 3,814,697 MiB of data")


def test_a_variable_of_terabytes(tmp_path, nothing_runs):
    def change(model):
        for node in model.meta_graphs[0].object_graph_def.nodes:
            if node.WhichOneof("kind") == "variable":
                node.variable.shape.dim[0].size = 10**12

    refused(edit(save(tmp_path / "own"), change), "declares .* MiB of data")


# What is in the folder


def test_links_that_leave_the_folder(tmp_path, nothing_runs):
    # The folder is copied into the bundle: a private file would go with it.
    path = save(tmp_path / "own")
    (tmp_path / "secret").write_text("secret")
    (path / "assets").mkdir(exist_ok=True)
    (path / "assets" / "words").symlink_to(tmp_path / "secret")
    refused(path, "words: a link that leads out of the model's folder")


def test_variables_that_are_a_link_to_elsewhere(tmp_path, nothing_runs):
    path = save(tmp_path / "own")
    shutil.move(path / "variables", tmp_path / "elsewhere")
    (path / "variables").symlink_to(tmp_path / "elsewhere")
    refused(path, "variables: a link that leads out of the model's folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_the_folder_does_not_stop_the_reader(tmp_path, nothing_runs):
    path = save(tmp_path / "own")
    os.mkfifo(path / "fingerprint2.pb")
    refused(path, "a pipe, not a regular file")


def test_a_link_to_the_folder_itself_is_followed(tmp_path):
    (tmp_path / "link").symlink_to(save(tmp_path / "own"))
    assert keras_model.load(tmp_path / "link").classes == 5


# SavedModels of TensorFlow 1: one flat graph


def save_v1(path: Path, step=lambda scores: scores, main_op=None) -> Path:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, SHAPE, name="image")
        weights = v1.get_variable("weights", initializer=np.ones((3, 5), np.float32), use_resource=False)
        scores = step(tf.reduce_mean(image, axis=(1, 2)) @ weights)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        signature = v1.saved_model.predict_signature_def({"image": image}, {"scores": scores})
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, main_op=main_op() if main_op else None
        )
        builder.save()
    return path


def test_a_classifier_of_tensorflow_1(tmp_path):
    classifier = keras_model.load(save_v1(tmp_path / "own"))
    (scores,) = classifier.scores([IMAGES])
    expected = (IMAGES / 127.5 - 1).mean(axis=(1, 2)).sum(axis=1, keepdims=True).repeat(5, axis=1)
    # Sums of 3 means of 64 values of up to 1, each rounded to 6e-8 of itself.
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("operation", ["WriteFile", "SaveV2", "RestoreV2", "MergeV2Checkpoints"])
def test_tensorflow_1_runs_nothing_else_for_a_signature(tmp_path, nothing_runs, operation):
    refused(save_v1(tmp_path / "own", CODE[operation]), rf"operator {operation} ")


def _main_write():
    return tf.io.write_file(_mark(), "code")


def _main_save():
    return tf.raw_ops.SaveV2(prefix=_mark(), tensor_names=["x"], shape_and_slices=[""], tensors=[tf.ones(())])


@pytest.mark.parametrize(("main_op", "operation"), [(_main_write, "WriteFile"), (_main_save, "SaveV2")])
def test_tensorflow_1_runs_nothing_else_when_it_is_loaded(tmp_path, nothing_runs, main_op, operation):
    refused(save_v1(tmp_path / "own", main_op=main_op), rf"operator {operation} ")


def test_tensorflow_1_restores_from_its_own_files_only(tmp_path, nothing_runs):
    def change(model):
        graph = model.meta_graphs[0]
        graph.graph_def.node.add(name="elsewhere", op="Const")
        for node in graph.graph_def.node:
            if node.op == "RestoreV2":
                node.input[0] = "elsewhere"

    refused(edit(save_v1(tmp_path / "own"), change), "RestoreV2 reads another file")


def test_tensorflow_1_does_not_save_when_it_restores(tmp_path, nothing_runs):
    def change(model):
        saver = model.meta_graphs[0].saver_def
        saver.restore_op_name = saver.save_tensor_name.removesuffix(":0")

    refused(edit(save_v1(tmp_path / "own"), change), r"operators? .*SaveV2")


# Precision


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_arithmetic_that_the_converter_cannot_convert_is_named(tmp_path, policy):
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, dtype=policy, name="half")(image)
    model = keras.Model(image, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x)))
    model.export(tmp_path / "own", verbose=False)
    refused(tmp_path / "own", rf"layer \S*half\S* computes in {policy.removeprefix('mixed_')}")


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float64])
def test_weights_that_are_not_finite_in_any_type(tmp_path, dtype):
    module = tf.Module()
    module.bias = tf.Variable(tf.cast([0, 0, np.inf, 0, 0], dtype), name="the_bias", trainable=False)
    path = save(tmp_path / "own", lambda scores: scores + tf.cast(module.bias, tf.float32), module)
    refused(path, "the weights in the_bias:0 contain NaN or infinity")


# Classifiers


def accepted(model: keras.Model, path: Path, images: np.ndarray) -> None:
    """The model, exported, gives its own scores."""
    model.export(path, verbose=False)
    classifier = keras_model.load(path)
    (scores,) = classifier.scores([images])
    pixels = images if describe(classifier.recipe) == "0,255" else images / np.float32(127.5) - np.float32(1)
    expected = model(pixels, training=False).numpy()
    # The same graph, with constants folded: some units of 2**-24 in each of some 200 layers.
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)


def test_a_loop_where_no_score_needs_it_is_no_reason_to_refuse(tmp_path):
    # Keras 2 saves a model's training branch too, in which augmentation loops over the images.
    other = tf.function(_endless, input_signature=[tf.TensorSpec((None, 5), tf.float32)])
    assert keras_model.load(save(tmp_path / "own", other=other)).classes == 5


LAYERS = keras.layers
BLOCKS = {
    "convolutions": lambda: [
        LAYERS.SeparableConv2D(8, 3, padding="same"),
        LAYERS.DepthwiseConv2D(3, dilation_rate=2),
        LAYERS.Conv2DTranspose(8, 3, strides=2),
        LAYERS.Conv2D(8, 3, groups=2),
    ],
    "shapes": lambda: [
        LAYERS.UpSampling2D(interpolation="bilinear"),
        LAYERS.UpSampling2D(),
        LAYERS.ZeroPadding2D(2),
        LAYERS.Cropping2D(1),
        LAYERS.Permute((2, 1, 3)),
        LAYERS.MaxPooling2D(3, 2, padding="same"),
        LAYERS.AveragePooling2D(2, 1, padding="same"),
    ],
    "normalizations": lambda: [
        LAYERS.Conv2D(8, 3),
        LAYERS.BatchNormalization(),
        LAYERS.GroupNormalization(4),
        LAYERS.LayerNormalization(),
        LAYERS.UnitNormalization(),
        LAYERS.Rescaling(0.5),
    ],
    "activations": lambda: (
        [
            LAYERS.Activation(name)
            for name in (
                "gelu",
                "mish",
                "silu",
                "hard_silu",
                "hard_sigmoid",
                "elu",
                "selu",
                "softplus",
                "softsign",
                "relu6",
            )
        ]
        + [LAYERS.PReLU(), LAYERS.LeakyReLU(), LAYERS.ReLU(6.0, negative_slope=0.1), LAYERS.Softmax()]
    ),
    "attention": lambda: [
        LAYERS.Reshape((64, 3)),
        LAYERS.Dense(8, activation="gelu"),
        lambda x: LAYERS.MultiHeadAttention(2, 4)(x, x),
        LAYERS.EinsumDense("abc,cd->abd", output_shape=(None, 8)),
        LAYERS.Reshape((8, 8, 8)),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BLOCKS)
def test_layers_of_classifiers_are_accepted(tmp_path, name):
    keras.utils.set_random_seed(3)
    x = image = keras.Input((8, 8, 3))
    for layer in BLOCKS[name]():
        x = layer(x)
    model = keras.Model(image, LAYERS.Dense(5, activation="softmax")(LAYERS.GlobalAveragePooling2D()(x)))
    accepted(model, tmp_path / "own", IMAGES)


@pytest.mark.slow
def test_augmentation_that_is_still_on_is_named(tmp_path):
    x = image = keras.Input((8, 8, 3))
    for layer in (
        LAYERS.RandomFlip(),
        LAYERS.RandomRotation(0.1),
        LAYERS.RandomZoom(0.1),
        LAYERS.RandomTranslation(0.1, 0.1),
        LAYERS.RandomContrast(0.1),
        LAYERS.RandomBrightness(0.1),
        LAYERS.RandomCrop(8, 8),
        LAYERS.Dropout(0.5),
        LAYERS.GaussianNoise(0.5),
    ):
        x = layer(x)
    model = keras.Model(image, LAYERS.Dense(5)(LAYERS.GlobalAveragePooling2D()(x)))
    model.export(tmp_path / "own", verbose=False)
    refused(tmp_path / "own", "other scores for the same image each time: it was exported with augmentation")


# One of each kind of operators; the others consist of the same ones.
APPLICATIONS = {
    "ConvNeXtTiny": 32,
    "EfficientNetB0": 32,
    "InceptionV3": 75,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "VGG16": 32,
}
# Those that TensorFlow saves, too, which takes long: the same operators, in other functions.
SAVED = ("MobileNetV3Small", "VGG16")


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_keras_applications_are_accepted(tmp_path, name):
    keras.utils.set_random_seed(3)
    size = APPLICATIONS[name]
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
    images = np.random.default_rng(1).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    accepted(model, tmp_path / "exported", images)
    if name in SAVED:
        tf.saved_model.save(model, str(tmp_path / "saved"))
        assert keras_model.load(tmp_path / "saved").classes == 10
    keras.backend.clear_session()


def test_the_message_says_what_is_allowed_and_what_to_do(tmp_path, nothing_runs):
    text = (
        r"own: the SavedModel contains the operator WriteFile \(in function \S+\); a SavedModel may only compute "
        r"scores from an image, without files, tables, loops, processes or networks\. Export the network alone, with "
        r"model\.export$"
    )
    refused(save(tmp_path / "own", _write), text)
