"""Whether two models compute the same, seen by running both."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._errors import InputError
from keras_inits._keras_internals import all_layers
from keras_inits._wiring.inputs import symbolic_inputs

# Of the size of the output. Sums in another order differ by some units of the last digit, times the
# root of the depth: float32 has 1.2e-7, float16 1e-3, bfloat16 8e-3.
_ROUNDING = {"float16": 2e-2, "bfloat16": 2e-1}
_ROUNDING_DEFAULT = 1e-4  # `_array` reads float64 as float32


def computes_alike(model: Any, other: Any) -> bool | None:
    """Returns whether two models give the same for random inputs; None where they do not run.

    Args:
        model: a built model; it says what both take.
        other: a built model.
    """
    try:
        candidates = list(symbolic_inputs(model, None))
    except InputError:
        return None
    rounding = max(_rounding(model), _rounding(other))
    for arguments, named in candidates:
        generator = np.random.default_rng(0)
        values, named_values = keras.tree.map_structure(
            lambda leaf, generator=generator: _random(leaf, generator), (arguments, named)
        )
        try:
            given = _run(model, values, named_values)
        except Exception:  # open sizes that the model does not take, or the code of a user
            continue
        try:
            wanted = _run(other, values, named_values)
        except Exception:  # it takes something else
            return False
        return len(given) == len(wanted) and all(
            _close(one, two, rounding) for one, two in zip(given, wanted, strict=True)
        )
    return None


def _rounding(model: Any) -> float:
    """Returns the tolerance of the coarsest type in which a layer of the model computes.

    That of the output says nothing: a head in float32 gets what float16 has rounded.
    """
    types = {str(layer.compute_dtype) for layer in all_layers(model, itself=True)}
    return max((_ROUNDING.get(t, _ROUNDING_DEFAULT) for t in types), default=_ROUNDING_DEFAULT)


def _run(model: Any, arguments: Any, named: Any) -> list[Any]:
    options = {"training": False} if "training" in model._call_signature.parameters else {}
    # Seed generators, and whatever else a call moves, stay where they are.
    with keras.StatelessScope():
        return list(keras.tree.flatten(model(*arguments, **named, **options)))


def _random(leaf: Any, generator: np.random.Generator) -> Any:
    if leaf is None:
        return None
    shape = (2, *leaf.shape[1:]) if leaf.shape else ()
    if keras.backend.is_float_dtype(leaf.dtype):
        return ops.convert_to_tensor(generator.normal(size=shape), dtype=leaf.dtype)
    # Small numbers are tokens, and class numbers, of every model.
    return ops.convert_to_tensor(generator.integers(0, 2, shape), dtype=leaf.dtype)


def _close(one: Any, other: Any, rounding: float) -> bool:
    if tuple(one.shape) != tuple(other.shape):
        return False
    a, b = _array(one), _array(other)
    size = np.abs(b[np.isfinite(b)]).max(initial=1e-30)
    return bool(np.allclose(a, b, rtol=0, atol=size * rounding, equal_nan=True))


def _array(tensor: Any) -> NDArray[np.float64]:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")), "float64")
