"""Recording one pass: what each layer gives forward and gets back, in call order."""

import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.backends.base import Tape
from keras_inits._diagnose.seen import operations, sites
from keras_inits._diagnose.seen.calls import INPUT, UNKNOWN, Call, Cut, Structure
from keras_inits._diagnose.seen.measuring import measure, measure_gradient, moments
from keras_inits._diagnose.seen.state import State
from keras_inits._diagnose.seen.statistics import TensorStatistics
from keras_inits._diagnose.seen.traits import (
    elementwise,
    is_noise,
    is_opaque,
    is_recurrent,
    saturation_bounds,
    unit_axis,
)
from keras_inits._diagnose.seen.watching import watching
from keras_inits._keras_internals import asking, calls_through, copy_mask, holding, mask_of
from keras_inits._layers.kinds import Kind, kind

# How TensorFlow names the call of a traced function.
_FUNCTIONS = ("__forward_", "__inference_", "PartitionedCall", "StatefulPartitionedCall")
_OF_KERAS = "_conv_xla_"  # in the name of the one by which Keras computes groups and dilations


@dataclass(eq=False)
class Silencer:
    """Runs a model without noise (dropout off), and records nothing.

    Attributes:
        state: takes note of what the layers hold before they run.
    """

    state: State

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls `layer`, switched off if it is there for noise."""
        self.state.note(layer)
        # Off, so that two reports of one model agree; normalization runs as in training.
        if is_noise(layer):
            kwargs = {**kwargs, "training": False}
        return original(layer, *args, **kwargs)


# A thread does not see the context of another one.
_recorder: ContextVar["Recorder | None"] = ContextVar("keras_inits_recorder", default=None)
_add_loss = asking(_recorder, "add_loss")


@dataclass(eq=False)
class _Frame:
    """A layer that is running."""

    layer: keras.Layer
    given: int  # which entry of `Recorder.given` is its own
    first: int  # the index of the first call inside it
    cuts: int  # how many of `Origins.cuts` came before it
    adds_loss: bool = False
    inside: int = 0  # how many recorded layers ran inside it
    squashing: dict[Any, operations.Squashing] = field(default_factory=dict)
    steps: list[float] = field(default_factory=list)


@dataclass(eq=False)
class Recorder(Silencer):
    """The calls of one forward pass, and the gradients that come back to them.

    Attributes:
        model: whose name is left out of the names of its layers.
        tape: marks each output, to see its gradient.
        scale: what the loss is multiplied by, and each gradient divided by.
        calls: in the order in which they ended.
        cuts: the operations that hand no gradient back.
        given: of each layer that was called, in the order of entering: the sources of its inputs.
        origins: what each tensor was computed from.
        sees_operations: whether operations between and inside layers are seen.
        needed: the calls without which nothing reaches the model's first output, as bits.
        unseen: the layers that ran a `tf.function`, whose inside is not seen; "" for the model.
    """

    model: keras.Model
    tape: Tape
    scale: float = 1.0
    calls: list[Call] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    given: list[tuple[int, ...]] = field(default_factory=lambda: [(INPUT,)])
    origins: operations.Origins = field(default_factory=operations.Origins)
    sees_operations: bool = True
    needed: int = 0
    unseen: dict[str, None] = field(default_factory=dict)
    _made: dict[int, tuple[Any, int]] = field(default_factory=dict)
    _measured: dict[int, TensorStatistics] = field(default_factory=dict)
    _stack: list[_Frame] = field(default_factory=list)
    _names: Counter[str] = field(default_factory=Counter)
    _behind: dict[int, list[operations.Squashing]] = field(default_factory=dict)
    _measuring: bool = False

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Records what this thread runs, for the time of a forward pass."""
        with (
            watching(self),
            calls_through(keras.layers.Layer, "add_loss", _add_loss),
            holding(_recorder, self),
            backend.operations(self._see) as self.sees_operations,
        ):
            yield
        for index, squashing in self._behind.items():
            self.calls[index].squashed += [entry.result() for entry in squashing]

    def add_input(self, tensor: Any) -> None:
        """Takes note of a tensor that the model is given."""
        self._made[id(tensor)] = (weakref.ref(tensor), INPUT)
        self.origins.set(tensor, frozenset({INPUT}), 0)

    def source(self, tensor: Any) -> int:
        """Returns the index of the call that made `tensor`, `INPUT` or `UNKNOWN`."""
        reference, index = self._made.get(id(tensor), (None, UNKNOWN))
        return index if reference is not None and reference() is tensor else UNKNOWN

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls `layer` and records what it did, if it is one to report."""
        if self._measuring:
            return original(layer, *args, **kwargs)
        given = [t for t in keras.tree.flatten((args, kwargs)) if backend.is_tensor(t)]
        if not backend.is_concrete(given) or any(is_opaque(f.layer) for f in self._stack):
            return super().run(original, layer, args, kwargs)
        sources = tuple(self.source(t) for t in given)
        self.given.append(self._outer(sources))
        frame = _Frame(layer, len(self.given) - 1, len(self.calls), self.origins.cuts)
        if is_recurrent(layer) and not layer.return_sequences and args and _is_real(args[0]):
            args = (self._mark_steps(args[0], frame), *args[1:])
        self._stack.append(frame)
        try:
            with nullcontext() if len(self._stack) > 1 else backend.inside():
                outputs = super().run(original, layer, args, kwargs)
        finally:
            self._stack.pop()
        return self._record(frame, given, sources, outputs)

    def add_loss(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> None:
        """Takes note that the layer that runs adds a loss, and adds it."""
        if self._stack:
            self._stack[-1].adds_loss = True
        original(layer, *args, **kwargs)

    def _outer(self, sources: tuple[int, ...]) -> tuple[int, ...]:
        """Returns `sources`, and for what is unknown what the layer around was given."""
        if UNKNOWN not in sources or not self._stack:
            return sources
        return (*(s for s in sources if s != UNKNOWN), *self.given[self._stack[-1].given])

    def _record(self, frame: _Frame, given: Any, sources: Any, outputs: Any) -> Any:
        """Returns the outputs of a layer that has run, the first real one marked and recorded."""
        layer = frame.layer
        flat = keras.tree.flatten(outputs)
        main = next((i for i, t in enumerate(flat) if _is_real(t)), None)
        if layer is self.model and main is not None:
            self.needed |= self.origins.needs(flat[main])
        for outer in self._stack:
            outer.inside += 1
        silent = isinstance(layer, keras.Model | keras.layers.InputLayer)
        # What a layer hands through unchanged is reported once, by the layer that made it.
        if main is None or silent or self.source(flat[main]) != UNKNOWN:
            return outputs
        tensor, index = flat[main], len(self.calls)
        cut, needs = self.origins.cut(tensor), self.origins.needs(tensor) | 1 << index
        if not self.origins.of(tensor):  # what computes it is not seen
            for each in given:
                needs |= self.origins.needs(each)
        call = self._call(frame, given, sources, tensor)
        self.calls.append(call)
        flat[main] = self._marked(tensor, call)
        self._made[id(flat[main])] = (weakref.ref(flat[main]), index)
        # Cuts inside it are those of a layer around it as well; earlier ones it was given.
        self.origins.set(flat[main], frozenset({index}), needs, cut if call.made_anew else 0)
        return keras.tree.pack_sequence_as(outputs, flat)

    def _call(self, frame: _Frame, given: Any, sources: Any, tensor: Any) -> Call:
        """Returns the record of a call that made `tensor` from tensors of these sources."""
        layer, composite = frame.layer, frame.inside > 0
        call_origins = tuple(self.origins.of(t) for t in given)
        real = [(t, s) for t, s in zip(given, sources, strict=True) if _is_real(t)]
        with self._measure():  # an activation that is a layer runs when its law is asked for
            activation = None if composite else elementwise(layer)
            bounds = saturation_bounds(activation)
            output, columns = measure(backend.read(tensor), unit_axis(layer), bounds)
            inputs = self._statistics_of(*real[0]) if real else None
            structure = Structure()
            if real and not composite and output.finite:
                structure = _structure(layer, real[0][0], tensor)
            if real and structure.given is None and kind(layer) is Kind.ACTIVATION:
                source = real[0][1]
                seen = self.calls[source].columns if source >= 0 else None
                structure.given = None if seen is None else sites.products(seen)
        return Call(
            name=self._name(layer),
            layer=layer,
            sources=sources,
            origins=call_origins,
            inside=self._stack[-1].given if self._stack else 0,
            composite=composite,
            activation=activation,
            inputs=inputs,
            output=output,
            made_from=self.origins.of(tensor) or frozenset[int]().union(*call_origins),
            columns=columns,
            squashed=[squashing.result() for squashing in frame.squashing.values()],
            steps=frame.steps,
            structure=structure,
            given_anew=bool(real) and self.origins.cut(real[0][0]) > 0,
            made_anew=self.origins.cut(tensor) > frame.cuts,
            is_learned=bool(given) and self.origins.is_learned(tensor),
            adds_loss=frame.adds_loss,
        )

    def _statistics_of(self, tensor: Any, source: int) -> TensorStatistics:
        if source >= 0:
            return self.calls[source].output
        key = id(tensor)
        if source == UNKNOWN or key not in self._measured:
            statistics, _ = measure(backend.read(tensor))
            if source == UNKNOWN:  # it may be gone, and its id another's, at the next call
                return statistics
            self._measured[key] = statistics
        return self._measured[key]

    @contextmanager
    def _measure(self) -> Iterator[None]:
        """Keeps what is run to measure out of the record."""
        before, self._measuring = self._measuring, True
        try:
            with self.tape.apart():
                yield
        finally:
            self._measuring = before

    # --- gradients -----------------------------------------------------------------------------

    def _marked(self, tensor: Any, call: Call) -> Any:
        """Returns `tensor`, whose gradient is measured when it comes by, and not kept."""

        def measured(gradient: Any) -> None:
            with self._measure():
                gradient = backend.read(gradient)
                found, columns = measure_gradient(gradient, unit_axis(call.layer), self.scale)
                call.gradient, call.gradient_columns = found, columns
                if found.finite:
                    _add_structure_back(call, gradient)

        def measured_at_logits(gradient: Any) -> None:
            if call.gradient is None:
                measured(gradient)

        return self.tape.marked(tensor, measured, measured_at_logits)

    def _mark_steps(self, sequence: Any, frame: _Frame) -> Any:
        """Returns a sequence, `(batch, time, ...)`, the gradient of whose steps is measured."""
        mask = mask_of(sequence)
        backwards = getattr(frame.layer, "go_backwards", False)

        def measured(gradient: Any) -> None:
            with self._measure():
                gradient = backend.float32(backend.read(gradient))
                present = np.ones(gradient.shape[1], bool)
                if mask is not None:  # a step that no sample has says nothing
                    present = keras.ops.convert_to_numpy(mask).any(axis=0)
                ends = np.flatnonzero(present)[[0, -1]] if present.any() else ()
                sizes = [moments(gradient[:, int(i)])[1] ** 0.5 / self.scale for i in ends]
            frame.steps[:] = sizes[::-1] if backwards else sizes

        marked = self.tape.identity(sequence, measured)
        copy_mask(sequence, marked)
        self._made[id(marked)] = (weakref.ref(marked), self.source(sequence))
        known = self.origins.of(sequence), self.origins.needs(sequence), self.origins.cut(sequence)
        self.origins.set(marked, *known)
        return marked

    # --- operations ----------------------------------------------------------------------------

    def _see(self, name: str, inputs: Any, outputs: Any) -> None:
        if self._measuring:
            return
        if name.startswith(_FUNCTIONS) and _OF_KERAS not in name:
            names = [f.layer.name for f in self._stack if f.layer is not self.model]
            self.unseen["/".join(names)] = None
        origins = self.origins.pass_on(name, inputs, outputs)
        if not origins:
            return
        frame = self._stack[-1] if self._stack else None
        with self._measure():
            bend = operations.bend(name, inputs, outputs, self.origins)
            if bend is not None:
                self._squash(name, bend, outputs[0], origins, frame)
        found = operations.cut(name, frame and frame.layer, inputs, outputs, origins)
        if found is not None:
            self.cuts.append(found)

    def _squash(
        self, name: str, bend: Any, output: Any, origins: frozenset[int], frame: Any
    ) -> None:
        outside = frame is None or isinstance(frame.layer, keras.Model)
        known = not outside and frame.inside == 0 and not is_opaque(frame.layer)
        if known and elementwise(frame.layer) is not None:
            return  # measured as the layer's own activation
        output = backend.read(output)
        owner = next(iter(origins)) if len(origins) == 1 else UNKNOWN
        if owner >= (0 if outside else frame.first):  # what squashes a layer's output belongs to it
            axis = unit_axis(self.calls[owner].layer)
            squashing = operations.Squashing(name, output.shape[axis], bend)
            self._behind.setdefault(owner, []).append(squashing)
        elif outside:
            return
        else:  # one entry for all steps of a recurrent layer
            axis = unit_axis(frame.layer)
            key = (name, output.shape[axis]) if is_opaque(frame.layer) else len(frame.squashing)
            squashing = frame.squashing.setdefault(
                key, operations.Squashing(name, output.shape[axis], bend)
            )
        squashing.add(output, axis)

    def _name(self, layer: keras.Layer) -> str:
        outer = [frame.layer.name for frame in self._stack if frame.layer is not self.model]
        name = "/".join([*outer, layer.name])
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}:{self._names[name]}"


def _structure(layer: Any, source: Any, tensor: Any) -> Structure:
    """Returns how the signal of a call, from `source` to `tensor`, is spread over sites."""
    given, made = backend.read(source), backend.read(tensor)
    what, shape = kind(layer), tuple(made.shape)
    found = Structure(given=sites.given_products(layer, given, shape))
    windows = what in (Kind.CONVOLUTION, Kind.DEPTHWISE, Kind.SEPARABLE)
    if windows and max(layer.kernel_size) > 1:
        found.inside = sites.share_inside(layer, given, shape)
    if what is Kind.NORMALIZATION and isinstance(layer, keras.layers.BatchNormalization):
        found.slopes = sites.squared_slopes(layer, given)
    elif what is Kind.NORMALIZATION and len(given.shape) > 1:
        found.rows = sites.rows_of(given, given.shape[-1])
    if what in (Kind.DENSE, Kind.EINSUM):
        found.places = sites.likeness_over_places(made)
    if what is Kind.RECURRENT and mask_of(source) is None:
        found.given_steps = sites.products_of_steps(given)
    return found


def _add_structure_back(call: Call, gradient: Any) -> None:
    """Takes note of how the gradient at a call's output is spread over sites."""
    structure, what = call.structure, kind(call.layer)
    if what is Kind.EINSUM:
        fans = sites.einsum_fans(call.layer)
        if fans is not None and structure.given is not None:
            structure.back = sites.products(sites.rows_of(gradient, fans[1]))
    elif structure.given is not None and call.gradient_columns is not None:
        structure.back = sites.products(call.gradient_columns)
    if what in (Kind.DENSE, Kind.EINSUM):
        structure.back_places = sites.likeness_over_places(gradient)
    if what is Kind.RECURRENT:
        structure.back_steps = sites.products_of_steps(gradient)


def _is_real(value: Any) -> bool:
    if not backend.is_tensor(value) or not backend.is_floating(value):
        return False
    # An empty one, such as no boxes at all in a prompt, says nothing.
    return len(value.shape) > 0 and 0 not in value.shape
