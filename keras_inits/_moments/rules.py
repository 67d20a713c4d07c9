"""What each kind of call makes of a signal: one table from kinds to rules.

A rule takes a `Place` and returns a `Signal`. The offsets of normalizations are taken to start at
0, noise to be on, as in training, and interpolation to repeat values.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from keras_inits._gains import Activation, gaussian_moments, resolve
from keras_inits._layers.activations import activation_of_operation
from keras_inits._layers.kinds import KERNELS, Kind
from keras_inits._layers.scales import are_at_start
from keras_inits._moments.applying import applied
from keras_inits._moments.contracting import contracted
from keras_inits._moments.normalizing import normalized
from keras_inits._moments.place import Place
from keras_inits._moments.pooling import pooled
from keras_inits._moments.reach import kept_of_padding
from keras_inits._moments.recurrence import recurrent_output
from keras_inits._moments.signal import ENTRIES, Array, Signal, normal, ones, unknown
from keras_inits._wiring.graph import Call

_ONE_HOT = "one_hot"
_FEW = 1000  # one in so many values
# Where 1 was assumed of what was not understood, no signal is so much larger or smaller, as behind
# the loop of a delta rule, whose state no rule follows.
_TRUSTED = 1e6


def carried(place: Place) -> Signal:
    """Returns what comes out of a call."""
    call = place.call
    if math.isnan(place.power):
        return not_understood(call)
    if call.is_map:
        return through_activation(place, _biased(place, _kernel(place)))
    rule = _RULES.get(call.kind)
    starts = call.kind in _STARTS or call.type == _ONE_HOT
    if rule is None or call.problem or not (place.given or starts):
        return not_understood(call)
    with np.errstate(all="ignore"):
        made = rule(place)
    if made is None or not np.isfinite(made.second_moment):
        return not_understood(call)
    if call.kind is Kind.ELEMENTWISE and _is_of_few(made):
        return not_understood(call)
    if made.reason and not 1 / _TRUSTED < made.second_moment < _TRUSTED:
        return unknown(made.reason, call.index)
    return made


def _is_of_few(signal: Signal) -> bool:
    """Returns whether few values make the second moment: reciprocals of what comes near 0, say.

    What a sample says of it is chance.
    """
    squares = np.sort(signal.values.ravel() ** 2)
    few = squares[-max(1, squares.size // _FEW) :]
    return 4 * float(few.sum()) > float(squares.sum()) > 0


def not_understood(call: Call) -> Signal:
    """Returns the signal behind a call that has no rule."""
    return unknown(f"{call.type} {call.path!r} is not understood", call.index)


def through_activation(place: Place, signal: Signal) -> Signal:
    """Returns a signal behind the activation that a kernel's layer has itself."""
    if not place.call.activation:
        return signal
    made = _activation_of(place, place.subject.activation, signal)
    return not_understood(place.call) if made is None else made


def activated(activation: Activation, signal: Signal) -> Signal:
    """Returns what a function of single values makes of a signal."""
    if activation.slopes is not None:
        below, above = activation.slopes
        if below == above:
            return signal.scaled(below)
        made = signal.with_values(np.where(signal.values < 0, below, above) * signal.values)
    else:
        values = activation.function(signal.values.ravel()).reshape(signal.values.shape)
        made = signal.with_values(values)
    if not signal.variance:
        return made
    exact = _second_moment(activation, signal.variance)
    # The integral is better than the sample, and free where it is a closed form.
    return made.scaled(math.sqrt(exact / made.second_moment)) if made.second_moment else made


@functools.lru_cache(maxsize=1024)
def _second_moment(activation: Activation, variance: float) -> float:
    return gaussian_moments(activation, variance).second_moment


def resolved(function: Any) -> Activation:
    """Returns an activation ready for integration; layers of one configuration are one.

    Raises:
        InputError: as in `keras_inits.gain`.
    """
    if not isinstance(function, keras.layers.Layer) or function.weights:
        return resolve(function)
    config = {k: v for k, v in function.get_config().items() if k not in ("name", "dtype")}
    return _resolved_layer(_Alike((type(function), repr(sorted(config.items()))), function))


