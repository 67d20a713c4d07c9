"""What stands at the end of a model, read from the model.

Where that cannot be, as in subclassed models, it is read from the picture of a run on symbolic
tensors; and what is left unknown, from what comes out.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.setting.plain import End
from keras_inits._diagnose.setting.reading import drawn, shapes, tensors_of
from keras_inits._diagnose.setting.remedies import reference
from keras_inits._layers.activations import name_of_operation, plain_name
from keras_inits._wiring import Wiring

L = keras.layers
_ACTIVATION_LAYERS = {
    L.Softmax: "softmax",
    L.ReLU: "relu",
    L.LeakyReLU: "leaky_relu",
    L.PReLU: "leaky_relu",
    L.ELU: "elu",
}
# What they make of shares is any number, in training at least.
_NORMALIZATIONS = (
    L.BatchNormalization,
    L.LayerNormalization,
    L.GroupNormalization,
    L.RMSNormalization,
)


def name_of(layer: Any) -> str:
    """Returns the name of the activation at a layer's end."""
    if isinstance(layer, L.TimeDistributed):
        return name_of(layer.layer)
    if isinstance(layer, L.Bidirectional):
        return name_of(layer.forward_layer) if layer.merge_mode in ("concat", None) else "unknown"
    for kind, name in _ACTIVATION_LAYERS.items():
        if isinstance(layer, kind):
            return name
    if isinstance(layer, _NORMALIZATIONS):
        return "linear"
    if isinstance(layer, L.Dot) and layer.normalize:
        return "cosine"
    if not isinstance(layer, keras.Layer):
        name = name_of_operation(layer)
        return name if hasattr(keras.activations, name) else "unknown"
    if hasattr(layer, "activation"):
        return plain_name(layer.activation)
    return "unknown"


def _passes(operation: Any) -> bool:
    # What a dropout leaves out in training is no matter of range.
    return shapes(operation) or isinstance(operation, L.Dropout)


def _trained(layer: Any) -> bool:
    return bool(getattr(layer, "weights", ()))


def ends(model: keras.Model, outputs: Sequence[np.ndarray], x: Any = None) -> list[End]:
    """Returns the end of each output.

    Where the last activation cannot be read, rows of positive numbers that sum to 1 count as
    `"softmax"`.

    Args:
        model: built.
        outputs: what it made of a batch.
        x: that batch; without it subclassed models are not read.
    """
    picture = functools.cache(lambda: None if x is None else drawn(model, x))
    chains = _chains(model, len(outputs))
    return [
        _end(model, _seen(chain, place, picture), output)
        for place, (chain, output) in enumerate(zip(chains, outputs, strict=True))
    ]


def _seen(chain: list[Any], place: int, picture: Callable[[], Wiring | None]) -> list[Any]:
    """Returns the chain, from the picture where its last operation is not known."""
    if chain and name_of(chain[0]) != "unknown":
        return chain
    found = picture()
    return chain if found is None else _along(found, found.outputs[place]) or chain


def _along(picture: Wiring, index: int) -> list[Any]:
    found: list[Any] = []
    while index >= 0 and len(found) < 2:
        if not _passes(picture.subjects[index]):
            found.append(picture.subjects[index])
        sources = picture.calls[index].signals
        if len(sources) != 1:
            break
        index = sources[0]
    return found


def _end(model: keras.Model, chain: list[Any], output: np.ndarray) -> End:
    names = [(name_of(op), getattr(op, "name", ""), _trained(op)) for op in chain]
    activation, layer, trained = names[0] if names else ("unknown", model.name, True)
    axis = getattr(chain[0], "axis", -1) if chain and activation == "softmax" else -1
    if activation == "linear" and not trained and len(names) > 1:  # Activation("linear")
        activation, layer, trained = names[1]
        names = names[1:]
    before = names[1][0] if len(names) > 1 and not trained else "linear"
    operation = bool(chain) and not isinstance(chain[0], L.Layer)
    if not trained and len(names) > 1 and names[1][2] and operation:
        layer = names[1][1]  # an operation has no name that its user gave
    if activation == "unknown" and _sums_to_one(output):  # perhaps the softmax before, passed on
        activation, before = "softmax", "linear"
    axes = {a % max(output.ndim, 1) for a in (axis if isinstance(axis, tuple) else (axis,))}
    last = chain[0] if chain else None
    named = next((op for op in chain if getattr(op, "name", "") == layer), None)
    whole = bool(tensors_of(model, "inputs")) and isinstance(last, L.Dense)
    return End(
        activation,
        tuple(output.shape),
        layer,
        before,
        tuple(sorted(axes)),
        reference(model, named),
        whole and model.layers[-1] is last,
        operation and activation != "linear",
    )


def _sums_to_one(output: np.ndarray) -> bool:
    if output.ndim < 2 or output.shape[-1] < 2:
        return False
    return bool((output >= 0).all() and np.abs(output.sum(-1) - 1).max(initial=0) < 1e-3)


def _chains(model: Any, number: int) -> list[list[Any]]:
    """Returns the last operations before each output, the last first; two at most."""
    if isinstance(model, keras.Sequential):
        layers = [la for la in reversed(model.layers) if not _passes(la)]
        if layers and isinstance(layers[0], keras.Model):
            return _chains(layers[0], number)
        return [layers[:2]] * number
    tensors = tensors_of(model, "outputs")
    if not hasattr(model, "operations") or len(tensors) != number:
        return [[] for _ in range(number)]
    return [_back(model, tensor, 2) for tensor in tensors]


def _back(model: Any, tensor: Any, steps: int) -> list[Any]:
    for operation in model.operations:
        made = tensors_of(operation, "output")
        if not any(t is tensor for t in made):
            continue
        if isinstance(operation, keras.Model):
            place = next(i for i, t in enumerate(made) if t is tensor)
            return _chains(operation, len(made))[place]
        given = tensors_of(operation, "input")
        passing = _passes(operation)
        left = steps - (not passing)
        rest = _back(model, given[0], left) if len(given) == 1 and left else []
        return rest if passing else [operation, *rest]
    return []
