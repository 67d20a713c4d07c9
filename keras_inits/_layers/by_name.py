"""Layers that are known by name: Keras keeps them private, or another package defines them.

What the names are, `keras_inits._layers.kinds.by_name` says.
"""

from collections.abc import Callable
from typing import Any

from keras import initializers

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import recurrent
from keras_inits._layers.dispatch import Default, Role, geometry, unknown
from keras_inits._layers.kinds import by_name


def _position_embedding(layer: Any, weight: Any) -> Role:
    # A learned offset for each position, added to the embeddings: a bias, not a map.
    return Default(layer.initializer) if weight.name == "embeddings" else unknown(layer, weight)


def _masked_lm_head(layer: Any, weight: Any) -> Role:
    if weight.name == "output_kernel":
        return KernelGeometry.from_shape(weight.shape)
    if weight.name == "output_bias":
        return Default(layer.bias_initializer)
    return unknown(layer, weight)


def _class_token(layer: Any, weight: Any) -> Role:
    # Keras Hub draws it so and offers no argument for it.
    return Default("random_normal") if weight.name == "class_token" else unknown(layer, weight)


def _layer_scale(layer: Any, weight: Any) -> Role:
    # The one weight of ConvNeXt's LayerScale; Keras gives it no name.
    return Default(initializers.Constant(layer.init_values))


def _ones(layer: Any, weight: Any) -> Role:
    return Default("ones") if weight.name in ("scale", "weight") else unknown(layer, weight)


# Normalizations of Keras Hub with one scale that starts at 1; in others it starts at 0, and they
# add 1 to it.
_START_AT_ONE = (
    "GptOssLayerNormalization",
    "LlamaLayerNorm",
    "MistralLayerNormalization",
    "MixtralLayerNormalization",
    "Phi3LayerNorm",
    "Qwen3LayerNorm",
    "Qwen3MoeLayerNorm",
    "QwenLayerNorm",
    "QwenMoeLayerNorm",
    "T5LayerNorm",
)

_KNOWN: dict[str, Callable[[Any, Any], Role]] = {
    "keras>ConvLSTMCell": recurrent.conv_lstm,
    "keras>LayerScale": _layer_scale,
    "keras_hub>MaskedLMHead": _masked_lm_head,
    "keras_hub>PositionEmbedding": _position_embedding,
    "keras_hub>ViTPatchingAndEmbedding": _class_token,
    **{f"keras_hub>{name}": _ones for name in _START_AT_ONE},
}


@geometry.register(object)
def _by_name(layer: Any, weight: Any) -> Role:
    known = by_name(type(layer), _KNOWN)
    return unknown(layer, weight) if known is None else known(layer, weight)
