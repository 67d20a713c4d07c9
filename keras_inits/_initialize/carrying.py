"""Signals on their way through a model whose kernels are being chosen."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._gains import Activation
from keras_inits._initialize.tied import summed_weights
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.kinds import KEEPS_SCALE, Kind
from keras_inits._layers.scales import SCALES, scale_offset
from keras_inits._moments import (
    ENTRIES,
    INPUT_ALIKE,
    PLACES,
    Place,
    Signal,
    Taps,
    activated,
    carried,
    held,
    normal,
    unknown,
)
from keras_inits._schemes import BalancedInit
from keras_inits._wiring import Call, Wiring
from keras_inits._wiring.steps import symbolic

_PIXELS = 255.0
# Where a layer multiplies its input by less than this, pixels of rms 255 / sqrt(3) come out nearer
# to a root mean square of 1, as a ratio, than values of rms 1 do.
_PIXEL_SCALE = (_PIXELS / math.sqrt(3)) ** -0.5
# A second moment that is off by more is reported: by 2, as a root mean square.
FAR = 4.0
_FILLED = {"zeros_like": 0.0, "ones_like": 1.0}
_INPUTS = 10**6  # their random values are other ones than those of calls
# How a layer whose weights are plain numbers may be quantized; integers stand for other numbers.
_FLOATS = (None, "float8")


@dataclass(frozen=True)
class Weight:
    """One weight, as far as the walk needs it.

    Attributes:
        geometry: that of a kernel; None for other weights.
        square: its mean square where something else than the walk sets it.
        chosen: whether the walk is to choose its scale.
        is_scale: whether it starts at 1 everywhere and may start smaller.
        values: where its layer starts it by values that are known, such as a bias, these; of equal
            ones one, and None for zeros and other weights.
    """

    geometry: KernelGeometry | None
    square: float
    chosen: bool = False
    is_scale: bool = False
    values: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Choice:
    """What was chosen for a weight.

    Attributes:
        initializer: what draws it.
        note: why.
        second_moment: what its layer's output has before the activation; None for other weights.
        square: its mean square.
    """

    initializer: Any
    note: str
    second_moment: float | None
    square: float


class Carrier:
    """Carries signals through the calls of a model, given the weights chosen so far.

    Args:
        model: the model.
        wiring: how it is wired.
        weights: all of its weights, by path.

    Attributes:
        choices: what was chosen, by path; whoever chooses writes here.
        signals: what comes out of each call that was passed, and of each input, by index.
        powers: of calls whose kernel is taken to do something else than its weights do; by index.
    """

    def __init__(self, model: Any, wiring: Wiring, weights: Mapping[str, Weight]) -> None:
        self.wiring, self.weights = wiring, weights
        self.choices: dict[str, Choice] = {}
        self.powers: dict[int, float] = {}
        self._offsets: dict[int, float] = {}
        self.signals: dict[int, Signal] = {
            -1 - i: self._input(-1 - i) for i in range(len(wiring.inputs))
        }
        shapes = [tensor.shape[1:] for tensor in getattr(model, "inputs", None) or ()]
        # What is open may have any size later: what padding does there is not known.
        self.sizes_known = bool(shapes) and all(None not in shape for shape in shapes)

    def _input(self, source: int) -> Signal:
        """Returns what comes in: second moment 1, or pixels where the model rescales them."""
        signal = normal(1.0, INPUT_ALIKE, _INPUTS - source)
        for index in self.wiring.graph.consumers.get(source, ()):
            layer = self.wiring.subjects[index]
            if (
                isinstance(layer, keras.layers.Rescaling)
                and abs(float(np.mean(layer.scale))) < _PIXEL_SCALE
            ):
                ranks = np.argsort(np.argsort(signal.values.ravel())) / signal.values.size
                return signal.with_values(ranks.reshape(signal.values.shape) * _PIXELS)
        return signal

    def place(self, call: Call, signals: Mapping[int, Signal] | None = None) -> Place:
        """Returns a call and what reaches it: of `signals`, or else of those so far."""
        signals = self.signals if signals is None else signals
        given = []
        outputs = self.wiring.outputs_into(call)
        for i, source in enumerate(call.signals):
            output = outputs[i] if i < len(outputs) else 0
            signal = signals[source]
            given.append(signal.shuffled(source * 64 + output) if output else signal)
        if not given and call.is_map and (known := self._encoded(call) or self._held(call)):
            given.append(known)
        elif not given and call.is_map:  # integers, what a gradient is kept from
            reason = f"what comes into {call.type} {call.path!r} is not followed"
            given.append(unknown(reason, 2 * _INPUTS + call.index))
        return Place(
            self.wiring,
            call,
            tuple(given),
            power=self.powers.get(call.index) or self._power(call),
            sized=self.sizes_known,
            taps=self._taps(call),
            shift=self._shift(call),
            inner=self._inner(call),
            cut={i: signals[i] for i in call.sources if self._is_cut(i) and not signals[i].reason},
        )

    def _is_cut(self, source: int) -> bool:
        return source >= 0 and self.wiring.calls[source].kind is Kind.CUT

    def reads_category(self, call: Call) -> bool:
        """Returns whether a call reads ones among zeros, in one vector for each example."""
        if call.signals or self._encoded(call) is None:
            return False
        shape = symbolic(self.wiring.step(call).arguments)[0].shape
        return bool(math.prod(shape[1:]) == shape[-1])

    def _encoded(self, call: Call) -> Signal | None:
        """Returns the ones among zeros that a call sees of a category; None if it sees others."""
        source = call.sources[0] if len(call.sources) == 1 else -1
        while source >= 0:
            at = self.wiring.calls[source]
            mode = getattr(self.wiring.subjects[source], "output_mode", at.type)
            if mode == "one_hot" and at.shape[-1]:
                ones = np.random.default_rng([source, 6]).random((PLACES, ENTRIES))
                ones = (ones < 1 / at.shape[-1]).astype(np.float64)
                signal = normal(1.0, 0.0, source).with_values(ones)
                return signal.scaled((signal.second_moment * at.shape[-1]) ** -0.5)
            if at.kind not in KEEPS_SCALE or len(at.sources) != 1:
                return None
            (source,) = at.sources
        return None

    def _held(self, call: Call) -> Signal | None:
        """Returns what a call sees of values that the model itself holds: learned queries, say."""
        if values := self.wiring.step(call).values:
            return held(keras.ops.convert_to_numpy(values[0]), call.index)
        if len(call.sources) != 1 or call.sources[0] < 0:
            return None
        before = self.wiring.calls[call.sources[0]]
        if before.type in _FILLED:
            return held(np.array([_FILLED[before.type]]), before.index)
        if (signal := self._held(before)) is None:
            return None
        place = Place(self.wiring, replace(before, signals=before.sources), (signal,),
                      power=self._power(before))  # fmt: skip
        return carried(place)

    def fed(self, call: Call) -> list[tuple[str, KernelGeometry]]:
        """Returns the input kernels of a recurrent call: one for each cell that is stacked."""
        kernels = self.kernels(call)
        return [each for each in kernels if "recurrent" not in each[0].rpartition("/")[2]]

    def _inner(self, call: Call) -> tuple[float, ...]:
        """Returns what the input kernels of cells that are stacked on others do to a moment."""
        if call.kind not in (Kind.RECURRENT, Kind.CELL):
            return ()
        return tuple(g.fan_in * self._square(path) for path, g in self.fed(call)[1:])

    def _taps(self, call: Call) -> Taps:
        """Returns how the taps of a depthwise kernel are drawn."""
        chosen = [self.choices[path].initializer for path in call.weights if path in self.choices]
        for scheme in chosen if call.kind is Kind.DEPTHWISE else ():
            if isinstance(scheme, BalancedInit):
                return "positive" if scheme.positive else "balanced"
        return "independent"

    def _shift(self, call: Call) -> NDArray[np.float64] | None:
        """Returns what the bias of a kernel starts with: of gates that start nearly shut, say."""
        biases = (path for path in call.weights if path.rpartition("/")[2] == "bias")
        known = [self.weights[path].values for path in biases] if call.is_map else []
        return next((values for values in known if values is not None), None)

    def carry(self, call: Call, activation: Activation | None) -> None:
        """Carries the signal through a call.

        Args:
            call: the call.
            activation: what several operations behind its kernel make together, if they do: one
                integral for all of them is as good as for a function with a name.
        """
        self.signals[call.index] = signal = carried(self.place(call))
        following = self.wiring.activation_after(call) if call.is_map else None
        if following is None or len(following.calls) < 2 or following.between:
            return
        if activation is not None and signal.variance:
            self.signals[following.calls[-1]] = activated(activation, signal)

    def _square(self, path: str) -> float:
        return self.choices[path].square if path in self.choices else self.weights[path].square

    def kernels(self, call: Call) -> list[tuple[str, KernelGeometry]]:
        """Returns the kernels that a call reads, by path."""
        found = [(path, self.weights[path].geometry) for path in call.weights]
        return [(path, geometry) for path, geometry in found if geometry is not None]

    def _factor(self, call: Call, path: str) -> float:
        """Returns by what the scale of a normalization multiplies a second moment."""
        if call.index not in self._offsets:
            layer, shapes = self.wiring.subjects[call.index], self.wiring.shapes_into(call)
            self._offsets[call.index] = scale_offset(layer, shapes[0]) if shapes else 0.0
        offset, square = self._offsets[call.index], self._square(path)
        return (offset + math.sqrt(square)) ** 2 if offset else square

    def _power(self, call: Call) -> float:
        """Returns what the weights of a call do to a second moment; NaN if that is not known."""
        mode = getattr(self.wiring.subjects[call.index], "quantization_mode", None)
        if mode not in _FLOATS:
            return math.nan
        kernels = self.kernels(call)
        if call.kind in (Kind.EMBEDDING, Kind.POSITION) and not call.backwards:
            return self._square(call.weights[0]) if call.weights else 1.0
        if call.kind is Kind.NORMALIZATION:
            scales = [p for p in call.weights if p.rpartition("/")[2] in SCALES]
            return math.prod(self._factor(call, path) for path in scales)
        if call.kind is Kind.SCALING:
            return math.prod(map(self._square, call.weights))
        if call.kind in (Kind.RECURRENT, Kind.CELL):
            kernels = kernels[:1]
        fans = [summed_weights(self.wiring, call, geometry) for _, geometry in kernels]
        return math.prod(f * self._square(path) for f, (path, _) in zip(fans, kernels, strict=True))
