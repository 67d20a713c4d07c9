"""Where the data enter a model and what stands at its end, read from the model without running it.

Of subclassed models neither can be read: their entrance is `"unknown"`, and `end` looks at what
comes out.
"""

import functools
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np

from keras_inits._diagnose.setting.plain import End

Entrance = Literal["kernel", "normalized", "lookup", "masked", "unknown"]

L = keras.layers
# They hand on the values they are given, some of them elsewhere; dropout and noise in scale.
_PASSING = (
    L.InputLayer,
    L.Reshape,
    L.Flatten,
    L.Permute,
    L.RepeatVector,
    L.Identity,
    L.Dropout,
    L.SpatialDropout1D,
    L.SpatialDropout2D,
    L.SpatialDropout3D,
    L.GaussianNoise,
    L.Cropping1D,
    L.Cropping2D,
    L.Cropping3D,
    L.ZeroPadding1D,
    L.ZeroPadding2D,
    L.ZeroPadding3D,
    L.Concatenate,
    L.RandomFlip,
    L.RandomRotation,
    L.RandomTranslation,
    L.RandomZoom,
    L.RandomCrop,
    L.Resizing,
    L.ActivityRegularization,
    L.UpSampling1D,
    L.UpSampling2D,
    L.UpSampling3D,
    L.MaxPooling1D,
    L.MaxPooling2D,
    L.MaxPooling3D,
    L.AveragePooling1D,
    L.AveragePooling2D,
    L.AveragePooling3D,
)
_SHAPING = (
    L.Reshape,
    L.Flatten,
    L.Permute,
    L.Identity,
    L.Cropping1D,
    L.Cropping2D,
    L.Cropping3D,
    L.UpSampling2D,
    L.ActivityRegularization,
)
_NORMALIZING = (
    L.Rescaling,
    L.Normalization,
    L.BatchNormalization,
    L.LayerNormalization,
    L.GroupNormalization,
    L.RMSNormalization,
    L.UnitNormalization,
)
_LOOKUPS = (
    L.Embedding,
    L.CategoryEncoding,
    L.Hashing,
    L.IntegerLookup,
    L.StringLookup,
    L.Discretization,
    L.TextVectorization,
)


@functools.singledispatch
def _kind(operation: Any) -> Entrance:
    kernel = isinstance(operation, keras.Layer) and type(operation).__module__.startswith("keras.")
    return "kernel" if kernel and any(len(w.shape) > 1 for w in operation.weights) else "unknown"


for _type in _NORMALIZING:
    _kind.register(_type, lambda operation: "normalized")
for _type in _LOOKUPS:
    _kind.register(_type, lambda operation: "lookup")
_kind.register(L.Masking, lambda operation: "masked")
_kind.register(L.TimeDistributed, lambda operation: _kind(operation.layer))
_kind.register(L.Bidirectional, lambda operation: _kind(operation.forward_layer))


def entrances(model: keras.Model, number: int) -> list[set[Entrance]]:
    """Returns, for each of a model's `number` inputs, what its values meet first.

    `"kernel"` is a layer of Keras's with a kernel, `"normalized"` one that sets scales,
    `"lookup"` one that takes the values as names of things, and `"unknown"` all else.
    """
    if isinstance(model, keras.Sequential):
        return [_along(model.layers)] * number
    inputs = _flat(model, "inputs")
    if not hasattr(model, "operations") or len(inputs) != number:
        return [{"unknown"}] * number
    return [_from(model, tensor) for tensor in inputs]


def _along(layers: Sequence[Any]) -> set[Entrance]:
    for index, layer in enumerate(layers):
        if isinstance(layer, keras.Model):
            return entrances(layer, 1)[0]
        if isinstance(layer, _PASSING):
            continue
        kind = _kind(layer)
        # A kernel without an activation, and a normalization right after it: what it is given
        # may have any scale.
        following = layers[index + 1] if index + 1 < len(layers) else None
        if kind == "kernel" and _name(layer) == "linear" and isinstance(following, _NORMALIZING):
            return {"kernel", "normalized"}
        return {kind}
    return {"unknown"}


