"""Orthogonal kernels, Haar-uniform, on every backend and inside compiled functions."""

import functools
import math
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._errors import InputError
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes.base import GainScheme

# Columns that one matrix product takes at a time: the fastest of 128 to 1024 on two CPU cores
# from 512 x 512 to 4096 x 4096 (benchmarks/schemes.py).
_PANEL = 384
# Numbers of a matrix up to which NumPy alone is faster, in an eager call.
_SMALL = 2**14


def haar_orthogonal(shape: tuple[int, int, int], gain: float, dtype: str, seed: Any) -> Any:
    r"""Returns matrices with orthogonal columns, or rows where there are fewer of these.

    Each is `gain` times a matrix that is uniform in the Haar measure. Instead of factoring a
    Gaussian matrix, the Householder reflections of its QR factorization are drawn directly: the
    $k$-th is that of a standard normal vector of the length that is left (Stewart 1980). Their
    product is built panel by panel, from the last, as $H_1 \cdots H_b = I - U T U^\top$ with
    $T^{-1} = \operatorname{striu}(U^\top U) + \tfrac12 \operatorname{diag}(U^\top U)$. These are
    matrix products, which fill the machine where a factorization does not.

    Args:
        shape: `(matrices, rows, columns)`.
        gain: the singular values.
        dtype: float32 or float64.
        seed: integer or `keras.random.SeedGenerator`.

    Returns:
        Tensor of `shape`; $Q^\top Q = g^2 I$ or $Q Q^\top = g^2 I$.

    Reference:
        Stewart 1980, SIAM J. Numer. Anal. 17(3), theorem 3.3. https://doi.org/10.1137/0717034
        Joffrain et al. 2006, ACM TOMS 32(2) (for T). https://doi.org/10.1145/1141885.1141886
    """
    count, rows, columns = shape
    if rows < columns:
        return ops.swapaxes(haar_orthogonal((count, columns, rows), gain, dtype, seed), 1, 2)
    if 0 in shape:
        return ops.zeros(shape, dtype)
    normal = ops.tril(keras.random.normal(shape, dtype=dtype, seed=seed))
    # u = x + sign(x_1) |x| e_1 reflects x to -sign(x_1) |x| e_1. The two small numbers stand in for
    # the zeros that a normal draw in float32 can hold: no sign is 0, and no u. (Here and below: on
    # torch, `ops.maximum` and `ops.matmul` of Keras 3.15 return float32 of float64.)
    norm = ops.clip(ops.sqrt(ops.sum(ops.square(normal), axis=1)), 1e-6, math.inf)
    sign = ops.sign(ops.diagonal(normal, axis1=1, axis2=2) + 1e-30)
    eye = ops.eye(rows, columns, dtype=dtype)
    u = normal + ops.expand_dims(sign * norm, 1) * eye

    if columns <= _PANEL:
        q = _reflect(u, eye)
    else:
        q = None
        for start in reversed(range(0, columns, _PANEL)):
            panel = u[:, start:, start : start + _PANEL]
            q = _reflect(panel, eye[: panel.shape[1], : panel.shape[2]], q)
    # With R's diagonal positive the factor is unique, hence uniform: Q diag(sign(r_kk)).
    return q * ops.expand_dims(-gain * sign, 1)


def small_haar_orthogonal(
    shape: tuple[int, int, int], gain: float, dtype: str, seed: Any
) -> NDArray[Any]:
    """Returns what `haar_orthogonal` does, up to rounding, of matrices of one panel, by NumPy.

    Small operations take a framework longer to call than to do.
    """
    count, rows, columns = shape
    if rows < columns:
        return small_haar_orthogonal((count, columns, rows), gain, dtype, seed).transpose(0, 2, 1)
    drawn = ops.convert_to_numpy(keras.random.normal(shape, dtype=dtype, seed=seed))
    normal = np.tril(drawn)
    norm = np.maximum(np.sqrt(np.sum(np.square(normal), axis=1)), 1e-6)
    sign = np.sign(np.diagonal(normal, axis1=1, axis2=2) + 1e-30)
    eye = np.eye(rows, columns, dtype=dtype)
    u = normal + (sign * norm)[:, None] * eye
    transposed = u.transpose(0, 2, 1)
    t_inverse = (transposed @ u) * _strict_upper_and_half_diagonal(columns)
    q = eye - u @ np.linalg.solve(t_inverse, transposed[:, :, :columns])
    return np.asarray(q * (-gain * sign)[:, None], dtype)


def is_small(shape: tuple[int, int, int]) -> bool:
    """Returns whether `small_haar_orthogonal` is the faster way for matrices of that shape."""
    return 0 < math.prod(shape) <= _SMALL


