"""The comparisons of `run.py`: what is timed, with what it is compared, and how."""

import importlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from types import SimpleNamespace
from typing import Any

from timing import paired_ratio

Measured = tuple[float, float, float]  # seconds of ours, of the rival; ratio


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        what: what is timed.
        rival: what it is compared with.
        measure: whether to be quick -> seconds of both and the ratio.
        needs: packages of the rival, without which there is nothing to compare with.
    """

    what: str
    rival: str
    measure: Callable[[bool], Measured]
    needs: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """Returns the packages of the rival that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]


def _scheme(name: str, theirs: str, shape: tuple[int, ...]) -> Callable[[bool], Measured]:
    def measure(quick: bool) -> Measured:
        import keras
        import numpy as np

        import keras_inits

        size = tuple(min(side, 256) for side in shape) if quick else shape
        ours, rival = keras_inits.get(f"initkit_{name}"), keras.initializers.get(theirs)
        return paired_ratio(
            lambda: np.asarray(ours(size)),
            lambda: np.asarray(rival(size)),
            repeats=1 if quick else 3,
        )

    return measure


def _initialize_stack(quick: bool) -> Measured:
    initialize = importlib.import_module("initialize")
    return initialize.against_numpy(1 if quick else 60, repeats=1 if quick else 2)


def _against_building(call: Callable[[Any], object]) -> Callable[[bool], Measured]:
    """Returns what times `call` of ResNet50 next to building it; quick: of MobileNetV2."""

    def measure(quick: bool) -> Measured:
        import keras

        build = keras.applications.MobileNetV2 if quick else keras.applications.ResNet50
        model = build(weights=None)
        return paired_ratio(
            lambda: call(model), lambda: build(weights=None), repeats=1 if quick else 5
        )

    return measure


def _initialize(scheme: str) -> Callable[[Any], object]:
    def call(model: Any) -> object:
        import keras_inits

        return keras_inits.initialize(model, scheme, seed=1)

    return call


def _wiring(model: Any) -> object:
    import keras_inits

    return keras_inits.wiring(model)


def _diagnose(quick: bool) -> Measured:
    import keras
    import numpy as np
    import tensorflow as tf

    import keras_inits

    build = keras.applications.MobileNetV2 if quick else keras.applications.ResNet50
    model = build(weights=None, input_shape=(96, 96, 3))
    x = np.random.default_rng(0).standard_normal((8, 96, 96, 3), dtype="float32")

    def plain() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(x, training=True)))
        tape.gradient(loss, [weight.value for weight in model.trainable_weights])

    return paired_ratio(
        lambda: keras_inits.diagnose(model, x, seed=1), plain, repeats=1 if quick else 3
    )


def _calibrate(quick: bool) -> Measured:
    import numpy as np

    import keras_inits

    calibrate = importlib.import_module("calibrate")
    of = SimpleNamespace(net="dense", blocks=2 if quick else 20, width=64, examples=256)
    x = np.random.default_rng(0).normal(size=(of.examples, of.width)).astype("float32")
    model = calibrate.net(of)
    return paired_ratio(
        lambda: keras_inits.calibrate(model, x, scheme="initkit_orthogonal", seed=0),
        lambda: calibrate.with_lsuv(of, x),
        repeats=1 if quick else 3,
    )


def _population(net: str, images: int) -> Callable[[bool], Measured]:
    """Returns what times an epoch of 2 schemes x 20 seeds, each side in a process of its own."""

    def measure(quick: bool) -> Measured:
        population = importlib.import_module("population")
        by_hand, ours = "JAX by hand", "population on TensorFlow"
        rivals = {name: population.RIVALS[name] for name in (by_hand, ours)}
        found = population.measure(net, rivals, "", samples=100 if quick else images)
        seconds = {name: times for name, _, times, _ in found}
        ratios = [a / b for a, b in zip(seconds[ours], seconds[by_hand], strict=True)]
        return median(seconds[ours]), median(seconds[by_hand]), median(ratios)

    return measure


def _log(seeds: int) -> Callable[[bool], Measured]:
    """Returns what times `compare` on two schemes of the MNIST log, next to one model by NumPy."""

    def measure(quick: bool) -> Measured:
        compare, data = _compare_on_images(quick)
        return paired_ratio(
            lambda: compare.population(data, seeds),
            lambda: compare.numpy_run(data),
            repeats=1 if quick else 3,
        )

    return measure


def _fit(quick: bool) -> Measured:
    compare, data = _compare_on_images(quick)
    compare.EPOCHS = compare.FIT_EPOCHS
    compare.SCHEMES = compare.SCHEMES[:1]
    return paired_ratio(
        lambda: compare.population(data, 1),
        lambda: compare.stock_fit(data),
        repeats=1 if quick else 2,
    )


