r"""What normalizations make of a signal and of its gradient.

Of $m$ values that are normalized together, $y = \gamma (x - \mu) / \sigma$, the gradient at $x$ is
$\gamma / \sigma$ times that at $y$ without its parts along $(1, \ldots, 1)$, where a mean is taken
away, and along $\hat x$ (Ioffe & Szegedy 2015, section 3). $\sigma^2$ is the variance of a channel
over the batch, which is less than the second moment wherever samples are alike: behind ReLU by the
factor $1 - 1/\pi$, so that gradients grow by 1.21 at each batch normalization (Yang et al. 2019,
https://arxiv.org/abs/1902.08129).
"""

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.seen.traits import together
from keras_inits._diagnose.theory.given import Given, mean_square
from keras_inits._diagnose.theory.laws import Back, Moments
from keras_inits._layers.scales import CENTRING, epsilon_of, scale_of_rms, scale_offset

Array = NDArray[np.float64]


def normalized(given: Given) -> Moments | None:
    """Returns the law of what comes out of a normalization."""
    layer, (law, *_), call = given.node.subject, given.moments, given.node.call
    if call is None or call.inputs is None:
        return None
    if is_frozen(layer, training=given.net.training):
        return _frozen(layer, law)
    known = 2 if isinstance(layer, CENTRING) else 1
    shares = _shares(given, law)
    if shares is None:
        return None
    share = float(np.mean(shares))
    relative = float(np.var(shares)) / share**2 / len(shares) if share > 0 else 0.0
    beta = getattr(layer, "beta", None)
    square = share * _squared_scale(layer, call)
    shift = mean_square(beta)
    mean = 0.0 if beta is None else float(np.mean(beta.numpy().astype(np.float64)))
    plain = law.gaussian and shift == 0
    return Moments(square + shift, mean, plain, square + shift, relative, known)


def _shares(given: Given, law: Moments) -> np.ndarray | None:
    """Returns size / (size + epsilon) of what is normalized together: 1 but for epsilon."""
    layer, call = given.node.subject, given.node.call
    epsilon = epsilon_of(layer)
    assert call is not None
    assert call.inputs is not None
    if _is_rms(layer, call):
        sizes = np.array([law.second_moment])
    elif call.structure.slopes is not None:  # gamma^2 / (size + epsilon)
        gamma = 1.0 if layer.gamma is None else keras.ops.convert_to_numpy(layer.gamma)
        scale = np.square(np.asarray(gamma, np.float64))
        sizes = np.maximum(0.0, scale / call.structure.slopes - epsilon)
    elif isinstance(layer, CENTRING):
        # The mean that is taken away is known where there is none.
        sizes = np.array([law.second_moment if law.gaussian else call.inputs.std**2])
    else:
        return None
    return sizes / (sizes + epsilon) if np.all(sizes + epsilon > 0) else np.zeros(1)


def _is_rms(layer: Any, call: Call) -> bool:
    """Returns whether a layer divides each site by its root mean square, Keras's or another."""
    return not isinstance(layer, CENTRING) and scale_of_rms(layer, call.output.shape) is not None


def is_frozen(layer: Any, *, training: bool) -> bool:
    """Returns whether a batch normalization runs with its stored statistics."""
    batch = isinstance(layer, keras.layers.BatchNormalization)
    return batch and not (training and layer.trainable)


def _frozen(layer: Any, law: Moments) -> Moments | None:
    if mean_square(layer.moving_mean) > 0:
        return None
    square, shift = law.second_moment * frozen_slope(layer), mean_square(layer.beta)
    plain = law.gaussian and shift == 0
    return Moments(square + shift, math.nan, plain, square + shift, law.variance)


def frozen_slope(layer: Any) -> float:
    """Returns the mean squared slope of a batch normalization with stored statistics."""
    variance = layer.moving_variance.numpy().astype(np.float64) + layer.epsilon
    gamma = 1.0 if layer.gamma is None else layer.gamma.numpy().astype(np.float64)
    return float(np.mean(gamma**2 / variance))


def slope_of_normalization(layer: Any, call: Call, columns: Array | None) -> Back | None:
    """Returns by what a normalization multiplies the second moment of a gradient.

    Args:
        layer: the normalization.
        call: of it.
        columns: some sites of its input, `(sites, units)`; None if there are none.

    Returns:
        The factor, with the variance of its logarithm; None where it is not known.
    """
    if isinstance(layer, keras.layers.BatchNormalization):
        return _of_batch(call)
    if isinstance(layer, keras.layers.LayerNormalization):
        return _of_sites(layer, call, columns, centred=True)
    if isinstance(layer, keras.layers.GroupNormalization):
        return _plain(layer, call, lost=2)
    return _of_sites(layer, call, columns, centred=False) if _is_rms(layer, call) else None


