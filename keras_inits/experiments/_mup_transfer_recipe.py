"""What the experiment on muP trains, and on what."""

import keras
import numpy as np
from numpy.typing import NDArray

TITLE = "One learning rate for every width"
PARAMETRIZATIONS = {"standard": "standard", "mup": "muP"}
CLASSES = 10
# Images are averaged over squares to this many a side. With 784 inputs the first kernel, whose rate
# is no matter of width, limits the rate of all but the widest nets.
SIDE = 7


def small(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns images averaged over squares, `(count, 49)`; those of another shape as they are."""
    side = round(images.shape[1] ** 0.5)
    if side % SIDE:
        return images
    squares = images.reshape(-1, SIDE, side // SIDE, SIDE, side // SIDE)
    return np.ascontiguousarray(squares.mean(axis=(2, 4)).reshape(-1, SIDE**2))


def build(pixels: int, width: int, layers: int) -> keras.Model:
    """Returns hidden layers of one width, ReLU, and a head of ten logits."""
    hidden = [
        keras.layers.Dense(width, "relu", name=f"hidden_{number}")
        for number in range(1, layers + 1)
    ]
    head = keras.layers.Dense(CLASSES, name="head")
    return keras.Sequential([keras.Input((pixels,)), *hidden, head], name=f"width_{width}")
