"""Mixtures of experts: one kernel for all experts, `(experts, inputs, outputs)`.

Routers are plain `Dense` layers. The number of experts is in no fan: each token is summed over the
inputs of one expert at a time.
"""

from keras_inits._layers.rules import ONES, ZEROS, Weights, kernel

_EXPERTS = kernel(maps=0)
# Gate and up-projection in one kernel, which Qwen splits in the middle.
_GATE_AND_UP = kernel(maps=0, blocks=2)

LAYERS: dict[str, Weights] = {
    "MixtralMoeExperts": {
        "expert_feedforward_gate_dense": _EXPERTS,
        "expert_feedforward_intermediate_dense": _EXPERTS,
        "expert_feedforward_output_dense": _EXPERTS,
    },
    **{
        name: {
            "expert_feedforward_gate_dense": _GATE_AND_UP,
            "expert_feedforward_output_dense": _EXPERTS,
        }
        for name in ("QwenMoeExperts", "Qwen3MoeExperts", "Qwen3_5MoeExperts")
    },
    "GptOssExperts": {
        # Gate and up-projection take every second output each. A geometry has no words for that,
        # so both are one map here: the fan_in is the same.
        "gate_up_proj": _EXPERTS,
        "gate_up_proj_bias": ZEROS,
        "down_proj": _EXPERTS,
        "down_proj_bias": ZEROS,
    },
    # Keras Hub starts them at 0, since they are always loaded: a start from which no expert learns.
    "Gemma4MoEBlock": {
        "gate_proj": _EXPERTS,
        "up_proj": _EXPERTS,
        "down_proj": _EXPERTS,
        "per_expert_scale": ONES,
    },
    "Gemma4Router": {"per_dim_scale": ONES},
}
