"""Orthogonal kernels of structured transforms: random signs between fast orthogonal transforms."""

import functools
import math
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes.orthogonal import OrthogonalInit, haar_orthogonal, small_haar_orthogonal
from keras_inits._schemes.panels import structured_columns

# The largest factor of a length that is transformed at once, by one matrix product: the fastest of
# 8 to 128 on two CPU cores at 4096 x 4096 (benchmarks/schemes.py). Matrices of no longer side are
# drawn Haar-uniform outright, which costs nothing there.
_FACTOR = 64


def hadamard_orthogonal(
    shape: tuple[int, int, int], gain: float, dtype: str, seed: Any, *, by_numpy: bool = False
) -> Any:
    r"""Returns matrices with orthogonal columns, or rows where there are fewer of these.

    Each is `gain` times columns of $T D_1 T D_2 T P D_3$: the $D$ are diagonals of independent
    random signs, $P$ is a random permutation and $T$ an orthogonal matrix that is fixed by its size
    and takes $O(n \log n)$ operations to apply (`transform`). The longer side is $n$. Up to
    `_FACTOR` the matrices are Haar-uniform.

    Args:
        shape: `(matrices, rows, columns)`.
        gain: the singular values.
        dtype: float32 or float64.
        seed: integer or `keras.random.SeedGenerator`.
        by_numpy: whether NumPy makes it, which is faster in an eager call on a processor. The
            random numbers are the same ones.

    Returns:
        Tensor, or array, of `shape`; $Q^\top Q = g^2 I$ or $Q Q^\top = g^2 I$.

    Reference:
        Yu et al. 2016, section 4 (three blocks of a Hadamard matrix and signs).
        https://arxiv.org/abs/1610.09072
    """
    count, rows, columns = shape
    if max(shape[1:]) <= _FACTOR or 0 in shape:
        if by_numpy and 0 not in shape:
            return small_haar_orthogonal(shape, gain, dtype, seed)
        return haar_orthogonal(shape, gain, dtype, seed)
    in_panels = by_numpy and max(_factors(max(rows, columns))) <= _FACTOR
    if rows < columns and not in_panels:
        high = hadamard_orthogonal((count, columns, rows), gain, dtype, seed, by_numpy=by_numpy)
        return _xp(high).swapaxes(high, 1, 2)
    is_wide = rows < columns
    rows, columns = (columns, rows) if is_wide else (rows, columns)
    draws = keras.random.uniform((count, 4, rows), dtype="float32", seed=seed)
    if by_numpy:
        draws = ops.convert_to_numpy(draws)
        signs = np.where(draws[:, :3] < 0.5, 1, -1).astype(dtype)
        chosen = np.argsort(draws[:, 3], axis=1, kind="stable")[:, :columns]
        if in_panels:
            factors = [_symmetric(factor).astype(dtype) for factor in _factors(rows)]
            each = zip(signs, chosen, strict=True)
            made = [structured_columns(factors, *one, gain, transposed=is_wide) for one in each]
            return np.stack(made) if count > 1 else made[0][None]
    else:
        signs = ops.cast(2 * ops.cast(draws[:, :3] < 0.5, "int32") - 1, dtype)
        chosen = ops.argsort(draws[:, 3], axis=1)[:, :columns]
    q = _chosen_columns(chosen, rows, dtype)
    q = q * _xp(q).expand_dims(gain * signs[:, 2, :columns], 1)
    q = transform(q, signs[:, 1])
    return transform(q, signs[:, 0])


def transform(x: Any, signs: Any = None) -> Any:
    r"""Returns $T D x$, where $T$ is orthogonal and $D$ has `signs` on its diagonal.

    $T$ is the Kronecker product of matrices of the factors of its size $n$. Those of up to
    `_FACTOR` are Sylvester's Hadamard matrix of their power of 2 times the Hartley matrix
    $p^{-1/2} (\cos + \sin)(2 \pi i j / p)$ of the rest, so that of a power of 2 all entries are
    $\pm n^{-1/2}$. A prime beyond has $R \, (1 \oplus T_{p-1})$ with the Householder reflection $R$
    that gives its first column entries of one size.

    Args:
        x: `(matrices, n, columns)`.
        signs: `(matrices, n)`, or None for $D = I$.

    Returns:
        Tensor of the shape of `x`.
    """
    xp, shape = _xp(x), x.shape
    count, length, columns = shape
    after = 1
    for factor in reversed(_factors(length)):
        before = count * length // (factor * after)
        if factor > _FACTOR:
            if signs is not None:
                x, signs = xp.reshape(x, shape) * xp.expand_dims(signs, 2), None
            x = _transform_of_prime(xp.reshape(x, (before, factor, after * columns)))
        else:
            matrix = _array(xp, _symmetric(factor), x.dtype)
            x = xp.reshape(x, (before, factor, after * columns))
            if signs is not None and columns >= factor:  # cheaper in the matrices than in x
                matrix, signs = matrix * xp.reshape(signs, (before, 1, factor)), None
            elif signs is not None:
                x, signs = x * xp.reshape(signs, (before, factor, 1)), None
            x = matrix @ x
        after *= factor
    return xp.reshape(x, shape)


def _transform_of_prime(x: Any) -> Any:
    """Returns `transform` of `(matrices, p, columns)` for a prime number p."""
    xp, length = _xp(x), x.shape[1]
    x = xp.concatenate([x[:, :1], transform(x[:, 1:])], axis=1)
    u = _array(xp, _reflected(length), x.dtype)
    return x - xp.expand_dims(u, 1) * (xp.expand_dims(u, 0) @ x)


