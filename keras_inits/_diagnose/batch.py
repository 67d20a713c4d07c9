"""The first batch of whatever `fit` takes, as tensors."""

import functools
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits import _checks
from keras_inits._diagnose.backends import backend
from keras_inits._errors import InputError, InputTypeError

SAMPLES = 256  # of a batch, for the checks that need not look at all of it


@dataclass(frozen=True)
class Batch:
    """What one step of training is given.

    Attributes:
        x: a structure of tensors, `(batch, ...)`.
        y: targets, in the structure that the model gives; None without.
        sample_weight: as `fit` takes it; None without.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None

    @property
    def size(self) -> int:
        """How many samples there are."""
        return int(keras.tree.flatten(self.x)[0].shape[0])

    def packed(self) -> Any:
        """Returns what `train_step` takes."""
        return keras.utils.pack_x_y_sample_weight(self.x, self.y, self.sample_weight)


def first_batch(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    *,
    finite: bool = True,
) -> Batch:
    """Returns the first batch of `x` as tensors.

    Args:
        x: an array, a list or dict of arrays: all of it, shuffled as `fit` does where it is more
            than what all checks look at, since data are often sorted; or a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or a torch `DataLoader` that yields batches `x`, `(x, y)` or
            `(x, y, sample_weight)`: the first one.
        y: targets, next to arrays.
        sample_weight: as `fit` takes it, next to arrays.
        class_weight: factors of the loss by class, as `fit` takes them.
        finite: whether NaN and infinity in `x` are refused.

    Raises:
        InputError: no sample, not finite values, targets given twice, or nothing of the kinds
            above.
    """
    if _is_a(x, "DataLoader", "torch.utils.data"):
        taken = keras.tree.map_structure(np.asarray, _as_tuple(next(iter(x), None)))
    elif _is_a(x, "DatasetV2", "tensorflow.python.data"):
        taken = _of_tensorflow(x)
    else:
        taken = _first(x)
    if taken is not None:
        if y is not None or sample_weight is not None:
            raise InputError(
                "Targets and weights come with the batches of a dataset. Received: `y` or "
                f"`sample_weight` next to x of type {type(x).__name__}; leave them out, or give x "
                "as arrays."
            )
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(_as_tuple(taken))
    inputs, targets = _tensors(x, "x"), _tensors(y, "y")
    weights = _tensors(sample_weight, "sample_weight")
    _check(inputs, finite)
    if taken is None:  # of batches of a dataset `fit` does not ask it
        samples = next(t for t in keras.tree.flatten(inputs) if t is not None).shape[0]
        _check_entries(targets, samples, "y")
        _check_entries(weights, samples, "sample_weight")
        if samples > SAMPLES:
            inputs, targets, weights = _mixed((inputs, targets, weights), samples)
    if class_weight is not None:
        weights = _by_class(targets, weights, class_weight)
    return Batch(inputs, targets, weights)


def arranged(model: keras.Model, x: Any) -> Any:
    """Returns inputs by name in the structure that the model was made with, as `fit` does.

    A dict is flattened in the order of its names, the model's inputs are in their own.

    Raises:
        InputError: an input that is not optional has no array.
    """
    inputs = getattr(model, "inputs", None)
    if not isinstance(x, Mapping) or not inputs:
        return x
    structure = inputs[0] if isinstance(model, keras.Sequential) else model.input
    names = list(structure) if isinstance(structure, Mapping) else [t.name for t in inputs]
    missing = [name for name in names if name not in x]
    if missing and not any(getattr(layer, "optional", False) for layer in model.layers):
        raise InputError(
            f"`x` must have an array for each input of the model: {', '.join(names)}. "
            f"Received: {', '.join(map(str, x)) or 'none'}"
        )
    if missing or isinstance(structure, Mapping):
        return x
    return keras.tree.pack_sequence_as(structure, [x[name] for name in names])


@functools.singledispatch
def _first(x: Any) -> Any:
    """Returns the first batch of a dataset; None where `x` is arrays."""
    return None


@_first.register
def _(x: keras.utils.PyDataset) -> Any:
    return x[0]


@_first.register
def _(x: types.GeneratorType) -> Any:  # type: ignore[type-arg]
    raise InputTypeError(
        "A generator loses the batch that is taken from it: give that batch itself, as in "
        "`diagnose(model, *next(batches))`. Received: x of type generator"
    )


def _is_a(x: Any, name: str, module: str) -> bool:
    """Returns whether a value is of a class, whose package need not be loaded for that."""
    return any(
        base.__name__ == name and base.__module__.startswith(module) for base in type(x).__mro__
    )


def _of_tensorflow(x: Any) -> Any:
    taken = next(iter(x.take(1)), None)
    if taken is None:
        raise InputError("`x` must hold at least one sample. Received: an empty dataset")
    if keras.backend.backend() == "tensorflow":
        return taken
    return keras.tree.map_structure(lambda t: None if t is None else t.numpy(), taken)


def _as_tuple(batch: Any) -> Any:
    # torch collates a pair to a list, which `fit` takes for a pair as well
    return tuple(batch) if isinstance(batch, list) else batch


def _tensors(arrays: Any, name: str) -> Any:
    """Returns a structure of arrays, given as an argument of that name, as one of tensors."""
    return keras.tree.map_structure(functools.partial(_tensor, name=name), arrays)


def _tensor(array: Any, name: str) -> Any:
    if array is None:
        return None
    if isinstance(array, np.ndarray) and array.dtype.kind in "OU":
        return _text(array, name)
    try:
        tensor = ops.convert_to_tensor(array)
    except (TypeError, ValueError) as error:
        raise InputTypeError(
            f"`{name}` must be arrays, or lists and dicts of arrays. "
            f"Received: {type(array).__name__}, which is no tensor: {error}"
        ) from error
    if backend.is_tensor(tensor) and backend.is_floating(tensor):
        return ops.cast(tensor, keras.config.floatx())
    return tensor


def _text(array: np.ndarray, name: str) -> Any:
    try:
        return backend.text(array)
    except (TypeError, ValueError) as error:
        raise InputTypeError(
            f"Arrays of `{name}` must hold numbers or strings, all of one length. "
            f"Received: an array of dtype object and shape {array.shape}: {error}"
        ) from error


def _check(inputs: Any, finite: bool) -> None:
    flat = [t for t in keras.tree.flatten(inputs) if t is not None]
    shapes = [tuple(t.shape) for t in flat]
    if not flat or any(not shape or shape[0] == 0 for shape in shapes):
        raise InputError(
            "`x` must hold at least one sample, its first axis being the batch. "
            f"Received: shapes {shapes}"
        )
    for tensor in flat:
        real = backend.is_tensor(tensor) and backend.is_floating(tensor)
        if finite and real and not np.isfinite(ops.convert_to_numpy(tensor)).all():
            raise InputError(
                "`x` must be finite; NaN or infinity says nothing about the model. "
                f"Received: an input of shape {tuple(tensor.shape)} that is not"
            )


def _mixed(structure: Any, samples: int) -> Any:
    """Returns tensors in an order that any part of them stands for the whole."""
    flat = [t for t in keras.tree.flatten(structure) if t is not None]
    if not all(backend.is_tensor(t) for t in flat):  # ragged ones
        return structure
    order = np.random.default_rng(0).permutation(samples)
    return keras.tree.map_structure(
        lambda t: None if t is None else ops.take(t, order, axis=0), structure
    )


def _check_entries(given: Any, samples: int, name: str) -> None:
    """Refuses targets, or weights, that are not one for each sample."""
    if given is None:
        return
    flat = [t for t in keras.tree.flatten(given) if t is not None]
    shapes = [tuple(t.shape) for t in flat]
    if not flat or any(not shape or shape[0] != samples for shape in shapes):
        raise InputError(
            f"`{name}` must hold one entry for each of the {samples} samples, its first axis being "
            f"the batch. Received: {name} of shapes {shapes}"
        )


def _by_class(y: Any, sample_weight: Any, class_weight: Mapping[int, float]) -> Any:
    """Returns a weight for each sample, by its class, as `fit` reads `class_weight`."""
    if y is None or keras.tree.is_nested(y) or sample_weight is not None:
        raise InputError(
            "`class_weight` needs one array of classes `y`, and no `sample_weight` next to it. "
            f"Received: class_weight={class_weight!r}"
        )
    _checks.instance("class_weight", class_weight, Mapping, "a dict from classes to factors")
    labels = ops.convert_to_numpy(y)
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(axis=-1)
    classes = np.round(labels).astype(np.int64)
    factors = [class_weight.get(int(label), 1.0) for label in classes.ravel()]
    return ops.convert_to_tensor(np.array(factors, keras.config.floatx()).reshape(classes.shape))
