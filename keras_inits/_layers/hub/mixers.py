"""Mixers that are no attention by softmax: RWKV-7 and the gated delta rule."""

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.rules import ONES, ZEROS, Weights, argument, kernel

# Vectors of one number for each channel: how much of the step before comes in (`x_`), offsets of
# decay, learning rate and value gate (`0`), and scales of the keys and of the current step's bonus.
# Keras Hub draws them as if they were kernels; where no checkpoint is loaded they start so.
_VECTOR = argument("kernel_initializer")

LAYERS: dict[str, Weights] = {
    "RWKV7ChannelMix": {"time_mix_k": _VECTOR},
    "RWKV7TimeMix": {
        **dict.fromkeys(("x_r", "x_w", "x_k", "x_v", "x_a", "x_g"), _VECTOR),
        **dict.fromkeys(("w0", "a0", "v0", "k_k", "k_a", "r_k"), _VECTOR),
        # The two factors of each map of low rank, (channels, rank) and (rank, channels).
        **dict.fromkeys(("w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2"), kernel()),
    },
    "Qwen3_5GatedDeltaNet": {
        # (channels, taps): a filter for each channel.
        "conv1d_kernel": lambda layer, weight: KernelGeometry.from_shape(weight.shape, (), (), 0),
        # The decay of the state is exp(-exp(A_log) softplus(a + dt_bias)).
        "dt_bias": ONES,
        "A_log": ZEROS,
    },
}
