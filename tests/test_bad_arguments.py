"""What is no argument at all is refused in a sentence, before anything is computed."""

import keras
import numpy as np
import pytest

import keras_inits
from keras_inits import InputError, mup

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
    given = {"build": net, "optimizer": "sgd", "loss": "mse", **changed}
    return keras_inits.compare(schemes=["zeros"], data=(X, X[:, :3]), epochs=1, seeds=1, **given)


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
}
UNBUILT = keras.Sequential([keras.layers.Dense(3)])
CASES = [
    *(("Execution", name, 3.7) for name in ("out", "on_progress", "on_runs")),
    *(("SignalMonitor", name, 3.7) for name in ("every", "stop", "thresholds")),
    *(("calibrate", "center", value) for value in (1, "yes", X)),
    *(("calibrate", "target", value) for value in (True, 0.0, "1")),
    ("chi", "q", -1.0),
    ("load_mnist", "data_dir", 3.7),
    *(("pretrain", "level", value) for value in (None, "some", -1)),
    *(("pretrain", name, 3.7) for name in ("out", "on_progress", "optimizer", "noise")),
    *(("compare", "build", value) for value in (None, "net", [], UNBUILT)),
    ("compare", "optimizer", "nonsense"),
    *(("compare", "loss", value) for value in ("nonsense", [], {}, [None], UNBUILT, 3)),
    *(("compare", name, 1) for name in ("batches", "keep_weights", "shuffle")),
    ("compare", "shuffle", "batch"),
    ("coordinate_check", "build", UNBUILT),
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
]


@pytest.mark.parametrize(("name", "argument", "value"), CASES)
def test_nonsense_is_refused_with_the_name_of_the_argument(name, argument, value):
    with pytest.raises(InputError, match=f"`{argument}`"):
        CALLS[name](**{argument: value})


def test_the_cases_are_of_calls_that_work():
    for name in ("diagnose", "fit_output_bias"):
        CALLS[name]()
    CALLS["wiring"](inputs=(None, 4))
    CALLS["warm_start"](layers={})
    CALLS["mup.optimizer"](like="adam")
