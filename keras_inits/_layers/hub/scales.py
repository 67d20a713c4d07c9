"""Scales: of normalizations, of branches, of logits, of single channels."""

import math
from typing import Any

from keras import initializers

from keras_inits._layers.dispatch import Default, Role
from keras_inits._layers.rules import (
    ONES,
    ZEROS,
    Weights,
    argument,
    kernel,
    start,
    start_from,
)
from keras_inits._layers.scales import scale_offset


def _neutral(layer: Any, weight: Any) -> Role:
    """The scale of a class of which some multiply by 1 + scale, as Gemma's: the factor is 1."""
    offset = scale_offset(layer, (2, *weight.shape))
    return Default("zeros" if offset else "ones")


# Radford et al. 2021, section 2.5: the temperature starts at 0.07.
_CLIP_SCALE = start(initializers.Constant(math.log(1 / 0.07)))

LAYERS: dict[str, Weights] = {
    "RMSNormalization": {"scale": _neutral},  # several classes have this name
    "Qwen3_5LayerNorm": {"scale": _neutral},
    **{
        name: {"scale": ONES}
        for name in (
            "EdRecRMSNormalization",
            "Gemma3nRMSNorm",
            "Gemma3nAudioCumulativeGroupNorm",
            "Gemma4FrozenNorm",
            "GptOssLayerNormalization",
            "LlamaLayerNorm",
            "MistralLayerNormalization",
            "MixtralLayerNormalization",
            "Phi3LayerNorm",
            "Qwen3LayerNorm",
            "Qwen3MoeLayerNorm",
            "Qwen3_5RMSNormGated",
            "QwenLayerNorm",
            "QwenMoeLayerNorm",
            "RoformerNorm",
        )
    },
    "T5LayerNorm": {"weight": ONES},
    "RmsNorm2d": {"gamma": argument("gamma_initializer")},
    # Of branches (Touvron et al. 2021)
    **{
        name: {"lambda1": start_from(lambda layer: initializers.Constant(layer.init_values))}
        for name in ("DINOV2LayerScale", "DINOV3LayerScale")
    },
    "LayerScale2d": {"gamma": start_from(lambda layer: initializers.Constant(layer.init_values))},
    "Gemma4TextDecoderBlock": {"layer_scalar": ONES},
    "HGNetV2LearnableAffineBlock": {
        "scale": start_from(lambda layer: initializers.Constant(layer.scale_value)),
        "bias": start_from(lambda layer: initializers.Constant(layer.bias_value)),
    },
    "Gemma3nTextAltUp": {"correct_output_scale": ZEROS},
    # Of logits
    "CLIPHead": {"logit_scale": _CLIP_SCALE},
    "MetaCLIP2Head": {"logit_scale": _CLIP_SCALE},
    # Keras Hub's start, log 1. (Zhai et al. 2023 start at log 10, with a bias of -10.)
    "SigLIPHead": {"logit_scale": ZEROS, "logit_bias": ZEROS},
    # Of queries: the layers take the softplus of it
    "Gemma3nAudioAttention": {"per_dim_scale": ZEROS},
    "Gemma4AudioAttention": {"per_dim_scale": ZEROS},
    "VideoPrismPerDimScale": {"per_dim_scale": ZEROS},
    # A kernel that projects the sines of relative positions
    "Gemma4AudioRelativePositionEmbedding": {"pos_proj": kernel()},
    # A logit for each head that takes its share of the softmax and has no value
    "GptOssAttention": {"sinks": start("random_normal")},
}
