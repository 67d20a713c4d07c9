"""Values drawn for a weight; independent ones by NumPy, on all processors."""

import functools
import itertools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeGuard

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits import _keras_internals, _sharding
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._schemes import HadamardOrthogonalInit, OrthogonalInit, VarianceScalingInit
from keras_inits._schemes.base import KernelScheme
from keras_inits._schemes.geometric import draw
from keras_inits._schemes.hadamard import hadamard_orthogonal
from keras_inits._schemes.laws import constant_value, counterpart, kernel_scheme
from keras_inits._schemes.orthogonal import is_small, small_haar_orthogonal
from keras_inits._schemes.sampling import Distribution, cut_stddev, stream

# Numbers that one thread draws at a time: 4 MiB in float32, which stays in the processor's cache.
# The values follow from it: another size gives other weights from the same seed.
_PIECE = 2**20
_OF_NUMPY = frozenset({"float16", "float32", "float64"})
# Below it too many normal values are drawn again: the inverse of the distribution function serves.
_LEAST_CUT = 0.5


def values_for(
    initializer: Any, geometry: KernelGeometry, dtype: str, seed: int, sharding: Any = None
) -> Any:
    """Returns the values of a weight: what `initialize` and `compare` both start from.

    Independent values come from NumPy, which draws them several times faster than TensorFlow on a
    processor; so a seed means the same weights on every backend. All other weights are what their
    initializer draws.

    Args:
        initializer: any initializer.
        geometry: that of the weight; its shape is the shape of the result.
        dtype: the type of the result.
        seed: a whole number of up to 128 bits.
        sharding: how the weight lies on several devices, a `jax.sharding.NamedSharding`. The values
            do not depend on it.

    Returns:
        An array or a tensor that a variable can be assigned.
    """
    if sharding is not None:
        return _sharded_values(initializer, geometry, dtype, seed, sharding)
    value = constant_value(initializer)
    # Most weights of a net with normalizations are these: NumPy fills a small one sooner.
    if value is not None and dtype in _OF_NUMPY and math.prod(geometry.shape) < _PIECE:
        with np.errstate(over="ignore"):  # of float16: `_set` says it of the weight
            return np.full(geometry.shape, value, dtype)
    scheme = kernel_scheme(initializer)
    if _is_drawn_by_numpy(scheme):
        stddev = scheme.expected_stddev(geometry)
        working = scheme.working_dtype(dtype)
        values = independent_values(
            scheme.distribution, geometry.shape, stddev, working, seed, cut=scheme.cut
        )
        return values if working == dtype else ops.cast(values, dtype)
    if isinstance(scheme, OrthogonalInit) and _is_of_matrices(geometry):
        make = _by_numpy(scheme, geometry)
        if make is not None and scheme.working_dtype(dtype) == dtype:
            gain = scheme.gain_in(geometry)
            return geometry.from_matrices(make(geometry.matrix_shape, gain, dtype, stream(seed)))
    return draw(scheme or initializer, geometry, dtype, seed)


def _sharded_values(
    initializer: Any, geometry: KernelGeometry, dtype: str, seed: int, sharding: Any
) -> Any:
    """Returns what `values_for` does, laid out over devices: no process makes more than its parts.

    Schemes that need the whole matrix, and initializers that are not known, make it on one device.
    """
    scheme = kernel_scheme(initializer)
    if _is_drawn_by_numpy(scheme):
        stddev, working = scheme.expected_stddev(geometry), scheme.working_dtype(dtype)
        distribution, cut = scheme.distribution, scheme.cut
        kind = np.dtype(dtype)  # bfloat16 too, which JAX has NumPy know

        def make(parts: Sequence[_sharding.Part]) -> list[NDArray[Any]]:
            made = independent_parts(
                distribution, geometry.shape, stddev, working, seed, parts, cut=cut
            )
            return [values.astype(kind, copy=False) for values in made]

        return _sharding.place_parts(geometry.shape, sharding, make)
    known = scheme or counterpart(initializer)
    if known is not None and known.independent:
        return known.draw_sharded(geometry, dtype, seed, sharding)
    whole = _sharding.compute_whole(
        lambda: ops.convert_to_tensor(values_for(initializer, geometry, dtype, seed), dtype),
        sharding,
    )
    return _sharding.place_whole(whole, sharding)


