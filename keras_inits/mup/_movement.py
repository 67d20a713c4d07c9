"""How far some steps of training move the outputs of each layer."""

from contextvars import ContextVar
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._keras_internals import (
    asking,
    calls_through,
    functions_traced_anew,
    holding,
    moved_by_calls,
)
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import owned_weights, role
from keras_inits._layers.kinds import Kind, is_a

OUTPUT = "output"  # of the model, next to those of its layers

Outputs = dict[str, NDArray[np.float64]]  # by the call of a layer


def movement(
    model: keras.Model, x: Any, y: Any, steps: int
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Trains a compiled model on one batch and returns what that does to the outputs of each layer.

    Returns:
        The calls of layers with kernels, in order, then the model's output; the mean absolute value
        of each before and after each step, `(steps + 1, layers)`; and the mean absolute difference
        from the start after each step, `(steps, layers)`.
    """
    start = _outputs(model, x)
    sizes, changes = [_mean_sizes(start)], []
    for _ in range(steps):
        model.train_on_batch(x, y)
        now = _outputs(model, x)
        sizes.append(_mean_sizes(now))
        changes.append(_mean_sizes({name: now[name] - start[name] for name in start}))
    return tuple(start), np.array(sizes), np.array(changes)


def start_anew(optimizer: keras.optimizers.Optimizer) -> None:
    """Sets what an optimizer has gathered back to zeros; its learning rate stays."""
    for variable in optimizer.variables:
        if variable.name != "learning_rate":
            variable.assign(ops.zeros(variable.shape, variable.dtype))


def _mean_sizes(outputs: Outputs) -> list[float]:
    with np.errstate(over="ignore", invalid="ignore"):
        return [float(np.mean(np.abs(values))) for values in outputs.values()]


class _Recorder:
    """Keeps the outputs of layers, call by call.

    Args:
        layers: the identities of those that count.
    """

    def __init__(self, layers: frozenset[int]) -> None:
        self._layers = layers
        self.outputs: Outputs = {}

    def see(self, plain: Any, layer: Any, args: Any, kwargs: Any) -> Any:
        """Calls a layer and keeps what it gives. Noise is left out, as in inference."""
        if is_a(layer, Kind.NOISE):
            kwargs = {**kwargs, "training": False}
        if is_a(layer, Kind.RECURRENT):  # its cells run in a loop
            with holding(_active, None):
                output = plain(layer, *args, **kwargs)
        else:
            output = plain(layer, *args, **kwargs)
        if id(layer) in self._layers:
            self.keep(layer.name, output)
        return output

    def keep(self, name: str, output: Any) -> None:
        """Keeps the first tensor of what a call gives."""
        number = sum(key.partition("#")[0] == name for key in self.outputs) + 1
        key = name if number == 1 else f"{name}#{number}"
        first = keras.tree.flatten(output)[0]
        self.outputs[key] = np.asarray(ops.convert_to_numpy(ops.cast(first, "float32")), float)


_active: ContextVar[_Recorder | None] = ContextVar("keras_inits_coordinates", default=None)
_hook = asking(_active, "see")


def _outputs(model: keras.Model, x: Any) -> Outputs:
    """Returns what the layers give in training, where normalizations take the batch's statistics.

    What a call moves, such as moving averages, is put back.
    """
    kept = [(v, np.array(ops.convert_to_numpy(v))) for v in moved_by_calls(model)]
    recorder = _Recorder(_recorded(model))
    try:
        with (
            functions_traced_anew(),
            calls_through(keras.layers.Layer, "__call__", _hook),
            holding(_active, recorder),
        ):
            output = model(keras.tree.map_structure(ops.convert_to_tensor, x), training=True)
    finally:
        for variable, value in kept:
            variable.assign(value)
    recorder.keep(OUTPUT, output)
    return recorder.outputs


def _recorded(model: keras.Model) -> frozenset[int]:
    """Returns the identities of the layers with kernels; of a cell, those of the layer around."""
    found = set()
    for owned in owned_weights(model):
        if isinstance(role(owned.layer, owned.weight), KernelGeometry):
            around = [p for p in owned.parents if is_a(p, Kind.RECURRENT)]
            found.add(id(around[0] if around else owned.layer))
    return frozenset(found)
