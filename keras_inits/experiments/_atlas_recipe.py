"""The nets of the atlas, their starts, and the images that they are trained on."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from keras_inits._compare import Start
from keras_inits._compare.data import TrainingData
from keras_inits._starts import calibrate
from keras_inits.datasets import ImageDataset

TITLE = "Which start for which net"
CLASSES = 10
BATCH = 32
TESTED = 2000  # test images: a standard error of 1 % and less
SIDE = 14  # images are averaged over squares to this many a side
UNITS, CHANNELS, STATE, MODEL_DIM, HEADS = 48, 8, 48, 32, 4
CONVOLUTIONS, BLOCKS, TRANSFORMER_BLOCKS = 8, 4, 2
PATCHES = 4  # a side
# Of the moving statistics, which in a few hundred steps do not arrive with Keras's 0.99.
MOMENTUM = 0.9
# Of each optimizer, the rate that its net would be given first.
RATES: Mapping[str, float] = {"sgd": 0.05, "adam": 0.002}
# What every net is started from; its recipes come on top.
STARTS: Mapping[str, Any] = {
    "keras": "own",
    "he": "initkit_he",
    "lecun": "initkit_lecun",
    "orthogonal": "initkit_orthogonal",
    "auto": "auto",
    "calibrate": Start(calibrate),  # draws orthogonal kernels, then scales them
}
START_TITLES: Mapping[str, str] = {
    "keras": "Keras's own",
    "he": "He",
    "lecun": "LeCun",
    "orthogonal": "orthogonal",
    "auto": '"auto"',
    "calibrate": "calibrate",
}
DEFAULT = "keras"


@dataclass(frozen=True)
class Net:
    """A kind of net.

    Attributes:
        title: for readers.
        build: returns it for images of a side and an activation, with logits for outputs.
        activations: that it is tried with.
        recipe: name of the recipe that was published for its kind; empty if there is none.
        work: how long a run takes, in a unit of its own.
    """

    title: str
    build: Callable[[int, str], keras.Model]
    activations: tuple[str, ...]
    recipe: str = ""
    work: int = 1

    def starts(self) -> dict[str, Any]:
        """Returns its starts by label."""
        own = {self.recipe: self.recipe} if self.recipe else {}
        return {**STARTS, **own}


def mlp(depth: int, side: int, activation: str) -> keras.Model:
    """Returns Dense layers of one width.

    Args:
        depth: hidden layers.
        side: of the images.
        activation: of each hidden layer.
    """
    hidden = [layers.Dense(UNITS, activation, name=f"hidden_{i}") for i in range(1, depth + 1)]
    head = layers.Dense(CLASSES, name="head")
    return keras.Sequential([keras.Input((side**2,)), *hidden, head])


def cnn(normalized: bool, side: int, activation: str) -> keras.Model:
    """Returns a stack of 3 x 3 convolutions, the first of which halves the sides."""
    inputs = keras.Input((side**2,))
    x = layers.Reshape((side, side, 1))(inputs)
    for number in range(CONVOLUTIONS):
        x = _convolution(x, normalized, strides=1 if number else 2)
        x = layers.Activation(activation)(x)
    return keras.Model(inputs, _pooled_head(x))


def resnet(normalized: bool, side: int, activation: str) -> keras.Model:
    """Returns residual blocks of two 3 x 3 convolutions, activated after each sum."""
    inputs = keras.Input((side**2,))
    x = layers.Reshape((side, side, 1))(inputs)
    x = layers.Activation(activation)(_convolution(x, normalized, strides=2))
    for _ in range(BLOCKS):
        branch = layers.Activation(activation)(_convolution(x, normalized))
        x = layers.Activation(activation)(layers.Add()([x, _convolution(branch, normalized)]))
    return keras.Model(inputs, _pooled_head(x))


def _convolution(x: Any, normalized: bool, strides: int = 1) -> Any:
    x = layers.Conv2D(CHANNELS, 3, strides, "same", use_bias=not normalized)(x)
    return layers.BatchNormalization(momentum=MOMENTUM)(x) if normalized else x


def _pooled_head(x: Any) -> Any:
    return layers.Dense(CLASSES, name="head")(layers.GlobalAveragePooling2D()(x))


def rnn(side: int, activation: str) -> keras.Model:
    """Returns a SimpleRNN that reads an image row by row."""
    return _recurrent(side, layers.SimpleRNN(STATE, activation, unroll=True))


def lstm(side: int, activation: str) -> keras.Model:
    """Returns an LSTM that reads an image row by row."""
    return _recurrent(side, layers.LSTM(STATE, activation, unroll=True))


def _recurrent(side: int, layer: keras.Layer) -> keras.Model:
    stack = [layers.Reshape((side, side)), layer, layers.Dense(CLASSES, name="head")]
    return keras.Sequential([keras.Input((side**2,)), *stack])


def transformer(side: int, activation: str) -> keras.Model:
    """Returns a vision transformer of `PATCHES` by `PATCHES` patches, normalized before branches.

    The head reads all tokens side by side, so that it knows their places.
    """
    inputs = keras.Input((side**2,))
    size = side // PATCHES  # what is left at the edges is black in MNIST
    patches = layers.Conv2D(MODEL_DIM, size, size, name="patches")
    x = patches(layers.Reshape((side, side, 1))(inputs))
    x = layers.Reshape((PATCHES**2, MODEL_DIM))(x)
    for _ in range(TRANSFORMER_BLOCKS):
        normed = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(HEADS, MODEL_DIM // HEADS)(normed, normed)
        normed = layers.LayerNormalization()(x)
        x = x + layers.Dense(MODEL_DIM)(layers.Dense(2 * MODEL_DIM, activation)(normed))
    x = layers.Flatten()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(CLASSES, name="head")(x))


NETS: Mapping[str, Net] = {
    **{
        f"mlp-{depth}": Net(
            f"MLP of {depth} hidden layers of {UNITS} units",
            functools.partial(mlp, depth),
            ("relu", "tanh", "gelu"),
            work=3 + depth,
        )
        for depth in (3, 10, 30)
    },
    "cnn": Net(
        f"{CONVOLUTIONS} convolutions of {CHANNELS} channels",
        functools.partial(cnn, False),
        ("relu", "tanh"),
        work=60,
    ),
    "cnn-norm": Net(
        f"{CONVOLUTIONS} convolutions of {CHANNELS} channels with batch normalization",
        functools.partial(cnn, True),
        ("relu", "tanh"),
        work=80,
    ),
    "resnet": Net(
        f"{BLOCKS} residual blocks of two convolutions",
        functools.partial(resnet, False),
        ("relu", "tanh"),
        "fixup",
        70,
    ),
    "resnet-norm": Net(
        f"{BLOCKS} residual blocks of two convolutions with batch normalization",
        functools.partial(resnet, True),
        ("relu", "tanh"),
        "resnet",
        90,
    ),
    "rnn": Net(f"SimpleRNN of {STATE} units over rows", rnn, ("tanh", "relu"), "irnn", 12),
    "lstm": Net(f"LSTM of {STATE} units over rows", lstm, ("tanh",), work=25),
    "transformer": Net(
        f"{TRANSFORMER_BLOCKS} blocks of width {MODEL_DIM} over patches",
        transformer,
        ("relu", "gelu"),
        "vit",
        60,
    ),
}


def pooled(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns images averaged over squares to `SIDE` a side; those of another shape as they are.

    >>> pooled(np.ones((2, 784), "float32")).shape
    (2, 196)
    """
    side = round(images.shape[1] ** 0.5)
    if side % SIDE:
        return images
    squares = images.reshape(-1, SIDE, side // SIDE, SIDE, side // SIDE)
    return np.ascontiguousarray(squares.mean(axis=(2, 4)).reshape(-1, SIDE**2))


def training_data(images: ImageDataset, count: int) -> TrainingData:
    """Returns the first images, pooled, with mean 0 and deviation 1, and the first test images."""
    train, test = pooled(images.train_images[:count]), pooled(images.test_images[:TESTED])
    mean, deviation = train.mean(), train.std()
    return TrainingData(
        (train - mean) / deviation,
        images.train_labels[:count],
        {"test": ((test - mean) / deviation, images.test_labels[:TESTED])},
        images.description,
    )


def optimizer_of(name: str) -> keras.optimizers.Optimizer:
    """Returns an optimizer with its rate."""
    return keras.optimizers.get({"class_name": name, "config": {"learning_rate": RATES[name]}})
