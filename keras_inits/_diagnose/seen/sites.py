"""What a layer sees at some sites: a site is one place (pixel, step, token) of one sample.

All sites share the weights of a layer. How alike what they see is decides how far the layer's
second moment is from its expectation over the weights, and what normalization and attention leave.
"""

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.seen.traits import own_kernel
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import geometry
from keras_inits._layers.kinds import Kind, kind

SITES = 64  # at most; the mean over their 2016 pairs is good to a few per cent
MOST_STEPS = 256  # of a sequence; theory goes through them one by one
_CHANNELS = 16  # of a depthwise kernel
_ROWS = 2048  # from which a channel's variance is estimated, to 3 %
_SAMPLES = 4  # whose padding is looked at

Gram = NDArray[np.float64]


def chosen(count: int) -> NDArray[np.int64]:
    """Returns evenly spread sites among `count`, at most `SITES`."""
    return np.unique(np.linspace(0, count - 1, SITES).astype(np.int64))


def products(rows: NDArray[np.floating]) -> Gram:
    """Returns the mean products of any two of `(..., sites, units)`: `(maps, sites, sites)`."""
    rows = rows.astype(np.float64)
    found: Gram = rows @ np.swapaxes(rows, -1, -2) / max(1, rows.shape[-1])
    return found if found.ndim == 3 else found[None]


def given_products(layer: Any, x: Any, shape: tuple[int, ...]) -> Gram | None:
    """Returns the mean products of what a layer with a kernel sees at two sites of its output.

    Args:
        layer: the layer.
        x: what was read of its input.
        shape: of its output.

    Returns:
        Array `(maps, sites, sites)`, of one map for most layers, of some channels for a depthwise
        kernel; None where the layer has no kernel, or one of a form that is not known.
    """
    what = kind(layer)
    if getattr(layer, "data_format", None) == "channels_first" or not _is_known(x.shape):
        return None
    if what is Kind.DENSE:
        return products(rows_of(x, x.shape[-1]))
    if what is Kind.EINSUM:
        fans = einsum_fans(layer)
        return None if fans is None else products(rows_of(x, fans[0]))
    if what is Kind.TRANSPOSED:
        return products(rows_of(x, x.shape[-1]))
    if what is Kind.CONVOLUTION:
        seen = _windows(layer, x, shape)
        return None if seen is None else products(seen.reshape(len(seen), -1))
    if what in (Kind.DEPTHWISE, Kind.SEPARABLE):
        channels = x.shape[-1]
        some = np.unique(np.linspace(0, channels - 1, _CHANNELS).astype(int))
        seen = _windows(layer, backend.take(x, some, -1), shape)
        return None if seen is None else products(np.moveaxis(seen, -1, 0))
    return None


def _is_known(shape: Any) -> bool:
    return len(shape) >= 2


def rows_of(x: Any, units: int) -> NDArray[np.floating]:
    """Returns `(sites, units)` of a tensor whose last axes hold `units` values together."""
    rows = backend.reshape(backend.float32(x), (-1, units))
    return backend.array(backend.take(rows, chosen(rows.shape[0])))


def einsum_fans(layer: Any) -> tuple[int, int] | None:
    """Returns how many of the last values of its input and of its output an EinsumDense maps.

    None where these are not the last ones.
    """
    kernel = own_kernel(layer)
    found = None if kernel is None else geometry(layer, kernel)
    equation = getattr(layer, "equation", "")
    if not isinstance(found, KernelGeometry) or "->" not in equation:
        return None
    operands, result = equation.replace(" ", "").split("->")
    given, mapped = operands.split(",")
    into = sum(label in mapped and label not in result for label in given)
    out = sum(label in mapped and label not in given for label in result)
    last = all(label in mapped and label not in result for label in given[len(given) - into :])
    last &= all(label in mapped and label not in given for label in result[len(result) - out :])
    return (int(found.fan_in), int(found.fan_out)) if last else None


def _windows(layer: Any, x: Any, shape: tuple[int, ...]) -> NDArray[np.floating] | None:
    """Returns what the window of a convolution holds: `(sites, taps, channels)`."""
    places, sizes, made = _positions(layer, x.shape, shape)
    if places is None:
        return None
    batch = int(shape[0])
    index = np.unravel_index(chosen(batch * math.prod(made)), (batch, *made))
    flat, inside = index[0][:, None], np.ones((len(index[0]), 1))
    for axis, n in enumerate(sizes):
        at = places[axis][index[axis + 1]]  # (sites, taps of this axis)
        within = (at >= 0) & (at < n)
        flat = (flat[:, :, None] * n + np.clip(at, 0, n - 1)[:, None, :]).reshape(len(flat), -1)
        inside = (inside[:, :, None] * within[:, None, :]).reshape(len(flat), -1)
    rows = backend.reshape(x, (-1, x.shape[-1]))
    found = backend.array(backend.float32(backend.take(rows, flat)))
    return found * inside[..., None].astype(np.float32)