@dataclass(frozen=True)
class _Alike:
    """A layer, equal to every other one of its class and configuration."""

    key: tuple[type, str]
    layer: Any = field(compare=False)


@functools.lru_cache(maxsize=64)
def _resolved_layer(alike: _Alike) -> Activation:
    return resolve(alike.layer)


def _activation_of(place: Place, function: Any, signal: Signal) -> Signal | None:
    name = str(getattr(function, "__name__", type(function).__name__)).lower()
    if name in ("softmax", "log_softmax"):
        return _softmax(place, signal, name)
    try:
        return activated(resolved(function), signal)
    except (TypeError, ValueError):  # no function of single values, or without finite moments
        return None


def _softmax(place: Place, signal: Signal, name: str) -> Signal:
    axis = getattr(place.subject, "axis", None)
    axes = axis if isinstance(axis, tuple | list) else (-1 if axis is None else axis,)
    count = math.prod(place.call.shape[a] for a in axes)
    exponentials = np.exp(signal.values - signal.values.max())
    share = exponentials / (exponentials.mean() * count)
    return signal.with_values(share if name == "softmax" else np.log(share))


def _kernel(place: Place) -> Signal:
    if not place.given:
        return not_understood(place.call)
    (signal, *_) = place.given
    # Two places are as alike as what they see.
    power, alike = place.power * place.reach.seen, signal.alike * place.reach.shared
    if place.call.kind is Kind.DEPTHWISE and signal.second_moment > 0:
        # Each channel is a map of its own, so that a large one stays large.
        sizes = np.sqrt(power * np.mean(signal.values**2, axis=0))
        drawn = _directions(place, alike)
        made = signal.with_values(drawn * sizes)
        made = made.scaled(math.sqrt(power * signal.second_moment / made.second_moment))
    else:  # weights of mean 0 make a normal sum
        made = normal(power * place.second_moment, alike, place.call.index, signal.reason)
    return replace(made, constant=min(signal.common, alike))


def _biased(place: Place, signal: Signal) -> Signal:
    return signal.with_values(signal.values + place.shift) if place.shift else signal


def _directions(place: Place, alike: float) -> Array:
    """Returns what the taps of a depthwise kernel make of a channel of second moment 1.

    Balanced taps keep the size of what the places of a channel have in common; independent ones do
    not.

    Args:
        place: the call and what reaches it.
        alike: the share of the second moment that two places have in common.
    """
    key = place.call.index
    if place.taps == "independent":
        return normal(1.0, alike, key).values
    constant = place.given[0] if place.taps == "positive" else normal(1.0, 1.0, key)
    signs = np.where(np.mean(constant.values, axis=0) < 0, -1.0, 1.0)
    own = normal(1.0, 0.0, key).values
    values: Array = math.sqrt(alike) * signs + math.sqrt(1 - alike) * own
    return values


def _same(place: Place) -> Signal:
    return place.given[0]


def _padding(place: Place) -> Signal:
    (signal, *_) = place.given
    shapes = place.wiring.shapes_into(place.call)
    if not (place.sized and shapes):
        return signal
    kept = kept_of_padding(shapes[0], place.call.shape)
    return zeroed(signal, kept, place.call.index) if kept < 1 else signal


def zeroed(signal: Signal, kept: float, key: int) -> Signal:
    """Returns a signal of which a share is kept, at random places, and the rest is 0."""
    mask = np.random.default_rng([key, 4]).random(signal.values.shape) < kept
    made = signal.with_values(signal.values * mask)
    exact = kept * signal.second_moment
    return made.scaled(math.sqrt(exact / made.second_moment)) if made.second_moment else made


def _table(place: Place) -> Signal:
    """Returns rows of a table.

    Two places meet the same row in one of `rows` cases: of a large vocabulary hardly ever, of two
    kinds of segments in half. Positions are no two alike.
    """
    looked_up = place.call.kind is Kind.EMBEDDING and place.call.sources
    rows = int(getattr(place.subject, "input_dim", 0) or 0) if looked_up else 0
    return normal(place.power, 1 / rows if rows else 0.0, place.call.index)


