"""Dropout that lets nothing through, penalties that outweigh the data, softmax between layers."""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_inits._diagnose.setting.endings import path_to
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

# The highest that Srivastava et al. 2014, section A.4, found to help: retention 0.5 to 0.8 in
# hidden layers, figure 9 best from 0.4 to 0.8 (https://jmlr.org/papers/v15/srivastava14a.html).
RATE = 0.8
SILENT = 0.1  # the share of samples in which a dropout leaves no unit at all
PENALTY = 10.0  # the penalty's gradient over that of the data: the weights then only decay
L1_PENALTY = 3.0  # that of L1 does not become smaller as the weights do
_DROPOUTS = (keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout)
_OF_CHANNELS = (
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)
DECAY = 0.01  # of each weight, each step: after 100 steps a third is left of what is not renewed


def dropout(
    layers: Sequence[tuple[str, float, int]], paths: Mapping[str, str] | None = None
) -> list[Finding]:
    """Returns the findings on dropouts.

    Args:
        layers: of each its name, rate, and how many units it is given.
        paths: expressions for layers of these names, of those that are not at the top.
    """
    found = []
    for name, rate, units in layers:
        silent = rate**units
        if rate <= RATE and silent < SILENT:
            continue
        path = (paths or {}).get(name) or f'model.get_layer("{name}")'
        better = 0.2 if rate > RATE else 0.0
        evidence = f"a rate of {rate:g} (limit {RATE:g})"
        if silent >= SILENT:
            evidence = (
                f"with {units} units and rate {rate:g}, {silent:.0%} of samples lose them all"
            )
            evidence += f" (limit {SILENT:.0%})"
        found.append(
            Finding(
                "dropout",
                (name,),
                evidence,
                "What gets through is mostly noise",
                f"{path}.rate = {better}; model.compile(model.optimizer, loss=model.loss)",
                {"rate": rate, "units": units, "silent": silent},
            )
        )
    return found


def paths_to_dropouts(model: keras.Model) -> dict[str, str]:
    """Returns expressions for a model's dropouts, by their names."""
    found = (la for la in all_layers(model) if isinstance(la, _DROPOUTS))
    return {la.name: path_to(model, la) for la in found}


