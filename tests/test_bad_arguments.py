"""What is no argument at all is refused in a sentence, before anything is computed."""

import keras
import numpy as np
import pytest

import keras_inits
from keras_inits import InputError, experiments, mup, plots

X, Y = np.ones((8, 4), "float32"), np.arange(8) % 3


def net(width=4):
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(width, "relu"), keras.layers.Dense(3, "softmax")]
    )


def compiled():
    model = net()
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def compare(**changed):
    given = {"build": net, "schemes": ["zeros"], "data": (X, X[:, :3]), "epochs": 1, "seeds": 1}
    return keras_inits.compare(**{**given, "optimizer": "sgd", "loss": "mse", **changed})


def compared():
    return keras_inits.Comparison(
        schemes=("he", "random"), seeds=(0,), history={"loss": np.ones((2, 1, 3))}, metric="loss",
        chance={}, samples={}, trainer="fit", notes=(), settings={"seed": 0},
    )  # fmt: skip


def moved():
    return mup.CoordinateCheck(
        "mup", (4, 8), ("output",), np.ones((2, 1, 4, 1)), np.ones((2, 1, 3, 1))
    )


def geometry(**changed):
    given = {"shape": (3, 4), "input_axes": (0,), "output_axes": (1,), **changed}
    return keras_inits.KernelGeometry(**given)


def two_inputs():
    ends = [keras.layers.Dense(3)(keras.Input((width,))) for width in (4, 2)]
    return keras.Model(
        [end._keras_history.operation.input for end in ends], keras.layers.Add()(ends)
    )


def coordinates(**changed):
    given = {"build": net, "widths": (4, 8), "data": (X, Y), "loss": "mse", **changed}
    return mup.coordinate_check(**given)