def _compare_on_images(quick: bool) -> tuple[Any, Any]:
    """Returns `compare.py`, and random images of MNIST's size: no time depends on their values."""
    import numpy as np

    from keras_inits import one_thread_per_operation

    one_thread_per_operation()
    compare = importlib.import_module("compare")
    if quick:
        compare.EPOCHS = compare.FIT_EPOCHS = 1
    random = np.random.default_rng(0)
    train, test = (2000, 500) if quick else (55_000, 10_000)

    def images(count: int) -> tuple[Any, Any]:
        labels = random.integers(0, 10, count)
        return random.random((count, 784), dtype="float32"), labels.astype("int32")

    (x, y), (tx, ty) = images(train), images(test)
    data = SimpleNamespace(train_images=x, train_labels=y, test_images=tx, test_labels=ty)
    return compare, data


def _skip(quick: bool) -> Measured:
    skip = importlib.import_module("skip_initialization")
    layers, runs = (1, 1) if quick else (4, 2)
    with tempfile.TemporaryDirectory() as folder:
        skip.in_a_process("save", folder, str(layers), "float32")
        found: dict[str, list[float]] = {"skip": [], "plain": []}
        for run in range(runs):
            for which in ("skip", "plain") if run % 2 else ("plain", "skip"):
                loaded = skip.in_a_process("load", folder, "load_weights", "float32", which)
                found[which].append(loaded[0])
    ours, plain = median(found["skip"]), median(found["plain"])
    return ours, plain, median(a / b for a, b in zip(found["skip"], found["plain"], strict=True))


def _import(quick: bool) -> Measured:
    import_time = importlib.import_module("import_time")
    return paired_ratio(
        lambda: import_time.fresh_import("keras_inits"),
        lambda: import_time.fresh_import("keras"),
        repeats=1 if quick else 3,
    )


ROWS = {
    "orthogonal": Row(
        "`initkit_orthogonal`, 4096 x 4096",
        "Keras's `Orthogonal`",
        _scheme("orthogonal", "orthogonal", (4096, 4096)),
    ),
    "orthogonal-convolution": Row(
        "`initkit_orthogonal`, 3 x 3 x 512 x 512",
        "Keras's `Orthogonal`",
        _scheme("orthogonal", "orthogonal", (3, 3, 512, 512)),
    ),
    "hadamard": Row(
        "`initkit_hadamard_orthogonal`, 4096 x 4096",
        "Keras's `Orthogonal`",
        _scheme("hadamard_orthogonal", "orthogonal", (4096, 4096)),
    ),
    "normal": Row(
        "`initkit_he`, 4096 x 4096",
        "Keras's `he_normal`",
        _scheme("he", "he_normal", (4096, 4096)),
    ),
    "initialize": Row(
        "`initialize`, a billion parameters in Dense layers",
        "NumPy's `standard_normal`, float64, one thread",
        _initialize_stack,
    ),
    "initialize-resnet": Row(
        "`initialize`, ResNet50", "building it", _against_building(_initialize("initkit_he"))
    ),
    "auto": Row(
        '`initialize(model, "auto")`, ResNet50',
        "building it",
        _against_building(_initialize("auto")),
    ),
    "wiring": Row("`wiring`, ResNet50", "building it", _against_building(_wiring)),
    "skip": Row(
        "`load_weights` of 67 million parameters under `skip_initialization`",
        "without it",
        _skip,
    ),
    "diagnose": Row(
        "`diagnose`, ResNet50, 8 images of 96 x 96",
        "a forward and a backward pass",
        _diagnose,
        needs=("tensorflow",),
    ),
    "calibrate": Row(
        "`calibrate`, 20 residual blocks of width 64",
        "the package `lsuv`, on torch",
        _calibrate,
        needs=("lsuv", "torch"),
    ),
    "population-mlp": Row(
        "an epoch of 40 MLPs 784-256-256-10 in `compare`, 6,400 images",
        "`jax.vmap` by hand",
        _population("mlp", 6400),
        needs=("jax",),
    ),
    "population-cnn": Row(
        "an epoch of 40 CNNs of 8 and 16 channels in `compare`, 200 images",
        "`jax.vmap` by hand",
        _population("cnn", 200),
        needs=("jax",),
    ),
    "log-20": Row(
        "2 schemes x 20 seeds of the MNIST log in `compare`, 20 epochs",
        "a NumPy loop for one model",
        _log(20),
    ),
    "log-1": Row(
        "2 schemes x 1 seed of it",
        "a NumPy loop for one model",
        _log(1),
    ),
    "fit": Row(
        "one of its models in `compare`, 2 epochs",
        "`fit` with defaults",
        _fit,
    ),
    "import": Row("`import keras_inits`", "`import keras`", _import),
}
