"""Input for a model that comes without data: like photographs, like text, or standard normal."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._errors import InputError

# Where a model leaves a length open (text, sound, images of any size).
_OPEN_LENGTH = 64
# Channels of an image: grey, colour, colour with transparency.
_CONTRAST = 58.0  # standard deviation of ImageNet's pixels: 0.228 of 255
_CHANNELS = (1, 3, 4)
_SMALLEST_IMAGE = 8  # pixels on each side; below it a spectrum means nothing


@dataclass(frozen=True)
class StandardInput:
    """A batch that a model accepts.

    Attributes:
        x: an array, or the structure of arrays that the model takes.
        description: what the values are like.
    """

    x: Any
    description: str


def standard_input(model: keras.Model, batch: int = 32, seed: int = 0) -> Any:
    """Returns a batch that `model` accepts, as alike to data as its shapes allow.

    Images have the 1/f amplitude spectrum of photographs (Field 1987,
    https://doi.org/10.1364/JOSAA.4.002379), and mean 0 and standard deviation 1 over the batch;
    tokens follow Zipf's law, p(rank) ~ 1/rank, over the vocabulary of the model's embeddings; all
    else is N(0, 1).

    Args:
        model: a Keras model that knows its inputs.
        batch: how many samples.
        seed: of the values.

    Returns:
        An array, or the structure of arrays that the model takes; axes left open have 64 entries,
        or as many as the model's position embeddings know.

    Raises:
        InputError: a model that does not know its inputs, as a subclassed one does not, or that
            takes text.

    >>> standard_input(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])).shape
    (32, 3)
    """
    return draw_input(model, batch, seed).x


def draw_input(model: keras.Model, batch: int = 32, seed: int = 0) -> StandardInput:
    """Returns what `standard_input` does, with a description of it.

    >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])
    >>> draw_input(model).description
    'images with a 1/f spectrum'
    """
    inputs = getattr(model, "_inputs_struct", None)  # named inputs have no public structure
    if inputs is None:
        inputs = getattr(model, "inputs", None)
    if inputs is None or (isinstance(inputs, list) and not inputs):
        raise InputError(
            "This model does not say what it takes: give data. "
            f"Received: model {model.name!r} of type {type(model).__name__}"
        )
    rng = np.random.default_rng(seed)
    known, length = _vocabulary(model), _longest(model)
    kinds: list[str] = []

    def fill(tensor: Any) -> Any:
        shape = (batch, *(size or length for size in tensor.shape[1:]))
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if dtype == "string":
            raise InputError(
                f"This model takes text: give data. Received: model {model.name!r}, whose input "
                f"{tensor.name!r} holds strings"
            )
        if "int" in dtype or dtype == "bool":
            if "mask" in tensor.name:  # of Keras Hub's models: every token counts
                return np.ones(shape, dtype)
            if _is_of_segments(tensor.name):  # a sentence, and what follows it
                kinds.append("integers 0 and 1")
                return _tokens(rng, 2, shape).astype(dtype)
            kinds.append("tokens by Zipf's law" if known else "integers 0 and 1")
            return _tokens(rng, known or 2, shape).astype(dtype)
        if known is not None and _feeds_embedding(model, tensor):
            kinds.append("tokens by Zipf's law")
            return _tokens(rng, known, shape).astype(dtype)
        if _is_image(shape):
            images = _images(rng, shape)
            if _takes_pixels(model):
                kinds.append("images with a 1/f spectrum, of pixels 0 to 255")
                return np.clip(127.5 + _CONTRAST * images, 0, 255).astype(dtype)
            kinds.append("images with a 1/f spectrum")
            return images.astype(dtype)
        kinds.append("standard normal values")
        return rng.standard_normal(shape).astype(dtype)

    arrays = keras.tree.map_structure(fill, inputs)
    x = arrays[0] if isinstance(arrays, list) and len(arrays) == 1 else arrays
    return StandardInput(x, " and ".join(dict.fromkeys(kinds)))


def _tokens(rng: np.random.Generator, vocabulary: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
    weights = 1 / np.arange(1, vocabulary + 1)
    return rng.choice(vocabulary, shape, p=weights / weights.sum())


def _is_image(shape: tuple[int, ...]) -> bool:
    """Returns whether `(batch, ...)` holds images, channels last or first."""
    if len(shape) != 4:
        return False
    last = shape[3] in _CHANNELS and min(shape[1:3]) >= _SMALLEST_IMAGE
    first = shape[1] in _CHANNELS and min(shape[2:]) >= _SMALLEST_IMAGE
    return last or first


def _takes_pixels(model: keras.Model) -> bool:
    """Returns whether a model scales pixels: it divides by 64 or more, or takes off a mean."""
    return any(map(_scales_pixels, _all(model)))


def _scales_pixels(layer: keras.Layer) -> bool:
    if isinstance(layer, keras.layers.Rescaling):
        return bool(np.max(layer.scale) <= 1 / 64)
    mean = getattr(layer, "input_mean", None)
    if not isinstance(layer, keras.layers.Normalization) or mean is None:
        return False
    return bool(np.mean(mean) > 10)


def _images(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Returns noise with the amplitude spectrum 1/f, of mean 0 and standard deviation 1."""
    axes = (1, 2) if shape[3] in _CHANNELS else (2, 3)
    height, width = (shape[axis] for axis in axes)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = 1 / max(height, width)  # the mean of an image varies as its largest waves do
    place = [1, 1, 1, 1]
    place[axes[0]], place[axes[1]] = height, width
    spectrum = np.fft.fft2(rng.standard_normal(shape), axes=axes) / frequency.reshape(place)
    images = np.real(np.fft.ifft2(spectrum, axes=axes))
    scaled: NDArray[np.float64] = (images - images.mean()) / images.std()
    return scaled


