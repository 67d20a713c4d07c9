"""Nets of all kinds, and what is found of them; run as a script on another backend."""

import json
import random
import sys
from pathlib import Path

import keras
import nets_by_layer
import numpy as np
from keras import layers, ops

import keras_inits as ki
from keras_inits._diagnose.setting.run import examine

# Shapes are few, since JAX compiles each operation for each of them.


class Block(layers.Layer):
    """Attention and a feed-forward part on one stream."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention = layers.MultiHeadAttention(2, 4, name="attention")
        self.norm = layers.LayerNormalization(name="norm")
        self.up, self.down = layers.Dense(16, name="up"), layers.Dense(8, name="down")

    def build(self, shape):
        self.attention.build(shape, shape)
        self.norm.build(shape)
        self.up.build(shape)
        self.down.build((*shape[:-1], 16))

    def call(self, x):
        x = x + self.attention(x, x)
        return x + self.down(ops.gelu(self.up(self.norm(x))))


def vanishing(rng):
    x = rng.normal(size=(32, 32)).astype("float32")
    small = keras.initializers.RandomNormal(stddev=0.002)
    hidden = [layers.Dense(32, "relu", kernel_initializer=small) for _ in range(4)]
    model = keras.Sequential([keras.Input((32,)), *hidden, layers.Dense(1)])
    model.compile("adam", "mse")
    return model, x, x[:, :1] * x[:, 1:2]


def normalized(rng):
    given = keras.Input((32,))
    stream = layers.Dense(32)(given)
    branch = layers.ReLU()(layers.BatchNormalization()(stream))
    stream = stream + layers.Dropout(0.3)(layers.Dense(32)(branch))
    x = rng.normal(size=(32, 32)).astype("float32")
    model = keras.Model(given, layers.Dense(32, "softmax")(stream))
    return model, x, rng.integers(0, 32, 32), "sparse_categorical_crossentropy"


def residual(rng):
    given = keras.Input((8, 8, 3))
    stream = layers.Conv2D(8, 3, padding="same")(given)
    branch = layers.ReLU()(layers.BatchNormalization()(stream))
    stream = stream + layers.Dropout(0.3)(layers.Conv2D(8, 3, padding="same")(branch))
    end = layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(stream))
    y = np.eye(3, dtype="float32")[rng.integers(0, 3, 24)]
    x = rng.normal(size=(24, 8, 8, 3)).astype("float32")
    return keras.Model(given, end), x, y, "categorical_crossentropy"


def lstm(rng):
    x = rng.normal(size=(24, 5, 4)).astype("float32")
    x[:4, 3:] = 0
    last = layers.Dense(1, "sigmoid")
    model = keras.Sequential([keras.Input((5, 4)), layers.Masking(), layers.LSTM(6), last])
    return model, x, (x[:, :1, 0] > 0).astype("int32"), "binary_crossentropy"


def transformer(rng):
    given = keras.Input((7,), dtype="int32")
    stream = Block(name="block")(layers.Embedding(20, 8)(given))
    model = keras.Model(given, layers.Dense(20, "softmax")(stream))
    x = rng.integers(0, 20, size=(16, 7))
    return model, x, np.roll(x, -1, 1), "sparse_categorical_crossentropy"


def dead(rng):
    low = keras.initializers.Constant(-9.0)
    hidden = layers.Dense(32, bias_initializer=low)
    given = keras.Input((12,))
    model = keras.Model(given, layers.Dense(1)(ops.relu(hidden(given))))
    x = rng.normal(size=(64, 12)).astype("float32")
    return model, x, x[:, :1], "mse"


def cut_off(rng):
    given = keras.Input((12,))
    model = keras.Model(given, layers.Dense(1)(ops.floor(layers.Dense(8, "tanh")(given))))
    x = rng.normal(size=(32, 12)).astype("float32")
    return model, x, x[:, :1], "mse"


def wrong_end(rng):
    model = keras.Sequential([keras.Input((12,)), layers.Dense(8, "relu"), layers.Dense(1, "relu")])
    model.compile("sgd", "mse")
    x = rng.normal(size=(32, 12)).astype("float32")
    return model, x, x[:, :1]


def large_target(rng):
    given = keras.Input((12,))
    hidden = layers.Dense(8, "relu")(given)
    model = keras.Model(given, [layers.Dense(1)(hidden), layers.Dense(1)(hidden)])
    model.compile("adam", ["mse", "mse"])
    x = rng.normal(size=(32, 12)).astype("float32")
    return model, x, [30_000 + 9000 * x[:, :1], x[:, 1:2]]


def _dense(*inner, units=1, end=None, **options):
    first = layers.Dense(16, "relu", **options)
    return keras.Sequential([keras.Input((8,)), *inner, first, layers.Dense(units, end, **options)])


def _wide():
    wide = keras.initializers.RandomNormal(stddev=5.0)
    return _dense(units=12, end="softmax", kernel_initializer=wide)


def _coded():
    penalty = keras.regularizers.L1(10.0)
    return _dense(layers.Dense(4, "relu", activity_regularizer=penalty))


def _two_ends():
    given = keras.Input((8,))
    hidden = layers.Dense(16, "relu")(given)
    return keras.Model(given, [layers.Dense(1)(hidden), layers.Dense(1)(hidden)])


def _reader():
    inner = [layers.Embedding(20, 8), layers.GRU(8), layers.Dense(1, "sigmoid")]
    return keras.Sequential([keras.Input((14,)), *inner])


RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(64, 8)).astype("float32")
Y = np.tanh(2 * X[:, :1] * X[:, 1:2])
CLASSES = RANDOM.integers(0, 12, 64)
WORDS = RANDOM.integers(1, 20, (64, 14))
WORDS[:, 3:] = 0
LARGE = [30_000 + 9000 * X[:, :1], Y]
SPARSE = "sparse_categorical_crossentropy"
# By the kind of finding: the net, inputs, targets, loss and optimizer.
SETTINGS = {
    "loss at the start": (_wide, X, CLASSES, SPARSE, "adam"),
    "input scale": (_dense, 1000 * X, Y, "mse", "adam"),
    "target scale": (_two_ends, X, LARGE, ["mse", "mse"], "adam"),
    "": (_dense, X, Y, "mse", "adam"),
    "learning rate too high": (_dense, X, Y, "mse", keras.optimizers.SGD(30.0)),
    "learning rate too low": (_dense, X, Y, "mse", keras.optimizers.SGD(1e-6)),
    "regularization": (_coded, X, Y, "mse", "adam"),
    "input padding": (_reader, WORDS, WORDS[:, 0] % 2, "binary_crossentropy", "adam"),
}


def judged(folder: Path) -> dict:
    """Returns what is found in settings, and the losses of the first steps."""
    found = {}
    for kind, (build, x, y, loss, optimizer) in SETTINGS.items():
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        model = build()
        shared(model, folder / f"setting {kind}.npz")
        model.compile(optimizer, loss)
        setting = examine(model, x, y)
        steps = setting.first_steps
        assert all(np.isfinite(float(v)) for v in model.metrics_variables), kind
        found[kind] = {"kinds": [f.kind for f in setting.findings], "notes": [*setting.notes]}
        if build is not _wide:  # whose loss is cut off but on TensorFlow
            found[kind] |= {"start": steps.start, "after": steps.after}
    return found


def monitored(folder: Path) -> list:
    """Returns the reports of a monitor before a training and behind it."""
    model, x, y = vanishing(np.random.default_rng(0))
    shared(model, folder / "monitored.npz")
    monitor = ki.SignalMonitor(x, y)
    model.fit(x, y, batch_size=32, shuffle=False, verbose=0, callbacks=[monitor])
    return [report.to_dict() for _, report in monitor.history]


def calibrated(folder: Path) -> dict:
    """Returns by what kernels were multiplied, and how large the weights are then."""
    model, x, _ = vanishing(np.random.default_rng(0))
    report = ki.calibrate(model, x, seed=3, scheme="initkit_he")  # NumPy draws it everywhere
    return {
        "factors": [[row.path, list(row.factors)] for row in report.rows],
        "sizes": [float(np.sqrt(np.mean(np.square(w)))) for w in model.get_weights()],
    }


FAULTS = (vanishing, cut_off, dead, wrong_end, large_target)
SOUND = (normalized, residual, lstm, transformer)
NETS = {make.__name__: make for make in (*FAULTS, *SOUND)}


def found(folder: Path, *names: str) -> dict:
    """Returns the reports by name; weights come from the folder, or go there."""
    reports: dict = {}
    for name, make in (NETS | nets_by_layer.NETS).items():
        if name not in names:
            continue
        keras.utils.clear_session()  # names count from one
        keras.utils.set_random_seed(0)
        model, x, y, *loss = make(np.random.default_rng(0))
        shared(model, folder / f"{name}.npz")
        before = state_of(model)
        samples = 2 if name in ("vanishing", "lstm", *nets_by_layer.NETS) else 0
        own = loss[0] if loss else None
        report = ki.diagnose(model, x, y, loss=own, jacobian_samples=samples)
        after = state_of(model)
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)), make
        assert all(np.isfinite(float(v)) for v in model.metrics_variables), make
        reports[name] = {"verdict": report.verdict} | report.to_dict()
    for run in (monitored, calibrated, judged):
        if run.__name__ in names:
            keras.utils.clear_session()
            keras.utils.set_random_seed(0)
            reports[run.__name__] = run(folder)
    return reports


def shared(model, path: Path) -> None:
    if path.exists():
        with np.load(path) as kept:
            model.set_weights([kept[name] for name in kept.files])
    else:
        np.savez(path, *model.get_weights())


def state_of(model) -> list:
    variables = [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    return [*variables, np.random.get_state()[1], random.getstate()[1]]  # noqa: NPY002


if __name__ == "__main__":
    assert keras.backend.backend() == sys.argv[1]
    print(json.dumps(found(Path(sys.argv[2]), *sys.argv[3:])))