def _recurrent(place: Place) -> Signal:
    (signal, *_), layer = place.given, place.subject
    last = not getattr(layer, "return_sequences", False)
    cell = getattr(layer, "cell", layer)
    powers = (place.power, *place.inner)
    return recurrent_output(cell, powers, signal, place.call.index, last)


def _cell(place: Place) -> Signal:
    """Returns the state of a cell that the model steps through itself, after some steps."""
    powers = (place.power, *place.inner)
    return recurrent_output(place.subject, powers, place.given[0], place.call.index, last=False)


def _activation(place: Place) -> Signal | None:
    function = place.subject
    if not isinstance(function, keras.layers.Layer):
        name = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}.get(type(function).__name__)
        if name:
            return _softmax(place, place.given[0], name)
        return _elementwise(place)
    return _activation_of(place, getattr(function, "activation", function), place.given[0])


def _elementwise(place: Place) -> Signal | None:
    # The function itself, and its integral where the input is normal.
    (signal, *_), step = place.given, place.step
    made = applied(step, place.call.signals, place.given)
    if made is None or not signal.variance or len(place.given) > 1:
        return made
    whole = activation_of_operation(place.subject)
    if whole in (None, place.subject):
        whole = place.wiring.function_of(place.call)
    try:
        return activated(resolve(whole), signal)
    except (TypeError, ValueError):
        return made


def _noise(place: Place) -> Signal:
    (signal, *_), layer = place.given, place.subject
    if isinstance(layer, keras.layers.GaussianNoise):
        return normal_added(signal, layer.stddev**2, place.call.index)
    if isinstance(layer, keras.layers.AlphaDropout):  # it keeps mean and variance
        return signal
    rate = float(getattr(layer, "rate", 0.0) or 0.0)
    # What is kept is divided by 1 - rate: E[x^2] (1 - rate) / (1 - rate)^2.
    if not 0 < rate < 1:
        return signal if rate <= 0 else signal.scaled(0.0)
    factor = (1 - rate) ** -0.5
    if type(layer) is not keras.layers.Dropout:  # whole maps or examples, the same at all places
        return signal.scaled(factor)
    return zeroed(signal, 1 - rate, place.call.index).scaled(1 / (1 - rate))


def normal_added(signal: Signal, variance: float, key: int) -> Signal:
    """Returns a signal with independent normal noise added."""
    return signal.with_values(signal.values + normal(variance, 0.0, key).values)


def _reshaping(place: Place) -> Signal:
    (signal, *_) = place.given
    given = place.wiring.shapes_into(place.call)
    # A part of a signal holds other entries than another part.
    taken = bool(given) and math.prod(place.call.shape) < math.prod(given[0])
    if taken and place.call.type == "top_k":
        return _largest(signal, place.call.shape[-1] / given[0][-1], place.call.index)
    return signal.shuffled(place.call.index) if taken else signal


def _largest(signal: Signal, share: float, key: int) -> Signal:
    """Returns the largest of the values, such a share of them."""
    values = np.sort(signal.values, axis=None)[-max(1, round(share * signal.values.size)) :]
    return signal.with_values(np.random.default_rng([key, 7]).choice(values, signal.values.shape))


def _cut(place: Place) -> Signal | None:
    """Returns what a gradient is kept from: the values are what they are."""
    if place.call.type == _ONE_HOT:
        return zeroed(ones(), 1 / place.call.shape[-1], place.call.index)
    if place.call.type == "stop_gradient":
        # Codes in the place of a signal, say: they will be as large as what they stand for.
        return None
    return applied(place.step, place.call.signals, place.given)


def _of_operation(place: Place) -> Signal:
    """Returns what an operation on one signal makes, of what a gradient is kept from too.

    A mask that is added, say, is no signal and cannot be applied: the rest is kept.
    """
    sources, given = (*place.call.signals, *place.cut), (*place.given, *place.cut.values())
    return applied(place.step, sources, given) or place.given[0]