def _positions(
    layer: Any, given: Any, shape: tuple[int, ...]
) -> tuple[list[NDArray[np.int64]] | None, list[int], list[int]]:
    """Returns, for each axis, where the taps of each output lie: `(outputs, taps)`."""
    sizes, made = [int(n) for n in given[1:-1]], [int(n) for n in shape[1:-1]]
    if len(sizes) != len(layer.kernel_size) or len(made) != len(sizes):
        return None, sizes, made
    places = []
    for n, m, k, stride, dilation in zip(
        sizes, made, layer.kernel_size, *_steps(layer), strict=True
    ):
        before = {
            "same": max(0, (m - 1) * stride + (k - 1) * dilation + 1 - n) // 2,
            "causal": (k - 1) * dilation,
        }.get(layer.padding, 0)
        places.append(np.arange(m)[:, None] * stride + np.arange(k) * dilation - before)
    return places, sizes, made


def _steps(layer: Any) -> tuple[list[int], list[int]]:
    count = len(layer.kernel_size)
    strides, dilations = (
        [value] * count if isinstance(value, int) else list(value)
        for value in (layer.strides, layer.dilation_rate)
    )
    return strides, dilations


def share_inside(layer: Any, x: Any, shape: tuple[int, ...]) -> float | None:
    """Returns how much of a convolution's windows is signal, not padding, by second moment.

    It is the mean square of all that the windows hold over that of the input: 1 without padding
    where the signal is as strong at all places, and where it is 0 along the edges anyway.
    """
    if getattr(layer, "data_format", None) == "channels_first" or not _is_known(x.shape):
        return None
    places, sizes, made = _positions(layer, x.shape, shape)
    if places is None:
        return None
    # How often each place is in a window, along each axis.
    times = [
        np.bincount(at[(at >= 0) & (at < n)], minlength=n)
        for at, n in zip(places, sizes, strict=True)
    ]
    part = backend.float32(x[:_SAMPLES])
    squares = backend.array(backend.mean(part * part, (0, -1))).astype(np.float64)
    mean = squares.mean()
    for each in reversed(times):
        squares = squares @ each
    windows = math.prod(made) * math.prod(layer.kernel_size)
    return float(squares / windows / mean) if mean > 0 else None


def likeness_over_places(x: Any) -> float:
    """Returns the share of the second moment that two places of a sample have in common.

    Args:
        x: `(batch, places, ..., units)`.

    Returns:
        The mean product of two places over the mean square; NaN of fewer than two places.
    """
    if len(x.shape) < 3 or x.shape[1] < 2:
        return math.nan
    x, places = backend.float32(x), int(x.shape[1])
    middle = backend.mean(x, 1)
    square = float(backend.mean(x * x))
    common = float(backend.mean(middle * middle))
    if not 0 < square < math.inf:
        return math.nan
    return (common / square * places - 1) / (places - 1)


def products_of_steps(x: Any) -> NDArray[np.float64] | None:
    """Returns the mean products of a sequence, `(batch, steps, units)`, at any two steps.

    None of what is no such sequence, and of one of more than `MOST_STEPS` steps.
    """
    if len(x.shape) != 3 or not 0 < x.shape[1] <= MOST_STEPS:
        return None
    found = backend.products(backend.float32(x)).astype(np.float64)
    return found / (x.shape[0] * x.shape[2]) if np.all(np.isfinite(found)) else None


def squared_slopes(layer: Any, x: Any) -> NDArray[np.float64] | None:
    r"""Returns $\gamma^2 / (\sigma^2 + \epsilon)$ of each channel of a batch normalization.

    Channels differ in their variances, and the mean of the inverse is more than the inverse of the
    mean.
    """
    axis = layer.axis if isinstance(layer.axis, int) else None
    if axis is None or not _is_known(x.shape) or axis % len(x.shape) != len(x.shape) - 1:
        return None
    rows = backend.reshape(x, (-1, x.shape[-1]))
    some = np.unique(np.linspace(0, rows.shape[0] - 1, _ROWS).astype(np.int64))
    variances = backend.variances(backend.float32(backend.take(rows, some)))
    gamma = getattr(layer, "gamma", None)
    scale = 1.0 if gamma is None else keras.ops.convert_to_numpy(gamma).astype(np.float64)
    found: NDArray[np.float64] = scale**2 / (variances + layer.epsilon)
    return found
