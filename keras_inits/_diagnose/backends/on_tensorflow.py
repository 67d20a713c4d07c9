"""Diagnoses on TensorFlow: its tape, and its callbacks on eager operations."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_inits._diagnose.backends.base import Backend, Measured, See, Tape
from keras_inits._errors import InputError
from keras_inits._keras_internals import (
    copy_tensor_notes,
    keeping_graph,
    logits_of,
    operation_callbacks,
    set_logits,
)

Reduction = TypeVar("Reduction", bound=Callable[..., Any])


def _of_tensors(method: Reduction) -> Reduction:
    """Returns a reduction of tensors that leaves arrays to NumPy."""
    of_arrays = getattr(Backend, method.__name__)

    @functools.wraps(method)
    def reduction(self: Backend, x: Any, *args: Any, **kwargs: Any) -> Any:
        return (of_arrays if isinstance(x, np.ndarray) else method)(self, x, *args, **kwargs)

    return cast(Reduction, reduction)


class _Marks(Tape):
    """Identities with a gradient of their own.

    Args:
        tape: on which each marked tensor is watched; None if it is not ours.
    """

    def __init__(self, tape: tf.GradientTape | None) -> None:
        self.tape = tape

    def identity(self, tensor: Any, measured: Measured) -> Any:
        @tf.custom_gradient
        def identity(x: Any) -> Any:
            def back(gradient: Any) -> Any:
                measured(gradient)
                return gradient

            return tf.identity(x), back

        if self.tape is not None:  # a gradient here, even where nothing before it is trainable
            self.tape.watch(tensor)
        return identity(tensor)

    def marked(self, tensor: Any, measured: Measured, at_logits: Measured) -> Any:
        marked = self.identity(tensor, measured)
        copy_tensor_notes(tensor, marked)
        # Keras computes cross-entropy from the logits next to a softmax: there comes the gradient.
        if isinstance(logits := logits_of(tensor), tf.Tensor):
            set_logits(marked, self.identity(logits, at_logits))
        return marked


class TensorFlow(Backend):
    """What TensorFlow does in a diagnosis."""

    errors = (tf.errors.OpError, NotImplementedError, ValueError)

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, tf.Tensor)

    def is_floating(self, tensor: Any) -> bool:
        return bool(tensor.dtype.is_floating)

    def is_concrete(self, tensors: Sequence[Any]) -> bool:
        return bool(tf.executing_eagerly())

    def read(self, tensor: Any) -> Any:
        # On a processor an array has the memory of the tensor; from elsewhere it would be copied,
        # where a small part or a number is asked for.
        tensor = tf.convert_to_tensor(tensor)  # of slices, as the gradient of an embedding is
        return tf.stop_gradient(tensor) if "GPU" in tensor.device else np.asarray(tensor)

    def held(self, variable: keras.Variable) -> Any:
        # No copy: TensorFlow writes to a new buffer while an old tensor is held.
        return tf.convert_to_tensor(variable)

    def current(self, variable: keras.Variable) -> Any:
        return self.read(self.held(variable))

    def text(self, array: NDArray[Any]) -> Any:
        return tf.constant(array.tolist(), tf.string if array.dtype.kind == "U" else None)

    # --- a pass --------------------------------------------------------------------------------

    def pulled_back(
        self, variables: Sequence[keras.Variable], forward: Callable[[Tape], tuple[Any, Any]]
    ) -> list[Any]:
        tape = tf.GradientTape()
        with tape:
            targets, cotangents = forward(_Marks(tape))
        values = [v.value for v in variables]
        try:
            found: list[Any] = tape.gradient(targets, values, cotangents)
        except (TypeError, ValueError) as error:  # of code of the model: TensorFlow's own has none
            raise InputError(
                "A model is diagnosed eagerly, and a gradient that this one defines does not run "
                "so: with `compile(run_eagerly=True)` neither does `fit`. "
                f"Received: {type(error).__name__} in the gradient: {error}"
            ) from error
        return found

    def dense(self, gradient: Any) -> Any:
        return tf.convert_to_tensor(gradient)  # of a table they are slices

    def foreign_tape(self) -> Tape:
        return _Marks(None)

    @contextmanager
    def operations(self, see: See) -> Iterator[bool]:
        # These callbacks belong to a thread.
        callbacks = operation_callbacks()
        if callbacks is None:
            yield False
            return

        def callback(
            op_type: Any,
            inputs: Any,
            attrs: Any,
            outputs: Any,
            op_name: Any = None,
            graph: Any = None,
        ) -> None:
            if graph is None:
                name = op_type.decode() if isinstance(op_type, bytes) else op_type
                see(name, inputs, outputs)

        callbacks.add_op_callback(callback)
        try:
            yield True
        finally:
            callbacks.remove_op_callback(callback)

    def jacobian(
        self, run: Callable[[Any], list[Any]], given: Any
    ) -> tuple[list[Any], Callable[[list[Any]], list[Any]]]:
        flat = keras.tree.flatten(given)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(flat)
            outputs = run(given)
        return outputs, lambda vectors: tape.gradient(outputs, flat, vectors, "zero")

    def with_logits(self, run: Callable[[], Any]) -> list[Any]:
        real = [y for y in keras.tree.flatten(run()) if y.dtype.is_floating]
        return [y if (logits := logits_of(y)) is None else logits for y in real]

    # --- steps of training ---------------------------------------------------------------------

    def gradients(
        self, function: Callable[[list[Any]], tuple[Any, Any]], values: list[Any]
    ) -> tuple[Any, list[Any], Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            values = [tf.convert_to_tensor(v) for v in values]
            tape.watch(values)
            loss, more = function(values)
        found = tape.gradient(loss, values, unconnected_gradients="zero")
        return loss, [tf.convert_to_tensor(g) for g in found], more

    def compiled(
        self,
        function: Callable[..., Any],
        variables: Callable[[], list[keras.Variable]],
        *,
        eagerly: bool,
    ) -> Callable[..., Any]:
        if eagerly:
            return function
        graph: Callable[..., Any] = keeping_graph(tf.function(function, reduce_retracing=True))
        return graph

    # --- reductions ----------------------------------------------------------------------------

    @_of_tensors
    def float32(self, x: Any) -> Any:
        return tf.cast(x, tf.float32)

    @_of_tensors
    def array(self, x: Any) -> NDArray[Any]:
        found: NDArray[Any] = np.asarray(x)
        return found

    @_of_tensors
    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        return tf.reshape(x, shape)

    @_of_tensors
    def moveaxis(self, x: Any, source: int, target: int) -> Any:
        return tf.experimental.numpy.moveaxis(x, source, target)

    @_of_tensors
    def take(self, x: Any, index: NDArray[Any], axis: int = 0) -> Any:
        return tf.gather(x, index, axis=axis)

    @_of_tensors
    def mean(self, x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
        return tf.reduce_mean(x, axis)

    @_of_tensors
    def sums(self, x: Any) -> tuple[float, float]:
        return float(tf.reduce_sum(x)), 2 * float(tf.nn.l2_loss(x))

    @_of_tensors
    def largest(self, x: Any) -> float:
        return float(tf.reduce_max(tf.abs(x)))

    @_of_tensors
    def lowest(self, x: Any) -> float:
        return float(tf.reduce_min(x))

    @_of_tensors
    def variances(self, x: Any) -> NDArray[np.float64]:
        found: NDArray[np.float64] = tf.math.reduce_variance(x, axis=0).numpy().astype(np.float64)
        return found

    @_of_tensors
    def differs(self, x: Any, number: float, axes: list[int]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = tf.reduce_any(tf.not_equal(x, number), axes).numpy()
        return found

    @_of_tensors
    def share(self, x: Any) -> float:
        return float(tf.reduce_mean(tf.cast(x, tf.float32)))

    @_of_tensors
    def products(self, x: Any) -> NDArray[Any]:
        found: NDArray[Any] = tf.einsum("bsu,btu->st", x, x).numpy()
        return found