def _from(model: Any, tensor: Any) -> set[Entrance]:
    found: set[Entrance] = set()
    for operation in model.operations:
        given = _flat(operation, "input")
        if isinstance(operation, L.InputLayer) or not any(t is tensor for t in given):
            continue
        if isinstance(operation, keras.Model):
            place = next(i for i, t in enumerate(given) if t is tensor)
            found |= entrances(operation, len(given))[place]
        elif isinstance(operation, _PASSING):
            for output in _flat(operation, "output"):
                found |= _from(model, output)
        else:
            kind = _kind(operation)
            found.add(kind)
            if kind == "kernel" and _name(operation) == "linear":
                after = [
                    op
                    for op in model.operations
                    if any(t is o for t in _flat(op, "input") for o in _flat(operation, "output"))
                ]
                if after and all(isinstance(op, _NORMALIZING) for op in after):
                    found.add("normalized")
    return found or {"unknown"}


def _flat(holder: Any, attribute: str) -> list[Any]:
    try:
        return list(keras.tree.flatten(getattr(holder, attribute)))
    except (AttributeError, ValueError):  # called several times, or never on symbolic tensors
        return []


_ACTIVATION_LAYERS = {
    L.Softmax: "softmax",
    L.ReLU: "relu",
    L.LeakyReLU: "leaky_relu",
    L.PReLU: "leaky_relu",
    L.ELU: "elu",
}
_OPERATIONS = ("softmax", "sigmoid", "relu", "tanh", "softplus", "exp")


def _name(layer: Any) -> str:
    """Returns the name of the activation at a layer's end."""
    if isinstance(layer, L.TimeDistributed):
        return _name(layer.layer)
    if isinstance(layer, L.Bidirectional):
        return _name(layer.forward_layer) if layer.merge_mode in ("concat", None) else "unknown"
    for kind, name in _ACTIVATION_LAYERS.items():
        if isinstance(layer, kind):
            return name
    if not isinstance(layer, keras.Layer):
        name = type(layer).__name__.lower()
        return name if name in _OPERATIONS else "unknown"
    if hasattr(layer, "activation"):
        return getattr(layer.activation, "__name__", "unknown")
    return "unknown"


def _trained(layer: Any) -> bool:
    return bool(getattr(layer, "weights", ()))


def ends(model: keras.Model, outputs: Sequence[np.ndarray]) -> list[End]:
    """Returns the end of each output; `outputs` are what the model made of a batch.

    Where the last activation cannot be read, rows of positive numbers that sum to 1 count as
    `"softmax"`.
    """
    chains = _chains(model, len(outputs))
    found = []
    for chain, output in zip(chains, outputs, strict=True):
        names = [(_name(op), getattr(op, "name", ""), _trained(op)) for op in chain]
        activation, layer, trained = names[0] if names else ("unknown", model.name, True)
        if activation == "linear" and not trained and len(names) > 1:  # Activation("linear")
            activation, layer, trained = names[1]
            names = names[1:]
        before = names[1][0] if len(names) > 1 and not trained else "linear"
        if activation == "unknown" and _sums_to_one(output):
            activation = "softmax"
        found.append(End(activation, tuple(output.shape), layer, before))
    return found


def _sums_to_one(output: np.ndarray) -> bool:
    if output.ndim < 2 or output.shape[-1] < 2:
        return False
    return bool((output >= 0).all() and np.abs(output.sum(-1) - 1).max(initial=0) < 1e-3)


def _chains(model: Any, number: int) -> list[list[Any]]:
    """Returns the last operations before each output, the last first; two at most."""
    if isinstance(model, keras.Sequential):
        layers = [la for la in reversed(model.layers) if not isinstance(la, _SHAPING)]
        if layers and isinstance(layers[0], keras.Model):
            return _chains(layers[0], number)
        return [layers[:2]] * number
    tensors = _flat(model, "outputs")
    if not hasattr(model, "operations") or len(tensors) != number:
        return [[]] * number
    return [_back(model, tensor, 2) for tensor in tensors]


def _back(model: Any, tensor: Any, steps: int) -> list[Any]:
    for operation in model.operations:
        made = _flat(operation, "output")
        if not any(t is tensor for t in made):
            continue
        if isinstance(operation, keras.Model):
            place = next(i for i, t in enumerate(made) if t is tensor)
            return _chains(operation, len(made))[place]
        given = _flat(operation, "input")
        passing = isinstance(operation, _SHAPING)
        left = steps - (not passing)
        rest = _back(model, given[0], left) if len(given) == 1 and left else []
        return rest if passing else [operation, *rest]
    return []
