"""Data, net and first weights of the circles, as in the NumPy program of "2-1 Initialization"."""

from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Points = tuple[Floats, NDArray[np.int64]]  # coordinates (points, 2), and on which circle (points,)

# The factors of the published draw by fan_in; the names are those of the library's schemes of the
# same law, by which the seeds draw.
SCALES: Mapping[str, Callable[[int], float]] = {
    "zeros": lambda fan_in: 0.0,
    "random_large": lambda fan_in: 10.0,
    "random_small": lambda fan_in: 0.01,
    "xavier": lambda fan_in: (1 / fan_in) ** 0.5,
    "he": lambda fan_in: (2 / fan_in) ** 0.5,
}
RECORDED_EVERY = 1000  # iterations between two recorded costs, as in the article
TITLE = "Two circles, from five starts"
TITLES = {
    "zeros": "zeros",
    "random_large": "random × 10",
    "random_small": "random × 0.01",
    "xavier": "Xavier",
    "he": "He",
}
FAILED = log(2) / 2  # a cost above half of what guessing costs
PUBLISHED_SEED = 3  # of NumPy's legacy generator
LEARNING_RATE = 0.01
# `keras.ops.mean`, of which Keras's losses and metrics are made, returns on JAX and torch what
# float32 holds, whatever its type (Keras 3.15).
NEEDS_TENSORFLOW = (
    "the article's digits need float64, and Keras's losses round to float32 elsewhere"
)
GRID = np.linspace(-1.5, 1.5, 121)  # coordinates of both axes of a picture of the plane


def points(seed: int, count: int) -> Points:
    """Returns noisy points on two circles and their labels, as the articles drew them."""
    from sklearn.datasets import make_circles  # an extra

    x, y = make_circles(n_samples=count, noise=0.05, random_state=seed)
    return x, y


def build() -> keras.Model:
    """Returns the net, in float64; its output is a logit."""
    return keras.Sequential(
        [
            keras.Input((2,), dtype="float64"),
            keras.layers.Dense(10, "relu", dtype="float64"),
            keras.layers.Dense(5, "relu", dtype="float64"),
            keras.layers.Dense(1, dtype="float64"),
        ]
    )


def published_draw(
    scale: Callable[[int], float], model: keras.Model, seed: int = 0
) -> list[Floats]:
    """Returns the weights that the articles start from: `randn(out, in)` layer after layer.

    Args:
        scale: factor of a kernel by its fan_in.
        model: `build()`.
        seed: not used; there is one published draw.
    """
    generator = np.random.RandomState(PUBLISHED_SEED)
    weights: list[Floats] = []
    for layer in model.layers:
        fan_in, fan_out = layer.kernel.shape
        weights.append(generator.randn(fan_out, fan_in).T * scale(fan_in))
        weights.append(np.zeros(fan_out))
    return weights


def logits(weights: Sequence[Floats], x: Floats) -> Floats:
    """Returns what the net of these weights gives for `x`, `(points,)`."""
    *hidden, last = zip(weights[::2], weights[1::2], strict=True)
    for kernel, bias in hidden:
        x = np.maximum(x @ kernel + bias, 0)
    kernel, bias = last
    return np.asarray(x @ kernel + bias)[:, 0]


def cost(weights: Sequence[Floats], data: Points) -> float:
    """Returns the binary cross-entropy of a net on points, in nats."""
    x, y = data
    z = logits(weights, x)
    return float(np.mean(np.logaddexp(0, z) - y * z))


def probability(weights: Sequence[Floats]) -> Floats:
    """Returns the probability of class 1 on `GRID` x `GRID`, `(y, x)`."""
    plane = np.stack(np.meshgrid(GRID, GRID), axis=-1).reshape(-1, 2)
    return np.asarray(1 / (1 + np.exp(-logits(weights, plane)))).reshape(len(GRID), len(GRID))


@keras.saving.register_keras_serializable(package="keras_inits.experiments")
class DoubleRate(keras.optimizers.schedules.LearningRateSchedule):
    """A constant learning rate in float64.

    Keras keeps a plain learning rate in a variable of the global float type, and 0.01 in float32 is
    another number. A schedule may return any type.

    Args:
        rate: the learning rate.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, step: Any) -> Any:
        """Returns the rate, whatever the step."""
        return keras.ops.convert_to_tensor(self.rate, "float64")

    def get_config(self) -> dict[str, Any]:
        """Returns the argument."""
        return {"rate": self.rate}
