"""Targets and weights of examples, as `fit` takes them, by output of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._errors import InputError, InputTypeError
from keras_inits._starts.examples import batches_in, finite_number_of

_Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets of one output.

    Attributes:
        values: as they were given.
        weights: of the loss, in the order of the targets, or of groups of as many; None for equal
            ones.
    """

    values: _Array
    weights: _Array | None

    @classmethod
    def of(cls, y: Any, weights: Any, class_weight: Mapping[int, float] | None) -> "Targets":
        """Returns targets that are numbers, with the weights that `fit` would give them.

        Raises:
            InputError: something else than finite numbers, or weights that do not fit.
        """
        values = _numbers(y, "y")
        if not values.size:
            raise InputError(f"`y` must hold finite numbers. Received: y of shape {values.shape}")
        found = None if weights is None else _numbers(weights, "sample_weight").reshape(-1)
        if class_weight is not None:
            classes = values.argmax(axis=1) if values.ndim == 2 and values.shape[1] > 1 else values
            if classes.size != len(values):
                raise InputError(
                    "`class_weight` is for one class an example. "
                    f"Received: y of shape {values.shape}"
                )
            by_class = np.array([float(class_weight.get(int(c), 1)) for c in classes.reshape(-1)])
            found = by_class if found is None else found * by_class
        if found is not None and not found.size:
            raise InputError(
                "`sample_weight` must hold a number for each example. "
                f"Received: sample_weight of shape {np.shape(weights)}"
            )
        if found is not None and not (np.all(found >= 0) and found.sum() > 0):
            raise InputError(
                "Weights of examples must be at least 0, and some above. "
                f"Received: weights from {found.min():g} to {found.max():g}"
            )
        return cls(values, found)

    def weights_of(self, rows: int) -> _Array:
        """Returns a weight for each of so many rows, which are the targets in their order."""
        if self.weights is None:
            return np.ones(rows)
        if rows % self.weights.size:
            raise InputError(
                f"`sample_weight` must hold a number for each example. Received: "
                f"{self.weights.size} weights for {rows} targets"
            )
        return np.repeat(self.weights, rows // self.weights.size)


def _numbers(given: Any, name: str) -> _Array:
    try:
        values = np.asarray(given, "float64")
    except (ValueError, TypeError) as error:
        raise InputError(
            f"`{name}` must hold finite numbers. Received: {name} of {np.asarray(given).dtype}"
        ) from error
    if not np.all(np.isfinite(values)):
        raise InputError(
            f"`{name}` must hold finite numbers. Received: {name} of shape {values.shape}"
        )
    return values


def collected(y: Any, sample_weight: Any = None) -> tuple[Any, Any]:
    """Returns targets and weights as arrays, in the structure of the model's outputs.

    Args:
        y: arrays in that structure, or an iterable of batches as `fit` takes them.
        sample_weight: next to arrays; None for equal ones.
    """
    if (arrays := _as_arrays(y)) is not None:
        return arrays, _weights_as_arrays(sample_weight)
    if not hasattr(y, "__iter__") or isinstance(y, str):
        raise InputTypeError(
            "`y` must be targets: arrays, or an iterable of (x, y) batches. "
            f"Received: y of type {type(y).__name__}"
        )
    if sample_weight is not None:
        raise InputError("`sample_weight` is for arrays: batches bring their own.")
    batches = []
    for item in batches_in(finite_number_of(y, name="y")):
        is_pair = isinstance(item, tuple) and len(item) > 1
        target = _as_arrays(item[1] if is_pair else item)
        if target is None:
            raise InputTypeError(
                "`y` must be targets: arrays, or an iterable of (x, y) batches. "
                f"Received: y with a batch of type {type(item).__name__}"
            )
        weight = item[2] if is_pair and len(item) > 2 else None
        batches.append((target, _weights_as_arrays(weight)))
    if not batches:
        raise InputError("`y` must hold at least one target. Received: y without any")
    joined = keras.tree.map_structure(
        lambda *leaves: np.concatenate(leaves), *[t for t, _ in batches]
    )
    given = next((weight for _, weight in batches if weight is not None), None)
    if given is None:
        return joined, None
    return joined, keras.tree.map_structure(
        lambda *leaves: None if leaves[0] is None else np.concatenate(leaves),
        *[_ones_like(given, t) if weight is None else weight for t, weight in batches],
    )


def _ones_like(weights: Any, targets: Any) -> Any:
    """Returns weights of 1 for a batch that has none, in the structure of another batch's."""
    rows = len(next(leaf for leaf in keras.tree.flatten(targets) if leaf is not None))
    return keras.tree.map_structure(
        lambda leaf: None if leaf is None else np.ones((rows, *leaf.shape[1:])), weights
    )


def _weights_as_arrays(given: Any) -> Any:
    """Returns a structure of arrays, None for equal weights.

    Raises:
        InputTypeError: what is none.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {name: _weights_as_arrays(each) for name, each in given.items()}
    found = _as_arrays(given)
    if found is None and isinstance(given, list | tuple) and given:
        try:  # a list for each example
            found = np.asarray(given, "float64")
        except (ValueError, TypeError):
            found = None
    if found is None:
        raise InputTypeError(
            "`sample_weight` must be numbers: an array, or a structure of arrays as the outputs "
            f"are. Received: sample_weight of type {type(given).__name__}"
        )
    return found


def _as_arrays(y: Any) -> Any:
    """Returns a structure of arrays; None for what is none."""
    if hasattr(y, "shape"):
        return np.asarray(y) if hasattr(y, "iloc") else np.asarray(ops.convert_to_numpy(y))
    if isinstance(y, Mapping):
        found = {name: _as_arrays(each) for name, each in y.items()}
        return None if any(each is None for each in found.values()) else found
    if isinstance(y, list | tuple) and y:
        if all(each is None or hasattr(each, "shape") for each in y):
            return [None if each is None else _as_arrays(each) for each in y]
        if all(np.isscalar(each) for each in y):
            return np.asarray(y)
    return None


def by_output(
    model: Any,
    value: Any,
    count: int,
    *,
    spread: bool = False,
    may_lack: Sequence[bool] = (),
) -> list[Any]:
    """Returns what belongs to each output, in the order of the outputs.

    Args:
        model: whose outputs they are.
        value: something for the only output, or a list or dict of it.
        count: how many outputs there are.
        spread: whether one value is for all of them.
        may_lack: for each output whether a value must be there; all, if empty.
    """
    if isinstance(value, Mapping):
        names = _output_names(model)
        needed = set(names)
        if spread or len(may_lack) == len(names):
            needed = {name for name, must in zip(names, may_lack, strict=False) if must}
        if not value or not needed <= set(value) <= set(names):
            raise InputError(
                "Of a dict as `y` or `sample_weight` the keys must be the outputs, "
                f"{names}. Received: {list(value)}"
            )
        return [value.get(name) for name in names]
    several = isinstance(value, list | tuple)
    if spread and not several:
        return [value] * count
    values = list(value) if several else [value]
    if may_lack and len(values) == sum(may_lack) < count:
        rest = iter(values)
        return [next(rest) if must else None for must in may_lack]
    if len(values) != count:
        raise InputError(
            f"The model {model.name!r} has {count} outputs: targets for each must be given. "
            f"Received: y with {len(values)}"
        )
    return values


def _output_names(model: Any) -> list[str]:
    """Returns the keys of a dict of outputs, in the order of the outputs; else Keras's names."""
    structure = getattr(model, "output", None)
    if isinstance(structure, Mapping):
        return sorted(structure)  # as `keras.tree.flatten` orders them
    return list(getattr(model, "output_names", ()))
