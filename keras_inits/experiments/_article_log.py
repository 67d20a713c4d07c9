"""The log format of the article "DL function", and the epochs that its text counts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.statistics import median_epoch

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


def _first_epoch(reached: NDArray[np.bool_]) -> float:
    """Returns the first epoch, counted from 1, at which something holds; infinity for never."""
    return float(np.argmax(reached)) + 1 if reached.any() else float("inf")
