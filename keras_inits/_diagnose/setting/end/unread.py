"""Ends whose activation is not known, under cross-entropies: whether they give probabilities."""

import numpy as np

from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.end.reach import UNREACHED
from keras_inits._diagnose.setting.plain import BINARY, CROSS_ENTROPIES, UNREAD, End, LossKind
from keras_inits._diagnose.setting.remedies import on_activation
from keras_inits._reporting import Finding

_ROUNDED = 1e-3  # of probabilities in float16


def check(case: Case) -> list[Finding]:
    """Returns the findings that outputs, as `fit` computes them, are no probabilities."""
    ends = {
        place: (end, kind)
        for place, (_, end, kind) in zip(case.places, case.parts, strict=True)
        if kind.name in CROSS_ENTROPIES and not kind.from_logits and end.activation in UNREAD
    }
    if not ends:
        return []
    made = case.predict(case.x, training=True)
    found = (_outside(made[place], *of) for place, of in ends.items() if place < len(made))
    return [finding for finding in found if finding]


def _outside(made: np.ndarray, end: End, loss: LossKind) -> Finding | None:
    """Returns the finding that outputs, as `fit` computes them, are no probabilities.

    Args:
        made: the outputs of a batch.
        end: of the output, whose activation is not known.
        loss: a cross-entropy of probabilities.
    """
    share = float(((made < -_ROUNDED) | (made > 1 + _ROUNDED)).mean())
    if share <= UNREACHED:
        return None
    fit = "a sigmoid" if loss.name in BINARY else "a softmax"
    return on_activation(
        evidence=(
            f"{loss.name} takes probabilities, and {share:.0%} of the outputs of {end.layer} are "
            f"outside of 0 to 1 ({made.min():.3g} to {made.max():.3g})"
        ),
        consequence="What is outside is cut off, and has no gradient",
        remedy=(
            f"Let {fit} be the last layer, with nothing behind it; or from_logits=True in the loss"
        ),
        numbers={"outside": share},
    )
