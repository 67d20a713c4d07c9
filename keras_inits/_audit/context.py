"""What stands around the kernels of a model, read off its wiring."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._audit.meetings import KEEP_UNITS, Meeting, meetings, second_kernel
from keras_inits._audit.own_calls import ignores_scale
from keras_inits._errors import InputError
from keras_inits._keras_internals import all_layers
from keras_inits._layers import OwnedWeight
from keras_inits._layers.activations import HOMOGENEOUS
from keras_inits._layers.kinds import Kind, is_a
from keras_inits._layers.scales import SCALES, epsilon_of, scale_offset
from keras_inits._wiring import Call, Wiring, wiring
from keras_inits._wiring.steps import variables_of

_HOMOGENEOUS = HOMOGENEOUS | {"", "linear", "abs"}
_KEEP_FACTOR = frozenset(
    {Kind.RESHAPING, Kind.PADDING, Kind.UPSAMPLING, Kind.IDENTITY, Kind.ROTATION, Kind.NOISE,
     Kind.POOLING, Kind.SCALING, Kind.SHIFT, Kind.CONCATENATION}
)  # fmt: skip
# What Keras's normalizations add to a variance if they are not told.
EPSILON = 1e-3


@dataclass(frozen=True)
class Context:
    """What stands around a kernel.

    Attributes:
        alone: whether the layer was audited by itself, so that nothing is known of the rest.
        meetings: what its units meet, one for each way; empty if no call of it was seen.
        activation: what its units go through first; None for none, or for what is not known.
        normalized: whether a normalization takes its scale away on each way.
        epsilon: the largest that such a normalization adds to a variance.
        normalized_later: whether each way to an output passes some normalization, so that a small
            signal becomes a large one again.
        on_branch: whether all that it makes is added to a signal that goes on without it.
        silenced: whether all that it makes meets a learned factor of 0 first, and alone.
        is_table: whether it is the table of an embedding.
        is_branch_end: whether it is the last kernel of such a branch.
        steps: of a recurrent layer the length of the sequence; else 0.
    """

    alone: bool = False
    meetings: tuple[Meeting, ...] = ()
    activation: Any = None
    normalized: bool = False
    epsilon: float = EPSILON
    normalized_later: bool = False
    on_branch: bool = False
    silenced: bool = False
    is_table: bool = False
    is_branch_end: bool = False
    steps: int = 0

    @property
    def is_head(self) -> bool:
        """Whether the units are outputs of the model and nothing else."""
        return bool(self.meetings) and all(m.kind in ("output", "noise") for m in self.meetings)


class Surroundings:
    """The contexts of all kernels of a model.

    Args:
        model: what is audited.

    Attributes:
        wiring: that of the model; None if it could not be traced.
        problem: why it could not be traced; else empty.
        is_net: whether the model has several layers, so that there is something to know.
    """

    def __init__(self, model: keras.Layer) -> None:
        layers = all_layers(model, itself=True)
        self._model = model
        self.is_net = not is_a(model, Kind.RECURRENT) and len(layers) > 1
        self.wiring: Wiring | None = None
        self.problem = ""
        # These divide a kernel by its largest singular value at each call in training.
        self._normed = {
            id(one.layer) for one in layers if isinstance(one, keras.layers.SpectralNormalization)
        }
        try:
            self.wiring = wiring(model)
        except InputError as error:
            self.problem = str(error)

    @functools.cached_property
    def _ways(self) -> "_Ways":
        assert self.wiring is not None
        return _Ways(self.wiring)

    def of(self, owned: OwnedWeight) -> Context:
        """Returns the context of a kernel."""
        own = getattr(owned.layer, "activation", None)
        alone = owned.layer is self._model
        table = is_a(owned.layer, Kind.EMBEDDING)
        calls = () if self.wiring is None else self.wiring.of(owned.weight)
        if self.wiring is None or not calls or any(c.is_unknown for c in calls):
            return Context(alone=alone, activation=own, is_table=table)
        found, ways, first = self.wiring, self._ways, calls[0]
        # Of a layer that was audited by itself, what takes its outputs is not known.
        at_output: Literal["output", "unknown"] = (
            "output" if isinstance(self._model, keras.Model) else "unknown"
        )
        met = (m for call in calls for m in meetings(found, call, owned, at_output))
        bare = second_kernel(first, owned) is not None
        return Context(
            alone=alone,
            meetings=tuple(dict.fromkeys(met)),
            activation=None if bare else _activation(found, first, own),
            normalized=id(owned.layer) in self._normed
            or ignores_scale(found, first, owned)
            or all(_is_normalized(found, c, _size(owned.weight)) for c in calls),
            epsilon=max(
                (
                    epsilon_of(found.subjects[n.index], EPSILON)
                    for c in calls
                    for n in found.normalized_after(c)
                ),
                default=EPSILON,
            ),
            normalized_later=all(c.index in ways.normalized_later for c in calls),
            on_branch=all(c.index in ways.on_branches for c in calls),
            silenced=not keras.ops.any(owned.weight.value)
            and all(ways.is_silenced(c, ways.made_of_zeros(c)) for c in calls),
            is_table=table,
            is_branch_end=any(c.index in ways.branch_ends for c in calls),
            steps=_steps(found, first),
        )


def _activation(found: Wiring, call: Call, own: Any) -> Any:
    if call.kind in (Kind.RECURRENT, Kind.CELL):
        return own
    # Of one number a softmax makes nothing: what counts are its logits.
    if found.activation_after(call).activation.lower().endswith("softmax"):
        return keras.activations.softmax
    return found.activation_function(call)


class _Ways:
    """What lies on the ways from the calls of a model to its outputs."""

    def __init__(self, found: Wiring) -> None:
        self._found = found

    @functools.cached_property
    def on_branches(self) -> frozenset[int]:
        branches = {i for s in self._found.sums for b in s.branches for i in b.calls}
        # And what goes nowhere else: of an attention to another signal, keys and values.
        return self._leading(lambda call: call.index in branches) | branches

    @functools.cached_property
    def normalized_later(self) -> frozenset[int]:
        return self._leading(self._found.normalizes)

    def _leading(self, is_end: Callable[[Call], bool]) -> frozenset[int]:
        """Returns the calls from which every way to an output passes one of the given calls."""
        graph = self._found.graph
        found: set[int] = set()
        for call in reversed(graph.calls):
            following = [graph.calls[i] for i in graph.consumers.get(call.index, ())]
            following = [one for one in following if one.carries]
            passed = all(one.index in found or is_end(one) for one in following)
            if following and passed and call.index not in graph.outputs:
                found.add(call.index)
        return frozenset(found)

    @functools.cached_property
    def branch_ends(self) -> frozenset[int]:
        branches = [b for s in self._found.sums for b in s.branches]
        return frozenset(b.kernel for b in branches if b.kernel is not None)

    def is_silenced(self, call: Call, made: Any) -> bool:
        """Returns whether every way from a call meets a factor of 0 whose gradient is 0 as well.

        Args:
            call: whose kernel is 0; nothing else goes into the factor.
            made: what it puts out; None if that is not known. A learned factor gets a gradient if
                it is not 0. A normalization takes a constant away.
        """
        graph = self._found.graph
        following = [graph.calls[i] for i in graph.consumers.get(call.index, ())]
        if not following or call.index in graph.outputs:
            return False
        return all(self._silences(one, made) for one in following)

    def _silences(self, call: Call, given: Any) -> bool:
        """Returns whether a call, or every way from it, multiplies all that it is given by 0."""
        if len(set(call.signals)) != 1:
            return False
        if self._is_zero_factor(call) and (call.kind is Kind.NORMALIZATION or _is_zero(given)):
            return True
        return call.kind in KEEP_UNITS and self.is_silenced(call, self._made(call, given))

    def made_of_zeros(self, call: Call) -> Any:
        """Returns what a call makes of zeros, and of all else if its kernel is 0; None: unknown."""
        shapes = self._found.shapes_into(call)
        if len(shapes) != 1:
            return None
        return self._made(call, np.zeros([size or 1 for size in shapes[0]], "float32"))

    def _made(self, call: Call, value: Any) -> Any:
        try:
            return None if value is None else self._found.computed((call.index,), value)
        except Exception:  # whatever a layer says of a size that is open: it is not judged
            return None

    def _is_zero_factor(self, call: Call) -> bool:
        if call.kind not in (Kind.SCALING, Kind.NORMALIZATION) or not call.weights:
            return False
        weights = [w for w in variables_of(self._found.step(call)) if w.path in call.weights]
        factors = [w for w in weights if w.name in SCALES]
        if call.kind is Kind.SCALING and not factors:
            factors = weights
        if not factors or any(keras.ops.any(w.value) for w in factors):
            return False
        shapes = self._found.shapes_into(call)
        normalizes = call.kind is Kind.NORMALIZATION and bool(shapes)
        return not (normalizes and scale_offset(self._found.subjects[call.index], shapes[0]))


def _is_zero(value: Any) -> bool:
    return keras.ops.is_tensor(value) and not keras.ops.any(value)


def _is_normalized(found: Wiring, call: Call, size: float) -> bool:
    """Returns whether each way from a call passes a normalization that takes its scale away.

    Args:
        found: of the model.
        call: of a kernel.
        size: what the kernel multiplies the size of its signal by.
    """
    known: dict[int, bool] = {}

    def all_ways(at: Call) -> bool:
        if at.index in found.graph.outputs or at.activation not in _HOMOGENEOUS:
            return False
        following = [found.calls[i] for i in found.graph.consumers.get(at.index, ())]
        following = [one for one in following if one.kind is not Kind.CUT]
        return bool(following) and all(passes(one) for one in following)

    def passes(one: Call) -> bool:
        if one.index not in known:
            known[one.index] = False
            known[one.index] = found.normalizes(one) or (
                _keeps_factor(found, one, call.index, size) and all_ways(one)
            )
        return known[one.index]

    return all_ways(call)


def _keeps_factor(found: Wiring, one: Call, start: int, size: float) -> bool:
    if one.is_unknown:
        return False
    if one.kind is Kind.SUM:  # a stream and its branches, or positions that are small next to it
        return all(
            found.graph.descends(s, start) or _is_small_table(found, s, size) for s in one.signals
        )
    frozen = one.kind is Kind.NORMALIZATION  # as far as it comes here
    return one.is_map or frozen or one.kind in _KEEP_FACTOR or one.kind is Kind.ACTIVATION


def _is_small_table(found: Wiring, source: int, size: float) -> bool:
    """Returns whether a signal is a table, of no input, whose values are half of `size` or less."""
    if source < 0 or found.calls[source].signals or not found.calls[source].weights:
        return False
    tables = variables_of(found.step(found.calls[source]))
    return all(root_mean_square(_values(table)) <= 0.5 * size for table in tables)


def _size(kernel: keras.Variable) -> float:
    return root_mean_square(_values(kernel)) * math.sqrt(math.prod(kernel.shape[:-1]))


def _values(variable: keras.Variable) -> NDArray[Any]:
    values: NDArray[Any] = keras.ops.convert_to_numpy(variable.value)
    return values


def root_mean_square(values: NDArray[Any]) -> float:
    """Returns the root of the mean square of some numbers."""
    return float(np.sqrt(np.mean(np.square(values, dtype="float64"))))


def _steps(found: Wiring, call: Call) -> int:
    """Returns the length of the sequence that a recurrent call goes through."""
    if call.kind is not Kind.RECURRENT or not call.signals or call.signals[0] < 0:
        shape: Any = ()
        if call.kind is Kind.RECURRENT:
            shape = getattr(found.subjects[call.index], "input_spec", None)
            shape = getattr((shape or [None])[0] if isinstance(shape, list) else shape, "shape", ())
        return int(shape[1]) if shape and len(shape) > 2 and shape[1] else 0
    shape = found.calls[call.signals[0]].shape
    return int(shape[1]) if len(shape) > 2 else 0
