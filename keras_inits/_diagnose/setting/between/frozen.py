"""Layers that are frozen although nothing was learned in them: kernels, and batch statistics."""

from collections.abc import Iterator

import keras

from keras_inits._diagnose.setting.between.moving_statistics import at_start
from keras_inits._diagnose.setting.remedies import set_on
from keras_inits._diagnose.setting.trials.steps import Trial
from keras_inits._diagnose.setting.trials.tries import TAUGHT, UNTAUGHT, Tries
from keras_inits._reporting import Finding

# Of the loss of a guess: nothing at all is learned. Random features of one or two layers, with a
# trained layer behind them, are a method (Rahimi and Recht 2007), and learn slowly.
STILL = 0.98


def check(tries: Tries) -> list[Finding]:
    """Returns the finding that a net learns nothing while some layers are frozen, and else much.

    A frozen base that was trained elsewhere is meant so, and teaches the layers behind it. One that
    was left as it was drawn does not; nor does a batch normalization that keeps the 0 and 1 it was
    made with, behind kernels that count on it.
    """
    model = tries.case.model
    normalizations, layers = at_start(model, trainable=False), [*_frozen(model)]
    if not (normalizations or layers) or not tries.untaught:
        return []
    left = tries.own_longer.end / tries.untaught
    if normalizations and left >= UNTAUGHT:
        other = tries.with_settings({layer.name: {"trainable": True} for layer in normalizations})
        if other is not None and other.end <= TAUGHT * tries.untaught:
            return [_of_normalizations(tries, normalizations, other)]
    if layers and left >= STILL and _still(tries):
        kernels = [w for layer in layers for w in layer.weights if len(w.shape) > 1]
        other = tries.longer_with(thawed=kernels)
        if other.end <= TAUGHT * tries.untaught:
            return [_of_layers(tries, layers, other)]
    return []


def _still(tries: Tries) -> bool:
    """Returns whether ten times the rate, as good as a far longer trial, teaches nothing either."""
    faster = tries.attempt(10 * tries.rate.value, steps=tries.longer)
    return bool(faster.end >= UNTAUGHT * tries.untaught)


def _frozen(model: keras.Model) -> Iterator[keras.Layer]:
    """Yields the outermost layers with kernels of which nothing is trained; no tables."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Embedding):
            continue
        if not layer.trainable_weights and any(len(w.shape) > 1 for w in layer.weights):
            yield layer
        elif isinstance(layer, keras.Model):
            yield from _frozen(layer)


def _of_normalizations(tries: Tries, layers: list[keras.Layer], other: Trial) -> Finding:
    names = tuple(layer.name for layer in layers)
    return Finding(
        kind="moving statistics",
        where=names,
        evidence=(
            f"{' and '.join(names)} are not trainable, and use the mean and variance that they "
            f"were made with, 0 and 1; {_compared(tries, other)}"
        ),
        consequence="They pass on what they are given as it is: nothing is normalized",
        remedy=set_on(tries.case.model, layers, "trainable", "True"),
        numbers={"end": tries.own_longer.end, "better_end": other.end},
    )


def _of_layers(tries: Tries, layers: list[keras.Layer], other: Trial) -> Finding:
    names = tuple(layer.name for layer in layers)
    return Finding(
        kind="no gradient",
        where=names,
        evidence=(
            f"the weights of {' and '.join(names)} are not trainable; {_compared(tries, other)}"
        ),
        consequence=(
            "What they make of the input tells the layers behind them too little, as of kernels "
            "that were drawn, and never trained"
        ),
        remedy=(
            "Load the weights of a training into them, or train them: "
            + set_on(tries.case.model, layers, "trainable", "True")
        ),
        numbers={"end": tries.own_longer.end, "better_end": other.end},
    )


def _compared(tries: Tries, other: Trial) -> str:
    return (
        f"{len(other.losses)} steps on a copy lead to a loss of {tries.own_longer.end:.3g}, where "
        f"they are trained to {other.end:.3g}"
    )