def _of_batch(call: Call) -> Back | None:
    """Returns the factor of a batch normalization.

    It is the mean over channels of the squared slope, times what is left of the gradient. Gradients
    of many places may be nearly one, as behind global pooling: then much is lost.
    """
    slopes = call.structure.slopes
    back, made = call.gradient_columns, call.columns
    count = together(call.layer, call.output.shape) or 1
    if slopes is None:
        return _plain(call.layer, call, lost=2)
    if back is None or made is None or back.shape != made.shape or len(back) < 3:
        return Back(float(np.mean(slopes)) * max(0.0, 1 - 2 / count))
    gradient, values = back.astype(np.float64), made.astype(np.float64)
    values = values - values.mean(axis=0)
    deviation = values.std(axis=0)
    values = values / np.where(deviation > 0, deviation, 1.0)
    energy = np.mean(gradient**2, axis=0)
    if not 0 < (mean := float(energy.mean())) < math.inf:
        return None
    along = _common(gradient * values, count) / mean
    lost = _common(gradient, count) / mean + along
    kept = max(0.0, 1 - float(np.mean(lost)))
    factor = float(np.mean(slopes)) * kept
    if not factor > 0:
        return None
    # What each channel keeps is not in proportion to what it gets; and what is lost along the
    # values is lost where these are large, which layers before it see.
    energy = energy / mean
    each = slopes * (energy - lost) / factor - energy
    variance = float(np.mean(each**2)) / len(energy) + float(np.mean(along)) ** 2
    return Back(factor, variance)


def _common(products: Array, count: int) -> Array:
    """Returns for each channel the square of the mean over all its values.

    From some of the values: pairs of different ones stand for all pairs.
    """
    sites = len(products)
    own = np.mean(products**2, axis=0)
    between = (products.sum(axis=0) ** 2 - sites * own) / (sites * (sites - 1))
    found: Array = own / count + (1 - 1 / count) * between
    return found


def _of_sites(layer: Any, call: Call, columns: Array | None, *, centred: bool) -> Back | None:
    """Returns the factor of a normalization of each site by itself."""
    axis = getattr(layer, "axis", -1)
    axis = axis if isinstance(axis, int) else tuple(axis)
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    rank, lost = len(call.output.shape), 2 if centred else 1
    if columns is None or not isinstance(axis, int) or axis % rank != rank - 1:
        return _plain(layer, call, lost=lost)
    values = columns - columns.mean(axis=1, keepdims=True) if centred else columns
    sizes = np.mean(values**2, axis=1) + epsilon_of(layer)
    if not np.all(sizes > 0):
        return None
    slopes = 1 / sizes
    kept = 1 - lost / columns.shape[1]
    back = call.gradient_columns
    if back is None or back.shape != columns.shape or not np.any(back):
        return Back(_squared_scale(layer, call) * float(np.mean(slopes)) * max(0.0, kept))
    # A loss does not send its gradient back evenly: which sites get most, and what is lost.
    gradient, unit = back.astype(np.float64), values * np.sqrt(slopes)[:, None]
    energy = np.mean(gradient**2, axis=1)
    gone = np.mean(gradient * unit, axis=1) ** 2
    gone += np.mean(gradient, axis=1) ** 2 if centred else 0.0
    factor = float(np.mean(slopes * (energy - gone)) / np.mean(energy))
    if not factor > 0:
        return None
    each = (slopes * (energy - gone) / factor - energy) / np.mean(energy)
    return Back(_squared_scale(layer, call) * factor, float(np.var(each)) / len(each))


def _plain(layer: Any, call: Call, *, lost: int) -> Back | None:
    """Returns the factor where only the mean of all variances is known."""
    assert call.inputs is not None
    size = call.inputs.second_moment if lost == 1 else call.inputs.std**2
    size += epsilon_of(layer)
    if not size > 0:
        return None
    count = together(layer, call.output.shape) or call.output.units
    kept = max(0.0, 1 - lost / count)
    if count > lost + 1:  # 1 / variance is averaged, not the variance; of normal values:
        kept *= (count - lost + 1) / (count - lost - 1)
    return Back(_squared_scale(layer, call) / size * kept)


def _squared_scale(layer: Any, call: Call) -> float:
    """Returns the mean square of what a normalization multiplies by: Gemma's is 1 + scale."""
    if not isinstance(layer, CENTRING):
        scale: Any = scale_of_rms(layer, call.output.shape)
    elif (scale := getattr(layer, "gamma", None)) is not None:
        offset = scale_offset(layer, (2, *call.output.shape[1:]))
        scale = offset + keras.ops.convert_to_numpy(scale).astype(np.float64)
    return 1.0 if scale is None else float(np.mean(np.square(scale)))
