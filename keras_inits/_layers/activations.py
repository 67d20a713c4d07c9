"""Which activation a layer's output meets first."""

from typing import Any

import keras
from keras import layers

# Layers that pass a signal's scale on, or set it before the activation: one looks through them.
_TRANSPARENT = (
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.RMSNormalization,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.Flatten,
    layers.Reshape,
    layers.Permute,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
)
_ACTIVATIONS = (layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.Softmax)


def activation_after(layer: Any) -> Any:
    """Returns the activation that `layer`'s output meets first: a function, a layer, or None.

    It is the layer's own; else that of the layers after it in a functional or Sequential model,
    seen through normalization, dropout and changes of shape. None means linear, or a place that
    cannot be seen: inside a subclassed layer, or at the end of a model.
    """
    own = getattr(layer, "activation", None)
    if own is not None and own is not keras.activations.linear:
        return own
    found = {activation_name(activation): activation for activation in _after(layer, set())}
    return next(iter(found.values())) if len(found) == 1 else None


def is_seen(layer: Any) -> bool:
    """Whether a graph tells what comes after `layer`; none does inside a subclassed layer."""
    return bool(getattr(layer, "_outbound_nodes", ()))


def activation_name(activation: Any) -> str:
    """Returns the name of an activation function or layer; `"linear"` for None."""
    if activation is None:
        return "linear"
    return str(getattr(activation, "__name__", type(activation).__name__))


def _after(operation: Any, seen: set[int]) -> list[Any]:
    found = []
    # The graph of a functional model has no public face but its serialized form.
    for node in getattr(operation, "_outbound_nodes", ()):
        following = node.operation
        if id(following) in seen:
            continue
        seen.add(id(following))
        if isinstance(following, layers.Activation):
            found.append(following.activation)
        elif isinstance(following, _ACTIVATIONS):
            found.append(following)
        elif isinstance(following, _TRANSPARENT):
            found += _after(following, seen)
        elif not isinstance(following, keras.layers.Layer):  # keras.ops.relu on a symbolic tensor
            function = getattr(keras.activations, type(following).__name__.lower(), None)
            found += [function] if function else []
    return found
