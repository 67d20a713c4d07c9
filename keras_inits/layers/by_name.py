"""Layers that are known by name: Keras keeps them private, or another package defines them.

A name is the top package and the class, such as `"keras_hub>PositionEmbedding"`. So neither a
private module nor an optional package is imported to know its layers.
"""

from collections.abc import Callable
from typing import Any

from keras_inits.kernel_geometry import KernelGeometry
from keras_inits.layers import recurrent
from keras_inits.layers.dispatch import Default, Role, geometry, unknown


def _position_embedding(layer: Any, weight: Any) -> Role:
    # A learned offset for each position, added to the embeddings: a bias, not a map.
    return Default(layer.initializer) if weight.name == "embeddings" else unknown(layer, weight)


def _masked_lm_head(layer: Any, weight: Any) -> Role:
    if weight.name == "output_kernel":
        return KernelGeometry.from_shape(weight.shape)
    if weight.name == "output_bias":
        return Default(layer.bias_initializer)
    return unknown(layer, weight)


_KNOWN: dict[str, Callable[[Any, Any], Role]] = {
    "keras>ConvLSTMCell": recurrent.conv_lstm,
    "keras_hub>MaskedLMHead": _masked_lm_head,
    "keras_hub>PositionEmbedding": _position_embedding,
}


@geometry.register(object)
def _by_name(layer: Any, weight: Any) -> Role:
    for kind in type(layer).__mro__:
        package = kind.__module__.partition(".")[0]
        if known := _KNOWN.get(f"{package}>{kind.__name__}"):
            return known(layer, weight)
    return unknown(layer, weight)
