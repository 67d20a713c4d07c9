"""Layers of one unit through which everything must pass that tells several classes apart."""

import keras

from keras_inits._diagnose.setting.plain import OF_CLASSES
from keras_inits._diagnose.setting.trials.tries import TAUGHT, Tries
from keras_inits._reporting import Finding

WIDE = 32  # units of the layer that is tried in its place


def check(tries: Tries) -> list[Finding]:
    """Returns the finding that several classes are told by one number, and wider layers teach more.

    Two or more units can be meant so, to be drawn as points of a plane.
    """
    case, best = tries.case, tries.best
    classes = [end.units for _, end, kind in case.parts if kind.name in OF_CLASSES]
    narrow = _narrow(case.model)
    if not narrow or not best or not tries.longer or min(classes, default=0) < 3:
        return []
    own = tries.own_longer
    if own.end < TAUGHT * best:
        return []
    other = tries.with_settings({layer.name: {"units": WIDE} for layer in narrow})
    if other is None or not other.end <= TAUGHT * own.end:
        return []
    names = tuple(layer.name for layer in narrow)
    return [
        Finding(
            kind="hidden units",
            where=names,
            evidence=(
                f"{min(classes)} classes are to be told by the one unit of {' and '.join(names)}; "
                f"{len(own.losses)} steps on a copy lead from a loss of {own.start:.3g} to "
                f"{own.end:.3g}, with {WIDE} units to {other.end:.3g}"
            ),
            consequence=(
                "All that comes behind is a function of one number, and can only cut its range "
                "into pieces"
            ),
            remedy=f"Make {' and '.join(names)} wider, such as {WIDE} units",
            numbers={"classes": min(classes), "end": own.end, "better_end": other.end},
        )
    ]


def _narrow(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers of one unit before the last; none of models that branch."""
    if not isinstance(model, keras.Sequential):
        return []
    kinds = keras.layers.Dense | keras.layers.LSTM | keras.layers.GRU | keras.layers.SimpleRNN
    return [la for la in model.layers[:-1] if isinstance(la, kinds) and la.units == 1]
