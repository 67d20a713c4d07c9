"""The log of the article "DL function": its format, its epochs, and how far runs are from it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from keras_inits import _registry
from keras_inits._compare.statistics import median_epoch
from keras_inits.experiments._published import MNIST_LOG, TrainingLog

if TYPE_CHECKING:
    from keras_inits.experiments.mnist_log import MnistLogResult

WITHIN = 3.0  # standard deviations
Metric = Literal["cost", "accuracy"]
METRICS: Mapping[Metric, str] = {"cost": "loss", "accuracy": "test_accuracy"}  # in a comparison

Curve = Sequence[float] | NDArray[np.float64]  # one value per epoch


def log_lines(scheme: str, seed: int, cost: Curve, accuracy: Curve) -> str:
    """Returns one run as the article prints it: a banner, then two lines per epoch.

    Args:
        scheme: name of the scheme, for the banner.
        seed: number of the run; named in the banner unless it is 0.
        cost: mean training cost of each epoch, in nats, `(epochs,)`.
        accuracy: test accuracy after each epoch, `(epochs,)`.

    >>> print(log_lines("random", 0, [8.209401439], [0.2899]))
    *****************random initialize w************************
    Epoch:0001cost=8.209401439
    Accuracy:0.2899
    """
    which = scheme if seed == 0 else f"{scheme} (seed {seed})"
    lines = [f"*****************{which} initialize w************************"]
    for epoch, (c, a) in enumerate(zip(cost, accuracy, strict=True), 1):
        lines += [f"Epoch:{epoch:04d}cost={c:.9f}", f"Accuracy:{round(float(a), 4)}"]
    return "\n".join(lines)


def overtaking(
    random: tuple[NDArray[np.float64], NDArray[np.float64]],
    xavier: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[float, float]:
    """Returns the two epochs that the article counts, from `(cost, accuracy)` of one run each.

    Returns:
        The epoch at which random first reaches the cost of Xavier's first epoch, and the Xavier
        epoch whose accuracy first beats random's best; infinity for never.
    """
    return (
        _first_epoch(random[0] <= xavier[0][0]),
        _first_epoch(xavier[1] > random[1].max()),
    )


def spread(epochs: NDArray[np.float64], last: int) -> str:
    """Returns the median of epochs with their range, in words.

    Args:
        epochs: one number per run, infinity for never.
        last: the last epoch that was trained.

    >>> spread(np.array([11.0, 12.0, np.inf]), 20)
    '12 (median; 11 to later than 20 over 3 seeds)'
    """

    def say(epoch: float) -> str:
        return f"{epoch:g}" if np.isfinite(epoch) else f"later than {last}"

    low, high = epochs.min(), epochs.max()
    if low == high:
        return say(low) if len(epochs) == 1 else f"{say(low)} in all {len(epochs)} seeds"
    middle = median_epoch(epochs)
    return f"{say(middle)} (median; {say(low)} to {say(high)} over {len(epochs)} seeds)"


def published(scheme: str) -> TrainingLog | None:
    """Returns the article's log of a scheme; None if it has none."""
    wanted = _registry.get(scheme)
    return next((log for name, log in MNIST_LOG.items() if _registry.get(name) == wanted), None)


def distances(result: "MnistLogResult") -> dict[tuple[str, Metric], NDArray[np.float64]]:
    """Returns how far each published number lies from the mean of the runs.

    Returns:
        By scheme and metric, one number per epoch: (article - mean) / standard deviation of the
        runs (with n - 1). Empty with one seed, or where the article's numbers do not apply.
    """
    if result.config.seeds < 2 or not result.follows_the_article:
        return {}
    found = {}
    for scheme in result.config.schemes:
        if (log := published(scheme)) is None:
            continue
        for metric in METRICS:
            ours = result.values(scheme, metric)[:, : len(log.cost)]
            theirs = np.array(getattr(log, metric)[: ours.shape[1]])
            found[scheme, metric] = (theirs - ours.mean(axis=0)) / ours.std(axis=0, ddof=1)
    return found


def _first_epoch(reached: NDArray[np.bool_]) -> float:
    """Returns the first epoch, counted from 1, at which something holds; infinity for never."""
    return float(np.argmax(reached)) + 1 if reached.any() else float("inf")
