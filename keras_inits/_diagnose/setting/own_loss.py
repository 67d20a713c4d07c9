"""A loss of the user's own, or one whose name tells nothing, tried on answers that are made up.

What a function does to targets and outputs is measured: whether each sample is compared with its
own target, whether the targets have a part in it at all, whether right answers cost less than
wrong ones, and whether it sees answers outside of 0 to 1. It is called as `fit` would.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.endings import new_activation
from keras_inits._diagnose.setting.plain import PROBABILITIES, End, Targets
from keras_inits._reporting import Finding

Loss = Callable[[np.ndarray, np.ndarray], float]

FEW = 6  # samples that exchange their targets
SAMPLES = 16  # a loss may be a net of its own, and is asked some 50 times
SEED = 470_312  # no seed that somebody's targets were drawn with
CLOSE = 1e-3  # float32 sums of some hundred terms differ by less
APART = 0.01  # a loss that sees which target is whose differs by more
VALUES = 10  # a measurement has more than so many values
NOISE = (0.0, 0.1, 0.3, 1.0, 3.0)  # standard deviations of the targets that answers are off
DRAWS = 3
UNSURE = 0.02  # of a probability that is sure of itself
WAY = (0.0, 0.25, 0.5, 0.75, 1.0)  # from the right answer to the opposite one
# Answers outside of 0 to 1, as their distance from 1/2 in halves, and how alike the loss must be
# for them, as a share of what it costs to be wrong.
OUTSIDE, NEAR = (9.0, 3.0, 1.2), 1e-3
# Those that take logarithms of the second argument alone; of one unit the first is one.
_ONE_SIDED = ("binary_crossentropy", "categorical_crossentropy", "kl_divergence")
# Of what it costs to be wrong; a loss that does not fall so at each step is not said to fall.
FALLS = 1e-3


class _RefusedError(Exception):
    """A loss that raises on answers that are made up: it wants batches of its own kind."""


def as_fit(loss: Any) -> Loss:
    """Returns the value of a loss as `fit` computes it, for one output.

    What the loss assigns to variables is not kept. Whatever it raises becomes one error.
    """
    judge = keras.Model(name="judge")
    judge.compile(loss=loss)

    def value(y: np.ndarray, made: np.ndarray) -> float:
        given = ops.convert_to_tensor(y), ops.convert_to_tensor(made)
        try:
            with keras.StatelessScope():
                made_of = judge.compute_loss(y=given[0], y_pred=given[1])
                return float(ops.convert_to_numpy(made_of))
        except Exception as error:
            raise _RefusedError from error

    return value


def check(y: np.ndarray, targets: Targets, end: End, loss: Loss, *, inputs: int) -> list[Finding]:
    """Returns what is wrong with a loss of one output, the only one of its model.

    Args:
        y: the targets, in their own type.
        targets: the same in plain.
        end: of the model.
        loss: as `as_fit` returns it.
        inputs: of the model.
    """
    if y.size != np.prod(end.shape) or len(y) != end.shape[0] or len(y) < FEW:
        return []  # what it compares is not known
    try:
        with np.errstate(all="ignore"):
            found = _swapped(y, targets, end, loss)
            found = found or _crossed(y, end, loss)
            found = found or _unused(y, targets, end, loss)
            found = found or _reversed(y, targets, end, loss, inputs)
            found = found or _cut_off(y, targets, end, loss)
    except _RefusedError:  # `fit` says so, or takes them
        return []
    return [found] if found else []


def _answers(y: np.ndarray, end: End) -> np.ndarray:
    """Returns outputs such as the model could make, which know nothing of the targets."""
    draw = np.random.default_rng(SEED).standard_normal((len(y), *end.shape[1:]))
    if end.activation == "softmax":
        draw = np.exp(draw) / np.exp(draw).sum(-1, keepdims=True)
    elif end.activation in PROBABILITIES:
        draw = 1 / (1 + np.exp(-draw))
    elif end.activation != "linear":
        draw = np.abs(draw)
    return draw.astype(keras.config.floatx())


def _same(a: float, b: float) -> bool:
    return bool(np.isfinite(a) and np.isfinite(b) and abs(a - b) <= CLOSE * max(abs(a), abs(b)))


def _swapped(y: np.ndarray, targets: Targets, end: End, loss: Loss) -> Finding | None:
    """Returns the finding that a loss is one of Keras's with targets and outputs exchanged.

    Its values are those of that loss of (output, target), and not those of (target, output).
    """
    if end.activation not in PROBABILITIES or not targets.binary:
        return None  # of shares, the divergence from targets may be meant
    some = y[:SAMPLES]
    made = _answers(y, end)[: len(some)]
    truth = some.astype(made.dtype).reshape(made.shape)
    value = loss(some, made)
    for name in _ONE_SIDED if end.units > 1 else _ONE_SIDED[:1]:
        known = getattr(keras.losses, name)
        right, turned = [
            float(ops.convert_to_numpy(ops.mean(known(*map(ops.convert_to_tensor, pair)))))
            for pair in ((truth, made), (made, truth))
        ]
        if _same(value, turned) and not _same(right, turned):
            return Finding(
                "loss",
                ("loss",),
                f"of {len(some)} samples and made up outputs it is {value:.4g}: that is {name} of "
                f"(outputs, targets), and of (targets, outputs) it would be {right:.4g}",
                "It takes the logarithm of the targets: it is linear in the outputs, and hardly "
                "sees how wrong a sure answer is",
                f'model.compile(model.optimizer, loss="{name}")  # of (y_true, y_pred)',
                {"given": value, "meant": right},
            )
    return None


def _crossed(y: np.ndarray, end: End, loss: Loss) -> Finding | None:
    """Returns the finding that targets of all samples are compared with outputs of all.

    Then the loss does not change where samples change their targets, and does so with targets in
    the shape of the outputs.
    """
    shape = (FEW, *end.shape[1:])
    if y[:FEW].shape == shape:
        return None
    # Apart from each other, since the first samples may have the same target.
    some = (y[:FEW].astype(float).T + np.arange(FEW)).T.astype(y.dtype)
    made = _answers(some, end)
    orders = [np.roll(np.arange(FEW), by) for by in range(FEW)]
    as_given = [loss(some[order], made) for order in orders]
    fitting = [loss(some[order].reshape(shape), made) for order in orders]
    if not np.isfinite(fitting).all() or not all(_same(as_given[0], v) for v in as_given):
        return None
    if np.ptp(fitting) <= APART * np.abs(fitting).max():
        return None
    given, changed, right, moved = *as_given[:2], fitting[0], max(fitting, key=_from(fitting[0]))
    number = end.shape[0]
    return Finding(
        "target shape",
        ("targets",),
        f"the targets have shape {(number, *y.shape[1:])}, the output {end.shape}, and the loss "
        f"compares each with all: of {FEW} samples it is {given:.4g}, and {changed:.4g} with their "
        f"targets exchanged; with targets of shape {shape} {right:.4g} and {moved:.4g}",
        "The best answer is the same for all samples, such as the mean of the targets",
        f"y = y.reshape({(-1, *end.shape[1:])})",
        {"given": given, "meant": right},
    )


def _from(value: float) -> Callable[[float], float]:
    return lambda other: abs(other - value)


def _unused(y: np.ndarray, targets: Targets, end: End, loss: Loss) -> Finding | None:
    """Returns the finding that the loss, or its gradient, is the same for other targets."""
    # Zeros, or one number for all, stand in for targets where the model computes the loss.
    if (
        targets.distinct < 2
        or end.activation not in (*PROBABILITIES, "linear")
        or not end.reference
    ):
        return None
    some = y[:SAMPLES]
    turned = (targets.high + targets.low - some.astype(float)).astype(y.dtype)
    made = _answers(some, end)
    values = [loss(some, made), loss(some[::-1], made), loss(turned, made)]
    others = [loss(given, made[::-1] * 0.5) for given in (some, some[::-1], turned)]
    if not np.ptp(some) or not np.isfinite([*values, *others]).all():
        return None
    # Of two answers the one is as much better whatever the targets: the gradient is the same.
    better = [a - b for a, b in zip(values, others, strict=True)]
    if not abs(better[0]) > APART * max(map(abs, values)):
        return None
    if np.ptp(better) > CLOSE * abs(better[0]):
        return None
    return Finding(
        "loss",
        ("loss",),
        f"the loss of made up outputs is {values[0]:.4g} for the targets, {values[1]:.4g} for "
        f"those of other samples, and {values[2]:.4g} for their opposites; of other outputs it is "
        f"{others[0]:.4g}, {others[1]:.4g} and {others[2]:.4g}, as much apart each time",
        "Its gradient does not depend on the targets: nothing can be learned of them",
        "Look at the loss; it is called with (y_true, y_pred)",
        {"given": values[0], "other": values[2]},
    )


def _reversed(y: np.ndarray, targets: Targets, end: End, loss: Loss, inputs: int) -> Finding | None:
    """Returns the finding that right answers cost more than wrong ones.

    Classes and masks: along the way from the right answer to the opposite one, and what costs more
    is meant to be right (`_on_purpose` says where it may not be). Measurements: the truth is the
    most expensive answer, compared with noise added to it and taken from it. A loss that is linear
    or convex in the outputs, as a critic's, cannot rise on both sides.
    """
    shape = (min(len(y), SAMPLES), *end.shape[1:])
    some = y[: shape[0]]
    truth = some.astype(float).reshape(shape)
    softmax = end.activation == "softmax"
    if end.activation in PROBABILITIES and targets.binary:
        if (np.prod(shape[1:]) == 1 and inputs > 1) or (softmax and not targets.one_hot):
            return None
        right, wrong = _shares(truth, softmax), _shares(_opposite(truth, softmax), softmax)
        ways, what = [[(1 - t) * right + t * wrong for t in WAY]], "from right to wrong answers"
    elif end.activation not in PROBABILITIES and targets.distinct > VALUES:
        draws = np.random.default_rng(SEED).standard_normal((DRAWS, *shape)) * truth.std()
        ways = [[truth + sign * s * d for s in NOISE] for d in draws for sign in (1, -1)]
        what = "from the truth to noise"
    else:
        return None

    def cost(made: np.ndarray) -> float:
        return loss(some, made.astype(keras.config.floatx()))

    values: list[float] = []
    for way in ways:
        values = [cost(made) for made in way]
        steps = -np.diff(values)
        if not np.isfinite(values).all() or not (steps > FALLS * np.ptp(values)).all():
            return None
        if not np.ptp(values) > CLOSE * np.abs(values).max():
            return None
    if end.activation in PROBABILITIES and _on_purpose(some, truth, loss, values, softmax):
        return None
    return Finding(
        "loss",
        ("loss",),
        f"the loss falls {what}: {', '.join(f'{v:.4g}' for v in values)}",
        "Training makes the answers worse, and the loss says that all goes well",
        "Turn its sign, or give 1 - it where it is a share of what is right",
        {"right": values[0], "wrong": values[-1]},
    )


def _cut_off(y: np.ndarray, targets: Targets, end: End, loss: Loss) -> Finding | None:
    """Returns the finding that a loss of probabilities gets any number, and cuts off what is none.

    For targets of 0 and 1 it is then the same however far outside of 0 to 1 an answer is, right or
    wrong, and not the same for answers inside.
    """
    if end.activation != "linear" or not targets.binary or targets.distinct < 2:
        return None
    shape = (min(len(y), SAMPLES), *end.shape[1:])
    some = y[: shape[0]]
    side = some.astype(float).reshape(shape) - 0.5

    def cost(to: float) -> float:
        return loss(some, (0.5 + to * side).astype(keras.config.floatx()))

    right, wrong = [[cost(sign * far) for far in OUTSIDE] for sign in (1, -1)]
    inside = cost(0.5), cost(-0.5)
    if not np.isfinite([*right, *wrong, *inside]).all() or not right[0] < inside[0] < inside[1]:
        return None
    flat = all(np.ptp(values) <= NEAR * abs(wrong[0]) for values in (right, wrong))
    if not flat or not inside[1] < wrong[0]:
        return None
    fit = "softmax" if targets.one_hot else "sigmoid"
    return Finding(
        "output activation",
        ("output",),
        f"the loss is {wrong[-1]:.4g} for answers {OUTSIDE[-1] / 2 - 0.5:.2g} outside of 0 to 1 on "
        f"the wrong side and {wrong[0]:.4g} for those {OUTSIDE[0] / 2 - 0.5:.2g} outside, and "
        f"{end.layer} with no activation gives any number",
        "What is outside is cut off, and has no gradient",
        new_activation(end, fit),
        {"near": wrong[-1], "far": wrong[0]},
    )


def _opposite(truth: np.ndarray, softmax: bool) -> np.ndarray:
    return np.roll(truth, 1, -1) if softmax else 1 - truth


def _shares(truth: np.ndarray, softmax: bool, unsure: float = UNSURE) -> np.ndarray:
    """Returns answers that are nearly sure of some truth."""
    made = unsure + (1 - 2 * unsure) * truth
    return np.asarray(made / made.sum(-1, keepdims=True) if softmax else made)


def _on_purpose(
    some: np.ndarray, truth: np.ndarray, loss: Loss, values: Sequence[float], softmax: bool
) -> bool:
    """Says whether a loss that falls from right to wrong answers may be meant so.

    - It has no bound at the truth: a logarithm of what is not true, as of complementary labels,
      which say what a sample is not (Ishida et al. 2017, https://arxiv.org/abs/1705.07541).
    - Only answers of 1, or only those of 0, have a part in it: the cost of an action.
    - One row for each sample, a mean over samples, and nowhere concave along the way, as no
      distance is whose sign was turned: the output may be a distance where the target says "same",
      or the target may be a cost.

    Args:
        some: the targets.
        truth: the same in the shape of the outputs.
        loss: of the user.
        values: of the loss, along the way.
        softmax: whether the outputs are shares of classes.
    """

    def cost(made: np.ndarray, rows: slice = slice(None)) -> float:
        return loss(some[rows], made[rows].astype(keras.config.floatx()))

    right, span = _shares(truth, softmax), np.ptp(values)
    sure = cost(_shares(truth, softmax, 1e-6))
    if not np.isfinite(sure) or sure - values[0] > 0.5 * span:
        return True
    if not softmax:
        for which in (truth == 1, truth == 0):
            part = cost(np.where(which, _shares(1 - truth, softmax), right))
            if which.any() and values[0] - part <= FALLS * span:
                return True
    if truth.ndim > 2:
        return False
    middle = values[len(values) // 2]
    if middle - (values[0] + values[-1]) / 2 > APART * span:
        return False
    few = len(truth) // 4
    mixed = right.copy()
    mixed[:few] = 0.9 if not softmax else 1 / truth.shape[-1]
    whole = cost(mixed)
    parts = cost(mixed, slice(few)), cost(mixed, slice(few, None))
    mean = np.average(parts, weights=(few, len(truth) - few))
    return bool(_same(whole, mean) or _same(whole, sum(parts)))