def _reflect(u: Any, eye: Any, q: Any = None) -> Any:
    """Returns the reflections by the columns of `u`, applied to `eye` and the block `q` after it.

    Args:
        u: `(matrices, rows, panel)`.
        eye: identity, `(rows, panel)`.
        q: `(matrices, rows - panel, columns)`, or None for no columns.
    """
    count, _, panel = u.shape
    transposed = ops.swapaxes(u, 1, 2)
    t_inverse = ops.multiply(transposed @ u, _strict_upper_and_half_diagonal(panel))
    before, mapped = eye, transposed[:, :, :panel]
    if q is not None:
        mapped = ops.concatenate([mapped, transposed[:, :, panel:] @ q], axis=2)
        above = ops.zeros((count, panel, q.shape[2]), u.dtype)
        before = ops.broadcast_to(before, u.shape)
        before = ops.concatenate([before, ops.concatenate([above, q], axis=1)], axis=2)
    return before - u @ ops.solve_triangular(t_inverse, mapped)


@functools.lru_cache(maxsize=8)  # a tenth of the time of a small matrix
def _strict_upper_and_half_diagonal(size: int) -> NDArray[np.float32]:
    strict_upper = np.triu(np.ones((size, size)), 1)
    return (strict_upper + np.eye(size) / 2).astype(np.float32)


@scheme
class OrthogonalInit(GainScheme):
    r"""Orthogonal, Haar-uniform: every singular value is gain.

    $W^\top W = g^2 I$, or $W W^\top = g^2 I$ where there are more outputs than inputs. A
    convolution kernel is the matrix of its taps and inputs by its outputs, as in Keras and torch.
    In EinsumDense and the attention layers the matrix is that of the layer's map, where Keras's
    Orthogonal takes the bare shape. Computed in float32 (in float64 if asked), then rounded.

    Raises:
        ValueError: at the call, a shape with fewer than two axes.

    Reference:
        Saxe, McClelland & Ganguli 2014, section 3. https://arxiv.org/abs/1312.6120

    >>> w = OrthogonalInit(seed=1)((5, 3))
    >>> bool(ops.all(ops.abs(ops.transpose(w) @ w - ops.eye(3)) < 1e-6))
    True
    """

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        matrices = haar_orthogonal(geometry.matrix_shape, self.gain_in(geometry), dtype, seed)
        return geometry.from_matrices(matrices)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        _, rows, columns = geometry.matrix_shape
        return self.gain_in(geometry) / math.sqrt(max(1, rows, columns))

    def gain_in(self, geometry: KernelGeometry) -> float:
        """Returns the singular values of a kernel of `geometry`."""
        return self.effective_gain


@scheme
class DeltaOrthogonalInit(GainScheme):
    r"""Orthogonal at the centre tap of a convolution, zero elsewhere.

    With `padding="same"` and stride 1 the layer then keeps the norm of what it is given, times
    gain. It trains plain convolution networks of thousands of layers.

    Args:
        gain: $g$; 1 if None. (The paper and TensorFlow 1 scale by its square root.)

    Raises:
        ValueError: at the call, a kernel without taps or with more inputs than outputs.

    Reference:
        Xiao et al. 2018, section 2.4 and algorithm 1. https://arxiv.org/abs/1806.05393

    >>> DeltaOrthogonalInit(seed=1)((3, 3, 4, 8)).shape
    TensorShape([3, 3, 4, 8])
    """

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        shape = geometry.shape
        count, fan_in, outputs = geometry.matrix_shape
        if not geometry.tap_axes:
            raise InputError(
                "DeltaOrthogonalInit fills convolution kernels, such as (3, 3, inputs, outputs): "
                f"use OrthogonalInit for a kernel without taps. Received: shape={shape}"
            )
        if 0 in shape:
            return geometry.from_matrices(ops.zeros(geometry.matrix_shape, dtype))
        inputs = fan_in // geometry.taps
        if inputs > outputs:
            raise InputError(
                "DeltaOrthogonalInit needs at least as many outputs as inputs, else it loses part "
                f"of the signal. Received: {inputs} inputs and {outputs} outputs in shape={shape}. "
                "Use OrthogonalInit for such a layer."
            )
        matrices = haar_orthogonal((count, inputs, outputs), self.effective_gain, dtype, seed)
        before = inputs * geometry.center_tap
        after = fan_in - inputs - before
        return geometry.from_matrices(ops.pad(matrices, ((0, 0), (before, after), (0, 0))))

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        _, rows, columns = geometry.matrix_shape
        return self.effective_gain * math.sqrt(rows / geometry.taps / max(1, rows * columns))
