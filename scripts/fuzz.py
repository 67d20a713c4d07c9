"""Calls the public functions and schemes with arguments of every kind, right and wrong.

    python scripts/fuzz.py                       # 10,000 sets of arguments from seed 0
    python scripts/fuzz.py --sets 500 --seed 7
    python scripts/fuzz.py --only 4711           # one set again, with its traceback

Each call must return, with no NaN, or raise an `InputError`. The exit code is 1 if any does
something else; those are printed with the number that `--only` takes.
"""

import argparse
import collections
import decimal
import fractions
import inspect
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

import keras_inits as ki

SCHEMES = sorted(n for n in ki.__all__ if n.endswith("Init"))
NAMES = ["he", "initkit_xavier", "glorot_uniform", "zeros", "auto", "own", "kaiming_normal", "hee"]
ACTIVATIONS = ["relu", "tanh", "gelu", "linear", "softmax", "rleu", "leaky_relu", "hard_sigmoid"]


class Accepted(Exception):  # noqa: N818 (no error: it ends a call whose arguments passed)
    """Raised by callbacks that a call reaches only with its arguments accepted."""


def wild(random: np.random.Generator) -> Any:
    """Returns a value of a kind that somebody passes some day, mostly by mistake."""
    integers = [0, 1, 2, 3, 7, -1, 2**31 - 1, 2**31, 2**63, 2**64 - 1, 2**200, -(2**63)]
    floats = [0.0, -0.0, 0.5, 1.0, 2.5, -1.0, 1e-300, 1e-8, 1e8, 1e300, 5e-324]
    floats += [float("nan"), float("inf"), -float("inf")]
    kinds: list[Callable[[], Any]] = [
        lambda: _one(random, integers),
        lambda: _one(random, floats),
        lambda: _one(random, [np.int8, np.uint8, np.int32, np.int64, np.uint64])(
            random.integers(0, 9)
        ),
        lambda: _one(random, [np.float16, np.float32, np.float64])(random.normal()),
        lambda: _one(random, [None, True, False, np.True_, 1j, b"he", object(), keras.Model]),
        lambda: _one(random, ["", "nan", "1", "[/b]", "$x^$", "\x1b[31m", "he" * 500, *NAMES]),
        lambda: _one(random, ACTIVATIONS),
        lambda: _one(random, [[], (), {}, set(), [[1, 2], [3]], [None], ["a"], range(3)]),
        lambda: _one(random, [{"class_name": "he"}, {"class_name": 3}, {"a": 1}, {1: 2}]),
        lambda: _one(
            random,
            [
                np.array([]),
                np.zeros((2, 0)),
                np.array(3),
                np.array(0.5),
                np.array([1, 2]),
                np.array([np.nan]),
                np.array(["a"]),
                np.array([None], object),
            ],
        ),
        lambda: _one(random, [fractions.Fraction(1, 3), decimal.Decimal("0.1"), 10**400]),
        lambda: _one(random, [lambda x: x, np.tanh, len, keras.ops.relu, keras.layers.ReLU()]),
        lambda: keras.ops.convert_to_tensor(_one(random, [1.0, [1.0, 2.0]])),
        lambda: _one(random, [keras.random.SeedGenerator(1), keras.initializers.HeNormal(3)]),
        lambda: getattr(ki, _one(random, SCHEMES)),
    ]
    return _one(random, kinds)()


def _one(random: np.random.Generator, options: list[Any]) -> Any:
    return options[random.integers(len(options))]


def mixed(random: np.random.Generator, *fitting: Any) -> Any:
    """Returns one of the values that fit, or, in a call of three, any other."""
    return _one(random, list(fitting)) if fitting and random.random() < 0.65 else wild(random)


