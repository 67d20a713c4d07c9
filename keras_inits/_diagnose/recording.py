"""Watching a model while it runs: what each layer gives forward and gets back, in call order."""

import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from keras_inits._diagnose.statistics import TensorStatistics, measure
from keras_inits._diagnose.traits import elementwise, saturation_bounds, unit_axis
from keras_inits._gains import Activation
from keras_inits._layers.kinds import Kind, is_a

# Seen from outside only: their inner layers run once a time step.
_OPAQUE = (Kind.RECURRENT, Kind.OVER_TIME)

INPUT = -1  # as a source: the model's own input
UNKNOWN = -2  # as a source: something computed outside of any layer


class Silencer:
    """Lets a model run as `Recorder` lets it, without noise, and records nothing."""

    def run(self, original: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        """Calls `layer`, switched off if it is there for noise."""
        # Off, so that two reports of one model agree; normalization runs as in training.
        if is_a(layer, Kind.NOISE):
            kwargs = {**kwargs, "training": False}
        return original(layer, *args, **kwargs)


@dataclass(eq=False)
class Call:
    """One call of one layer.

    Attributes:
        name: the layer's path in the model, numbered if it is called again.
        layer: the layer.
        sources: for each of its tensors in, the index of the call that made it, or `INPUT` or
            `UNKNOWN`.
        inside: which entry of `Recorder.given` belongs to the layer that called it.
        composite: whether other recorded layers ran inside.
        activation: the elementwise activation that its output went through, if it is known.
        inputs: statistics of its first floating tensor in; None if it has none.
        output: statistics of its first floating tensor out.
        gradient: those of the gradient there; None if nothing came back.
    """

    name: str
    layer: Any
    sources: tuple[int, ...]
    inside: int
    composite: bool
    activation: Activation | None
    inputs: TensorStatistics | None
    output: TensorStatistics
    gradient: TensorStatistics | None = None


@dataclass(eq=False)
class Recorder(Silencer):
    """The calls of one forward pass under `tape`."""

    tape: Any
    calls: list[Call] = field(default_factory=list)
    # Of each layer that was called, in the order of entering: the sources of what it was given.
    given: list[tuple[int, ...]] = field(default_factory=lambda: [(INPUT,)])
    _made: dict[int, tuple[Any, int]] = field(default_factory=dict)
    _measured: dict[int, TensorStatistics] = field(default_factory=dict)
    _stack: list[list[Any]] = field(default_factory=list)  # [layer, calls inside, number]
    _names: Counter[str] = field(default_factory=Counter)

    def add_input(self, tensor: Any) -> None:
        """Takes note of a tensor that the model is given."""
        self._made[id(tensor)] = (weakref.ref(tensor), INPUT)

    def source(self, tensor: Any) -> int:
        """Returns the index of the call that made `tensor`, `INPUT` or `UNKNOWN`."""
        reference, index = self._made.get(id(tensor), (None, UNKNOWN))
        return index if reference is not None and reference() is tensor else UNKNOWN

    def run(self, original: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        """Calls `layer` and records what it did, if it is one to be told of."""
        if not tf.executing_eagerly() or any(is_a(f[0], *_OPAQUE) for f in self._stack):
            return super().run(original, layer, args, kwargs)
        given = [t for t in keras.tree.flatten((args, kwargs)) if tf.is_tensor(t)]
        sources = tuple(self.source(t) for t in given)
        self.given.append(self._outer(sources))
        frame = [layer, 0, len(self.given) - 1]
        self._stack.append(frame)
        try:
            outputs = super().run(original, layer, args, kwargs)
        finally:
            self._stack.pop()
        return self._record(layer, given, sources, outputs, composite=frame[1] > 0)

    def _outer(self, sources: tuple[int, ...]) -> tuple[int, ...]:
        """Returns `sources`, and for what is unknown what the layer around was given."""
        if UNKNOWN not in sources or not self._stack:
            return sources
        return (*(s for s in sources if s != UNKNOWN), *self.given[self._stack[-1][2]])

    def _record(
        self, layer: Any, given: Any, sources: Any, outputs: Any, *, composite: bool
    ) -> Any:
        flat = keras.tree.flatten(outputs)
        main = next((i for i, t in enumerate(flat) if _is_real(t)), None)
        for frame in self._stack:
            frame[1] += 1
        silent = isinstance(layer, keras.Model | keras.layers.InputLayer)
        # What a layer hands through unchanged is told once, by the layer that made it.
        if main is None or silent or self.source(flat[main]) != UNKNOWN:
            return outputs
        tensor, mask = flat[main], getattr(flat[main], "_keras_mask", None)
        index = len(self.calls)
        with self.tape.stop_recording():
            activation = None if composite else elementwise(layer)
            output = measure(tensor, unit_axis(layer), saturation_bounds(activation))
            real = [(t, s) for t, s in zip(given, sources, strict=True) if _is_real(t)]
            inputs = self._statistics_of(*real[0]) if real else None
        name = self._name(layer)
        inside = self._stack[-1][2] if self._stack else 0
        self.calls.append(Call(name, layer, sources, inside, composite, activation, inputs, output))
        self.tape.watch(tensor)  # a gradient here, even where nothing before it is trainable
        flat[main] = self._mark(tensor, index)
        if mask is not None:
            # Keras keeps masks on tensors under this name and has no public call for it.
            flat[main]._keras_mask = mask
        self._made[id(flat[main])] = (weakref.ref(flat[main]), index)
        return keras.tree.pack_sequence_as(outputs, flat)

    def _statistics_of(self, tensor: Any, source: int) -> TensorStatistics:
        if source >= 0:
            return self.calls[source].output
        key = id(tensor)
        if source == UNKNOWN or key not in self._measured:
            statistics = measure(tensor)
            if source == UNKNOWN:  # it may be gone, and its id another's, at the next call
                return statistics
            self._measured[key] = statistics
        return self._measured[key]

    def _mark(self, tensor: Any, index: int) -> Any:
        """Returns `tensor`, whose gradient is measured when it comes by, and not kept."""

        @tf.custom_gradient
        def identity(x: Any) -> Any:
            def back(gradient: Any) -> Any:
                call = self.calls[index]
                call.gradient = measure(gradient, unit_axis(call.layer))
                return gradient

            return tf.identity(x), back

        return identity(tensor)

    def _name(self, layer: Any) -> str:
        outer = [frame[0].name for frame in self._stack[1:]]
        name = "/".join([*outer, layer.name])
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}:{self._names[name]}"


@contextmanager
def recording(recorder: Silencer) -> Iterator[None]:
    """Lets `recorder` see every call of a layer that this thread makes.

    Keras has no hooks on layers: `Layer.__call__`, public and inherited by all, is replaced for the
    time of the pass.
    """
    original, thread = keras.layers.Layer.__call__, threading.get_ident()

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return original(layer, *args, **kwargs)
        return recorder.run(original, layer, args, kwargs)

    keras.layers.Layer.__call__ = call
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = original


def _is_real(value: Any) -> bool:
    return bool(tf.is_tensor(value) and value.dtype.is_floating and value.shape.rank)