def _all(model: keras.Model) -> list[keras.Layer]:
    found, waiting = [], list(model.layers)
    while waiting:
        layer = waiting.pop()
        found.append(layer)
        waiting += [v for v in getattr(layer, "layers", ()) if isinstance(v, keras.layers.Layer)]
        # Keras Hub's embeddings of tokens and positions are layers inside a layer.
        waiting += [v for k, v in vars(layer).items() if k.endswith("_embedding") and _is_layer(v)]
    return found


def _is_layer(value: Any) -> bool:
    return isinstance(value, keras.layers.Layer)


def _vocabulary(model: keras.Model) -> int | None:
    """Returns the smallest number of entries that an embedding of tokens in `model` has."""
    embeddings = [e for e in _all(model) if isinstance(e, keras.layers.Embedding)]
    tokens = [e for e in embeddings if not ("position" in e.name or _is_of_segments(e.name))]
    named = [e for e in tokens if "token" in e.name or "word" in e.name]
    return min((layer.input_dim for layer in named or tokens or embeddings), default=None)


def _is_of_segments(name: str) -> bool:
    """Returns whether an input or embedding is of segments, as that of BERT for two sentences."""
    return any(word in name for word in ("segment", "token_type"))


def _longest(model: keras.Model) -> int:
    """Returns a length for open axes: no longer than what position embeddings know."""
    lengths = [getattr(layer, "sequence_length", None) for layer in _all(model)]
    known = [n for n in lengths if isinstance(n, int)]
    return min([_OPEN_LENGTH, *known])


def _feeds_embedding(model: keras.Model, tensor: Any) -> bool:
    """Returns whether `tensor` goes straight into an embedding: then its floats are indices too."""
    embeddings = [e for e in _all(model) if isinstance(e, keras.layers.Embedding)]
    takers = [e for e in embeddings if getattr(e, "_inbound_nodes", None)]
    return any(tensor is taken for e in takers for taken in _inputs_of(e))


def _inputs_of(layer: keras.Layer) -> list[Any]:
    try:
        return list(keras.tree.flatten(layer.input))
    except (AttributeError, ValueError):  # called more than once, or never by itself
        return []