CALLS = {
    "Execution": keras_inits.Execution,
    "SignalMonitor": lambda **given: keras_inits.SignalMonitor(X, Y, **given),
    "load_mnist": lambda data_dir: keras_inits.datasets.load_mnist("idx", data_dir),
    "pretrain": lambda **given: keras_inits.pretrain(net(), X, **given),
    "compare": compare,
    "coordinate_check": coordinates,
    "diagnose": lambda **given: keras_inits.diagnose(compiled(), X, **{"y": Y, **given}),
    "fit_output_bias": lambda **given: keras_inits.fit_output_bias(net(), **{"y": Y, **given}),
    "mup.optimizer": lambda like: mup.optimizer(like, net(8), net()),
    "calibrate": lambda **given: keras_inits.calibrate(net(), X, **given),
    "chi": lambda q: keras_inits.chi("tanh", sigma_w=1.0, q=q),
    "mup.initialize": lambda zero_output: mup.initialize(net(8), net(), zero_output=zero_output),
    "warm_start": lambda layers: keras_inits.warm_start(net(), net(), layers=layers),
    "wiring": lambda inputs: keras_inits.wiring(net(), inputs),
    "wiring.stream_of": lambda call: keras_inits.wiring(net()).stream_of(call),
    "wiring.activation_after": lambda call: keras_inits.wiring(net()).activation_after(call),
    "Comparison.intervals": lambda best: compared().intervals(best=best),
    "Comparison.epochs_to": lambda target: compared().epochs_to(target),
    "Comparison.row": lambda scheme: compared().row(scheme),
    "Comparison.higher_is_better": lambda metric: compared().higher_is_better(metric),
    "comparison_figure": lambda metric: plots.comparison_figure(compared(), metric),
    "plot_training_curves": lambda ylim: plots.plot_training_curves(
        {"a": [1.0, 2.0]}, ylabel="cost", ylim=ylim
    ),
    "to_json": lambda path: compared().to_json(path),
    "KernelGeometry": geometry,
    "GivenWeights": lambda draw: compare(schemes={"a": keras_inits.GivenWeights(draw)}),
    "from_matrices": lambda matrices: geometry().from_matrices(matrices),
    "to_matrices": lambda kernel: geometry().to_matrices(kernel),
    "has_maps_of": lambda other: geometry().has_maps_of(other),
    "exponents": lambda step: moved().exponents(step),
    "recipe": lambda needs: keras_inits.recipe({}, needs=needs),
    "initialize": lambda overrides: keras_inits.initialize(net(), overrides=overrides),
    "Start": lambda functions: keras_inits.Start(functions),
    "findings_of": lambda name: keras_inits.diagnose(net(), X).findings_of(name),
    "EverythingConfig": lambda **given: experiments.EverythingConfig(**{"out": "runs", **given}),
    "run_all": lambda **given: experiments.run_all(
        **{"experiments": [], "config": experiments.EverythingConfig("runs"), **given}
    ),
    "circles.run": lambda config: experiments.circles.run(config),
}
UNBUILT = keras.Sequential([keras.layers.Dense(3)])
CASES = [
    *(("Execution", name, 3.7) for name in ("out", "on_progress", "on_runs")),
    *(("SignalMonitor", name, 3.7) for name in ("every", "stop", "thresholds")),
    *(("calibrate", "center", value) for value in (1, "yes", X)),
    *(("calibrate", "target", value) for value in (True, 0.0, "1")),
    ("Execution", "n_jobs", 0),
    ("chi", "q", -1.0),
    ("load_mnist", "data_dir", 3.7),
    *(("pretrain", "level", value) for value in (None, "some", -1)),
    *(("pretrain", name, 3.7) for name in ("out", "on_progress", "optimizer", "noise")),
    *(("compare", "build", value) for value in (None, "net", [], UNBUILT)),
    ("compare", "optimizer", "nonsense"),
    *(("compare", "loss", value) for value in ("nonsense", [], {}, [None], UNBUILT, 3)),
    *(("compare", name, 1) for name in ("batches", "keep_weights", "shuffle")),
    ("compare", "shuffle", "batch"),
    *(("compare", "execution", value) for value in (None, "fit", {})),
    ("compare", "metrics", [None]),
    *(("compare", "data", (np.ones(shape), Y)) for shape in ((8, 5), (8, 4, 4))),
    ("compare", "build", int),
    *(("GivenWeights", "draw", value) for value in (None, lambda model, seed: None)),
    *(("coordinate_check", "build", value) for value in (UNBUILT, lambda: net(), lambda w: None)),
    ("coordinate_check", "data", (X[:, :3], Y)),
    ("coordinate_check", "widths", None),
    *(("coordinate_check", "data", value) for value in (None, X, (), "data")),
    *(("coordinate_check", name, 3.7) for name in ("optimizer", "loss")),
    *(("coordinate_check", "loss", value) for value in (None, [], {"a": "nonsense"}, UNBUILT)),
    *(("diagnose", "y", value) for value in (1.0, "y", [], Y[:4], np.array(["a"] * 4))),
    *(("diagnose", "sample_weight", value) for value in (1.0, [], {}, Y[:4])),
    *(("diagnose", "class_weight", value) for value in (1.0, [1, 2, 3], "balanced")),
    *(("diagnose", "loss", value) for value in (3.7, "nonsense", UNBUILT, ["nonsense"])),
    *(("diagnose", "loss", value) for value in ({"a": "nonsense"}, {"a": [None, "nonsense"]}, [])),
    *(("diagnose", name, value) for name in ("training", "confirm") for value in ("no", 1, None)),
    *(("diagnose", "thresholds", value) for value in (0.5, {"dead": 0.5})),
    *(("diagnose", "jacobian_samples", value) for value in (-1, None, 1.5)),
    *(("diagnose", "seed", value) for value in (-1, None, "0")),
    ("fit_output_bias", "y", {}),
    ("fit_output_bias", "sample_weight", np.zeros(0)),
    *(("fit_output_bias", "class_weight", value) for value in ([], "balanced")),
    ("mup.initialize", "zero_output", 0),
    *(("mup.optimizer", "like", value) for value in (None, 3.7, "nonsense")),
    *(("warm_start", "layers", value) for value in ("dense", ["dense"], 3)),
    *(("wiring", "inputs", value) for value in ("x", 3.7, UNBUILT, np.array(["a"]))),
    *((f"wiring.{name}", "call", "dense") for name in ("stream_of", "activation_after")),
    *(("Comparison.intervals", "best", value) for value in ("yes", 1)),
    *(("Comparison.epochs_to", "target", value) for value in (None, "0.5", np.nan, [0.5])),
    *(("Comparison.row", "scheme", value) for value in ("xavier", None, X)),
    *(("Comparison.higher_is_better", "metric", value) for value in (3, "accuracy")),
    *(("comparison_figure", "metric", value) for value in (X, "accuracy")),
    *(("plot_training_curves", "ylim", value) for value in (3, "ab", (1,), (0, np.nan))),
    ("to_json", "path", 3.7),
    *(("KernelGeometry", name, value) for name in ("blocks", "input_stride") for value in (0, 1.5)),
    *(
        ("KernelGeometry", f"{name}_axes", value)
        for name in ("input", "batch")
        for value in (None, 7)
    ),
    ("KernelGeometry", "shape", "34"),
    *(("from_matrices", "matrices", value) for value in (None, np.ones((3, 4)), [[1.0]])),
    *(("to_matrices", "kernel", value) for value in ("kernel", np.ones((4, 3)))),
    ("has_maps_of", "other", (3, 4)),
    *(("exponents", "step", value) for value in (0, 4, -2, None, 1.5)),
    *(("recipe", "needs", value) for value in ("embedding", ["nonsense"], None)),
    ("initialize", "overrides", {3: "he"}),
    *(("Start", "functions", value) for value in (net(), "calibrate")),
    ("findings_of", "name", 3),
    *(("EverythingConfig", name, 3.7) for name in ("out", "source", "data_dir", "seed", "quick")),
    *(
        ("run_all", name, value)
        for name in ("config", "experiments")
        for value in (None, "circles")
    ),
    ("circles.run", "config", experiments.DepthConfig()),
]


@pytest.mark.parametrize(("name", "argument", "value"), CASES)
def test_nonsense_is_refused_with_the_name_of_the_argument(name, argument, value):
    with pytest.raises(InputError, match=f"`{argument}`"):
        CALLS[name](**{argument: value})


@pytest.mark.parametrize("spec", [int, keras.layers.Dense, keras.layers.Dense(3), net()])
def test_what_is_no_initializer_is_none(spec):
    with pytest.raises(InputError, match="Keras can make no initializer of this"):
        keras_inits.get(spec)


def test_an_initializer_that_does_not_fit_is_named_with_the_weight_in_comparisons():
    with pytest.raises(InputError, match=r"cannot fill 'sequential.*kernel' of Dense"):
        compare(schemes={"a": np.ones((2, 2))})


def test_one_array_for_several_inputs_is_refused():
    with pytest.raises(InputError, match="`x` must be a dict or list of 2 arrays"):
        keras_inits.diagnose(two_inputs(), X)


def test_the_cases_are_of_calls_that_work():
    for name in ("diagnose", "fit_output_bias"):
        CALLS[name]()
    CALLS["wiring"](inputs=(None, 4))
    CALLS["warm_start"](layers={})
    CALLS["mup.optimizer"](like="adam")
    CALLS["Comparison.epochs_to"](target=0.5)
    CALLS["exponents"](step=3)
    CALLS["from_matrices"](matrices=np.ones((1, 3, 4)))
    CALLS["plot_training_curves"](ylim=(0, 1))
