"""The loss of the best constant guess: what a model that has learned nothing should start near."""

from collections.abc import Callable

import numpy as np

from keras_inits._diagnose.setting.plain import (
    BINARY,
    CATEGORICAL,
    OF_CLASSES,
    SPARSE,
    LossKind,
    Targets,
)

_Curve = Callable[[np.ndarray, float], np.ndarray]
REWEIGHTED = 50  # times; the mean then moves by less than float32 shows


def guess(targets: Targets, loss: LossKind, weights: np.ndarray | None = None) -> float | None:
    """Returns the loss of the best guess that is the same for all samples; None if not known.

    Cross-entropies: the entropy of the shares of the classes. Squares: the variance of the
    targets. Absolute errors: the mean distance from the median. Huber's loss and log-cosh: by means
    whose weights are those of the errors (Holland & Welsch 1977).

    Args:
        targets: of one output.
        loss: its loss.
        weights: of the samples, by which their losses are multiplied.

    >>> from keras_inits._diagnose.setting.plain import loss_kind, targets_of
    >>> round(guess(targets_of([0, 1, 2, 3]), loss_kind("sparse_categorical_crossentropy")), 4)
    1.3863
    """
    values = targets.values
    if not values.size or not np.isfinite(values).all():
        return None
    mean, share = terms(targets, loss), np.full(len(values), 1 / len(values))
    if weights is not None:
        mean *= float(weights.mean())
        if weights.shape != (len(values),) or (weights < 0).any() or mean <= 0:
            return None
        share = weights / weights.sum()
    rows = targets.rows()
    of_rows = np.repeat(share, len(rows) // len(share)) * (len(share) / len(rows))
    if loss.name == BINARY[0] and targets.low >= 0 and targets.high <= 1:
        p = np.clip(of_rows @ rows, 0, 1)
        return mean * float(np.mean(_entropy(p) + _entropy(1 - p)))
    if loss.name == CATEGORICAL[0] and targets.exclusive:
        return mean * float(_entropy(of_rows @ rows).sum())
    if loss.name == SPARSE[0] and targets.integral:
        _, index = np.unique(values, return_inverse=True)
        each = np.repeat(share, values.size // len(values)) / (values.size // len(values))
        return mean * float(_entropy(np.bincount(index.reshape(-1), each)).sum())
    if loss.name == "mean_squared_error":
        apart = (values - np.tensordot(share, values, 1)) ** 2
        return mean * float(np.tensordot(share, apart, 1).mean())
    if loss.name == "mean_absolute_error":
        apart = np.abs(values - _median(values, share))
        return mean * float(np.tensordot(share, apart, 1).mean())
    if loss.name in _ROBUST:
        return mean * float(np.tensordot(share, _robust(values, share, loss), 1).mean())
    return None


def _robust(values: np.ndarray, share: np.ndarray, loss: LossKind) -> np.ndarray:
    """Returns each target's loss at the best constant, which is a mean by weights of its own."""
    cost, slope = _ROBUST[loss.name]
    center = _median(values, share)
    for _ in range(REWEIGHTED):
        apart = np.maximum(np.abs(values - center), 1e-12)
        weights = (slope(apart, loss.delta) / apart).T * share
        center = (weights * values.T).sum(-1).T[None] / weights.sum(-1).T[None]
    return cost(np.abs(values - center), loss.delta)


def _huber(apart: np.ndarray, delta: float) -> np.ndarray:
    near = np.minimum(apart, delta)
    return np.asarray(near * (apart - near / 2))


_ROBUST: dict[str, tuple[_Curve, _Curve]] = {
    "huber": (_huber, np.minimum),
    "log_cosh": (
        lambda apart, _: apart + np.log1p(np.exp(-2 * apart)) - np.log(2),
        lambda apart, _: np.tanh(apart),
    ),
}


def terms(targets: Targets, loss: LossKind) -> float:
    """Returns how many losses are added up; 1 for a mean."""
    if not loss.summed:
        return 1.0
    return float(targets.values.size if loss.name in SPARSE else len(targets.rows()))


def _median(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Returns the weighted median over samples: half of all weight is at it or below."""
    order = values.argsort(0)
    below = share[order].cumsum(0)
    # A little less than one half, which sums of shares miss by rounding.
    place = (below >= 0.5 - 1e-9).argmax(0)[None]
    return np.asarray(np.take_along_axis(np.take_along_axis(values, order, 0), place, 0))


def _entropy(p: np.ndarray) -> np.ndarray:
    return np.asarray(-p * np.log(np.maximum(p, 1e-30)))


def even_guess(loss: LossKind, units: int) -> float | None:
    """Returns the loss of logits that are all 0, as heads of small kernels start; None for others.

    Args:
        loss: of one output.
        units: how many classes the last layer has.
    """
    if loss.name in BINARY:
        return float(np.log(2.0))
    return float(np.log(units)) if loss.name in OF_CLASSES and units > 1 else None
