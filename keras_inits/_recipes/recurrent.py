"""Recipes for recurrent nets."""

from keras_inits._recipes.recipe import Table, recipe
from keras_inits._schemes import IdentityInit, RandomInit, ZerosInit


@recipe(needs=("simple_recurrent",))
def irnn(stddev: float = 0.001, gain: float = 1.0) -> Table:
    """Recurrent kernels the identity, all others N(0, 0.001²), biases 0: IRNN.

    For recurrent cells without gates, with ReLU.

    Args:
        stddev: that of the kernels that are not recurrent.
        gain: the value on the diagonal; the paper takes 0.01 for speech (an iRNN that forgets).

    Reference:
        Le, Jaitly & Hinton 2015, section 3. https://arxiv.org/abs/1504.00941
    """
    return {
        "simple_recurrent": IdentityInit(gain),
        "kernel": RandomInit(stddev),
        "bias": ZerosInit(),
    }
