"""The public functions: keyword-only options, records out. Nothing here needs a terminal.

`edgenet` exports these names (see edgenet/__init__.py). Options have the names of their command-line twins. Modules
that take long to import are imported in the functions.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenet import inputs, records
from edgenet.analysis import choice, comparison, verdict
from edgenet.analysis.choice import Choice
from edgenet.analysis.comparison import Comparison
from edgenet.analysis.verdict import Limits, Verdicts
from edgenet.bundle import bundle as bundles
from edgenet.bundle.bundle import Bundle
from edgenet.errors import EdgenetError
from edgenet.images.resize_options import ResizeOptions
from edgenet.inputs import Listener, PathLike
from edgenet.model.requirements import require_tensorflow
from edgenet.progress import SILENT, Progress
from edgenet.quiet import quiet
from edgenet.records import Diagnosis, ModelSpec, Results, Sweep, Training
from edgenet.records.shown import show_with
from edgenet.reporting import display

if TYPE_CHECKING:
    import keras

    from edgenet.model.classifier import KerasClassifier

show_with(display.text_of, display.html_of)


def mobilenet_v1(
    *,
    size: int = 224,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    classes: int = records.DEFAULT_CLASSES,
    weights: PathLike | None = None,
) -> "keras.Model":
    """Build MobileNetV1 (arXiv:1704.04861) as a Keras model.

    Args:
        size: Height and width of the input in pixels, a multiple of 32.
        alpha: Width multiplier, 0.05 to 4.
        depth_multiplier: Depthwise filters for each channel.
        dropout: Rate before the last layer.
        classes: Output classes.
        weights: None for random weights; "bundled" for the model that comes with edgenet (alpha 0.5, 96 px,
            Fashion-MNIST); "imagenet" for Google's weights, downloaded once; or a file of weights (.h5, .weights.h5,
            .npz). The bundled model and files have their own size, alpha and classes.

    Returns:
        A model from float32 images (batch, size, size, 3) in [-1, 1] to probabilities (batch, classes).

    Raises:
        EdgenetError: A value is out of its range, or the weights do not fit.

    Example:
        >>> edgenet.mobilenet_v1(size=96, alpha=0.5, classes=10).output_shape
        (None, 10)
    """
    spec = ModelSpec(size=size, alpha=alpha, depth_multiplier=depth_multiplier, dropout=dropout, classes=classes)
    require_tensorflow("mobilenet_v1")
    from edgenet.model import imagenet, mobilenet
    from edgenet.model import weights as weight_loading
    from edgenet.model.weights import ExpectedSpec

    if weights is None:
        return mobilenet.build(spec)
    if weights == "bundled":
        return weight_loading.bundled()
    if weights == "imagenet":
        return imagenet.load(alpha, size)
    expected = ExpectedSpec(None if size == 224 else size, None if alpha == 1.0 else alpha, None)
    return weight_loading.load(Path(weights), expected)


def train(
    photos: PathLike,
    *,
    out: PathLike | None = None,
    weights: PathLike | None = None,
    alpha: float | None = None,
    size: int | None = None,
    minutes: float = 10.0,
    epochs: int | None = None,
    seed: int = 0,
    mirror: bool = True,
    name: str | None = None,
    skip_broken: bool = False,
    progress: Listener = None,
) -> "keras.Model":
    """Train MobileNetV1 on photos in class folders, and test it on photos that nothing was chosen by.

    The last layer is fitted first; then all layers are trained, which is kept if it is better on validation photos.
    Ctrl-C ends that early; after a crash, the same call goes on where it was.

    Args:
        photos: A folder with a folder of photos for each class.
        out: The folder to write to; build/train/NAME by default. It gets the model (NAME.keras, which says itself how
            it takes photos and what its classes are), its weights, a card, a page and the record `training.json`.
        weights: What to start from: "imagenet" (Google's, downloaded once), "bundled", "none" (random), or a file (.h5,
            .npz). By default imagenet, or bundled where these can be neither found nor downloaded.
        alpha: Width multiplier; that of the weights by default, for imagenet 0.75.
        size: Height and width of the input in pixels, a multiple of 32; 160 by default, 96 for the bundled weights.
        minutes: What the training may take, in minutes; an epoch that has begun is ended.
        epochs: At most so many of all layers, 0 for the last layer alone; as many as bring something by default.
        seed: Of the split and of all random numbers.
        mirror: Whether a photo and its mirror image belong to the same class: not so for text.
        name: The name of the model; that of the folder of photos by default.
        skip_broken: Whether to leave out files that cannot be read, with a note, instead of failing.
        progress: As in `export`.

    Returns:
        A model from float32 images (batch, size, size, 3) in [-1, 1] to probabilities (batch, classes). The classes are
        in the order of the folders' names. `export` knows how it takes photos.

    Raises:
        EdgenetError: No model can be trained on these photos, an option does not fit, or `out` cannot be written to.

    Example:
        >>> model = edgenet.train("photos", weights="bundled", minutes=0.5)
        >>> bundle = edgenet.export(model, calibration="photos")
    """
    from edgenet.training.options import TrainOptions, default_folder, default_name

    options = TrainOptions(weights, alpha, size, minutes, seed, mirror, epochs, skip_broken)
    named = default_name(Path(photos)) if name is None else name
    folder = default_folder(named) if out is None else Path(out)
    require_tensorflow("train")
    with inputs.listening(progress) as listener:
        if "tensorflow" not in sys.modules:
            listener.step("loading TensorFlow")
        with quiet():
            from edgenet.training import train as training

            return training.train(Path(photos), options, folder, named, listener).model


def export(
    model: "keras.Model | KerasClassifier | PathLike",
    *,
    out: PathLike | None = None,
    labels: PathLike | Sequence[str] | Mapping[Any, Any] | None = None,
    calibration: Any = None,
    evaluation: Any = None,
    truth: PathLike | None = None,
    variants: Sequence[str] | None = None,
    io: str = "uint8",
    quantizer: str = "edgenet",
    keep_float: str | Sequence[str] = (),
    half_arithmetic: bool = True,
    max_drift: float | None = None,
    max_accuracy_drop: float | None = None,
    batch: int = 1,
    size: int | Sequence[int] | None = None,
    input_range: str | Sequence[float] | None = None,
    channel_order: str | None = None,
    like: str | None = None,
    resize: str | None = None,
    crop: float | None = None,
    interpolation: str | None = None,
    antialias: bool | None = None,
    pad_color: str | Sequence[int] | None = None,
    softmax: bool = False,
    drop_layer: str | Sequence[str] = (),
    keep_config: bool = False,
    author: str | None = None,
    license: str | None = None,
    description: str | None = None,
    model_version: str | None = None,
    name: str | None = None,
    apps: bool = True,
    skip_broken: bool = False,
    force: bool = False,
    progress: Listener = None,
) -> Bundle:
    """Convert a Keras image classifier to a bundle of .tflite files, and measure the drift of each.

    Args:
        model: A Keras model (of Keras 3 or tf-keras), or a file of one: .keras or .h5 of Keras 2 or 3, the folder of a
            SavedModel, or a zip archive of one of these, as Teachable Machine has it.
        out: The folder of the bundle; build/NAME by default. An earlier bundle there is replaced.
        labels: The class names in the order of the scores: a file (a name on each line, CSV or JSON), the names
            themselves, or a dictionary such as Keras' `class_indices`. By default those of a `labels.txt` that came
            with the model, the `class_names` of a dataset, the names of as many class folders, ImageNet's for 1,000
            classes, or numbers; a note says which.
        calibration: The images that set the integer ranges: a folder, paths, uint8 arrays (height, width, 3) or (n,
            height, width, 3), a `tf.data.Dataset`, or any iterable of images or (image, label) pairs. Values are those
            of pixels, 0 to 255.
        evaluation: The images that drift is measured on, in the same forms; a part of `calibration` by default. Their
            classes are their labels, the names of their folders, or what `truth` says.
        truth: A file with the class of each evaluation image, a line each: image, class.
        variants: Any of float32, float16, dynamic, int8; all by default. With `keep_float`, mixed, too.
        io: Data type of the int8 file's input and output: uint8, int8 or float32.
        quantizer: Who chooses the 8-bit weights: edgenet, or TensorFlow's converter alone (stock).
        keep_float: Layers that stay in float32 in a further variant, mixed, whose other layers are int8. Names of Keras
            layers or of `diagnose`; "until:NAME" for all layers up to and including one, "from:NAME" for all from it
            on.
        half_arithmetic: Whether float16 files let LiteRT compute in half precision where the CPU can.
        max_drift: Add a variant, mixed: the fastest file on this machine whose answers differ from the float32 file's
            on at most this fraction of images. It is int8 with some layers in float32, which are searched for, and
            judged on calibration images that the quantizer does not get. Where int8 or dynamic will do, or nothing but
            float32, there is no such variant. `bundle.manifest.budget` has what was tried.
        max_accuracy_drop: Likewise, for the loss of accuracy, as a fraction, where calibration images have classes.
        batch: Images in one inference.
        size: Where the model leaves it free: a number for a square input, or height and width.
        input_range: The values that black and white pixels map to, such as (-1, 1) or "0,255", or mean and standard
            deviation of each channel as six numbers. By default found in the model; otherwise chosen, with the channel
            order, on calibration images with classes, or by batch normalization; otherwise -1,1.
        channel_order: RGB (default) or BGR.
        like: How images are resized, as they were in training, by the name of a preset: keras-dataset
            (`keras.utils.image_dataset_from_directory`), keras-generator (`flow_from_directory`), teachable-machine,
            imagenet (the central 87.5%), mediapipe or task-library (what these libraries do by themselves). By default
            teachable-machine for its models, imagenet for 1,000 classes, and keras-dataset for all others.
        resize: How an image of another shape becomes one of the model's, where `like` does not say it: crop (its
            centre), stretch or pad.
        crop: For crop: the fraction of the shorter side that is kept, 0.1 to 1 (default).
        interpolation: nearest, bilinear, bicubic or area.
        antialias: Whether bilinear and bicubic interpolation use a wider kernel where they reduce an image.
        pad_color: For pad: red, green and blue of what is around the image, 0 to 255; black by default.
        softmax: Whether to append a softmax to a model that gives logits; some mobile libraries need probabilities.
        drop_layer: Names or classes of custom layers without weights to leave out, such as augmentation.
        keep_config: Whether to keep layers that only matter in training: those of Keras that augment, drop out or add
            noise are left out of a model file otherwise.
        author, license, description, model_version: What the files say about the model, in their metadata.
        name: The name of the bundle; that of the model or its file by default.
        apps: Whether to check the files with the Task Library and MediaPipe Tasks where they are installed, and to
            measure how often their answers on whole photos are Keras'. What is found is in `bundle.manifest.apps`.
        skip_broken: Whether to leave out image files that cannot be read, with a note, instead of failing. They are
            found before anything else, by reading all files once more.
        force: Whether to replace files in `out` that are not part of the earlier bundle.
        progress: True for a progress bar, or an object with the methods of `edgenet.progress.Progress`.

    Returns:
        The bundle; `bundle.manifest.variants` has the drift of each file.

    Raises:
        EdgenetError: Something does not fit. `out` is then left as it was.

    Example:
        >>> model = edgenet.mobilenet_v1(weights="bundled")
        >>> bundle = edgenet.export(
        ...     model,
        ...     labels="calibration_data/labels.txt",
        ...     calibration="calibration_data/calibration",
        ...     variants=["int8"],
        ... )
    """
    from edgenet.convert.options import DEFAULT_VARIANTS, Options

    options = Options(
        variants or DEFAULT_VARIANTS,
        io,
        batch,
        quantizer,
        keep_float,
        half_arithmetic,
        max_drift=max_drift,
        max_accuracy_drop=max_accuracy_drop,
    )
    how = ResizeOptions(like, resize, crop, interpolation, antialias, pad_color)
    name = name or inputs.model_name(model)
    folder = Path(out) if out is not None else Path("build") / name
    bundles.check_replaceable(folder, force=force)
    if calibration is None:
        raise EdgenetError(f"give images that match {name}: a folder, paths or arrays", parameter="calibration")
    given = {"author": author, "license": license, "description": description, "version": model_version}
    require_tensorflow("export")
    with inputs.listening(progress) as listener:
        if "tensorflow" not in sys.modules:
            listener.step("loading TensorFlow")
        with quiet():
            from edgenet import exporter
            from edgenet.convert.metadata import About
            from edgenet.images import broken, sources, splits

            classifier = inputs.keras_classifier(
                model,
                name,
                size,
                input_range,
                channel_order,
                resize=how,
                softmax=softmax,
                keep_config=keep_config,
                drop_layer=drop_layer,
            )
            for note in classifier.notes:
                listener.note(note)
            names = inputs.class_labels(labels, classifier, name, (calibration, evaluation), listener)
            with tempfile.TemporaryDirectory(prefix="edgenet-images-") as scratch:
                images = {
                    parameter: sources.from_any(source, Path(scratch, parameter), labels=names, parameter=parameter)
                    for parameter, source in (("calibration", calibration), ("evaluation", evaluation))
                    if source is not None
                }
                image_files = [path for found in images.values() if not found.is_new for path in found.paths]
                unreadable = broken.find(image_files, listener) if skip_broken else {}
                with broken.listed_together([path for path in image_files if path not in unreadable], listener):
                    split = splits.choose(
                        images["calibration"],
                        images.get("evaluation"),
                        names,
                        Path(truth) if truth else None,
                        unreadable,
                    )
                    for note in split.notes:
                        listener.note(note)
                    about = About(name, **{field: text for field, text in given.items() if text is not None})
                    model_inputs = exporter.Inputs(classifier, name, names, split, about)
                    bundle = exporter.export(model_inputs, folder, options, force=force, progress=listener)
            if apps:
                bundle = check_apps(bundle, listener)
                for library in bundle.manifest.apps:
                    for variant, problem in library.problems.items():
                        listener.note(f"{library.library}: {variant} failed: {problem}")
            return bundle


def check_apps(bundle: Bundle, progress: Progress = SILENT) -> Bundle:
    """Check a bundle's files with the Task Library and MediaPipe Tasks, as far as they are installed.

    What they find, app drift included, is written into the manifest.

    Args:
        bundle: The bundle.
        progress: Listens to the work.

    Returns:
        The bundle with the new manifest. A library that failed a file has a record whose outcome is FAILED.
    """
    from edgenet.apps import conformance

    progress.step("checking with mobile libraries")
    found = conformance.check(bundle)
    return bundles.write_manifest(bundle.folder, replace(bundle.manifest, apps=found))


def load_bundle(path: PathLike) -> Bundle:
    """Load a bundle, and check all of its files against its manifest.

    Args:
        path: Its folder, or the file that `edgenet pack` made of it, which is unpacked into the user's cache.

    Returns:
        The bundle. Its `manifest` has the variants, their drift, and the preprocessing.

    Raises:
        EdgenetError: There is no bundle, or a file of it is missing or changed.

    Example:
        >>> edgenet.load_bundle("build/mobilenet_v1_0.5_96").manifest.classes
        10
    """
    return inputs.verified_bundle(path)


def benchmark(
    model: "Bundle | PathLike",
    *,
    variants: Sequence[str] | None = None,
    threads: Sequence[int] | None = None,
    rounds: int = 20,
    seconds: float = 0.05,
    keras: bool = True,
    api: str = "interpreter",
    layers: bool = False,
    cooldown: bool = False,
    drift_only: bool = False,
    images: Any = None,
    reference: "keras.Model | PathLike | None" = None,
    truth: PathLike | None = None,
    labels: PathLike | Sequence[str] | Mapping[Any, Any] | None = None,
    size: int | Sequence[int] | None = None,
    input_range: str | Sequence[float] | None = None,
    channel_order: str | None = None,
    like: str | None = None,
    resize: str | None = None,
    crop: float | None = None,
    interpolation: str | None = None,
    antialias: bool | None = None,
    pad_color: str | Sequence[int] | None = None,
    skip_broken: bool = False,
    progress: Listener = None,
) -> Results:
    """Measure latency and drift of a bundle's files, or of any .tflite classifier, on this machine.

    Args:
        model: A bundle, the path of one (packed or not), or a .tflite file.
        variants: The variants of the bundle to measure; all by default.
        threads: The numbers of threads to time with; 1 and all cores by default.
        rounds: Interleaved rounds.
        seconds: Time of each variant in each round.
        keras: Whether to time the Keras model, too, where TensorFlow is installed.
        api: LiteRT's interface: interpreter or compiled.
        layers: Whether to time each operator, too.
        cooldown: Whether to wait before each turn until the machine is as cool as at the beginning.
        drift_only: Whether to measure drift and accuracy, but no latency.
        images: For a .tflite file: the images that drift or accuracy is measured on, in any form that `export` takes.
        reference: For a .tflite file: what drift is measured against, another .tflite file or a Keras model.
        truth: For a .tflite file: a file with the class of each image, a line each: image, class.
        labels: For a .tflite file: the class names, as in `export`.
        size, input_range, channel_order: For a .tflite file, as in `export`; its metadata by default.
        like, resize, crop, interpolation, antialias, pad_color: Likewise.
        skip_broken: For a .tflite file: whether to leave out image files that cannot be read, with a note.
        progress: As in `export`.

    Returns:
        The results. `print` shows them as a table; `edgenet.records.to_json` makes the file that other verbs read.

    Raises:
        EdgenetError: A file cannot be run, or an option does not fit.

    Example:
        >>> results = edgenet.benchmark(bundle, threads=[1], rounds=5)
        >>> print(results)  # doctest: +SKIP
    """
    from edgenet.benchmarking import benchmark as benchmarking
    from edgenet.benchmarking.options import BenchmarkOptions

    options = BenchmarkOptions(threads, rounds, seconds, api, cooldown, layers)
    of_file = {
        **{"images": images, "reference": reference, "truth": truth, "labels": labels, "size": size},
        **{"input_range": input_range, "channel_order": channel_order, "like": like, "resize": resize, "crop": crop},
        **{"interpolation": interpolation, "antialias": antialias, "pad_color": pad_color},
        "skip_broken": skip_broken or None,
    }
    with inputs.listening(progress) as listener, ExitStack() as stack:
        subject = inputs.subject(model, variants, keras, of_file, stack, listener)
        return benchmarking.run_drift(subject, listener) if drift_only else benchmarking.run(subject, options, listener)


def check(
    results: "Results | Bundle | PathLike",
    *,
    max_drift: float | None = None,
    max_confident_flips: float | None = None,
    max_accuracy_drop: float | None = None,
    min_speedup: float | None = None,
    max_size: int | None = None,
    baseline: "Results | Bundle | PathLike | Sequence[Results | Bundle | PathLike] | None" = None,
    variants: Sequence[str] | None = None,
) -> Verdicts:
    """Check whether results prove that variants keep limits, and that none is worse than in a baseline.

    Args:
        results: Results, a file of them, or a bundle, whose newest results of this machine count.
        max_drift: The largest fraction of images whose top class may change, or any label of a multi-label model; 0 for
            none of these images.
        max_confident_flips: The largest fraction of images whose top class changes although Keras gave it a
            probability above 0.5; 0 for none of these images. Not for a multi-label model.
        max_accuracy_drop: The largest loss of accuracy, as a fraction; 0 for no image newly wrong.
        min_speedup: The smallest speedup relative to float32, on every number of threads measured.
        max_size: The largest file, in bytes.
        baseline: Earlier results, such as those of the last release, on the same evaluation images; several for several
            devices, of which those of the device of `results` count. Drift and accuracy are compared image by image,
            with variants of the same name. A speedup may be lower by the spread of two runs: 5%, or 20% with a fair
            timing quality.
        variants: The variants to check; all by default.

    Returns:
        A verdict for each variant. `outcome` is PASS, FAIL or UNDECIDED; a pass and a fail are each wrong in at most
        2.5% of cases. The `leaning` of an undecided reason is what its measured value alone would be.

    Raises:
        EdgenetError: There is no limit, the results do not have what one needs, or no baseline fits.

    Example:
        >>> edgenet.check(results, max_drift=0.02).outcome
        <Outcome.PASS: 'pass'>
    """
    limits = Limits(max_drift, max_accuracy_drop, min_speedup, max_size, max_confident_flips)
    if not limits and baseline is None:
        raise EdgenetError(
            "check: give at least one of max_drift=, max_confident_flips=, max_accuracy_drop=, min_speedup=, "
            "max_size=, baseline="
        )
    (loaded,) = inputs.loaded_results([results])
    if loaded.stale:
        raise EdgenetError(f"{loaded.notes[0]}; measure it again")
    earlier = () if baseline is None else inputs.loaded_baselines(baseline)
    return verdict.judge(loaded, limits, variants, earlier)


def compare(results: "Sequence[Results | Bundle | PathLike]", *, latency: bool = True) -> Comparison:
    """Compare results: one bundle on several machines, or several bundles on one.

    Args:
        results: Two or more; the first one is what the others are compared with.
        latency: Whether to compare latencies, too.

    Returns:
        A row for each variant of each other results, with 95% confidence intervals.

    Raises:
        EdgenetError: They are not comparable.

    Example:
        >>> edgenet.compare([before, after], latency=False).same
        'bundle and machine'
    """
    return comparison.compare(inputs.loaded_results(results), latency)


def choose(
    sweep: "Sweep | PathLike",
    *,
    device: str | None = None,
    max_latency: float | None = None,
    threads: int | None = None,
    min_accuracy: float | None = None,
    min_agreement: float | None = None,
    max_size: int | None = None,
) -> Choice:
    """Choose the best file of a sweep for a device: the most accurate one that keeps the limits.

    Without measured accuracies, files are ranked by agreement, or by the published accuracies of their models where
    there are several models and all have one; a note says so.

    Args:
        sweep: A sweep, its folder, or the file sweep.json in it.
        device: The name of the device; may be left out where the sweep has one.
        max_latency: The largest median latency, in seconds.
        threads: The number of threads; any by default.
        min_accuracy: The smallest accuracy, as a fraction of images.
        min_agreement: The smallest agreement with Keras, likewise.
        max_size: The largest file, in bytes.

    Returns:
        The best file and the runner-up. `outcome` is PASS where the best one is proven to keep the limits, UNDECIDED
        where it may and no other is proven to, and FAIL where there is none; `nearest` then has what comes closest.

    Raises:
        EdgenetError: There is no such sweep or device, or the sweep has nothing that a limit could be judged by.

    Example:
        >>> choice = edgenet.choose(sweep, device="laptop", max_latency=0.5)
        >>> choice.best.entry.file
        'bundles/fashion/...tflite'
    """
    return choice.choose(
        inputs.loaded_sweep(sweep),
        device=device,
        max_latency=max_latency,
        threads=threads,
        min_accuracy=min_accuracy,
        min_agreement=min_agreement,
        max_size=max_size,
    )


def diagnose(
    bundle: "Bundle | PathLike",
    *,
    variant: str = "int8",
    images: int = 200,
    model_explorer: PathLike | None = None,
    progress: Listener = None,
) -> Diagnosis:
    """Find the layers that an int8 file loses accuracy in, and what more bits there would bring.

    Args:
        bundle: A bundle, or the path of one.
        variant: The integer variant.
        images: Evaluation images to measure on.
        model_explorer: A file (.json) for node data of Model Explorer, the noise of each operator; SQNR and latency are
            written beside it. None for none.
        progress: As in `export`.

    Returns:
        The layers, the noisiest first. `keep_float` has the layers that `export` should keep in float32.

    Raises:
        EdgenetError: The bundle has no such variants, or cannot be run.

    Example:
        >>> len(edgenet.diagnose(bundle, images=20).layers) > 25
        True
    """
    from edgenet.diagnosis import diagnosis

    with inputs.listening(progress) as listener:
        explorer = None if model_explorer is None else Path(model_explorer)
        return diagnosis.diagnose(inputs.verified_bundle(bundle), variant, listener, images, explorer)


def report(
    results: "Results | Sweep | Training | Bundle | PathLike | Sequence[Results | Bundle | PathLike]",
    path: PathLike,
    *,
    max_drift: float | None = None,
    max_confident_flips: float | None = None,
    max_accuracy_drop: float | None = None,
    min_speedup: float | None = None,
    max_size: int | None = None,
    variants: Sequence[str] | None = None,
) -> Path:
    """Write results, a sweep or a training as an HTML page, as Markdown or as CSV.

    Args:
        results: One or more results, files of them, or bundles; or a sweep, or its folder; or a training, or the folder
            of the trained model, which have no CSV.
        path: The file to write; its ending (.html, .md, .csv) is the format. The page is self-contained.
        max_drift, max_confident_flips, max_accuracy_drop, min_speedup, max_size, variants: As in `check`; the report
            then has the verdicts. Not for a sweep or a training.

    Returns:
        The path.

    Raises:
        EdgenetError: The ending is none of these, the page needs a package that is not installed, or the file cannot
            be written.

    Example:
        >>> edgenet.report([results], "report.md")
        PosixPath('report.md')
    """
    from edgenet.reporting import formats, sweep_report, training_report

    limits = Limits(max_drift, max_accuracy_drop, min_speedup, max_size, max_confident_flips)
    out = Path(path)
    sweep, training = inputs.sweep_among(results), inputs.training_among(results)
    if sweep is not None:
        sweep_report.write(sweep, out, limits, variants)
    elif training is not None:
        training_report.write(training, out, limits, variants)
    else:
        assert not isinstance(results, Sweep | Training)
        formats.write(inputs.loaded_results(results), out, limits, variants)
    return out
