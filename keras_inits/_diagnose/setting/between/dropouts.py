"""Dropouts that let next to nothing through: by their rate, at the end, or all of them together."""

import math
import sys
from collections.abc import Sequence
from typing import Any

import keras

from keras_inits._diagnose.setting.reading import tensors_of
from keras_inits._diagnose.setting.remedies import set_on
from keras_inits._diagnose.setting.trials.tries import TAUGHT, UNTAUGHT, Tries
from keras_inits._keras_internals import all_layers
from keras_inits._layers.kinds import class_name
from keras_inits._reporting import Finding

# The highest that Srivastava et al. 2014, section A.4, found to help: retention 0.5 to 0.8 in
# hidden layers, figure 9 best from 0.4 to 0.8 (https://jmlr.org/papers/v15/srivastava14a.html).
RATE = 0.8
SILENT = 0.1  # the share of samples in which a dropout leaves no unit at all
AT_END = 0.1  # of the answers themselves, the share that may be left out
LOWER = 0.2  # the rate that is advised
DROPOUTS = (keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout)
_OF_CHANNELS = (  # Dropouts, too
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


def by_rate(model: keras.Model) -> list[Finding]:
    """Returns the findings on dropouts whose input shape is known."""
    found = []
    for layer in all_layers(model):
        if not isinstance(layer, DROPOUTS) or not layer.rate > 0:
            continue
        try:
            units = _dropped_apart(layer, layer.input.shape)
        except (AttributeError, ValueError, TypeError, IndexError):
            continue  # in a subclassed model, or called several times
        rate = float(layer.rate)
        # Of noise that multiplies no unit is ever lost, and of a sum the rest stays.
        kept = isinstance(layer, keras.layers.GaussianDropout) or _is_summed(model, layer)
        silent = 0.0 if kept else rate**units
        if rate <= RATE and silent < SILENT:
            continue
        found.append(
            Finding(
                kind="dropout",
                where=(layer.name,),
                evidence=(
                    f"with {units} units and rate {rate:g}, {silent:.0%} of samples lose them all "
                    f"(limit {SILENT:.0%})"
                    if silent >= SILENT
                    else f"a rate of {rate:g} (limit {RATE:g})"
                ),
                consequence="What gets through is mostly noise",
                remedy=set_on(model, [layer], "rate", LOWER if rate > RATE else 0.0),
                numbers={"rate": rate, "units": units, "silent": silent},
            )
        )
    return found


def _is_summed(model: keras.Model, layer: keras.Layer) -> bool:
    """Returns whether the output of a layer is added to something.

    A branch that is left out as a whole (stochastic depth: Huang et al. 2016,
    https://arxiv.org/abs/1603.09382) leaves what it is added to.
    """
    made = tensors_of(layer, "output")
    for holder in (model, *all_layers(model)):
        for operation in getattr(holder, "operations", ()):
            if class_name(operation) == "Add" and any(
                given is tensor for given in tensors_of(operation, "input") for tensor in made
            ):
                return True
    return False


def at_end(model: keras.Model, losses: Sequence[str]) -> list[Finding]:
    """Returns the findings on dropouts whose output is an output of the model.

    Each answer is 0, or too large, in some of the steps, whatever was learned; for a loss of the
    user's own it may be meant (two noisy codes of one sample that are compared).

    Args:
        model: of one without a graph of its own, which is subclassed, nothing is said.
        losses: the names of the losses of its outputs; "other" for those that are not Keras's.
    """
    if "other" in losses:
        return []
    ends = [id(tensor) for tensor in tensors_of(model, "outputs")]
    found = []
    for layer in model.layers:
        dropped = isinstance(layer, DROPOUTS) and layer.rate > AT_END
        if dropped and any(id(tensor) in ends for tensor in tensors_of(layer, "output")):
            rate = float(layer.rate)
            found.append(
                Finding(
                    kind="dropout",
                    where=(layer.name, "output"),
                    evidence=(
                        f"it is the last layer: {rate:.0%} of what the model answers is noise in "
                        f"each step (limit {AT_END:.0%})"
                    ),
                    consequence=(
                        "The loss compares the targets with zeros; dropout belongs between layers"
                    ),
                    remedy=set_on(model, [layer], "rate", 0.0),
                    numbers={"rate": rate},
                )
            )
    return found


def by_steps(tries: Tries) -> list[Finding]:
    """Returns the finding that dropouts together keep a net from learning.

    Each may be of a rate that does alone. Asked is what the net answers without noise, as in
    `predict`: with it, the loss of a net that has learned may be above that of a guess.
    """
    model, best = tries.case.model, tries.untaught
    layers = [la for la in model.layers if isinstance(la, DROPOUTS) and la.rate]
    if not layers or not best or tries.own_longer.end < UNTAUGHT * best:
        return []
    answered = tries.without_noise()
    if not answered >= UNTAUGHT * best:
        return []
    other = tries.with_settings({layer.name: {"rate": 0.0} for layer in layers})
    if other is None or not other.end <= TAUGHT * best:
        return []
    names = tuple(layer.name for layer in layers)
    return [
        Finding(
            kind="dropout",
            where=names,
            evidence=(
                f"{tries.longer} steps on a copy lead to answers whose loss is {answered:.3g} with "
                f"all noise off, and that of a guess {best:.3g}; without {' and '.join(names)} to "
                f"{other.end:.3g}"
            ),
            consequence="What gets through all of them together is mostly noise",
            remedy=set_on(model, layers, "rate", LOWER),
            numbers={"end": answered, "better_end": other.end},
        )
    ]


def _dropped_apart(layer: Any, shape: Sequence[int | None]) -> int:
    """Returns how many values of a sample a dropout draws one by one.

    Those of all places, but for layers that drop whole channels, and axes of 1 in a `noise_shape`.
    Of a sequence of any length there are many.
    """
    if isinstance(layer, _OF_CHANNELS):
        return int(shape[-1])  # type: ignore[arg-type]
    drawn = getattr(layer, "noise_shape", None) or shape
    sizes = [1 if n == 1 else own for n, own in zip(drawn[1:], shape[1:], strict=True)]
    return sys.maxsize if None in sizes else math.prod(map(int, sizes))  # type: ignore[arg-type]
