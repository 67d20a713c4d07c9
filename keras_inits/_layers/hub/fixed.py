"""Numbers that a layer computes from its configuration, or from data, and keeps in a weight."""

from keras_inits._layers.rules import ONES, ZEROS, Weights, left, start

_FREQUENCIES = left("computes its frequencies from its configuration")
_LIMITS = left("keeps the limits of a quantized checkpoint in it")
_CONFIGURED = left("computes it from its configuration")
_CODEBOOK = left("fits its codebook to the data by moving averages")

LAYERS: dict[str, Weights] = {
    "MoonshineRotaryEmbedding": {"inv_freq": _FREQUENCIES},
    "SmolLM3RotaryEmbedding": {"inv_freq": _FREQUENCIES},
    "SAM3ViTRotaryEmbedding": {
        "rope_embeddings_cos": _FREQUENCIES,
        "rope_embeddings_sin": _FREQUENCIES,
    },
    **dict.fromkeys(
        ("Gemma4ClippableEinsumDense", "Gemma4ClippableDense"),
        dict.fromkeys(("input_min", "input_max", "output_min", "output_max"), _LIMITS),
    ),
    "DFineMultiscaleDeformableAttention": {"num_points_scale": _CONFIGURED},
    "DFineDecoder": {"reg_scale": _CONFIGURED, "upsampling_factor": _CONFIGURED},
    "VectorQuantizerEMA": dict.fromkeys(("embeddings", "ema_cluster_size", "ema_w"), _CODEBOOK),
    # Random frequencies that are never trained (Tancik et al. 2020, eq. 5).
    "RandomFrequencyPositionalEmbeddings": {
        "positional_encoding_gaussian_matrix": start("random_normal")
    },
    "Gemma4AssistantCausalLM": {"token_ordering": left("keeps an order of tokens in it")},
    # Statistics of a checkpoint, which the layer standardizes by.
    "Gemma4VisionOutput": {"std_bias": ZEROS, "std_scale": ONES},
}