def _is_drawn_by_numpy(scheme: KernelScheme | None) -> TypeGuard[VarianceScalingInit]:
    ours, cut = VarianceScalingInit, getattr(scheme, "cut", None)
    return (
        isinstance(scheme, ours)
        # a subclass that draws in a way of its own is asked for it
        and (type(scheme).sample, type(scheme).draw) == (ours.sample, ours.draw)
        and (cut is None or cut >= _LEAST_CUT)
    )


def _is_of_matrices(geometry: KernelGeometry) -> bool:
    return bool(geometry.input_axes or geometry.output_axes) and 0 not in geometry.shape


def _by_numpy(scheme: OrthogonalInit, geometry: KernelGeometry) -> Callable[..., Any] | None:
    """Returns what makes orthogonal matrices by NumPy, where that is the faster way."""
    own = type(scheme)  # a subclass that draws in a way of its own is asked for it
    if own.draw is not OrthogonalInit.draw:
        return None
    if own.sample is HadamardOrthogonalInit.sample:
        return functools.partial(hadamard_orthogonal, by_numpy=True)
    small = own.sample is OrthogonalInit.sample and is_small(geometry.matrix_shape)
    return small_haar_orthogonal if small else None


def independent_values(
    distribution: Distribution,
    shape: tuple[int, ...],
    stddev: float,
    dtype: str,
    seed: int,
    *,
    cut: float | None = None,
) -> Any:
    """Returns independent values of mean 0 and standard deviation `stddev`, ready to be assigned.

    Pieces have generators of their own, seeded by their place, so that the values do not depend on
    the number of threads.

    Args:
        distribution: as in `sampling.draw`, whose laws these are.
        shape: the shape of the result.
        stddev: the standard deviation of the values that come out.
        dtype: float32 or float64.
        seed: root of the seeds of the pieces.
        cut: where a truncated normal is cut, in standard deviations; 2 if None.
    """
    tensor, values = _allocate(shape, dtype)

    def fill(index: int) -> None:
        piece = values[index * _PIECE : (index + 1) * _PIECE]
        generator = np.random.Generator(np.random.SFC64([seed, index]))
        _fill(piece, distribution, stddev, generator, cut)

    _on_threads(fill, range(-(-values.size // _PIECE)))
    return tensor


def independent_parts(
    distribution: Distribution,
    shape: tuple[int, ...],
    stddev: float,
    dtype: str,
    seed: int,
    parts: Sequence[_sharding.Part],
    *,
    cut: float | None = None,
) -> list[NDArray[Any]]:
    """Returns parts of what `independent_values` returns, without the whole.

    Beyond the parts it needs the memory of one piece for each processor. Pieces that meet no part
    are not drawn: of a weight that is cut along its first axis a process draws its own share, of
    one that is cut along the last all.

    Args:
        distribution: as there.
        shape: the shape of the whole.
        stddev: as there.
        dtype: as there.
        seed: as there.
        parts: where each part begins and ends on each axis.
        cut: as there.
    """
    size = math.prod(shape)
    made = [np.empty(_sharding.shape_of(part), dtype) for part in parts]
    wanted = [_sharding.rows_and_columns(part, shape) for part in parts]

    def fill(index: int) -> None:
        start = index * _PIECE
        piece = np.empty(min(_PIECE, size - start), dtype)
        generator = np.random.Generator(np.random.SFC64([seed, index]))
        _fill(piece, distribution, stddev, generator, cut)
        for values, part in zip(made, wanted, strict=True):
            _copy(piece, start, values, *part)

    met = {
        index
        for rows, (first, end), length in wanted
        for index in _pieces_met(rows * length + first, end - first)
    }
    _on_threads(fill, sorted(met))
    return made


def _pieces_met(starts: NDArray[np.int64], length: int) -> set[int]:
    """Returns the numbers of the pieces in which runs of `length` from `starts` lie."""
    if not length or not starts.size:
        return set()
    first, last = starts // _PIECE, (starts + length - 1) // _PIECE
    ends = np.unique(np.stack([first, last]), axis=1).T.tolist()
    return {piece for begin, end in ends for piece in range(begin, end + 1)}


def _copy(
    piece: NDArray[Any],
    start: int,
    values: NDArray[Any],
    rows: NDArray[np.int64],
    columns: tuple[int, int],
    length: int,
) -> None:
    """Copies what a piece has of a part.

    Args:
        piece: the numbers from `start` on of the whole array in its order.
        start: where the piece begins.
        values: the part.
        rows: with `columns` and `length` the part as `_sharding.rows_and_columns` gives it.
        columns: the first and the one behind the last.
        length: the length of a row.
    """
    part = values.reshape(len(rows), columns[1] - columns[0])
    end = start + piece.size
    whole = range(-(-start // length), end // length)
    # A piece is the end of a row, whole rows and the beginning of one, or lies inside one row.
    if not whole:
        cuts = sorted({start, min(end, -(-(start + 1) // length) * length), end})
    else:
        cuts = sorted({start, whole.start * length, whole.stop * length, end})
    for low, high in itertools.pairwise(cuts):
        row, column = divmod(low, length)
        count = max(1, (high - low) // length)
        view = piece[low - start : high - start].reshape(count, -1)
        first, last = np.searchsorted(rows, [row, row + count])
        left, right = max(column, columns[0]), min(column + view.shape[1], columns[1])
        if first < last and left < right:
            part[first:last, left - columns[0] : right - columns[0]] = view[
                rows[first:last] - row, left - column : right - column
            ]


def _on_threads(fill: Callable[[int], None], pieces: Sequence[int]) -> None:
    """Calls `fill` with each number on all processors: NumPy's generators release Python's lock."""
    if len(pieces) < 2:
        for index in pieces:
            fill(index)
        return
    with ThreadPoolExecutor(min(len(pieces), os.cpu_count() or 1)) as threads:
        list(threads.map(fill, pieces))


def _allocate(shape: tuple[int, ...], dtype: str) -> tuple[Any, NDArray[Any]]:
    """Returns something that a variable can take, and a flat array of the same memory.

    A variable copies an array that it is assigned, but keeps a tensor of TensorFlow's: the array
    then lies in such a tensor, and a large weight is in memory once.
    """
    size = math.prod(shape)
    if keras.backend.backend() == "tensorflow" and size >= _PIECE:
        return _keras_internals.unsafe_empty(shape, dtype)
    values = np.empty(size, dtype)
    return values.reshape(shape), values


def _fill(
    values: NDArray[Any],
    distribution: Distribution,
    stddev: float,
    generator: np.random.Generator,
    cut: float | None,
) -> None:
    dtype = values.dtype
    if distribution == "uniform":
        generator.random(dtype=dtype, out=values)
        values -= 0.5
        values *= math.sqrt(12.0) * stddev
        return
    generator.standard_normal(dtype=dtype, out=values)
    if distribution == "truncated_normal":
        limit = 2.0 if cut is None else cut
        beyond = np.flatnonzero(np.abs(values) > limit)
        while beyond.size:  # of a cut at 2, a value in 22 is drawn again
            values[beyond] = generator.standard_normal(beyond.size, dtype=dtype)
            beyond = beyond[np.abs(values[beyond]) > limit]
        stddev /= cut_stddev(cut)
    values *= stddev