def _scaling(place: Place) -> Signal | None:
    (signal, *_), subject = place.given, place.subject
    if not isinstance(subject, keras.layers.Layer):
        return _of_operation(place)
    if place.call.weights:
        return signal.scaled(math.sqrt(place.power))
    factor = getattr(subject, "scale", getattr(subject, "multiplier", None))
    return signal.scaled(float(factor)) if isinstance(factor, float | int) else None


_MERGES: dict[type, Callable[[Any], Any]] = {
    keras.layers.Add: lambda parts: np.sum(parts, axis=0),
    keras.layers.Average: lambda parts: np.mean(parts, axis=0),
    keras.layers.Maximum: lambda parts: np.max(parts, axis=0),
    keras.layers.Minimum: lambda parts: np.min(parts, axis=0),
    keras.layers.Subtract: lambda parts: parts[0] - parts[1],
    keras.layers.Multiply: lambda parts: np.prod(parts, axis=0),
}


def _merge(place: Place) -> Signal | None:
    merge = next((m for t, m in _MERGES.items() if isinstance(place.subject, t)), None)
    if merge is None:
        return applied(place.step, place.call.signals, place.given)
    return Signal(merge([s.values for s in place.given]), None, place.reason)


def _product(place: Place) -> Signal | None:
    if isinstance(place.subject, keras.layers.Dot):
        return contracted(place)
    return _merge(place)


def _concatenation(place: Place) -> Signal | None:
    given, axis = place.given, getattr(place.subject, "axis", -1)
    shapes = place.wiring.shapes_into(place.call)
    if len(shapes) != len(given):
        return None
    widths = [1 if axis is None or not s else s[axis % len(s)] for s in shapes]
    ends = np.cumsum(widths) / sum(widths) * ENTRIES
    order = np.random.default_rng([place.call.index, 2]).permutation(ENTRIES)
    part = np.searchsorted(ends, order, side="right").clip(0, len(given) - 1)
    values = np.choose(part, [signal.values for signal in given])
    variances = {signal.variance for signal in given}
    return Signal(values, variances.pop() if len(variances) == 1 else None, place.reason)


def _preprocessing(place: Place) -> Signal:
    (signal, *_), layer = place.given, place.subject
    if isinstance(layer, keras.layers.Rescaling):
        scale, offset = (float(np.mean(value)) for value in (layer.scale, layer.offset))
        return signal.with_values(signal.values * scale + offset)
    adapted = isinstance(layer, keras.layers.Normalization)
    if adapted and not are_at_start(layer.mean, layer.variance):
        return normal(1.0, signal.alike, place.call.index)
    return signal


_STARTS = frozenset({Kind.EMBEDDING, Kind.POSITION})
_RULES: dict[Kind, Callable[[Place], Signal | None]] = {
    **dict.fromkeys(KERNELS, _kernel),
    Kind.EMBEDDING: _table,
    Kind.POSITION: _table,
    Kind.RECURRENT: _recurrent,
    Kind.CELL: _cell,
    Kind.ACTIVATION: _activation,
    Kind.ELEMENTWISE: _elementwise,
    Kind.NORMALIZATION: normalized,
    Kind.NOISE: _noise,
    Kind.RESHAPING: _reshaping,
    Kind.PADDING: _padding,
    Kind.UPSAMPLING: _same,
    Kind.IDENTITY: _same,
    Kind.INPUT: _same,
    Kind.ROTATION: _same,
    Kind.POOLING: pooled,
    Kind.SCALING: _scaling,
    Kind.SHIFT: _of_operation,
    Kind.CUT: _cut,
    Kind.SUM: _merge,
    Kind.PRODUCT: _product,
    Kind.CONTRACTION: contracted,
    Kind.ATTENTION: contracted,
    Kind.CONCATENATION: _concatenation,
    Kind.PREPROCESSING: _preprocessing,
}
