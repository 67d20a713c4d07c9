"""How a layer or an operation is called on symbolic tensors."""

import functools
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._layers.kinds import Kind
from keras_inits._wiring.steps import symbolic


def in_its_structure(layer: Any, args: Any) -> Any:
    """Returns the inputs of a functional model in the structure that it was made with.

    Others of as many tensors do too, with a warning.
    """
    expected = None if isinstance(layer, keras.Sequential) else getattr(layer, "inputs", None)
    if not expected or not isinstance(layer, keras.Model) or len(args) != 1:
        return args
    flat = keras.tree.flatten(args[0])
    same = len(flat) == len(keras.tree.flatten(layer.input))
    return (keras.tree.pack_sequence_as(layer.input, flat),) if same else args


def has_call(layer: Any) -> bool:
    """Returns whether a layer computes something of its own."""
    return type(layer).call is not keras.layers.Layer.call


@functools.lru_cache(maxsize=1024)
def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def filled_in(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `kwargs` as Keras would fill them in: `training`, and masks without a default."""
    parameters = dict(_parameters(type(layer).call))
    parameters.pop(next(iter(parameters)))  # self
    filled = dict(kwargs)
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        # A functional model passes it on to whatever it calls.
        filled = {n: v for n, v in filled.items() if n != "training" or n in parameters}
    given = {name for name, _ in zip(parameters, args, strict=False)} | set(kwargs)
    for name, parameter in parameters.items():
        if name == "training" and name not in given:
            filled[name] = False
        elif name.endswith("mask") and name not in given and parameter.default is parameter.empty:
            filled[name] = None
    return filled


def is_function_of_values(layer: Any, args: Sequence[Any]) -> bool:
    """Returns whether a layer without weights makes of each value by itself another value.

    It is run on noise: symbolic tensors do not show what a backend's own functions do in it. Nor
    does this show whether they let a gradient back; code that cannot be traced is refused.
    """
    if len(args) != 1 or not isinstance(args[0], keras.KerasTensor) or layer.variables:
        return False
    rng = np.random.default_rng(0)
    shape = (2, *(size or 2 for size in args[0].shape[1:]))
    first, order = rng.normal(size=shape), rng.permutation(math.prod(shape))
    # The same values at other places, among others.
    kept = rng.random(order.size) < 0.5
    second = np.where(kept, first.ravel()[order], rng.normal(size=order.size)).reshape(shape)

    def made(values: NDArray[np.float64]) -> NDArray[np.float64]:
        given = keras.ops.convert_to_tensor(values.astype("float32"), args[0].dtype)
        return np.asarray(keras.ops.convert_to_numpy(layer.call(given)), np.float64)

    try:
        keras.Operation.compute_output_spec(layer, args[0])
        one, two = made(first), made(second)
    except Exception:  # whatever a layer's own code says of noise
        return False
    if not one.shape == two.shape == shape or not np.all(np.isfinite(one)):
        return False
    return np.allclose(one.ravel()[order][kept], two.ravel()[kept], rtol=1e-3, atol=1e-5)


def output_spec(subject: Any, what: Kind, args: Any, kwargs: Any) -> Any:
    """Returns what a layer or operation makes of symbolic tensors, every dimension a number.

    Args:
        subject: the layer or operation.
        what: what it does.
        args: what it is called on.
        kwargs: the same by name.
    """
    try:
        outputs = subject.compute_output_spec(*args, **_for_shapes(subject, kwargs))
        if what is Kind.ATTENTION and not isinstance(subject, keras.layers.Layer):
            # Keras says the shape of the queries; values may have another number of units.
            values = args[2] if len(args) > 2 else kwargs["value"]
            outputs = keras.KerasTensor((*outputs.shape[:-1], values.shape[-1]), outputs.dtype)
        if all(None not in t.shape for t in symbolic(outputs)):
            return outputs
    except Exception:  # a layer's own method may be wrong, or missing for the way it is called
        pass
    # The way of all operations without a method of their own: `call` on the backend's tracers.
    return keras.Operation.compute_output_spec(subject, *args, **kwargs)


def _for_shapes(subject: Any, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns those of `kwargs` that a layer takes when it is asked for shapes."""
    parameters = _parameters(type(subject).compute_output_spec)
    if "training" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return kwargs
    return {name: value for name, value in kwargs.items() if name != "training"}
