"""`auto`: a scale for each kernel from what reaches it and what is asked of it.

The calls of a model are walked in order. What comes out of each is carried as a `Signal`; a kernel
that is met for the first time gets the standard deviation at which its output has the second moment
asked for, given the signal that is there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np

from keras_inits._initialize.aims import Aim, find_aims
from keras_inits._initialize.drawing import drawn_by
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.kinds import Kind
from keras_inits._moments import (
    INPUT_ALIKE,
    Place,
    Signal,
    activated,
    carried,
    normal,
    through_activation,
)
from keras_inits._schemes import BalancedInit, ConstantInit, XavierInit, ZerosInit
from keras_inits._wiring import Branch, Call, Sum, Wiring

Residual = Literal["sqrt", "depth", "zero"]

# Second moment of the logits. Equal classes have the least cross-entropy, log(classes); logits of
# variance v add v / 2 on average (the second order of log sum exp), so 0.15; binary ones v / 8.
# What comes back to the layers before is as small as the head: in 314 steps of SGD eight normalized
# convolutions reach 0.43 of MNIST with 0.1, 0.54 with 0.3 and 0.65 with 1, whose loss starts half a
# nat too high (docs/initialize.md). The same where the table is a lookup too: GPT-2 (Radford et al.
# 2019) draws N(0, 0.02^2) at width 768, which makes 0.31.
HEAD = 0.3
# Pixels come in as 0 to 255 where a layer divides them by more than this.
_PIXEL_SCALE = 0.1
_PIXELS = 255.0
_INPUTS = 10**6  # their random values are other ones than those of calls
_UNDAMPED = 0.999  # factors nearer to 1 are rounding
# What a stream may pass between two of its sums, behind the factors that damp it.
_PASSED = frozenset({Kind.ACTIVATION, Kind.NOISE, Kind.IDENTITY, Kind.RESHAPING})
_SOLVING, _CLOSE = 12, 0.01  # steps of the search for a branch's scale, and its relative error


@dataclass(frozen=True)
class Weight:
    """One weight, as far as the walk needs it.

    Attributes:
        geometry: that of a kernel; None for other weights.
        square: its mean square where something else than the walk sets it.
        chosen: whether the walk is to choose its scale.
        is_scale: whether it starts at 1 everywhere and may start smaller.
    """

    geometry: KernelGeometry | None
    square: float
    chosen: bool = False
    is_scale: bool = False


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


def choose(
    model: Any, wiring: Wiring, weights: Mapping[str, Weight], residual: Residual = "sqrt"
) -> dict[str, Choice]:
    """Returns a choice for each kernel that a call of the model reads.

    Args:
        model: the model.
        wiring: how it is wired.
        weights: all of its weights, by path.
        residual: what the branches of a residual stream add to its second moment, as in
            `initialize`.
    """
    return _Walk(model, wiring, weights, residual).run()


class _Walk:
    def __init__(
        self, model: Any, wiring: Wiring, weights: Mapping[str, Weight], residual: Residual
    ) -> None:
        self.wiring, self.weights, self.residual = wiring, weights, residual
        self.aims = find_aims(wiring)
        self.choices: dict[str, Choice] = {}
        self._losses: dict[int, float] = {}
        self._added: dict[int, float] = {}
        self.signals: dict[int, Signal] = {
            -1 - i: self._input(-1 - i) for i in range(len(wiring.inputs))
        }
        self.ends: dict[int, tuple[Sum, Branch]] = {
            branch.end: (each, branch)
            for each in wiring.sums
            for branch in each.branches
            if branch.end is not None
        }
        self.shortcuts = {s.shortcut.kernel for s in wiring.sums if s.shortcut.kernel is not None}
        self.heads = {c.index for c in wiring.heads} if isinstance(model, keras.Model) else set()
        shapes = [tensor.shape[1:] for tensor in getattr(model, "inputs", None) or ()]
        # What is open may have any size later: what padding does there is not known.
        self.sizes_known = bool(shapes) and all(None not in shape for shape in shapes)

    def run(self) -> dict[str, Choice]:
        for call in self.wiring.calls:
            if call.index not in self.signals:
                self._choose(call)
                self.signals[call.index] = self._carried(call, self.signals)
                self._ahead(call)
        return self.choices

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

    def _place(self, call: Call, signals: Mapping[int, Signal]) -> Place:
        given = []
        outputs = self.wiring.outputs_into(call)
        for i, source in enumerate(call.signals):
            output = outputs[i] if i < len(outputs) else 0
            signal = signals[source]
            given.append(signal.shuffled(source * 64 + output) if output else signal)
        balanced = call.kind is Kind.DEPTHWISE and any(
            path in self.choices and isinstance(self.choices[path].initializer, BalancedInit)
            for path in call.weights
        )
        return Place(self.wiring, call, tuple(given), self._power(call), self.sizes_known, balanced)

    def _carried(self, call: Call, signals: Mapping[int, Signal]) -> Signal:
        return carried(self._place(call, signals))

    def _ahead(self, call: Call) -> None:
        """Carries the signal through an activation that several operations make together.

        One integral for all of them is as good as for a function with a name.
        """
        following = self.wiring.activation_after(call) if call.is_map else None
        signal = self.signals[call.index]
        if following is None or len(following.calls) < 2 or following.between:
            return
        activation = self.aims[call.index].activation
        if activation is not None and signal.variance:
            self.signals[following.calls[-1]] = activated(activation, signal)

    def _square(self, path: str) -> float:
        return self.choices[path].square if path in self.choices else self.weights[path].square

    def _kernels(self, call: Call) -> list[tuple[str, KernelGeometry]]:
        found = [(path, self.weights[path].geometry) for path in call.weights]
        return [(path, geometry) for path, geometry in found if geometry is not None]

    def _power(self, call: Call) -> float:
        kernels = self._kernels(call)
        if call.kind in (Kind.EMBEDDING, Kind.POSITION) and not call.backwards:
            return self._square(call.weights[0]) if call.weights else 1.0
        if call.kind is Kind.NORMALIZATION:
            scales = [p for p in call.weights if p.rpartition("/")[2] in ("gamma", "scale")]
            return math.prod(map(self._square, scales)) if scales else 1.0
        if call.kind is Kind.SCALING:
            return math.prod(map(self._square, call.weights))
        if call.kind in (Kind.RECURRENT, Kind.CELL):
            kernels = kernels[:1]
        # A table sums over its units where it makes the logits.
        fans = [g.fan_in if g.input_axes or g.tap_axes else g.fan_out for _, g in kernels]
        return math.prod(f * self._square(path) for f, (path, _) in zip(fans, kernels, strict=True))

    def _choose(self, call: Call) -> None:
        new = [
            (path, geometry)
            for path, geometry in self._kernels(call)
            if self.weights[path].chosen and path not in self.choices
        ]
        if call.index in self.ends and call.kind is Kind.NORMALIZATION:
            self._choose_scale(call)
        if not new:
            return
        if call.kind is Kind.EMBEDDING and not call.backwards:
            self._choose_table(call, *new[0])
        elif call.kind in (Kind.RECURRENT, Kind.CELL):
            self._choose_recurrent(call, new)
        elif call.kind is Kind.SEPARABLE:
            self._choose_separable(call, new)
        elif call.is_map:
            for path, geometry in new[:1]:
                self._choose_kernel(call, path, geometry)

    def _set(
        self,
        path: str,
        geometry: KernelGeometry,
        gain: float,
        note: str,
        q: float,
        *,
        table: bool = False,
    ) -> None:
        if len(self.wiring.of(path)) > 1 and not table:
            note += "; shared: by its first call"
        exact = 1.0 if math.isclose(gain, 1.0, rel_tol=1e-9) else gain
        if table:
            initializer, remark = XavierInit(exact), ""  # each row is drawn for itself
        else:
            initializer, remark = drawn_by(geometry, exact)
        note += f"; {remark}" * bool(remark)
        self.choices[path] = Choice(initializer, note, q, gain**2 / max(1.0, geometry.fan_in))

    def _choose_table(self, call: Call, path: str, geometry: KernelGeometry) -> None:
        if geometry.fan_in == 1 and self.wiring.tied(call):  # an operation makes the logits
            width = geometry.fan_out
            note = f"embedding that makes the logits too: these have second moment {HEAD}"
            square = HEAD / width
            self._set(path, geometry, math.sqrt(square), note, square, table=True)
            return
        if geometry.fan_in == 1:
            self._set(path, geometry, 1.0, "embedding: second moment 1", 1.0, table=True)
            return
        note = f"embedding that makes the logits too: these have second moment {HEAD}"
        square = HEAD / geometry.fan_in
        self._set(path, geometry, math.sqrt(HEAD), note, square, table=True)

    def _choose_recurrent(self, call: Call, new: Sequence[tuple[str, KernelGeometry]]) -> None:
        place = self._place(call, self.signals)
        fed = self._kernels(call)[0][0]
        for path, geometry in new:
            if path == fed and place.given and place.given[0].second_moment > 0:
                given = place.given[0].second_moment
                note = f"recurrent: second moment 1 from {given:.3g}" + _because(place.reason)
                self._set(path, geometry, given**-0.5, note, 1.0)
            else:  # it is stepped through many times
                self._set(path, geometry, 1.0, "recurrent: gain 1", 1.0)

    def _choose_separable(self, call: Call, new: Sequence[tuple[str, KernelGeometry]]) -> None:
        (first, one), *rest = new
        place = self._place(call, self.signals)
        given = place.given[0].second_moment * place.reach.seen or 1.0
        if "depthwise" in first:
            # Nothing stands between the two kernels.
            self._set(first, one, given**-0.5, f"depthwise: second moment 1 from {given:.3g}", 1.0)
            given = 1.0
        for path, geometry in rest or [(first, one)] * ("depthwise" not in first):
            self._choose_kernel(call, path, geometry, given)

    def _choose_kernel(
        self, call: Call, path: str, geometry: KernelGeometry, given: float | None = None
    ) -> None:
        place, aim = self._place(call, self.signals), self.aims[call.index]
        if given is None:
            given = place.second_moment * place.reach.seen if place.given else 1.0
        because = _because(place.reason)
        normalizations = self.wiring.normalized_after(call)
        if call.index in self.ends:
            aim = self._end(call, aim)
            normalizations = ()
        elif normalizations:
            name = normalizations[0].path.split("/")[-1]
            # Its gradient goes as one over its scale, and the angle by which a step turns it as
            # one over the square: with 1 all turn alike, twice as far as with a ReLU's gain.
            note = f"{aim.why}: gain 1; {name} takes the scale away"
            self._set(path, geometry, 1.0, note, given)
            return
        elif call.index in self.shortcuts:
            aim = replace(aim, variance=given, why="shortcut of a sum, as it comes in")
        elif call.index in self.heads and aim.is_guess:
            aim = replace(aim, variance=HEAD, why="head, for the loss of a guess")
        if not given > 0:
            note = f"{aim.why}: gain 1; nothing but zeros reaches it"
            self._set(path, geometry, 1.0, note, 0.0)
            return
        reference, averaged = given, ""
        if (values := self._averaged(call)) > given:
            # Once attention sharpens, it averages less, and what was made up for would be too much.
            reference, averaged = values, "; what attention averages away is not made up for"
        gain = math.sqrt(aim.variance / reference)
        note = f"{aim.why}: second moment {aim.variance:.3g} from {reference:.3g}, gain {gain:.4g}"
        self._set(path, geometry, gain, note + averaged + because, gain**2 * given)

    def _averaged(self, call: Call) -> float:
        """Returns the second moment of the values that reach a kernel through attention, or 0."""
        values = [a.value for a in self.wiring.attentions if a.out == call.index]
        known = [self.signals[v].second_moment for v in values if v is not None]
        return max(known, default=0.0)

    def _share(self, each: Sum) -> float:
        """Returns what one branch adds to a stream, as a share of what it started with."""
        stream = self.wiring.streams[each.stream]
        if self.residual == "zero":
            return 0.0
        if self.residual == "depth":
            attentions = {a.out for a in self.wiring.attentions}
            of_block = 2 if attentions & {b.kernel for b in each.branches} or any(
                attentions & {b.kernel for b in other.branches}
                for other in self.wiring.sums if other.stream == each.stream
            ) else 1  # fmt: skip
            return 1 / (2 * (each.place // of_block + 1))
        share = 1 / (stream.branches * self._repeats(each))
        # No more than a mean takes off: branches do not make up for a factor that puts all out.
        count = len(each.branches)
        return max(share, min((1 + count) ** 2 - 1.0, self._lost(each)) / count)

    def _repeats(self, each: Sum) -> int:
        """Returns how often the stream passes the kernels of a sum: what one adds, all add."""
        passed = {b.kernel for s in self.wiring.sums if s.stream == each.stream for b in s.branches}
        paths = {
            path
            for branch in each.branches if branch.kernel is not None
            for path in self.wiring.calls[branch.kernel].weights[:1]
        }  # fmt: skip
        return max(
            (sum(call.index in passed for call in self.wiring.of(p)) for p in paths), default=1
        )

    def _lost(self, each: Sum) -> float:
        """Returns what constant factors take off a stream at a sum, for its branches to bring.

        As a share of the stream: of (h + f) / sqrt(2) it is 1, of 0.9 h + f 0.19, as
        behind^2 (own^2 + share) = 1. What stands behind the last sum takes nothing off the stream:
        a head takes it as it comes.
        """
        if each.call not in self._losses:
            on_way = (self._factor(self.wiring.calls[i]) for i in each.shortcut.calls)
            own = math.prod(factor for factor in on_way if factor is not None)
            behind = self._behind(each)
            damped = 0 < behind * own < _UNDAMPED
            self._losses[each.call] = 1 / behind**2 - own**2 if damped else 0.0
        return self._losses[each.call]

    def _behind(self, each: Sum) -> float:
        """Returns the constant between a sum and the next one of its stream; 1 behind the last."""
        summing, graph = self.wiring.calls[each.call], self.wiring.graph
        behind = 1.0 / len(set(summing.signals)) if summing.type == "Average" else 1.0
        forks = {
            s.fork for s in self.wiring.sums if s.stream == each.stream and s.place > each.place
        }
        at, on_factors = each.call, True
        while at not in forks:
            following = graph.consumers.get(at, ())
            if len(following) != 1:
                return 1.0
            (at,) = following
            call = self.wiring.calls[at]
            factor = self._factor(call) if on_factors else None
            if factor is not None:
                behind *= factor
            elif call.kind in _PASSED:
                on_factors = False
            else:
                return 1.0
        return behind

    def _factor(self, call: Call) -> float | None:
        """Returns the constant that a call multiplies by; None if it does something else."""
        if call.kind is not Kind.SCALING or call.weights or len(call.signals) != 1:
            return None
        if isinstance(self.wiring.subjects[call.index], keras.layers.Layer):
            return None
        try:
            made = np.asarray(self.wiring.computed((call.index,), np.ones(1, "float32")))
        except Exception:  # whatever an operation says of one number
            return None
        return abs(float(made[0])) if made.size == 1 else None

    def _reference(self, each: Sum) -> float | None:
        """Returns what the stream of a sum started with, as far as it is still of that scale.

        None where the stream starts only after the kernel that is asked about has been called.

        What earlier branches have added to it is taken off. A kernel on the stream itself, between
        two stages, sets another scale: hence not the start itself.
        """
        shortcut, earlier = each.shortcut, 0.0
        for other in self.wiring.sums:
            damped = self.residual == "sqrt" and self._lost(other) > 0
            if other.stream == each.stream and other.place < each.place and not damped:
                if other.call not in self._added:
                    self._added[other.call] = self._share(other) * len(other.branches)
                earlier += self._added[other.call]
        if shortcut.source in self.signals:
            found = self.signals[shortcut.source].second_moment
        elif shortcut.end is not None and shortcut.end != shortcut.kernel:
            found = 1.0  # a normalization makes it
        elif each.fork in self.signals:
            found = self.signals[each.fork].second_moment
        else:
            return None
        return found / (1 + earlier)

    def _end_words(self, each: Sum) -> str:
        stream = self.wiring.streams[each.stream]
        return f"end of a branch, {each.place + 1} of {len(stream.sums)} sums"

    def _end(self, call: Call, aim: Aim) -> Aim:
        """Returns the aim of a branch's last kernel: what the branch adds, seen through its end."""
        each, branch = self.ends[call.index]
        if (reference := self._reference(each)) is None:
            return aim
        wanted, why = reference * self._share(each), self._end_words(each)
        if wanted == 0:
            return Aim(0.0, why)
        variance = wanted
        for _ in range(_SOLVING):
            made = self._through(branch, call, variance)
            if made is None:
                return Aim(wanted, why)
            if not made > 0 or not math.isfinite(made):
                break
            if abs(made / wanted - 1) < _CLOSE:
                return Aim(variance, why)
            variance *= min(10.0, max(0.1, wanted / made))
        return Aim(aim.variance, f"{why}, which do not start small: {aim.why}")

    def _through(self, branch: Branch, end: Call, variance: float) -> float | None:
        """Returns a branch's second moment if its end has one; None behind kernels of a gate."""
        alike = self.signals[end.signals[0]].alike if end.signals else INPUT_ALIKE
        if end.kind is Kind.NORMALIZATION:
            given = self._place(end, self.signals)
            start = carried(replace(given, power=variance))
        else:
            start = normal(variance, alike, end.index)
            start = through_activation(self._place(end, self.signals), start)
        local = {**self.signals, end.index: start}
        reached = {end.index}
        for index in branch.calls:
            call = self.wiring.calls[index]
            if index <= end.index or not reached.intersection(call.signals):
                continue
            if call.is_map or any(s not in local for s in call.signals):
                return None
            local[index] = self._carried(call, local)
            reached.add(index)
        return local[branch.source].second_moment if branch.source in local else None

    def _choose_scale(self, call: Call) -> None:
        """Sets the scale of a normalization that ends a branch."""
        for path in call.weights:
            weight = self.weights[path]
            if not weight.is_scale or path in self.choices or path.endswith("beta"):
                continue
            aim = self._end(call, Aim(1.0, ""))
            value = math.sqrt(aim.variance)
            note = f"{aim.why}: scale {value:.4g}"
            initializer = ConstantInit(value) if value else ZerosInit()
            self.choices[path] = Choice(initializer, note, None, aim.variance)


def _because(reason: str) -> str:
    return f"; not understood: {reason}, so that 1 is assumed" if reason else ""