def _chosen_columns(chosen: Any, length: int, dtype: str) -> Any:
    """Returns columns of T as `(matrices, length, columns)`.

    Args:
        chosen: which, `(matrices, columns)`.
        length: the size of T.
        dtype: float32 or float64.
    """
    xp, (count, columns) = _xp(chosen), chosen.shape
    made, rest = None, chosen
    for factor in reversed(_factors(length)):
        index, rest = rest % factor, rest // factor
        if factor > _FACTOR:
            if xp is np:
                unit = (np.arange(factor)[:, None] == index[:, None]).astype(dtype)
            else:
                unit = ops.one_hot(index, factor, axis=1, dtype=dtype)
            part = transform(unit)
        else:
            matrix = _array(xp, _symmetric(factor), dtype)
            part = xp.swapaxes(xp.take(matrix, index, axis=0), 1, 2)
        if made is None:
            made = part
        else:
            made = xp.expand_dims(part, 2) * xp.expand_dims(made, 1)
            made = xp.reshape(made, (count, -1, columns))
    return made


def _xp(values: Any) -> Any:
    """Returns NumPy for arrays, and Keras's operations for tensors."""
    return np if isinstance(values, np.ndarray) else ops


def _array(xp: Any, values: NDArray[np.float64], dtype: str) -> Any:
    return values.astype(dtype) if xp is np else ops.convert_to_tensor(values, dtype)


@functools.lru_cache(maxsize=256)
def _factors(length: int) -> tuple[int, ...]:
    """Returns factors of `length`, largest first, of up to `_FACTOR` if they are not prime.

    >>> _factors(4096), _factors(3 * 4096), _factors(2 * 67)
    ((64, 64), (48, 64, 4), (67, 2))
    """
    primes, rest, divisor = [], length, 2
    while divisor * divisor <= rest:
        while rest % divisor == 0:
            primes.append(divisor)
            rest //= divisor
        divisor += 1
    primes += [rest] if rest > 1 else []
    factors: list[int] = []
    for prime in reversed(primes):
        fits = (i for i, factor in enumerate(factors) if factor * prime <= _FACTOR)
        if (index := next(fits, None)) is None:
            factors.append(prime)
        else:
            factors[index] *= prime
    return tuple(factors) or (1,)


@functools.lru_cache(maxsize=64)
def _symmetric(size: int) -> NDArray[np.float64]:
    """Returns the symmetric orthogonal matrix of a small factor."""
    odd = size
    matrix: NDArray[Any] = np.ones((1, 1))
    while odd % 2 == 0:
        matrix = np.kron(matrix, [[1.0, 1.0], [1.0, -1.0]])
        odd //= 2
    angles = 2 * np.pi * np.outer(range(odd), range(odd)) / odd
    return np.kron(matrix, np.cos(angles) + np.sin(angles)) / math.sqrt(size)


@functools.lru_cache(maxsize=8)
def _reflected(prime: int) -> NDArray[np.float64]:
    r"""Returns u of the reflection $I - u u^\top$ that maps $e_0$ to entries of $\pm p^{-1/2}$.

    The signs are Legendre's symbols: of all sequences they are the least like cosines (their
    Fourier transform has one size, Gauss 1811), which the columns of the transform are.
    """
    signs = np.full(prime, -1.0)
    signs[np.unique(np.arange(1, prime, dtype="int64") ** 2 % prime)] = 1.0
    u = -signs / math.sqrt(prime)
    u[0] += 1.0  # 1 + p^-1/2: that of 0 is the sign that loses no digits
    return u * math.sqrt(2.0 / (u @ u))


@scheme
class HadamardOrthogonalInit(OrthogonalInit):
    r"""Orthogonal by structured transforms: `OrthogonalInit` in O(n² log n) operations.

    Every singular value is gain, as there, and the kernel is made of the same matrices. The draw is
    $g \, T D_1 T D_2 T P D_3$, cut to the shorter side: $T$ is the Hadamard matrix of $n$, the
    longer side, or its like where $n$ is no power of 2; the $D$ are random signs, $P$ is a random
    permutation. It is as exact as float32: each $T$ is. (Where $n$ is a power of 4 and gain 1, no
    operation rounds.)

    It is not Haar-uniform: a matrix is one of at most $2^{3n} n!$. With $Q$ of gain 1:

    - the mean of every entry is 0 and that of every product of two of them is Haar's,
      $E\, Q_{ij} Q_{kl} = \delta_{ik} \delta_{jl} / n$, for every $n$;
    - odd moments of the entries of a row (a column, where the kernel is wide) are 0, as Haar's;
    - where $n$ is a power of 2, $E\, Q_{ij}^4 = 3/n^2 - 6/n^3 + 4/n^4$, which is
      $1 - 8/(3n^2)$ of Haar's $3 / (n (n + 2))$, to that order. With other $n$ from 65 to 3465
      it was found up to 4 % larger, most with one factor 3 (768: 3 %, 1000: 1.6 %);
    - joint moments of higher order differ. Nothing is claimed of the spectrum of $Q$.

    Up to 64 on the longer side it is `OrthogonalInit` itself.

    Raises:
        ValueError: at the call, a shape with fewer than two axes.

    Reference:
        Yu et al. 2016, section 4 (SORF). https://arxiv.org/abs/1610.09072
        Choromanski, Rowland & Weller 2017, section 3 (its moments).
        https://arxiv.org/abs/1703.00864

    >>> w = HadamardOrthogonalInit(seed=1)((500, 300))
    >>> bool(ops.all(ops.abs(ops.transpose(w) @ w - ops.eye(300)) < 2e-6))
    True
    """

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        matrices = hadamard_orthogonal(geometry.matrix_shape, self.gain_in(geometry), dtype, seed)
        return geometry.from_matrices(matrices)
