"""Operators that spoil a program, each with its strengths.

After those of DeepCrime (Humbatova, Jahangirova & Tonella 2021, doi:10.1145/3460319.3464825), of
DeepMutation (Ma et al. 2018, arXiv:1805.05206) and of DeepFD's seeded faults (Cao et al. 2022,
arXiv:2205.01938), and what people ask about. Left out is what `diagnose` is not told: the number of
epochs, the size of batches, validation and early stopping, fewer samples.
"""

from typing import Any

import keras
import numpy as np
from data import one_hot
from keras import constraints, initializers, layers, regularizers
from keras.optimizers import SGD, Adadelta, Adagrad, Adamax, Ftrl, Lion, Nadam, schedules
from nets import BCE, CCE, SPARSE

from mutation import changes
from mutation.changes import (
    Apply,
    behind,
    classes,
    ends,
    everywhere,
    hidden,
    inner,
    inputs,
    kind_of,
    leaving_out,
    of,
    setting,
    shapes,
    stepping,
    values,
    with_axes,
)

Strengths = dict[str, Any]
INNER = "hidden activation, gradient, initialization"
START = "initialization, gradient"
SHAPE = "layers, labels, output"
RATE = "rate too low, rate too high"
OUTPUT = of("output", "output")
PENALTY = of("regularization", "loss")


def each(make: Any, *given: Any) -> Strengths:
    """Returns a strength for each value, made from it and named after it."""
    return {str(value): make(value) for value in given}


def same(*given: Any) -> Strengths:
    """Returns the values themselves."""
    return each(lambda value: value, *given)


def layer(kind: Any, *given: Any) -> Strengths:
    """Returns what calls a new layer with one argument."""
    return each(lambda value: lambda h: kind(value)(h), *given)


def by(make: Any, *given: Any) -> Strengths:
    """Returns what makes data from data and a value."""
    return each(lambda value: lambda data: make(data, value), *given)


def in_some(data: Any, value: Any) -> Any:
    """Returns data with a value in 5 % of the samples."""
    made = data.astype("float32") if data.dtype.kind in "iu" else data.copy()
    made[np.random.default_rng(0).random(len(data)) < 0.05] = value
    return made


def dealt(data: Any, share: float = 1.0) -> Any:
    """Returns data that a share of the samples got from others."""
    rng, made = np.random.default_rng(0), data.copy()
    rows = np.flatnonzero(rng.random(len(data)) < share)
    made[rows] = data[rng.permutation(rows)]
    return made


def column(make: Any) -> Any:
    """Returns what changes the second column of a table, or the second row or step."""
    return lambda x: np.concatenate([x[:, :1], make(x[:, 1:2]), x[:, 2:]], 1)


def by_sample(make: Any) -> Any:
    """Returns what changes each sample by what is known of it alone."""
    return lambda x: make(x.reshape(len(x), -1)).reshape(x.shape)


def pooled(kind: str) -> Any:
    """Returns what pools over some places, all of them, or the channels."""

    def make(h: Any) -> Any:
        flat = len(h.shape) == 3
        if kind == "channels":
            return keras.ops.max(h, -1, keepdims=True)
        if kind == "all":
            return keras.ops.mean(h, 1 if flat else (1, 2), keepdims=True)
        return (layers.MaxPooling1D if flat else layers.MaxPooling2D)(4)(h)

    return make


def deep(kind: str) -> Any:
    """Returns what puts on as many layers as the number in front of an activation."""
    number, activation = kind.split()

    def make(h: Any) -> Any:
        for _ in range(int(number)):
            h = layers.Dense(h.shape[-1], activation)(h)
        return h

    return make


def normalized(kind: str) -> Any:
    """Returns what normalizes."""
    made = {
        "batch": layers.BatchNormalization,
        "layer": layers.LayerNormalization,
        "layer over the batch": lambda: layers.LayerNormalization(axis=0),
        "unit": layers.UnitNormalization,
    }[kind]
    return lambda h: made()(h)


def one_hot_or_back(y: Any) -> Any:
    """Returns classes in the other of both forms."""
    return y.argmax(-1) if y.ndim > 1 and y.shape[1] > 1 else one_hot(y.reshape(-1).astype(int))


def warming(steps: int) -> Any:
    """Returns the argument of an optimizer whose rate rises for some steps, then falls."""
    return {"learning_rate": lambda r: schedules.CosineDecay(0.0, 10 * steps, 0.0, None, r, steps)}


