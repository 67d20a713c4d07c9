"""The loss of the best constant guess: what a model that has learned nothing should start near."""

import numpy as np

from keras_inits._diagnose.setting.plain import BINARY, CATEGORICAL, SPARSE, LossKind, Targets


def guess(targets: Targets, loss: LossKind) -> float | None:
    """Returns the loss of the best guess that is the same for all samples; None if not known.

    Cross-entropies: the entropy of the shares of the classes. Squares: the variance of the
    targets. Absolute errors: the mean distance from the median.

    >>> from keras_inits._diagnose.setting.plain import loss_kind, targets_of
    >>> round(guess(targets_of([0, 1, 2, 3]), loss_kind("sparse_categorical_crossentropy")), 4)
    1.3863
    """
    values = targets.values
    if not values.size or not np.isfinite(values).all():
        return None
    if loss.name == BINARY[0] and 0 <= targets.low and targets.high <= 1:
        p = targets.rows().mean(0)
        return float(np.mean(_entropy(p) + _entropy(1 - p)))
    if loss.name == CATEGORICAL[0] and targets.exclusive:
        return float(_entropy(targets.rows().mean(0)).sum())
    if loss.name == SPARSE[0] and targets.integral:
        _, counts = np.unique(values, return_counts=True)
        return float(_entropy(counts / counts.sum()).sum())
    if loss.name == "mean_squared_error":
        return float(values.var(0).mean())
    if loss.name == "mean_absolute_error":
        return float(np.abs(values - np.median(values, 0)).mean())
    return None


def _entropy(p: np.ndarray) -> np.ndarray:
    return -p * np.log(np.maximum(p, 1e-30))
