"""What draws a kernel whose scale the graph has chosen."""

import math

from keras_inits._kernel_geometry import KernelGeometry
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


def drawn_by(geometry: KernelGeometry, gain: float) -> tuple[Scheme, str]:
    r"""Returns the scheme of a kernel whose entries have mean square gain² / fan_in, and a remark.

    Orthogonal rather than normal wherever a matrix can be: each layer then passes every direction
    of a signal and of a gradient as the mean does, where a normal matrix of $n \times n$ squeezes
    some by $1/n$ and stretches others by 2, which products of many layers make worse (Saxe et al.
    2014; Pennington et al. 2017). Of a kernel that is wider than it is high the rows are
    orthogonal, and longer than those of a square one, so that the mean square stays.

    Args:
        geometry: the kernel.
        gain: a number from 0.

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
        return BalancedInit(gain), "taps of each channel balanced"
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


def _is_of_few_taps(geometry: KernelGeometry) -> bool:
    """Says whether each of several maps sees one channel: independent taps would differ much."""
    count, rows, _ = geometry.matrix_shape
    return count > 1 and rows == geometry.taps > 1


def _is_of_matrices(geometry: KernelGeometry) -> bool:
    named = (*geometry.batch_axes, *geometry.input_axes, *geometry.output_axes)
    return bool(named) and len(set(named)) == len(named) and 0 not in geometry.shape
