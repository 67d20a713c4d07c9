"""Examples taken from data: arrays, structures of arrays, or an iterable of batches."""

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_inits import _checks
from keras_inits._errors import InputError, InputTypeError

_INFINITE = -1  # tf.data.INFINITE_CARDINALITY


def first_examples(x: Any, count: int) -> Any:
    """Returns the first examples of `x`, in the structure that a model takes them in.

    Args:
        x: arrays or tensors, a dict or list of them, or an iterable of batches such as a
            `tf.data.Dataset` or a `keras.utils.PyDataset`; of batches that are tuples, as `fit`
            takes them, the first entry. Batches are joined until there are `count` examples.
        count: at most how many.

    Returns:
        Arrays with up to `count` examples along their first axis.

    Raises:
        InputError: no example, or arrays with different numbers of them.
        InputTypeError: something that is no data.

    >>> first_examples([np.zeros((5, 2)), np.zeros((5, 3))], 4)[1].shape
    (4, 3)
    """
    count = _checks.integer("examples", count, minimum=1)
    if x is None:
        raise InputTypeError("`x` must be data: arrays or batches. Received: x=None")
    if _is_structure_of_arrays(x):
        checked = _checked(x)
        return keras.tree.map_structure(lambda leaf: _array(leaf[:count]), checked)
    return _joined(_batches(x), count)


def finite(batch: Any) -> Any:
    """Returns what `first_examples` returned, if all of its numbers are finite.

    Raises:
        InputError: NaN or infinities.
    """
    for leaf in keras.tree.flatten(batch):
        if leaf.dtype.kind == "f" and not np.isfinite(leaf).all():
            wrong = int((~np.isfinite(leaf)).sum())
            raise InputError(
                f"`x` must hold finite numbers. Received: x of shape {leaf.shape} with "
                f"{wrong} that are NaN or infinite"
            )
    return batch


def check_taken(model: Any, batch: Any) -> None:
    """Runs `model` on one example, to see whether it takes data like these.

    Args:
        model: a built model or layer.
        batch: what `first_examples` returned.

    Raises:
        InputError: the model does not run on it.
    """
    try:
        model(keras.tree.map_structure(lambda leaf: leaf[:1], batch))
    except Exception as error:  # those of TensorFlow have no base of Python's
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in keras.tree.flatten(batch))
        raise InputError(
            f"The model {model.name!r} does not take `x`: {_reason(error)} "
            f"Received: x of shapes {shapes}"
        ) from error


def _reason(error: Exception) -> str:
    """Returns the line of an error of Keras's that says what is wrong."""
    lines = re.sub(r"\x1b\[\d*m", "", str(error)).splitlines()
    wrapped = "Exception encountered when calling"
    return next((each for each in lines if each and not each.startswith(wrapped)), "") or repr(
        error
    )


def _is_structure_of_arrays(x: Any) -> bool:
    if isinstance(x, Mapping | list | tuple):
        return all(
            _is_structure_of_arrays(each) for each in (x.values() if isinstance(x, Mapping) else x)
        )
    return hasattr(x, "shape") and (hasattr(x, "dtype") or _is_frame(x))


def _is_frame(x: Any) -> bool:
    """Returns whether something is a table of pandas's, each of whose columns has its own dtype."""
    return hasattr(x, "iloc") and hasattr(x, "to_numpy")


def _checked(x: Any) -> Any:
    leaves = keras.tree.flatten(x)
    lengths = {leaf.shape[0] if len(leaf.shape) else -1 for leaf in leaves}
    if len(lengths) != 1 or lengths & {0, -1}:
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in leaves) or "nothing"
        raise InputError(
            f"`x` must hold examples along the first axis, the same number, at least 1, in "
            f"each array. Received: x of shapes {shapes}"
        )
    return x


def _batches(x: Any) -> Iterable[Any]:
    if isinstance(x, str | bytes) or not (hasattr(x, "__iter__") or hasattr(x, "__getitem__")):
        raise InputTypeError(
            f"`x` must be arrays, a dict or list of them, or an iterable of batches. "
            f"Received: x of type {type(x).__name__}"
        )
    for item in batches_in(x):
        batch = item[0] if isinstance(item, tuple) and item else item
        if not _is_structure_of_arrays(batch):
            raise InputTypeError(
                f"`x` must yield batches of arrays. Received: x with a batch of type "
                f"{type(batch).__name__}"
            )
        yield keras.tree.map_structure(_array, batch)


def batches_in(x: Iterable[Any]) -> Iterable[Any]:
    """Yields the batches of a dataset, those of `fit` as tuples."""
    # A PyDataset has a length and items, and its iteration does not end.
    if isinstance(x, keras.utils.PyDataset):
        yield from (x[i] for i in range(len(x)))
    elif any(base.__module__.startswith("torch.utils.data") for base in type(x).__mro__):
        # What a torch Dataset gives as a tuple, its DataLoader gives as a list.
        yield from (tuple(each) if isinstance(each, list) else each for each in x)
    else:
        yield from x


def finite_number_of(x: Any, *, name: str = "x") -> Any:
    """Returns data of which all is to be taken, if it is known to end or nothing is known.

    Raises:
        InputError: a dataset that repeats without an end.
    """
    endless = isinstance(x, keras.utils.PyDataset) and x.num_batches is None
    if callable(getattr(x, "cardinality", None)):
        endless = int(x.cardinality()) == _INFINITE
    if endless:
        raise InputError(
            f"`{name}` must end: all of it is taken. Received: {name} of type {type(x).__name__} "
            "that repeats without an end; leave out `.repeat()`, or give `.take(n)` of it"
        )
    return x


def _joined(batches: Iterable[Any], count: int) -> Any:
    taken: list[Any] = []
    found = 0
    for batch in batches:
        found += len(keras.tree.flatten(_checked(batch))[0])
        taken.append(batch)
        if found >= count:
            break
    if not taken:
        raise InputError("`x` must hold at least one batch. Received: x without any")
    return keras.tree.map_structure(
        lambda *leaves: np.concatenate(list(itertools.chain(leaves)))[:count], *taken
    )


def _array(leaf: Any) -> Any:
    if _is_frame(leaf):
        leaf = leaf.to_numpy()
    return leaf if isinstance(leaf, np.ndarray) else keras.ops.convert_to_numpy(leaf)
