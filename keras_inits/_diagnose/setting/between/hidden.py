"""What between the layers lets nothing through: softmax, activations without a bound."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.order import Weighed
from keras_inits._diagnose.setting.remedies import other_activation, set_on
from keras_inits._diagnose.setting.trials import weighing
from keras_inits._diagnose.setting.trials.tries import UNTAUGHT, Tries
from keras_inits._keras_internals import all_layers
from keras_inits._layers.activations import plain_name
from keras_inits._reporting import Finding


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