STARTS: Strengths = {
    "zeros": initializers.Zeros,
    "ones": initializers.Ones,
    "identity": initializers.Identity,
    "he": initializers.HeNormal,
    "uniform 0 to 1": lambda: initializers.RandomUniform(0.0, 1.0),
    "constant": lambda: initializers.Constant(0.05),
    "orthogonal 4": lambda: initializers.Orthogonal(4.0),
    **each(lambda std: lambda: initializers.RandomNormal(0.0, std), 1e-4, 1.0, 10.0),
}
CONSTRAINTS: Strengths = {
    **each(lambda norm: lambda: constraints.MaxNorm(norm), 0.05, 1.0),
    "non-negative": constraints.NonNeg,
    "unit norm": constraints.UnitNorm,
}
OPTIMIZERS: Strengths = {
    **each(lambda rate: lambda: SGD(rate), 0.01, 1e-3, 1e-4),
    "momentum 0.9": lambda: SGD(1.0, 0.9),
    "momentum 0.99": lambda: SGD(0.1, 0.99),
    "Lion": lambda: Lion(1e-2),
    **{kind.__name__: kind for kind in (Adadelta, Adagrad, Adamax, Ftrl, Nadam)},
}
ARGUMENTS: Strengths = {
    **each(lambda v: {"epsilon": v}, 1.0, 1e-2),
    "beta_1 0": {"beta_1": 0.0},
    "beta_1 0.999": {"beta_1": 0.999},
    "beta_2 0.5": {"beta_2": 0.5},
    "momentum 0.999": {"momentum": 0.999},
}
SCHEDULES: Strengths = {
    **each(lambda n: {"learning_rate": lambda r: schedules.ExponentialDecay(r, n, 0.5)}, 5, 500),
    "warmed up for 100": warming(100),
    "warmed up for 50,000": warming(50_000),
}
SAMPLES: Strengths = {
    **each(lambda weight: lambda y: weight, 1e-5, 1e4),
    "most 0": lambda y: np.random.default_rng(0).random(len(y)) < 0.02,
    "a class 0": lambda y: y != y.max(),
    "a class 50": lambda y: np.where(y == y.max(), 50, 1),
}
COLUMN: Strengths = {
    **each(lambda factor: column(lambda c: c * factor), 100, 1e4, 1e7),
    **each(lambda value: column(lambda c: in_some(c, value)), np.nan, -999),
    "constant": column(np.ones_like),
}
EMPTIED: Strengths = {
    "all the same": lambda x: x * 0 + x[:1],
    "half 0": lambda x: x * (np.random.default_rng(0).random(x.shape) < 0.5),
    "samples dealt anew": dealt,
    "features dealt anew": by_sample(lambda x: np.random.default_rng(0).permuted(x, axis=1)),
}
BY_SAMPLE: Strengths = {
    "unit norm": by_sample(lambda x: x / (1e-9 + np.linalg.norm(x, axis=1)[:, None])),
    "standardized": by_sample(lambda x: (x - x.mean(1)[:, None]) / x.std(1)[:, None]),
    "signs": np.sign,
    "bytes": lambda x: np.round(x).astype("uint8"),
}
SHAPES: Strengths = {
    "column": lambda y: y[:, None],
    "flat": lambda y: y,
    "three axes": lambda y: y[:, None, None],
    "thrice": lambda y: np.repeat(y[:, None], 3, 1),
}
LABELS: Strengths = {
    "from 1": lambda y: y + 1,
    "one-hot or back": one_hot_or_back,
    "minus one and one": lambda y: 2.0 * y - 1,
    "as fractions": lambda y: y / max(1, y.max() + 1),
    "one class": lambda y: y * 0 + y[:1],
    "dealt anew": dealt,
    **by(dealt, 0.33),
    **by(in_some, np.nan, -1),
}
FLATTENING = kind_of(
    layers.Flatten,
    layers.GlobalAveragePooling1D,
    layers.GlobalMaxPooling1D,
    layers.GlobalAveragePooling2D,
)
BATCH = kind_of(layers.BatchNormalization)
ACTIVATIONS = same("linear", "sigmoid", "softmax", "tanh", "exponential", "softplus", "relu")
LOSSES = ("mse", "mae", "mape", "msle", "squared_hinge", "kld", "poisson", "cosine_similarity")
L1, L2 = (lambda size, kind=kind: lambda: kind(size) for kind in (regularizers.L1, regularizers.L2))

