"""Learned tokens and positions: vectors that are added to a signal or join it.

None of them is a map, so that none has a fan: each starts as its layer has it.
"""

import math

from keras import initializers

from keras_inits._layers.rules import ZEROS, Weights, argument, left, start, start_from

_NORMAL = start("random_normal")
_TRUNCATED = start(initializers.TruncatedNormal(stddev=0.02))
_RANGE = start_from(lambda layer: initializers.TruncatedNormal(stddev=layer.initializer_range))
# The layer trains a copy, resized to the images; the other table is for other sizes.
_STORED = left("keeps the table that its trained positions were resized from")

TOKENS: dict[str, Weights] = {
    "ViTPatchingAndEmbedding": {"class_token": _NORMAL},
    "CLIPVisionEmbedding": {"class_embedding": _NORMAL},
    "MetaCLIP2VisionEmbedding": {"class_embedding": _NORMAL},
    "DeiTEmbeddings": {
        "class_token": ZEROS,
        "distillation_token": ZEROS,
        "mask_token": ZEROS,
    },
    "DINOV2Embedding": {
        "cls_token": _TRUNCATED,
        "mask_token": ZEROS,
        "register_tokens": ZEROS,
    },
    "DINOV3Embedding": {"cls_token": _RANGE, "mask_token": ZEROS, "register_tokens": _RANGE},
    "BLIP2QueryTokens": {"query_tokens": ZEROS},
    "XLNetAttentionMaskLayer": {"mask_emb": argument("kernel_initializer")},
    # The learned query of a pooling by attention; its layer gives it no name.
    **{
        name: {"variable": start("glorot_uniform")}
        for name in ("SigLIPMultiHeadAttentionPooling", "MultiHeadAttentionPooling")
    },
    "VideoPrismClassToken": {
        "cls_token": start_from(
            lambda layer: initializers.RandomNormal(stddev=1 / math.sqrt(layer.hidden_dim))
        )
    },
    "VideoPrismAttenTokenPoolingLayer": {
        "pooling_attention_query": start(initializers.RandomNormal(stddev=0.02))
    },
    "T5Gemma2Backbone": {"encoder_eoi_embedding": ZEROS, "decoder_eoi_embedding": ZEROS},
}
POSITIONS: dict[str, Weights] = {
    "PositionEmbedding": {"embeddings": argument("initializer")},
    "DeiTEmbeddings": {"position_embedding": start(initializers.RandomNormal(stddev=0.02))},
    "DINOV2Embedding": {
        "position_embeddings": _STORED,
        "interpolated_position_embeddings": _TRUNCATED,
    },
    "SAM3Embedding": {"position_embeddings": _STORED, "tiled_position_embeddings": _TRUNCATED},
    "PARSeqDecoder": {"pos_query_embeddings": start("glorot_uniform")},
    "Gemma4VisionPatchEmbedder": {"position_embedding_table": start("ones")},
    "AddPositionalEmbedding": {"pos_embed": ZEROS},
    # relative ones
    "AddRelativePositionalEmbedding": {"rel_pos_h": ZEROS, "rel_pos_w": ZEROS},
    "RelativeEmbedding": {"rel_embedding": argument("kernel_initializer")},
    "T5MultiHeadAttention": {
        "embeddings": start_from(
            lambda layer: initializers.RandomNormal(stddev=1 / math.sqrt(layer.inner_dim))
        )
    },
    "WindowAttention": {"relative_position_bias_table": _TRUNCATED},
    "XLNetEncoder": {
        "content_attention_bias": argument("bias_initializer"),
        "positional_attention_bias": argument("bias_initializer"),
        "segment_attention_bias": argument("bias_initializer"),
        "segment_encoding": argument("kernel_initializer"),
    },
}
LAYERS: dict[str, Weights] = {
    name: {**TOKENS.get(name, {}), **POSITIONS.get(name, {})} for name in {**TOKENS, **POSITIONS}
}
