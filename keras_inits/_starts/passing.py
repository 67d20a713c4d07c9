"""One forward pass that corrects each kernel as it comes by, and goes on with what that gives."""

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from keras_inits._float_range import beyond
from keras_inits._keras_internals import (
    asking,
    calls_through,
    functions_traced_anew,
    holding,
    moved_by_calls,
)
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import Default, LeftAlone, OwnedWeight, geometry, owned_weights, role
from keras_inits._layers.kinds import KERNELS, Kind, is_a, kind
from keras_inits._starts.blocks import Layout, einsum_axes, gates, layout
from keras_inits._starts.calibration_report import CalibrationRow
from keras_inits._starts.scaling import CannotScaleError, Scaling, scaling

_RECURRENT = "what comes into it is its own output: it keeps the scale of the scheme"
_TIED = (
    "its table is looked up and makes logits, which want different scales: it keeps that of the "
    "scheme"
)

_Kernel = tuple[OwnedWeight, KernelGeometry]


class Pass:
    """One forward pass of a model, eager, in training mode with noise off.

    Normalizations take the statistics of the batch, as they will when training starts: the moving
    ones say nothing of weights that have just been drawn.

    Args:
        model: a built model or layer.
        target: the root mean square that is asked for.
        center: whether biases are set so that each unit has mean 0.
    """

    def __init__(self, model: Any, target: float, *, center: bool = False) -> None:
        self._target, self._center = target, center
        self._kernels: dict[int, list[_Kernel]] = {}
        self.rows: dict[str, CalibrationRow] = {}
        self._in_einsum: dict[int, _Kernel] = {}  # by variable, while their layer runs
        # Layers, and whether backwards: of one that is shared the first call counts.
        self._corrected: set[tuple[int, bool]] = set()
        for owned in owned_weights(model):
            found = role(owned.layer, owned.weight)
            if isinstance(found, KernelGeometry):
                if any(
                    is_a(p, Kind.WRAPPER) and isinstance(p, layers.SpectralNormalization)
                    for p in owned.parents
                ):
                    reason = "SpectralNormalization sets its scale at every step"
                    self._leave(owned, reason, meant=True)
                    continue
                self._kernels.setdefault(id(owned.layer), []).append((owned, found))
                self._leave(owned, "the pass did not come to it")
            elif isinstance(found, LeftAlone) and not isinstance(
                geometry(owned.layer, owned.weight), Default
            ):
                self._leave(owned, found.reason, meant=True)

    def run(self, model: Any, inputs: Any) -> None:
        """Runs the model once and corrects its kernels; everything else keeps its values."""
        kept = [(v, values_of(v)) for v in moved_by_calls(model)]
        try:
            with (
                functions_traced_anew(),
                holding(_active, self),
                calls_through(keras.layers.Layer, "__call__", _layer_call),
                calls_through(ops, "einsum", _einsum_call),
            ):
                _call(model, inputs)
        finally:
            fixed = {id(owned.weight) for each in self._kernels.values() for owned, _ in each}
            for variable, value in kept:
                if id(variable) not in fixed:
                    variable.assign(value)

    def layer(self, plain: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        """Calls a layer, with its kernel corrected before its output goes on."""
        what = kind(layer)
        if what is Kind.NOISE:
            return plain(layer, *args, **{**kwargs, "training": False})
        if what is Kind.RECURRENT:
            self._recurrent(layer, args, kwargs)
            with holding(_active, None):  # calls inside are one time step each
                return plain(layer, *args, **{**kwargs, "training": False})
        if what is Kind.OVER_TIME:
            self._over_time(layer, args, kwargs)
        called = id(layer), what is Kind.EMBEDDING and _is_backwards(args, kwargs)
        if id(layer) not in self._kernels or called in self._corrected:
            return plain(layer, *args, **kwargs)
        self._corrected.add(called)
        if not _has_values(args, kwargs):
            for owned, _ in self._kernels[id(layer)]:
                self._leave(owned, "a compiled function calls it, which shows no values")
            return plain(layer, *args, **kwargs)
        if what not in KERNELS | {Kind.EMBEDDING} or what is Kind.MAP:
            for owned, shaped in self._kernels[id(layer)]:
                self._leave(
                    owned, f"what {type(layer).__name__} gives before its activation is not known"
                )
                self._in_einsum[id(owned.weight)] = owned, shaped
            try:
                return plain(layer, *args, **kwargs)
            finally:
                for owned, _ in self._kernels[id(layer)]:
                    self._in_einsum.pop(id(owned.weight), None)
        # `__call__` still does what is around `call`: masks, casts, losses.
        own = type(layer).call

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._corrected_call(own, layer, args, kwargs)

        with _replaced(layer, "call", call):
            return plain(layer, *args, **kwargs)

    def einsum(self, plain: Any, equation: str, operands: Any, kwargs: Any) -> Any:
        """Returns a product inside a layer, of one with a kernel of the layer's after correction.

        So mixtures of experts run: every token through all experts, in one product for each kernel.
        """
        output = plain(equation, *operands, **kwargs)
        if len(operands) != 2 or (kernel := self._in_einsum.pop(id(operands[1]), None)) is None:
            return output
        axes = einsum_axes(equation, kernel[1], len(output.shape))
        done = self._apply(kernel, Layout(axes), output)
        return output if done is None else done.output

    def _corrected_call(self, call: Callable[..., Any], layer: Any, args: Any, kwargs: Any) -> Any:
        """Returns what the layer gives with the kernel that it is left with."""
        kernels = list(self._kernels[id(layer)])
        if is_a(layer, Kind.EMBEDDING):
            self._embedding(call, layer, kernels, args, kwargs)
            return call(layer, *args, **kwargs)
        if is_a(layer, Kind.SEPARABLE):
            depthwise = next(k for k in kernels if k[0].weight.name == "depthwise_kernel")
            self._apply(depthwise, Layout(), _depthwise(layer, args[0]))
            kernels.remove(depthwise)
        activation = getattr(layer, "activation", None)
        with _replaced(layer, "activation", None):
            output = call(layer, *args, **kwargs)
        for kernel in kernels:
            places = layout(layer, kernel[1], tuple(output.shape))
            done = self._apply(kernel, places, output, layer=layer)
            output = output if done is None else done.output
        return output if activation is None else activation(output)

    def _embedding(
        self, call: Callable[..., Any], layer: Any, kernels: list[_Kernel], args: Any, kwargs: Any
    ) -> None:
        tied, backwards = getattr(layer, "tie_weights", None), _is_backwards(args, kwargs)
        read = "reverse_embeddings" if backwards and tied is False else "embeddings"
        for kernel in kernels:
            if kernel[0].weight.name != read:
                continue
            if tied:
                self._leave(kernel[0], _TIED, meant=True)
                continue
            # A soft cap bends the logits as an activation does.
            with _replaced(layer, "logit_soft_cap", None):
                output = call(layer, *args, **kwargs)
            self._apply(kernel, Layout(), output)

    def _recurrent(self, layer: Any, args: Any, kwargs: Any) -> None:
        """Corrects the input kernels of the cell, each gate by itself, over the whole sequence."""
        sequence = args[0] if args else kwargs.get("sequences", kwargs.get("inputs"))
        cell = layer.cell
        if (id(cell), False) in self._corrected or not is_a(cell, Kind.CELL) or sequence is None:
            return
        cells = getattr(cell, "cells", [cell])
        for index, each in enumerate(cells):
            self._corrected.add((id(each), False))
            for owned, shaped in self._kernels.get(id(each), ()):
                if owned.weight.name != "kernel":
                    self._leave(owned, _RECURRENT, meant=True)
                elif getattr(each, "data_format", "") == "channels_first":
                    self._leave(owned, "its channels come first")
                else:
                    product = _input_part(each, sequence)
                    self._apply((owned, shaped), gates(shaped), product)
            if index + 1 < len(cells):
                with holding(_active, None):  # calls inside are one time step each
                    sequence = layers.RNN(each, return_sequences=True)(sequence)

    def _over_time(self, layer: Any, args: Any, kwargs: Any) -> None:
        """Corrects the layer inside a TimeDistributed on all time steps at once."""
        sequence = args[0] if args else kwargs.get("inputs")
        if sequence is not None and len(sequence.shape) > 2:
            layer.layer(ops.reshape(sequence, (-1, *sequence.shape[2:])))

    def _apply(
        self, kernel: _Kernel, places: Layout, output: Any, *, layer: Any = None
    ) -> Scaling | None:
        """Corrects one kernel by what its layer gives; None where it is left alone."""
        owned, _ = kernel
        bias = getattr(layer, "bias", None) if places.bias_shape is not None else None
        center, note = self._center, ""
        if center and (bias is None or not bias.trainable):
            center, note = False, "no bias to centre"
        is_zero = bias is None or not np.any(_array(bias))
        shaped = None if is_zero else ops.reshape(bias, places.bias_shape)
        try:
            done = scaling(output, shaped, places, self._target, center=center)
        except CannotScaleError as error:
            self._leave(owned, str(error))
            return None
        over_kernel = places.over_kernel(done.factors, tuple(owned.weight.shape))
        corrected = _array(owned.weight) * over_kernel.astype("float32")
        if why := beyond(corrected, owned.weight.dtype):
            self._leave(owned, why)
            return None
        owned.weight.assign(_in_dtype(corrected, owned.weight.dtype))
        if done.bias is not None:
            bias.assign(ops.cast(ops.reshape(done.bias, bias.shape), bias.dtype))  # type: ignore[union-attr]
        factors = tuple(float(f) for f in done.factors.reshape(-1))
        self.rows[owned.path] = CalibrationRow(
            owned.path, done.before, done.after, factors, note=note
        )
        return done

    def _leave(self, owned: OwnedWeight, reason: str, *, meant: bool = False) -> None:
        self.rows[owned.path] = CalibrationRow(owned.path, left_alone=reason, meant=meant)


_active: contextvars.ContextVar[Pass | None] = contextvars.ContextVar("pass", default=None)
_layer_call, _einsum_call = asking(_active, "layer"), asking(_active, "einsum")


def values_of(variable: Any) -> Any:
    """Returns the values that a variable has now, whatever it is assigned later."""
    return np.array(_to_numpy(variable.value))  # a copy: backends assign in place


def _array(variable: Any) -> Any:
    """Returns the values of a variable as an array of float32; a view, where it can be."""
    value = variable.value
    return _to_numpy(value if variable.dtype == "float32" else ops.cast(value, "float32"))


def _to_numpy(value: Any) -> Any:
    """Returns a tensor as an array, on TensorFlow in a fifth of Keras's time for a small one."""
    if keras.backend.backend() == "tensorflow" and hasattr(value, "numpy"):
        return value.numpy()
    return ops.convert_to_numpy(value)


def _has_values(args: Any, kwargs: Any) -> bool:
    """Returns whether a call is made on values, not on stand-ins of a compiler."""
    given = [t for t in keras.tree.flatten((args, kwargs)) if ops.is_tensor(t)]
    try:
        for tensor in given[:1]:
            ops.convert_to_numpy(tensor[:1])
    except Exception:  # each backend raises another one
        return False
    return True


def _in_dtype(values: Any, dtype: str) -> Any:
    return values if dtype == "float32" else ops.cast(values, dtype)


@contextmanager
def _replaced(layer: Any, name: str, value: Any) -> Iterator[None]:
    """Lets a layer have another attribute for a while, behind Keras's tracking of attributes."""
    attributes = vars(layer)
    had, old = name in attributes, attributes.get(name)
    attributes[name] = value
    try:
        yield
    finally:
        if had:
            attributes[name] = old
        else:
            del attributes[name]


def _is_backwards(args: Any, kwargs: Any) -> bool:
    """Returns whether an embedding is called to make logits, `reverse=True`."""
    return (args[1] if len(args) > 1 else kwargs.get("reverse")) is True


def _call(model: Any, inputs: Any) -> None:
    training = "training" in model._call_signature.parameters or isinstance(
        model, keras.Sequential | keras.Model
    )
    model(inputs, training=True) if training else model(inputs)


def _depthwise(layer: Any, inputs: Any) -> Any:
    """Returns what lies between the two kernels of a separable convolution."""
    return ops.depthwise_conv(
        inputs,
        layer.depthwise_kernel,
        strides=layer.strides,
        padding=layer.padding,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
    )


def _input_part(cell: Any, sequence: Any) -> Any:
    """Returns the product of a cell's input kernel with each step of a sequence, as one batch."""
    steps = ops.reshape(sequence, (-1, *sequence.shape[2:]))
    if not hasattr(cell, "strides"):
        return ops.matmul(ops.cast(steps, cell.compute_dtype), cell.kernel)
    return ops.conv(
        steps,
        cell.kernel,
        strides=cell.strides,
        padding=cell.padding,
        data_format=cell.data_format,
        dilation_rate=cell.dilation_rate,
    )