# What fits an argument of each name; an argument that is not here gets anything.
FITTING: dict[str, list[Any]] = {
    "activation": [*ACTIVATIONS, None],
    "gain": [None, 1.0, 2, np.float32(0.5)],
    "negative_slope": [None, 0.0, 0.2],
    "mode": ["fan_in", "fan_out"],
    "distribution": ["normal", "truncated_normal", "uniform"],
    "seed": [None, 0, 1, 2**31, 2**64, np.int64(3)],
    "input_axes": [None, 0, -2, (0, 1), [0], np.int64(0)],
    "output_axes": [None, 1, -1, (1,), [1]],
    "batch_axes": [None, None, (), 2],
    "mean": [0.0, 1, -0.5],
    "stddev": [0.05, 1, np.float32(2)],
    "minval": [None, -0.1, -1.0],
    "maxval": [None, 0.1, 1.0],
    "connections": [None, 1, 3],
    "sparsity": [None, 0.5],
    "value": [0, 0.5, np.array(2.0)],
    "groups": [1, 2],
    "blocks": [1, 2, 4],
    "input_stride": [1, 2],
    "output_stride": [1, 2],
    "scheme": [*NAMES, None, {"class_name": "initkit_he", "config": {}}],
    "spec": NAMES,
    "q": [1.0, 0.5, 2],
    "c": [0.0, 0.5, 1],
    "sigma_w": [0.5, 1.0, 1.5],
    "sigma_b": [0.0, 0.1],
    "trainer": ["auto", "fit", "population"],
    "n_jobs": [None, 1],
    "chunk_size": [None, 1, np.int32(2)],
    "threads": [None, 1],
    "overrides": [None, {}, {"*": None}, {"*kernel": "he"}, {"nothing": "he"}],
    "epochs": [1, 3],
    "iterations": [1000],
    "seeds": [1, 3],
    "batch_size": [None, 2, np.int16(4)],
    "learning_rate": [0.1, 1],
    "shape": [(3, 4), (3, 3, 2, 4), (8,), (), (4, 4), (2, 3, 4), [5, 2], (0, 3), np.array([2, 3])],
    "values": [[1.0, 2.0, 4.0], np.arange(5.0)],
    "schemes": [["he"], ["he", "xavier"], {"a": "zeros"}, ("auto", "own")],
    "steps_per_epoch": [None, 2],
    "batches": ["shared", "own"],
    "optimizer": ["sgd"],
    "loss": ["mse"],
    "metrics": [(), ["mae"]],
    "data": [(np.zeros((4, 3), "float32"), np.zeros((4, 2), "float32"))],
    "out": [None],
    "dtype": [None, "float32", "float64", "bfloat16", "float16"],
}
SIZE = 2**16  # most numbers that a draw is asked for


def small_model() -> keras.Model:
    """Returns a new model with a kernel of each of two kinds."""
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Conv2D(3, 2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )


def arguments(random: np.random.Generator, function: Any, *, skip: tuple[str, ...] = ()) -> Any:
    """Returns keyword arguments for some of a function's parameters, all that it needs among them.

    Args:
        random: where the choices come from.
        function: a function or class.
        skip: parameters to leave out.
    """
    chosen = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in skip or parameter.kind is parameter.VAR_POSITIONAL:
            continue
        if parameter.default is parameter.empty or random.random() < 0.4:
            chosen[name] = mixed(random, *FITTING.get(name, []))
    return chosen


def draw_scheme(random: np.random.Generator) -> Any:
    """Makes a scheme, reads and copies its configuration, and draws from it."""
    cls = getattr(ki, _one(random, SCHEMES))
    scheme = cls(**arguments(random, cls))
    inner = getattr(scheme, "scheme", scheme)
    if isinstance(inner, keras.initializers.Initializer):  # Keras finds no nameless function again
        assert cls.from_config(scheme.get_config()) == scheme
    shape = mixed(random, *FITTING["shape"])
    dtype = mixed(random, *FITTING["dtype"])
    sizes = shape if isinstance(shape, tuple | list | range) else ()
    if all(isinstance(n, int) for n in sizes) and np.prod([float(n) for n in sizes]) > SIZE:
        return None  # a matter of memory, not of arguments
    values = scheme(shape, dtype)
    return keras.ops.convert_to_numpy(keras.ops.cast(values, "float64"))


def make_geometry(random: np.random.Generator) -> Any:
    """Makes a geometry of a shape and reads its fans."""
    from_shape = ki.KernelGeometry.from_shape
    found = from_shape(**arguments(random, from_shape))
    return [found.fan_in, found.fan_out, *found.matrix_shape]


def call_compare(random: np.random.Generator) -> Any:
    """Calls `compare` up to the point where all arguments are accepted."""

    def build() -> keras.Model:
        raise Accepted

    chosen = arguments(random, ki.compare, skip=("build", "execution"))
    data = chosen.get("data")
    if isinstance(data, str) and data not in ("", "nan"):
        chosen["data"] = "imagenet"  # no name of a source that asks the network
    return ki.compare(build, **chosen)


def call_initialize(random: np.random.Generator) -> Any:
    """Initializes a model, or something that is none, and reads the report."""
    model = mixed(random, small_model())
    report = ki.initialize(model, **arguments(random, ki.initialize, skip=("model",)))
    assert report.summary()
    return [row.stddev for row in report.rows if row.stddev is not None]


def call_audit(random: np.random.Generator) -> Any:
    """Audits a model, or something that is none."""
    ki.audit(mixed(random, small_model())).to_json()


