"""What draws a kernel whose scale the graph has chosen."""

import math

import numpy as np

from keras_inits._gains import Activation
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._moments import Signal
from keras_inits._schemes import (
    BalancedInit,
    HadamardOrthogonalInit,
    SuoInit,
    XavierInit,
    ZerosInit,
)
from keras_inits._schemes.base import Scheme

# Orthogonal matrices are made whole: of more numbers than this (64 MiB in float32) values are drawn
# independently, piece by piece, so that a large or sharded weight is never in memory twice.
_WHOLE = 2**24
# Numbers of one matrix beyond which structured transforms make it: at 256 x 256 they take a quarter
# of the time of Haar's law, at 1024 x 2048 a fifth, and hardly longer than normal values.
_HAAR = 2**14
# Share of the second moment that the mean of a signal makes up where it is mostly positive: 1 / pi
# behind a ReLU, .19 and .12 behind GELU and SiLU of N(0, 1), .04 behind ELU.
_POSITIVE = 0.1
# By how much more a function keeps of positive values than of negative ones that silences those, as
# mean squares: of values of size 0.3 SiLU, Mish and GELU keep 2.6 to 4.4 times as much, of larger
# ones 15 times and more; SELU of size 1 keeps 1.2 times as much, tanh no more.
_KEPT = 2.0


def drawn_by(
    geometry: KernelGeometry, gain: float, *, positive: bool = False
) -> tuple[Scheme, str]:
    r"""Returns the scheme of a kernel whose entries have mean square gain² / fan_in, and a remark.

    Orthogonal rather than normal wherever a matrix can be: each layer then passes every direction
    of a signal and of a gradient as the mean does, where a normal matrix of $n \times n$ squeezes
    some by $1/n$ and stretches others by 2, which products of many layers make worse (Saxe et al.
    2014; Pennington et al. 2017). Of a kernel that is wider than it is high the rows are
    orthogonal, and longer than those of a square one, so that the mean square stays.

    Args:
        geometry: the kernel.
        gain: a number from 0.
        positive: whether taps that see one channel keep the sign of what is constant in it.

    Reference:
        Saxe, McClelland & Ganguli 2014, section 3. https://arxiv.org/abs/1312.6120
        Pennington, Schoenholz & Ganguli 2017. https://arxiv.org/abs/1711.04735
        Martens et al. 2021, section 3.1 (the scale of wide kernels).
        https://arxiv.org/abs/2110.01765
    """
    if gain == 0:
        return ZerosInit(), ""
    count, rows, columns = geometry.matrix_shape
    if _is_of_few_taps(geometry):
        sums = ", their sums positive" if positive else ""
        return BalancedInit(gain, positive=positive), f"taps of each channel balanced{sums}"
    if not _is_of_matrices(geometry):
        return XavierInit(gain), "independent: it is no stack of matrices"
    if count * rows * columns > _WHOLE:
        return XavierInit(gain), f"independent: more than {_WHOLE:,} numbers"
    # Of a transposed convolution an output sees one tap in `input_stride`.
    strided = geometry.input_stride != 1
    of_rows = gain * math.sqrt(rows / geometry.fan_in) if strided else gain
    remark = f"times {math.sqrt(rows / geometry.fan_in):.4g} for its stride" if strided else ""
    if rows * columns > _HAAR:
        return HadamardOrthogonalInit(of_rows * math.sqrt(max(1.0, columns / rows))), remark
    return SuoInit(of_rows), remark


def keeps_sign(activation: Activation | None, variance: float, given: Signal) -> bool:
    """Returns whether taps that see one channel should keep the sign of what is constant in it.

    They should between two functions that keep positive values alone, such as ReLU. What is
    constant in a channel, in a deep net of those nearly all, comes in positive. Under random signs
    half of the channels are silent behind the kernel, and which ones decides the scale of all that
    follows: of n channels, half of them silent before, the second moment varies by 6 / n, relative
    and squared, which was 0.43 of the first 32 of EfficientNetB0.

    Args:
        activation: what follows the kernel.
        variance: the second moment that the kernel gives it.
        given: what reaches the kernel.
    """
    if activation is None or given.mean <= 0:
        return False
    if given.mean**2 < _POSITIVE * given.second_moment:
        return False
    sizes = np.abs(given.values.ravel()) * math.sqrt(variance / given.second_moment)
    with np.errstate(all="ignore"):
        above, below = (np.mean(activation.function(s * sizes) ** 2) for s in (1, -1))
    return bool(above > _KEPT * below)


def _is_of_few_taps(geometry: KernelGeometry) -> bool:
    """Returns whether each of several maps sees one channel: independent taps would differ much."""
    count, rows, _ = geometry.matrix_shape
    return count > 1 and rows == geometry.taps > 1


def _is_of_matrices(geometry: KernelGeometry) -> bool:
    named = (*geometry.batch_axes, *geometry.input_axes, *geometry.output_axes)
    return bool(named) and len(set(named)) == len(named) and 0 not in geometry.shape