def dropouts_of(model: keras.Model) -> list[tuple[str, float, int]]:
    """Returns name, rate and units of each of a model's dropouts whose input shape is known."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += dropouts_of(layer)
        elif isinstance(layer, _DROPOUTS) and layer.rate > 0:
            try:
                units = _dropped_apart(layer, layer.input.shape)
            except (AttributeError, ValueError, TypeError, IndexError):
                continue  # in a subclassed model, or called several times
            noise = isinstance(layer, keras.layers.GaussianDropout)  # no unit is ever lost
            found.append((layer.name, float(layer.rate), sys.maxsize if noise else units))
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


def penalty(data: float, penalized: float, value: float, *, l1: bool = False) -> Finding | None:
    """Returns the finding that a penalty on weights outweighs the data.

    Args:
        data: the norm of the gradient of the loss of the data, over the penalized weights.
        penalized: that of the penalties.
        value: the sum of the penalties.
        l1: whether absolute values are among them.
    """
    limit = L1_PENALTY if l1 else PENALTY
    if not 0 < data < float("inf") or penalized <= limit * data:
        return None
    times = penalized / data
    return Finding(
        "regularization",
        ("loss",),
        f"the gradient of the penalties on weights, {penalized:.3g}, is {times:.3g} times that of "
        f"the data (limit {limit:g}); their sum is {value:.3g}",
        "The weights decay to 0 before anything is learned",
        "Weaken the regularizers of the layers: keras.regularizers.L2(1e-4)",
        {"data": data, "penalty": penalized, "value": value},
    )


def activity(
    rest: float, penalized: float, value: float, layers: Mapping[str, str]
) -> Finding | None:
    """Returns the finding that a penalty on what layers put out outweighs the rest of the loss.

    Args:
        rest: the norm of the gradient of all else.
        penalized: that of the penalties.
        value: the sum of the penalties.
        layers: the names of those that have one, and expressions for them.
    """
    if not 0 < rest < float("inf") or penalized <= PENALTY * rest:
        return None
    times = penalized / rest
    return Finding(
        "regularization",
        ("loss", *layers),
        f"the gradient of the activity penalty of {' and '.join(layers)}, {penalized:.3g}, is "
        f"{times:.3g} times that of the rest of the loss (limit {PENALTY:g}); its value is "
        f"{value:.3g}",
        "It pays to put out nothing: what the layers should pass on goes to 0",
        "".join(
            f"{path}.activity_regularizer = keras.regularizers.L1(1e-6); "
            for path in layers.values()
        )
        + "model.compile(model.optimizer, loss=model.loss)"
        if all(layers.values())
        else f"Weaken it: activity_regularizer=keras.regularizers.L1(1e-6) in {', '.join(layers)}",
        {"data": rest, "penalty": penalized, "value": value},
    )


def activity_of(model: keras.Model) -> dict[str, str]:
    """Returns the layers that have a penalty on what they put out: names, and expressions."""
    owners = (la for la in all_layers(model) if la.activity_regularizer is not None)
    return {la.name: path_to(model, la) for la in owners}


def decay(optimizer: Any, rate: float) -> Finding | None:
    """Returns the finding that the optimizer's own decay leaves nothing of the weights.

    Decoupled decay (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101) takes the rate
    times `weight_decay` of each weight away in each step.

    Args:
        optimizer: the compiled one.
        rate: its learning rate.
    """
    weight = getattr(optimizer, "weight_decay", None)
    if not weight or rate * float(weight) < DECAY:
        return None
    share = rate * float(weight)
    return Finding(
        "regularization",
        ("optimizer",),
        f"weight_decay={float(weight):g} at a rate of {rate:.3g} takes {share:.2g} of each weight "
        f"away in each step (limit {DECAY:g})",
        "The weights decay to 0 before anything is learned",
        f"model.optimizer.weight_decay = {1e-4 / rate:.2g}",
        {"share": share},
    )


def l1_of(model: keras.Model) -> bool:
    """Says whether a weight has a penalty on its absolute value."""
    return any(
        bool(getattr(v.regularizer, "l1", 0))
        for v in model.trainable_variables
        if getattr(v, "regularizer", None) is not None
    )


def hidden_softmax(model: keras.Model) -> list[Finding]:
    """Returns the findings on softmax between the layers of a `Sequential` model.

    Elsewhere it may be the weights of an attention or of experts.
    """
    if not isinstance(model, keras.Sequential):
        return _recurrent_softmax(model)
    found = []
    kernels = [layer for layer in model.layers if any(len(w.shape) > 1 for w in layer.weights)]
    for layer in kernels[:-1]:
        if getattr(getattr(layer, "activation", None), "__name__", "") != "softmax":
            continue
        units = int(layer.output.shape[-1])
        found.append(
            Finding(
                "hidden activation",
                (layer.name,),
                f"softmax makes shares of 1 of its {units} units, {1 / units:.2g} on average",
                "One unit can only rise where others fall, and little differs between samples",
                f'model.get_layer("{layer.name}").activation = keras.activations.relu; '
                "model.compile(model.optimizer, loss=model.loss)",
                {"units": units},
            )
        )
    return found


def _recurrent_softmax(model: keras.Model) -> list[Finding]:
    """Returns the findings on softmax inside of recurrent layers, those at the end apart."""
    found = []
    for layer in all_layers(model):
        cell: Any = getattr(layer, "cell", None)
        name = getattr(getattr(cell, "activation", None), "__name__", "")
        if (
            name != "softmax"
            or not isinstance(layer, keras.layers.RNN)
            or layer is model.layers[-1]
        ):
            continue
        path = path_to(model, layer)
        found.append(
            Finding(
                "hidden activation",
                (layer.name,),
                f"softmax makes shares of 1 of the state's {cell.units} units, "
                f"{1 / cell.units:.2g} on average",
                "The state hardly moves, and little of what it has read differs between samples",
                f"{path}.cell.activation = keras.activations.tanh; "
                "model.compile(model.optimizer, loss=model.loss)"
                if path
                else f'activation="tanh" in {layer.name}',
                {"units": cell.units},
            )
        )
    return found
