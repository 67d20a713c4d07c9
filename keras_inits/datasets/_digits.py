"""scikit-learn's embedded digits: what is left where MNIST cannot be had."""

import numpy as np

from keras_inits.datasets._image_dataset import DataError, ImageDataset

_TRAIN = 1_500  # 15 batches of the 100 that the articles' recipes use; 297 of the 1,797 remain
_MAXIMUM = np.float32(16)  # of a pixel: each counts the set pixels in a block of 4 x 4


def load() -> ImageDataset:
    """1,797 digits of 8 x 8 pixels in the file's order: 1,500 to train, 297 to test.

    With so few no validation images are set aside: those arrays have length 0.

    Raises:
        DataError: scikit-learn is not installed.

    Reference:
        Kaynak and Alpaydin, "Optical Recognition of Handwritten Digits", 1998:
        https://archive.ics.uci.edu/dataset/80
    """
    try:
        # Here, not above: an optional dependency that takes a second to load.
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            f"scikit-learn cannot be imported ({error}). "
            'Install it: pip install "keras-inits[experiments]"'
        ) from error
    values, classes = load_digits(return_X_y=True)
    images = values.astype(np.float32) / _MAXIMUM
    labels = classes.astype(np.int32)
    return ImageDataset(
        name="digits",
        source="digits",
        description=(
            f"scikit-learn's digits, 8 x 8 pixels, NOT MNIST and not comparable to the article: "
            f"{_TRAIN:,} training, 0 validation, {len(images) - _TRAIN:,} test images"
        ),
        train_images=images[:_TRAIN],
        train_labels=labels[:_TRAIN],
        validation_images=images[:0],
        validation_labels=labels[:0],
        test_images=images[_TRAIN:],
        test_labels=labels[_TRAIN:],
    )
