"""The plain values that the checks of a training's setting work on: loss, targets, ends."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from keras_inits._keras_internals import of_keras

BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
SPARSE = ("sparse_categorical_crossentropy",)
CATEGORICAL = ("categorical_crossentropy", "categorical_focal_crossentropy")
OF_CLASSES = (*CATEGORICAL, *SPARSE)
CROSS_ENTROPIES = (*BINARY, *OF_CLASSES)
SHARES = ("kl_divergence",)  # of distributions: both sides sum to 1
DIRECTIONS = ("cosine_similarity",)
MARGINS = ("hinge", "squared_hinge")  # of two classes, -1 and 1; Keras makes -1 of 0
SQUARES = ("mean_squared_error", "log_cosh", "huber")  # their best constant is near the mean
REGRESSION = (
    *SQUARES,
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "poisson",
)

# The values that an activation can give; all others can give any.
RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, np.inf),
    "exponential": (0.0, np.inf),
}
COSINE = (-1.0, 1.0)  # of a product of normalized vectors, which is no activation
UNREAD = ("unknown", "cosine")  # ends that may give probabilities
PROBABILITIES = ("sigmoid", "softmax", "hard_sigmoid")
# Those that rise, to say what they make of a range.
_CURVES: dict[str, Callable[[float], float]] = {
    "sigmoid": lambda x: float(1 / (1 + np.exp(-x))),
    "tanh": lambda x: float(np.tanh(x)),
    "relu": lambda x: max(x, 0.0),
}


@dataclass(frozen=True)
class LossKind:
    """Which loss it is.

    Attributes:
        name: Keras's long name in snake case, or `"other"`.
        from_logits: whether it was told that it gets logits.
        axis: along which the classes lie.
        ignored: the class number of what is left out of the loss; None for none.
        smoothing: the share of the labels that is spread evenly over the classes.
        summed: whether the losses of a batch are added up, where the default is their mean.
        delta: from which error on Huber's loss is linear.
    """

    name: str
    from_logits: bool = False
    axis: int = field(default=-1, repr=False)
    ignored: int | None = field(default=None, repr=False)
    smoothing: float = field(default=0.0, repr=False)
    summed: bool = field(default=False, repr=False)
    delta: float = field(default=1.0, repr=False)

    @property
    def class_name(self) -> str:
        """The name of its class in `keras.losses`.

        >>> loss_kind("mse").class_name, loss_kind("categorical_crossentropy").class_name
        ('MeanSquaredError', 'CategoricalCrossentropy')
        """
        return "".join(part.capitalize() for part in self.name.split("_"))


def loss_kind(loss: Any) -> LossKind:
    """Returns the kind of what `compile` takes as a loss.

    >>> loss_kind("mse"), loss_kind(keras.losses.BinaryCrossentropy(from_logits=True))
    (LossKind(name='mean_squared_error', from_logits=False), \
LossKind(name='binary_crossentropy', from_logits=True))
    """
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(loss).__name__).lower()
        own = of_keras(loss)
        config = loss.get_config() if own else {}
    else:
        name = getattr(loss, "__name__", "other")
        own = getattr(loss, "__module__", "").startswith("keras.")
        config = {}
    known = (*CROSS_ENTROPIES, *REGRESSION, *SHARES, *DIRECTIONS, *MARGINS)
    axis = config.get("axis", -1)
    return LossKind(
        name if own and name in known else "other",
        bool(config.get("from_logits", False)),
        axis if isinstance(axis, int) else -1,
        config.get("ignore_class"),
        float(config.get("label_smoothing") or 0.0),
        getattr(loss, "reduction", "") == "sum",
        _delta(loss) if own and name == "huber" else 1.0,
    )


def _delta(loss: Any) -> float:
    """Returns from which error on Huber's loss is linear, which its configuration does not tell."""
    if not isinstance(loss, keras.losses.Loss):
        return 1.0
    far = 1e6
    return float(keras.ops.convert_to_numpy(loss(np.zeros((1, 1)), np.full((1, 1), far)))) / far


@dataclass(frozen=True, eq=False)
class Targets:
    """What one output is compared with.

    Attributes:
        values: the targets as float64, `(batch, ...)`.
        integral: whether all are whole numbers.
        binary: whether all are 0 or 1.
        exclusive: whether the last axis, of 2 or more, holds shares that sum to 1.
        distinct: how many values there are; counted up to 1,000.
    """

    values: np.ndarray
    integral: bool
    binary: bool
    exclusive: bool
    distinct: int

    @property
    def one_hot(self) -> bool:
        """Whether each row names one class by a 1 among zeros."""
        return self.exclusive and self.binary

    @property
    def low(self) -> float:
        """The least value."""
        return float(self.values.min())

    @property
    def high(self) -> float:
        """The largest value."""
        return float(self.values.max())

    @property
    def classes(self) -> bool:
        """Whether they look like classes: one-hot rows, 0 and 1, or few small whole numbers.

        64 classes at most, each with 3 samples on average: counts that are to be regressed have
        more values.
        """
        few = self.distinct <= min(64, max(2, self.values.size // 3))
        return self.one_hot or (self.integral and self.low >= 0 and few)

    def rows(self) -> np.ndarray:
        """Returns the values as `(rows, last axis)`; of one axis, as one column."""
        if self.values.ndim < 2:
            return self.values.reshape(-1, 1)
        return self.values.reshape(-1, self.values.shape[-1])


def targets_of(y: Any) -> Targets:
    """Returns the plain view of an array of targets.

    >>> targets_of(np.eye(3)).one_hot, targets_of([0, 1, 2]).integral
    (True, True)
    """
    values = np.asarray(y, np.float64)
    integral = bool((values == np.round(values)).all())
    wide = values.ndim > 1 and values.shape[-1] > 1
    # 1e-3: the rounding of float16 probabilities.
    exclusive = wide and bool(
        (values >= 0).all() and np.abs(values.sum(-1) - 1).max(initial=0) < 1e-3
    )
    return Targets(
        values,
        integral,
        bool(((values == 0) | (values == 1)).all()),
        exclusive,
        len(np.unique(values.ravel()[:100_000])[:1000]),
    )


@dataclass(frozen=True)
class End:
    """The end of a model.

    Attributes:
        activation: the name of its last activation; `"linear"`; `"cosine"`; or `"unknown"`.
        shape: of the output, with the batch.
        layer: the name of the layer that has the activation.
        before: the activation right before, with nothing trained between.
        axes: of a softmax, those whose values sum to 1.
        reference: an expression for that layer, where its activation can be set; or empty.
        replaceable: whether it is the model's last layer, of Keras's, and has the kernel.
        operation: whether the activation is an operation behind that layer.
    """

    activation: str
    shape: tuple[int, ...]
    layer: str
    before: str = "linear"
    axes: tuple[int, ...] = ()
    reference: str = ""
    replaceable: bool = False
    operation: bool = False

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest value that it can give, by its last two activations."""
        if self.activation == "cosine":
            return COSINE
        low, high = RANGES.get(self.activation, (-np.inf, np.inf))
        bounds = RANGES.get(self.before)
        curve = _CURVES.get(self.activation)
        if bounds is None or curve is None:
            return low, high
        return curve(bounds[0]), curve(bounds[1])

    @property
    def units(self) -> int:
        """The length of the last axis."""
        return self.shape[-1] if len(self.shape) > 1 else 1

    def of(self, samples: int) -> "End":
        """Returns the same end for another number of samples."""
        return replace(self, shape=(samples, *self.shape[1:]))
