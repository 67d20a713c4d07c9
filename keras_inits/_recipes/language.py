"""Recipes for language models."""

import math

from keras_inits._recipes.place import Place
from keras_inits._recipes.recipe import Table, recipe
from keras_inits._schemes import CutNormalInit, RandomInit, ZerosInit


def _scaled(stddev: float) -> Table:
    """All normal of one scale, ends of branches over the root of their number."""
    return {
        "embedding": RandomInit(stddev),
        "position": RandomInit(stddev),
        "kernel": RandomInit(stddev),
        "branch_end": lambda place: RandomInit(stddev / math.sqrt(place.branches)),
        "bias": ZerosInit(),
    }


@recipe(needs=("embedding", "branch_end"))
def gpt2(stddev: float = 0.02, position_stddev: float | None = None) -> Table:
    r"""N(0, 0.02²), ends of branches 0.02 / sqrt(2N), biases 0: GPT-2.

    $\sigma = 0.02$ for embeddings and kernels; $\sigma / \sqrt{L}$ for the last kernel of each of
    the $L = 2N$ branches of $N$ blocks.

    Args:
        stddev: sigma.
        position_stddev: that of learned positions; sigma if None. OpenAI's code has 0.01.

    Reference:
        Radford et al. 2019, section 2.3; transformers, `GPT2PreTrainedModel._init_weights`.
    """
    position = RandomInit(stddev if position_stddev is None else position_stddev)
    return {**_scaled(stddev), "position": position}


@recipe(needs=("embedding", "branch_end"))
def megatron(stddev: float = 0.02) -> Table:
    r"""N(0, stddev²), ends of branches stddev / sqrt(2N), biases 0: Megatron-LM.

    Args:
        stddev: Megatron's `init_method_std`; Smith et al. 2022 choose $\sqrt{1 / (3d)}$ for 530
            billion weights.

    Reference:
        Shoeybi et al. 2019, section 4.2; Megatron-LM, `init_method_normal` and
        `scaled_init_method_normal`. https://arxiv.org/abs/1909.08053
    """
    return _scaled(stddev)


@recipe(needs=("embedding", "branch_end"))
def neox() -> Table:
    r"""N(0, 2 / (5d)), ends of branches of standard deviation 2 / (N sqrt d): GPT-NeoX.

    $d$ is the width of the stream, $N$ the number of blocks. Biases 0.

    Reference:
        Black et al. 2022, section 2.1.3; gpt-neox, `small_init_init_method` (Nguyen & Salazar
        2019) and `wang_init_method`. https://arxiv.org/abs/2204.06745
    """

    def small(place: Place) -> RandomInit:
        return RandomInit(math.sqrt(2 / (5 * place.width)))

    return {
        "embedding": small,
        "position": small,
        "kernel": small,
        "branch_end": lambda place: RandomInit(2 / (place.blocks * math.sqrt(place.width))),
        "bias": ZerosInit(),
    }


@recipe(needs=("embedding", "attention_out", "ffn_out"))
def mitchell(cut: float = 3.0) -> Table:
    r"""Standard deviation d^-1/2, ends of branches (2 fan_in (l+1))^-1/2, cut at 3 sigma: OLMo.

    $\sigma = d^{-1/2}$ for embeddings, positions, queries, keys, values, the first kernels of the
    feed-forward part and the head; $(2 d (l+1))^{-1/2}$ for the projection out of the attention of
    block $l = 0, \dots, N-1$, and $(2 f (l+1))^{-1/2}$ for that out of the feed-forward part of
    width $f$. As in the code, sigma is that before the cut. Biases 0.

    Args:
        cut: where the normal law is cut, in standard deviations.

    Reference:
        Groeneveld et al. 2024; OLMo, `OLMoBlock.reset_parameters`, `InitFnType.mitchell`.
        https://arxiv.org/abs/2402.00838
    """

    def plain(place: Place) -> CutNormalInit:
        return CutNormalInit(place.width**-0.5, cut)

    return {
        "embedding": plain,
        "position": plain,
        "kernel": plain,
        "attention_out": lambda place: CutNormalInit(
            (2 * place.width * (place.block + 1)) ** -0.5, cut
        ),
        "ffn_out": lambda place: CutNormalInit((2 * place.fan_in * (place.block + 1)) ** -0.5, cut),
        "bias": ZerosInit(),
    }


@recipe(needs=("embedding", "attention_out", "ffn_gate"))
def torchtitan(stddev: float = 0.02, *, by_depth: bool = True) -> Table:
    r"""N(0, 0.02²), wo, w2 and w3 0.02 / sqrt(2(l+1)), embedding N(0, 1): torchtitan's Llama.

    $\sigma = 0.02$ for queries, keys, values and the gate w1. The projection out of the attention
    and the other two kernels of the feed-forward part, w2 and w3, have $\sigma / \sqrt{2(l+1)}$ in
    block $l$. The head has $d^{-1/2}$, cut at 3 sigma; a table that is embedding and head, too.
    (The code cuts the others at ±2, which is 100 sigma.)

    Args:
        stddev: sigma.
        by_depth: False for $\sigma / \sqrt{2N}$ in every block, the code's `depth_init=False`.

    Reference:
        torchtitan, `models/llama3/model.py`: `init_weights`.
    """

    def deep(place: Place) -> RandomInit:
        depth = place.block + 1 if by_depth else place.blocks
        return RandomInit(stddev / math.sqrt(2 * depth))

    def head(place: Place) -> CutNormalInit:
        return CutNormalInit(place.width**-0.5)

    return {
        "embedding": RandomInit(1.0),
        "tied_embedding": head,
        "kernel": RandomInit(stddev),
        "attention_out": deep,
        "ffn_up": deep,
        "ffn_out": deep,
        "head": head,
        "bias": ZerosInit(),
    }
