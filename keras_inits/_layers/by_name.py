"""Layers that are known by name: Keras keeps them private, or another package defines them.

What the names are, `keras_inits._layers.kinds.by_name` says.
"""

from collections.abc import Mapping
from typing import Any

from keras import initializers

from keras_inits._layers import hub, recurrent
from keras_inits._layers.dispatch import Default, LeftAlone, Role, geometry, unknown
from keras_inits._layers.kinds import by_name
from keras_inits._layers.rules import Rule, argument, by_weight, kernel


def _layer_scale(layer: Any, weight: Any) -> Role:
    # The one weight of ConvNeXt's LayerScale; Keras gives it no name.
    return Default(initializers.Constant(layer.init_values))


_KNOWN: Mapping[str, Rule] = {
    "keras>ConvLSTMCell": recurrent.conv_lstm,
    "keras>LayerScale": _layer_scale,
    "keras>STFTSpectrogram": lambda layer, weight: LeftAlone(
        "STFTSpectrogram computes its waves from its configuration"
    ),
    "keras>TernaryDense": by_weight({"kernel": kernel(), "bias": argument("bias_initializer")}),
    "keras_hub>MaskedLMHead": by_weight(
        {"output_kernel": kernel(), "output_bias": argument("bias_initializer")}
    ),
    **hub.RULES,
}


@geometry.register(object)
def _by_name(layer: Any, weight: Any) -> Role:
    known = by_name(type(layer), _KNOWN)
    return unknown(layer, weight) if known is None else known(layer, weight)
