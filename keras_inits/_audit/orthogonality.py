"""Kernels that should be orthogonal and are not."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_inits._audit.kernel import Judgement, Kernel, Kernels, remedy
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._reporting import Finding
from keras_inits._schemes import OrthogonalInit

# Largest entry of Q^T Q / g^2 - I that rounding to bfloat16 (8 bits) explains.
_GRAM_TOLERANCE = 2.0**-6
# Of n squared singular values random numbers never spread by less than 1 - 4.5 / n of what is
# expected: measured on 138,000 matrices, normal, uniform or of signs, n from 5 to 128.
_RIGIDITY = 5.0


def not_orthogonal(kernel: Kernel, kernels: Kernels) -> Iterator[Judgement]:
    """Yields a finding if the scheme is orthogonal and a block of the kernel is not.

    Blocks may be of any scale, as those that `calibrate` has fitted to data.

    Keras draws the gates of a cell as one matrix. That is how its LSTM and GRU start, and no fault.
    """
    scheme = kernel.scheme
    if not isinstance(scheme, OrthogonalInit):
        return
    matrices = kernel.matrices / scheme.gain_in(kernel.geometry)
    bad = [index for index, matrix in enumerate(matrices) if not _is_orthogonal(matrix)]
    if not bad or (kernel.geometry.blocks > 1 and _is_orthogonal(as_keras_reads(kernel))):
        return
    worst = matrices[max(bad, key=lambda index: gram_error(matrices[index]))]
    values = np.linalg.svd(worst, compute_uv=False)
    maps, rows, outputs = matrices.shape
    finding = Finding(
        kind="not orthogonal",
        where=(kernel.path,),
        evidence=(
            f"{len(bad)} of {maps} blocks of {rows}x{outputs} are not orthogonal: singular values "
            f"{values.max():.3g} to {values.min():.3g} times the gain in the worst"
        ),
        consequence=(
            "the block squeezes some directions, which an orthogonal scheme is there to prevent"
        ),
        remedy=remedy(kernel),
        numbers={
            "blocks": len(bad),
            "largest": float(values.max()),
            "smallest": float(values.min()),
        },
    )
    yield Judgement(finding)


def is_drawn_orthogonal(kernel: Kernel) -> bool:
    """Returns whether a kernel is orthogonal in some reading, whatever its scale."""
    return all(map(_is_orthogonal, kernel.matrices)) or _is_orthogonal(as_keras_reads(kernel))


def has_left_orthogonality(kernel: Kernel) -> bool:
    """Returns whether a kernel is nearly orthogonal, but not exactly: nearer than random numbers.

    Neither a scheme nor a hand makes such a kernel; training does.
    """
    if not isinstance(kernel.scheme, OrthogonalInit) or is_drawn_orthogonal(kernel):
        return False
    matrix = as_keras_reads(kernel).astype("float64")
    values = np.linalg.svd(matrix, compute_uv=False)
    rows, outputs = matrix.shape
    # The singular values of random numbers spread so: their squares have the mean 1 and, by
    # Marchenko and Pastur (1967), the variance min/max of the two sides.
    expected = np.sqrt(min(rows, outputs) / max(rows, outputs))
    squares = values**2 / np.mean(values**2)
    return bool(squares.std() < (1 - _RIGIDITY / values.size) * expected)


def _is_orthogonal(matrix: NDArray[Any]) -> bool:
    scale = np.sqrt(np.square(matrix, dtype="float64").sum() / min(matrix.shape))
    return scale > 0 and gram_error(matrix / scale) <= _GRAM_TOLERANCE


def as_keras_reads(kernel: Kernel) -> NDArray[Any]:
    """Returns the one matrix, `(rows, outputs)`, that Keras reads off the shape of a kernel."""
    whole = KernelGeometry.from_shape(kernel.geometry.shape)
    (matrix,) = np.asarray(whole.to_matrices(kernel.values))
    return np.asarray(matrix)


def gram_error(matrix: NDArray[Any]) -> float:
    """Returns the largest entry of QᵀQ - I, or of QQᵀ - I for a wide matrix."""
    q = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return float(np.abs(q.T @ q - np.eye(q.shape[1], dtype=q.dtype)).max())
