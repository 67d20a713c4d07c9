"""The constant that predicts targets best, as the bias of a last layer, and its loss."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from keras_inits._errors import InputError

_Array = NDArray[np.float64]
# A class or value that no target has counts as half an example (Jeffreys' prior), since the
# logarithm of 0 is no bias.
_UNSEEN = 0.5


@dataclass(frozen=True)
class BaseRate:
    """A bias from targets.

    Attributes:
        bias: one value for each unit.
        rule: the formula, for the report.
        loss: the loss of a net whose output is this constant; NaN where it is not known.
        note: what was done about targets that a formula cannot take; else empty.
    """

    bias: _Array
    rule: str
    loss: float
    note: str = ""


def class_shares(labels: _Array, weights: _Array, units: int) -> _Array:
    """Returns the share of each class among integer labels, `(labels,)`, that count by weights.

    Raises:
        InputError: labels that are no whole numbers from 0 below `units`.
    """
    if np.any(labels != np.round(labels)) or labels.min() < 0 or labels.max() >= units:
        raise InputError(
            f"`y` must hold class numbers from 0 to {units - 1}, as the last layer has {units} "
            f"units. Received: y from {labels.min():g} to {labels.max():g}"
        )
    counts = np.bincount(labels.astype("int64"), weights, minlength=units)
    return np.asarray(counts / weights.sum())


def softmax(shares: _Array, count: int, *, smoothing: float = 0.0) -> BaseRate:
    r"""Returns $b_k = \log p_k$.

    Args:
        shares: $p$, which sums to 1.
        count: how many examples they are of.
        smoothing: the loss's: $p$ becomes $(1 - s) p + s / K$.
    """
    if np.any(shares < 0) or not np.isclose(shares.sum(), 1, atol=1e-3):
        raise InputError(
            "`y` must hold probabilities that sum to 1 over the classes. "
            f"Received: y whose means sum to {shares.sum():.4g}"
        )
    wanted = (1 - smoothing) * shares + smoothing / len(shares)
    given = np.maximum(wanted, _UNSEEN / count)
    given = given / given.sum()
    unseen = int(np.sum(wanted == 0))
    note = f"{unseen} classes without an example count as half a one" if unseen else ""
    return BaseRate(np.log(given), "log p", float(-np.sum(wanted * np.log(given))), note)


def sigmoid(rates: _Array, count: int, *, smoothing: float = 0.0) -> BaseRate:
    r"""Returns $b = \log(p / (1 - p))$ for the rate $p$ of each unit.

    Args:
        rates: $p$.
        count: how many examples they are of.
        smoothing: the loss's: $p$ becomes $(1 - s) p + s / 2$.
    """
    wanted = (1 - smoothing) * rates + smoothing / 2
    edge = min(_UNSEEN / count, 0.5)
    given = np.clip(wanted, edge, 1 - edge)
    loss = -(wanted * np.log(given) + (1 - wanted) * np.log1p(-given))
    never = int(np.sum(given != wanted))
    note = f"{never} units with one value alone count half an example of the other" if never else ""
    return BaseRate(np.log(given / (1 - given)), "log(p / (1 - p))", float(loss.mean()), note)


# The value before an activation that gives a wanted value after it.
INVERSES: dict[str, tuple[str, Callable[[_Array], _Array]]] = {
    "linear": ("", lambda value: value),
    "exponential": ("log of ", np.log),
    "softplus": ("inverse softplus of ", lambda value: value + np.log(-np.expm1(-value))),
    "tanh": ("artanh of ", np.arctanh),
    "sigmoid": ("logit of ", lambda value: np.log(value / (1 - value))),
    "relu": ("", lambda value: np.where(value > 0, value, np.nan)),
}


def center(y: _Array, weights: _Array, activation: str, loss: str) -> BaseRate:
    """Returns the mean of targets of shape `(examples, units)`, or their median for `loss` mae.

    Args:
        y: targets.
        weights: what each example counts, `(examples,)`.
        activation: the last one.
        loss: its name.

    Raises:
        InputError: the activation does not reach that value.
    """
    median = loss == "mean_absolute_error"
    wanted = _median(y, weights) if median else np.average(y, axis=0, weights=weights)
    words, inverse = INVERSES[activation]
    with np.errstate(all="ignore"):
        bias = inverse(wanted)
    which = "median" if median else "mean"
    if not np.all(np.isfinite(bias)):
        raise InputError(
            f"The last activation, {activation}, does not give out the {which} of `y`. "
            f"Received: y with {wanted.min():.4g} to {wanted.max():.4g}"
        )
    value = math.nan
    if loss == "mean_squared_error":
        value = float(np.average(np.mean((y - wanted) ** 2, axis=1), weights=weights))
    elif median:
        value = float(np.average(np.mean(np.abs(y - wanted), axis=1), weights=weights))
    return BaseRate(bias, f"{words}{which} of y", value)


def _median(y: _Array, weights: _Array) -> _Array:
    """Returns of each column the value below which half of the weight lies."""
    if np.all(weights == weights[0]):
        return np.asarray(np.median(y, axis=0))
    order = np.argsort(y, axis=0)
    below = np.cumsum(weights[order], axis=0)
    first = np.argmax(below >= below[-1:] / 2, axis=0)
    return np.asarray(np.take_along_axis(np.take_along_axis(y, order, 0), first[None], 0)[0])
