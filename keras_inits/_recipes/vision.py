"""Recipes for image models."""

import math

from keras_inits._recipes.place import Place
from keras_inits._recipes.recipe import Table, recipe
from keras_inits._schemes import (
    ConstantInit,
    GlorotUniformInit,
    LecunInit,
    OnesInit,
    RandomInit,
    ZerosInit,
)


@recipe(needs=("attention_out", "patch"))
def vit(classes: int | None = None) -> Table:
    r"""Xavier uniform, biases of the MLP N(0, 1e-6²), patches LeCun, head 0: ViT in JAX.

    Xavier uniform for attention and MLP; the biases of the MLP $N(0, 10^{-12})$, all others 0; the
    patch convolution LeCun's truncated normal; positions $N(0, 0.02^2)$; class token and head 0.

    Args:
        classes: if given, the bias of the head is -log(classes), so that sigmoids start at the
            rate of a class; 0 if None.

    Reference:
        Dosovitskiy et al. 2021; vision_transformer, `vit_jax/models_vit.py`.
        https://arxiv.org/abs/2010.11929
    """
    return {
        "kernel": GlorotUniformInit(),
        "patch": LecunInit(distribution="truncated_normal"),
        "position": RandomInit(0.02),
        "token": ZerosInit(),
        "head": ZerosInit(),
        "head_bias": ZerosInit() if classes is None else ConstantInit(-math.log(classes)),
        "ffn_bias": RandomInit(1e-6),
        "bias": ZerosInit(),
    }


def _he_by_fan_out(place: Place) -> RandomInit:
    return RandomInit(math.sqrt(2 / place.fan_out))


@recipe(needs=("convolution", "branch_end_scale"))
def resnet(*, zero_gamma: bool = True, head_stddev: float = 0.01) -> Table:
    r"""He fan_out, gamma 0 at the end of each branch, head N(0, 0.01²): ResNet.

    Convolutions $N(0, 2 / n_\text{out})$, where $n_\text{out}$ is taps times outputs; a stride is
    not counted, as in the code. All gammas 1 but the last of each branch, which is 0: a block
    starts as an identity.

    Args:
        zero_gamma: False for gamma 1 everywhere.
        head_stddev: that of the head.

    Reference:
        He et al. 2015 (fan_out); Goyal et al. 2017, section 5.1 (gamma and head).
        https://arxiv.org/abs/1706.02677
    """
    return {
        "convolution": _he_by_fan_out,
        "head": RandomInit(head_stddev),
        "norm_scale": OnesInit(),
        "branch_end_scale": ZerosInit() if zero_gamma else OnesInit(),
        "norm_offset": ZerosInit(),
        "bias": ZerosInit(),
    }


@recipe(needs=("branch_end",))
def fixup() -> Table:
    r"""He fan_out, in branches of m kernels x L^(-1/(2m-2)), last kernels and head 0: Fixup.

    For residual nets without normalization. Of each of the $L$ branches the last kernel is 0 and
    the $m - 1$ before it are $N(0, 2 / n_\text{out})$ times $L^{-1/(2m-2)}$; other kernels are not
    scaled. Biases 0. The model brings the scalar biases and the multiplier of the paper's rule 3.

    Reference:
        Zhang, Dauphin & Ma 2019, section 3; the authors' code for the fan.
        https://arxiv.org/abs/1901.09321
    """

    def in_branch(place: Place) -> RandomInit:
        scale = place.branches ** (-1 / (2 * max(2, place.kernels) - 2))
        return RandomInit(scale * math.sqrt(2 / place.fan_out))

    return {
        "kernel": _he_by_fan_out,
        "branch": in_branch,
        "branch_end": ZerosInit(),
        "head": ZerosInit(),
        "bias": ZerosInit(),
    }


@recipe(needs=("convolution",))
def dcgan(stddev: float = 0.02) -> Table:
    """N(0, 0.02²) for kernels, N(1, 0.02²) for gammas, offsets and biases 0: DCGAN.

    Args:
        stddev: that of kernels and gammas.

    Reference:
        Radford, Metz & Chintala 2016, section 4; the PyTorch example for gamma.
        https://arxiv.org/abs/1511.06434
    """
    return {
        "kernel": RandomInit(stddev),
        "norm_scale": RandomInit(stddev, 1.0),
        "norm_offset": ZerosInit(),
        "bias": ZerosInit(),
    }