def call_geometry(random: np.random.Generator) -> Any:
    """Asks for the geometry of a weight, or of something else."""
    layer, _, other = small_model().layers
    weight = _one(random, [layer.kernel, layer.bias, other.kernel])
    ki.geometry(mixed(random, layer), weight)


def call_diagnose(random: np.random.Generator) -> Any:
    """Diagnoses with arguments of which one at least is wrong: a right call takes a second."""
    chosen = {
        "seed": mixed(random, 0),
        "jacobian_samples": mixed(random, 0),
        "x": wild(random),
        "y": mixed(random, None),
    }
    ki.diagnose(small_model(), **chosen)


def call_load_mnist(random: np.random.Generator) -> Any:
    """Loads the digits, or asks for a source that does not exist."""
    source = wild(random)
    if isinstance(source, str) and source in ki.datasets.MNIST_SOURCES:
        source = "digits"
    ki.datasets.load_mnist(source, report=lambda line: None)


def plain_call(function: Callable[..., Any]) -> Callable[[np.random.Generator], Any]:
    """Returns a target that calls a function with arguments by its signature."""

    def call(random: np.random.Generator) -> Any:
        return function(**arguments(random, function, skip=("on_progress", "on_runs", "out")))

    return call


def targets() -> dict[str, tuple[Callable[[np.random.Generator], Any], int]]:
    """Returns what is called, with how often in a round."""
    plain = {
        name: (plain_call(getattr(ki, name)), 2)
        for name in (
            *("gain", "gaussian_moments", "variance_map", "correlation_map", "chi"),
            *("fixed_point", "depth_scale", "get", "mean_interval", "Execution", "Thresholds"),
        )
    }
    configs = {
        name: (plain_call(getattr(ki.experiments, name)), 1)
        for name in ("MnistLogConfig", "CirclesConfig", "DepthConfig", "ZeroInitConfig")
    }
    return {
        **plain,
        **configs,
        "critical_sigma_w": (plain_call(ki.critical_sigma_w), 1),
        "schemes": (draw_scheme, 20),
        "KernelGeometry": (make_geometry, 4),
        "compare": (call_compare, 3),
        "initialize": (call_initialize, 2),
        "audit": (call_audit, 1),
        "geometry": (call_geometry, 1),
        "diagnose": (call_diagnose, 1),
        "load_mnist": (call_load_mnist, 1),
    }


def outcome(call: Callable[[np.random.Generator], Any], random: np.random.Generator) -> str:
    """Returns what a call did: "returned", the name of a documented error, or "fault: ..."."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy, on overflow
            found = call(random)
            # Tensors and tuples of numbers, if it is that.
            values = [v for v in np.ravel(found).tolist() if isinstance(v, float)]
    except Accepted:
        return "returned"
    except ki.InputError as error:
        return type(error).__name__ if str(error) else "fault: an error without a message"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rpartition('site-packages/')[2]}:{place.lineno}"
        return f"fault: {type(error).__name__} at {where}: {' '.join(str(error).split())[:200]}"
    # Infinity has a meaning where it is documented: never NaN, nor minus infinity.
    fine = np.isfinite(values) | (np.array(values) == np.inf)
    return "returned" if np.all(fine) else "fault: numbers that are none"


def run(sets: int, seed: int) -> Iterator[tuple[int, str, str]]:
    """Yields number, target and outcome of each set of arguments."""
    calls = targets()
    turns = [name for name, (_, times) in calls.items() for _ in range(times)]
    for number in range(sets):
        random = np.random.default_rng([seed, number])
        name = turns[number % len(turns)]
        yield number, name, outcome(calls[name][0], random)


def main() -> int:
    """Runs the sets, prints counts and faults, and returns 1 if there are faults."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one set, with its traceback")
    options = parser.parse_args()
    if options.only is not None:
        calls = targets()
        turns = [name for name, (_, times) in calls.items() for _ in range(times)]
        name = turns[options.only % len(turns)]
        print(name, calls[name][0](np.random.default_rng([options.seed, options.only])))
        return 0
    counts: collections.Counter[str] = collections.Counter()
    faults: dict[str, list[tuple[int, str]]] = {}
    for number, name, found in run(options.sets, options.seed):
        counts[found.partition(":")[0]] += 1
        if found.startswith("fault"):
            faults.setdefault(f"{name}: {found}", []).append((number, name))
    for found, numbers in sorted(faults.items(), key=lambda item: -len(item[1])):
        print(f"{len(numbers)} x {found} (set {numbers[0][0]})")
    print(", ".join(f"{count} {what}" for what, count in counts.most_common()))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