# By name: what applies it, and its strengths.
OPERATORS: dict[str, tuple[Apply, Strengths]] = {
    "hidden activation": (setting(inner, "activation", INNER), ACTIVATIONS),
    "activation added": (
        behind(inner, INNER),
        layer(layers.Activation, "relu", "softmax", "sigmoid", "tanh"),
    ),
    "last activation": (setting(ends, "activation", one=True, faults=OUTPUT), ACTIVATIONS),
    "last activation twice": (
        behind(ends, "", OUTPUT),
        layer(layers.Activation, "sigmoid", "softmax", "relu"),
    ),
    "units of the output": (
        setting(ends, "units", one=True, faults=of(f"{SHAPE}, loss", "output")),
        same(1, 2, 16),
    ),
    "kernel start": (
        setting(everywhere, "kernel_initializer|embeddings_initializer", START),
        STARTS,
    ),
    "bias start": (
        setting(everywhere, "bias_initializer", START),
        each(lambda value: lambda: initializers.Constant(value), -10.0, -2.0, 3.0, 100.0),
    ),
    "bias left out": (setting(everywhere, "use_bias", "layers"), same(False)),
    "penalty": (
        setting(everywhere, "kernel_regularizer", faults=PENALTY),
        {**each(L2, 1e-4, 0.1, 10.0), **each(L1, 1e-3, 0.01)},
    ),
    "penalty of activity": (
        setting(inner, "activity_regularizer", faults=PENALTY),
        each(L2, 1e-5, 1e-3, 0.1, 10.0),
    ),
    "constraint": (setting(everywhere, "kernel_constraint", "regularization"), CONSTRAINTS),
    "dropout": (behind(inner, "dropout"), layer(layers.Dropout, 0.3, 0.7, 0.95)),
    "dropout at the end": (behind(ends, "dropout"), layer(layers.Dropout, 0.1, 0.5)),
    "noise": (behind(inner, "dropout, gradient"), layer(layers.GaussianNoise, 0.1, 1.0, 10.0)),
    "normalization at the end": (
        behind(ends, "layers, output, gradient", OUTPUT),
        each(normalized, "batch", "layer"),
    ),
    "normalization inside": (
        behind(hidden, "layers, gradient"),
        each(normalized, "batch", "layer", "layer over the batch", "unit"),
    ),
    "layer left out": (leaving_out(inner, "layers, capacity, labels", every=False), same("one")),
    "deeper": (
        behind(hidden, INNER),
        each(deep, "3 relu", "15 relu", "6 sigmoid", "30 tanh", "3 linear"),
    ),
    "narrow": (setting(inner, "units|filters", f"capacity, {INNER}", one=True), same(1, 2)),
    "pooling": (
        behind(with_axes, "layers, capacity", of("layers, capacity", "output")),
        each(pooled, "some", "all", "channels"),
    ),
    "flatten left out": (leaving_out(FLATTENING, SHAPE, every=True), same("all")),
    "sequences returned": (
        setting(inner, "return_sequences", faults=of(SHAPE, "output", "targets")),
        same(True),
    ),
    "backwards": (setting(inner, "go_backwards", "layers"), same(True)),
    "mask forgotten": (changes.forget_mask, same("turned round")),
    "batch normalization": (setting(BATCH, "momentum", "layers, gradient"), same(0.9999)),
    "batch normalization kept": (setting(BATCH, "trainable", f"layers, {START}"), same(False)),
    "epsilon": (setting(inner, "epsilon", f"layers, {START}"), same(0.1, 10.0)),
    "axis": (setting(inner, "axis", "layers, gradient"), same(1, 0)),
    "frozen": (changes.freeze, same("one", "all but the last", "all")),
    "residuals left out": (
        leaving_out(kind_of(layers.Add), "gradient, layers", every=True),
        same("all"),
    ),
    "stride": (setting(inner, "strides", "layers, capacity"), same(3, 6)),
    "half precision": (changes.halve, same("float16", "mixed_float16")),
    "loss": (changes.replace_loss, same(*LOSSES, CCE, BCE, SPARSE, "huber")),
    "logits": (changes.turn_logits, same("turned round")),
    "rate up": (
        stepping("rate too high"),
        each(lambda f: {"learning_rate": lambda rate: rate * f}, 10, 100, 1e3, 1e4),
    ),
    "rate down": (
        stepping("rate too low, epochs"),
        each(lambda f: {"learning_rate": lambda rate: rate * f}, 0.1, 1e-2, 1e-3, 1e-4),
    ),
    "optimizer": (stepping(f"{RATE}, epochs, regularization"), OPTIMIZERS),
    "argument of the optimizer": (stepping(RATE), ARGUMENTS),
    "gradients clipped": (
        stepping("rate too low"),
        each(lambda norm: lambda: SGD(0.1, clipnorm=norm), 1e-7, 1e-3, 0.1),
    ),
    "weight decay": (
        stepping("regularization"),
        each(lambda size: {"weight_decay": size}, 1e-3, 0.1, 1.0, 30.0),
    ),
    "schedule": (stepping("rate too low"), SCHEDULES),
    "weights of the losses": (
        changes.weigh_losses,
        same([1.0, 1e-4], [1e-4, 1.0], [1.0, 1e4], [0.0, 1.0]),
    ),
    "weights of the samples": (changes.weigh_samples, SAMPLES),
    "inputs scaled": (inputs, by(np.multiply, 1e-4, 1e-2, 255, 1e4)),
    "inputs shifted": (inputs, by(np.add, 3, 100, 1e5)),
    "one column": (inputs, COLUMN),
    "inputs emptied": (inputs, EMPTIED),
    "inputs by sample": (inputs, BY_SAMPLE),
    "targets scaled": (values, by(np.multiply, 1e-4, 100, 1e4, 1e6)),
    "targets shifted": (values, by(np.add, 10, 1e3, 1e5)),
    "shape of the targets": (shapes, SHAPES),
    "labels": (classes, LABELS),
}
