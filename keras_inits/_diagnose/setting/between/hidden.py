"""What between the layers lets nothing through: dropout, softmax, activations without a bound."""

import math
import sys
from collections.abc import Sequence
from typing import Any

import keras

from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.order import Weighed
from keras_inits._diagnose.setting.reading import tensors_of
from keras_inits._diagnose.setting.remedies import other_activation, set_on
from keras_inits._diagnose.setting.trials import weighing
from keras_inits._diagnose.setting.trials.tries import UNTAUGHT, Tries
from keras_inits._keras_internals import all_layers
from keras_inits._layers.activations import plain_name
from keras_inits._layers.kinds import class_name
from keras_inits._reporting import Finding

# The highest that Srivastava et al. 2014, section A.4, found to help: retention 0.5 to 0.8 in
# hidden layers, figure 9 best from 0.4 to 0.8 (https://jmlr.org/papers/v15/srivastava14a.html).
RATE = 0.8
SILENT = 0.1  # the share of samples in which a dropout leaves no unit at all
AT_END = 0.1  # of the answers themselves, the share that may be left out
_DROPOUTS = (keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout)
_OF_CHANNELS = (
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


def dropout(model: keras.Model) -> list[Finding]:
    """Returns the findings on dropouts whose input shape is known."""
    found = []
    for layer in all_layers(model):
        if not isinstance(layer, _DROPOUTS) or not layer.rate > 0:
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
                remedy=set_on(model, [layer], "rate", 0.2 if rate > RATE else 0.0),
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


def dropout_at_end(model: keras.Model, losses: Sequence[str]) -> list[Finding]:
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
        dropped = isinstance(layer, (*_DROPOUTS, *_OF_CHANNELS)) and layer.rate > AT_END
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


def softmax(case: Case) -> list[Finding]:
    """Returns the findings on softmax inside of recurrent layers, and in a Sequential model.

    Elsewhere it may be the weights of an attention or of experts.
    """
    model, found = case.model, []
    for layer in all_layers(model):
        cell: Any = getattr(layer, "cell", None)
        recurrent = isinstance(layer, keras.layers.RNN) and layer is not model.layers[-1]
        if recurrent and plain_name(getattr(cell, "activation", None)) == "softmax":
            remedy = set_on(model, [layer], "cell.activation", "keras.activations.tanh")
            what = "The state hardly moves, and little of what it has read differs between samples"
            found.append(_softmax(layer.name, int(cell.units), what, remedy))
    if isinstance(model, keras.Sequential):
        what = "One unit can only rise where others fall, and little differs between samples"
        for bend in case.bends:
            if bend.name == "softmax":
                remedy = other_activation(model, [bend], "relu")
                found.append(_softmax(bend.place, bend.units, what, remedy))
    return found


def _softmax(place: str, units: int, consequence: str, remedy: str) -> Finding:
    return Finding(
        kind="hidden activation",
        where=(place,),
        evidence=f"softmax makes shares of 1 of its {units} units, {1 / units:.2g} on average",
        consequence=consequence,
        remedy=remedy,
        numbers={"units": units},
    )


def by_steps(tries: Tries) -> list[Finding]:
    """Returns the finding that activations without a bound keep a net from learning.

    No scale of kernels keeps a signal under an exponential, and a state that gates add up in has no
    bound under a rectifier. Tried in a copy of the net with `elu`, and with `tanh`, in their place,
    which have one to one side at least: many such nets do learn.
    """
    case = tries.case
    gates = _rectified_gates(case.model)
    rising = [bend for bend in case.bends if bend.name == "exponential"]
    if not (gates or rising) or not (best := tries.untaught):
        return []
    own = tries.own_longer
    settings = {layer.name: {"activation": "tanh"} for layer in gates}
    other = tries.with_settings(settings, dict.fromkeys(rising, "elu"))
    if own.end < UNTAUGHT * best or other is None or not weighing.clearly_lower(other, own):
        return []
    places = [*(bend.place for bend in rising), *(layer.name for layer in gates)]
    exchanged = {"exponential": "elu"} if rising else {}
    exchanged |= {"relu": "tanh"} if gates else {}
    old, new = (" or ".join(each) for each in (exchanged, exchanged.values()))
    code = [other_activation(case.model, rising, "elu")] if rising else []
    if gates:
        code.append(set_on(case.model, gates, "cell.activation", "keras.activations.tanh"))
    return [
        Finding(
            kind="hidden activation",
            where=tuple(places),
            evidence=(
                f"{old} in {' and '.join(places)} has no bound; {len(own.losses)} steps on a copy "
                f"lead from a loss of {own.start:.4g} to {own.end:.4g}, with {new} in its place to "
                f"{other.end:.4g}"
            ),
            consequence=(
                "What is a little too large grows from layer to layer, or from step to step, and "
                "so do the gradient and the steps"
            ),
            remedy="; ".join(code),
            numbers={"end": own.end, "better_end": other.end},
        )
    ]


def is_unbounded(finding: Finding) -> bool:
    """Returns whether a finding is one of `by_steps`."""
    return finding.kind == "hidden activation" and "better_end" in finding.numbers


def without_sizes(findings: Sequence[Finding], lost: bool) -> Weighed:
    """Returns findings of the signal without those on sizes, for a net that `by_steps` named.

    With other activations its kernels learn as they are.
    """
    del lost
    return tuple(f for f in findings if f.kind not in weighing.SCALES), ()


def _rectified_gates(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers with gates and a rectifier before the last layer with a kernel."""
    kernels = [layer for layer in model.layers if any(len(w.shape) > 1 for w in layer.weights)]
    return [
        layer
        for layer in kernels[:-1]
        if isinstance(layer, keras.layers.LSTM | keras.layers.GRU)
        and plain_name(layer.activation) == "relu"
    ]
