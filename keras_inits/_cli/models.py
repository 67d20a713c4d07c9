"""Classic classifiers by name, for the command line, benchmarks and tests."""

from collections.abc import Callable
from typing import Literal

import keras

from keras_inits._checks import choice
from keras_inits._errors import InputError

Name = Literal["softmax", "mlp", "mlp20", "lenet5", "lsuv_conv"]
Shape = tuple[int, ...]


def builder(name: Name, input_shape: Shape, classes: int) -> Callable[[], keras.Model]:
    """Returns a function that makes the model; its outputs are logits.

    Args:
        name: `"softmax"`, `"mlp"` (two hidden layers of 128 ReLU units), `"mlp20"` (20 of 100),
            `"lenet5"` or `"lsuv_conv"` (the convolution net of fastai's lesson on LSUV).
        input_shape: of one sample: `(pixels,)`, or `(height, width, channels)` for the last two.
        classes: number of outputs.

    Raises:
        InputError: a name that does not exist, or an input that does not suit the model.

    >>> builder("softmax", (784,), 10)().count_params()
    7850
    """
    choice("model", name, MODELS)
    if needs_images(name) and (len(input_shape) != 3 or min(input_shape[:2]) < 28):
        raise InputError(
            f"{name!r} needs images of at least 28 x 28 with a channel axis. "
            f"Received: samples of shape {input_shape}"
        )

    def build() -> keras.Model:
        return keras.Sequential(
            [keras.Input(input_shape), *MODELS[name](), keras.layers.Dense(classes)]
        )

    return build


def needs_images(name: Name) -> bool:
    """Returns whether a model takes `(height, width, channels)` rather than flat pixels."""
    return name in ("lenet5", "lsuv_conv")


def _mlp(depth: int, units: int) -> list[keras.layers.Layer]:
    return [keras.layers.Dense(units, "relu") for _ in range(depth)]


def _lenet5() -> list[keras.layers.Layer]:
    # LeCun et al. 1998, fig. 2, with the average pooling and tanh of its common rewritings.
    # https://doi.org/10.1109/5.726791
    return [
        keras.layers.Conv2D(6, 5, padding="same", activation="tanh"),
        keras.layers.AveragePooling2D(2),
        keras.layers.Conv2D(16, 5, activation="tanh"),
        keras.layers.AveragePooling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(120, "tanh"),
        keras.layers.Dense(84, "tanh"),
    ]


def _lsuv_conv() -> list[keras.layers.Layer]:
    # fastai, course v3 part 2, notebook 07a_lsuv: filters 8 to 64, the first 5 x 5.
    # https://github.com/fastai/course-v3/blob/master/nbs/dl2/07a_lsuv.ipynb
    filters = {8: 5, 16: 3, 32: 3, 64: 3}
    convolutions = [
        keras.layers.Conv2D(count, size, strides=2, padding="same", activation="relu")
        for count, size in [*filters.items(), (64, 3)]
    ]
    return [*convolutions, keras.layers.GlobalAveragePooling2D()]


MODELS: dict[str, Callable[[], list[keras.layers.Layer]]] = {
    "softmax": list,
    "mlp": lambda: _mlp(2, 128),
    "mlp20": lambda: _mlp(20, 100),
    "lenet5": _lenet5,
    "lsuv_conv": _lsuv_conv,
}
