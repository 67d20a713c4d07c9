"""Kernels of layers that are not known, as far as the graph shows what they are.

A layer of one's own makes a weight and multiplies a signal by it. Which axes such a product sums
over, and which it makes, stands in the operation: no geometry has to be registered for it.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.kinds import Kind
from keras_inits._wiring import Wiring
from keras_inits._wiring.steps import Step

# So many values of a weight are looked at, to tell whether it starts at random.
_SAMPLE = 256


def bare_kernels(wiring: Wiring, weights: Mapping[str, Any]) -> dict[str, KernelGeometry]:
    """Returns the geometries of weights that operations multiply signals by.

    Left out are weights that some call uses otherwise, and those that do not start at random:
    zeros, the identity and the like are somebody's decision.

    Args:
        wiring: the model.
        weights: those that no layer is known to have, by path.
    """
    found: dict[str, KernelGeometry] = {}
    for path, weight in weights.items():
        calls = wiring.of(path)
        read = {_geometry(wiring.step(c), weight) if c.kind is Kind.MAP else None for c in calls}
        geometry = read.pop() if len(read) == 1 else None
        if geometry is not None and _is_random(weight):
            found[path] = geometry
    return found


def _is_random(weight: Any) -> bool:
    """Returns whether most of a weight's values are different ones."""
    values = np.asarray(keras.ops.convert_to_numpy(weight), np.float64).ravel()
    sample = values[:: max(1, values.size // _SAMPLE)]
    return 2 * np.unique(sample).size > sample.size


def _geometry(step: Step, weight: Any) -> KernelGeometry | None:
    """Returns what a weight is in a product with a signal; None where that is not clear."""
    if isinstance(step.subject, keras.layers.Layer):
        return None
    operands = [a for a in step.arguments[0] if hasattr(a, "shape")]
    at = next((i for i, operand in enumerate(operands) if operand is weight), None)
    if at is None or len(operands) != 2:
        return None
    name, shape, other = type(step.subject).__name__, tuple(weight.shape), operands[1 - at]
    if name == "Einsum":
        return _of_einsum(step.subject.subscripts, at, shape)
    if name == "Conv" and at == 1 and tuple(other.shape)[-1] == shape[-2]:
        return KernelGeometry.from_shape(shape)
    if name not in ("Matmul", "Dot") or len(shape) != 2:
        return None
    return KernelGeometry.from_shape(shape, at - 1, -at)


def _of_einsum(equation: str, at: int, shape: tuple[int, ...]) -> KernelGeometry | None:
    """Returns the geometry of operand `at`: it is summed over what only the operands have."""
    operands, _, made = equation.replace(" ", "").partition("->")
    both = operands.split(",")
    labels, other = both[at], both[1 - at]
    if "." in labels or len(labels) != len(shape) or not made:
        return None
    inputs = [i for i, label in enumerate(labels) if label in other and label not in made]
    outputs = [i for i, label in enumerate(labels) if label in made and label not in other]
    maps = [i for i, label in enumerate(labels) if label in made and label in other]
    if not inputs or not outputs or len(inputs) + len(outputs) + len(maps) < len(labels):
        return None
    return KernelGeometry.from_shape(shape, inputs, outputs, maps)
