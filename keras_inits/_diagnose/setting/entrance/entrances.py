"""Where the data enter a model: what the values of each input meet first.

Read from the layers, and of subclassed models from the picture of a run on symbolic tensors.
"""

import functools
from collections.abc import Sequence
from typing import Any, Literal

import keras

from keras_inits._diagnose.setting.end.ends import name_of
from keras_inits._diagnose.setting.reading import drawn, hands_on, shapes, tensors_of
from keras_inits._keras_internals import of_keras
from keras_inits._wiring import Wiring

Entrance = Literal["kernel", "normalized", "by sample", "lookup", "masked", "unknown"]
Meeting = tuple[Any, list[Any]]  # an operation, and what takes its output

L = keras.layers
# They hand on the values they are given, some of them elsewhere; dropout and noise in scale.
_PASSING = (
    L.InputLayer,
    L.Reshape,
    L.Flatten,
    L.Permute,
    L.RepeatVector,
    L.Identity,
    L.Dropout,
    L.GaussianNoise,
    L.Cropping1D,
    L.Cropping2D,
    L.Cropping3D,
    L.ZeroPadding1D,
    L.ZeroPadding2D,
    L.ZeroPadding3D,
    L.Concatenate,
    L.RandomFlip,
    L.RandomRotation,
    L.RandomTranslation,
    L.RandomZoom,
    L.RandomCrop,
    L.Resizing,
    L.ActivityRegularization,
    L.UpSampling1D,
    L.UpSampling2D,
    L.UpSampling3D,
    L.MaxPooling1D,
    L.MaxPooling2D,
    L.MaxPooling3D,
    L.AveragePooling1D,
    L.AveragePooling2D,
    L.AveragePooling3D,
)
_BY_SAMPLE = (
    L.LayerNormalization,
    L.GroupNormalization,
    L.RMSNormalization,
    L.UnitNormalization,
)
_BY_FEATURE = (L.Rescaling, L.Normalization, L.BatchNormalization)
_NORMALIZING = (*_BY_FEATURE, *_BY_SAMPLE)
_LOOKUPS = (
    L.Embedding,
    L.CategoryEncoding,
    L.Hashing,
    L.IntegerLookup,
    L.StringLookup,
    L.Discretization,
    L.TextVectorization,
)


@functools.singledispatch
def _kind(operation: Any) -> Entrance:
    kernel = isinstance(operation, keras.Layer) and of_keras(operation)
    return "kernel" if kernel and any(len(w.shape) > 1 for w in operation.weights) else "unknown"


for _type in _BY_FEATURE:
    _kind.register(_type, lambda operation: "normalized")
for _type in _BY_SAMPLE:
    _kind.register(_type, lambda operation: "by sample")
for _type in _LOOKUPS:
    _kind.register(_type, lambda operation: "lookup")
_kind.register(L.Masking, lambda operation: "masked")
_kind.register(L.TimeDistributed, lambda operation: _kind(operation.layer))
_kind.register(L.Bidirectional, lambda operation: _kind(operation.forward_layer))


def embeddings(meetings: Sequence[Meeting]) -> list[keras.layers.Embedding]:
    """Returns the embeddings among what an input meets."""
    return [operation for operation, _ in meetings if isinstance(operation, L.Embedding)]


def first_met(
    model: keras.Model, number: int, x: Any = None, passed: Sequence[Any] = ()
) -> list[list[Meeting]]:
    """Returns, for each input, the operations that its values meet, and what follows these.

    Args:
        model: built.
        number: of inputs.
        x: a batch; without it subclassed models are not read.
        passed: layers to look behind.
    """
    if isinstance(model, keras.Sequential):
        return [_in_row(model.layers, x, passed)] * number
    inputs = tensors_of(model, "inputs")
    if hasattr(model, "operations") and len(inputs) == number:
        return [_from(model, tensor, x, passed) for tensor in inputs]
    picture = None if x is None else drawn(model, x)
    if picture is None or len(picture.inputs) != number:
        return [[] for _ in range(number)]
    return [_in_picture(picture, -1 - place, passed) for place in range(number)]


def _passes(operation: Any, passed: Sequence[Any]) -> bool:
    known = isinstance(operation, _PASSING) or any(operation is layer for layer in passed)
    if known or shapes(operation):
        return True
    return _kind(operation) == "unknown" and hands_on(operation)


def kinds(meetings: Sequence[Meeting]) -> set[Entrance]:
    """Returns what the values of an input meet first.

    `"kernel"` is a layer of Keras's with a kernel, `"normalized"` one that sets scales, and
    `"by sample"` one that sets that of each sample over its features; `"lookup"` takes the values
    as names of things, and `"unknown"` is all else.
    """
    found: set[Entrance] = set()
    for operation, following in meetings:
        kind = _kind(operation)
        found.add(kind)
        # A kernel without an activation, and a normalization right after it: what it is given
        # may have any scale.
        linear = kind == "kernel" and name_of(operation) == "linear"
        if linear and following and all(isinstance(each, _NORMALIZING) for each in following):
            found.add("normalized")
    return found or {"unknown"}


def _in_row(layers: Sequence[Any], x: Any, passed: Sequence[Any]) -> list[Meeting]:
    for index, layer in enumerate(layers):
        if isinstance(layer, keras.Model):
            return first_met(layer, 1, x, passed)[0]
        if not _passes(layer, passed):
            return [(layer, list(layers[index + 1 : index + 2]))]
    return []


def _from(model: Any, tensor: Any, x: Any, passed: Sequence[Any]) -> list[Meeting]:
    found: list[Meeting] = []
    for operation in model.operations:
        given = tensors_of(operation, "input")
        if isinstance(operation, L.InputLayer) or not any(t is tensor for t in given):
            continue
        made = tensors_of(operation, "output")
        if isinstance(operation, keras.Model):
            place = next(i for i, t in enumerate(given) if t is tensor)
            found += first_met(operation, len(given), None, passed)[place]
        elif _passes(operation, passed):
            for output in made:
                found += _from(model, output, x, passed)
        else:
            after = [
                op
                for op in model.operations
                if any(t is o for t in tensors_of(op, "input") for o in made)
            ]
            found.append((operation, after))
    return found


def _in_picture(picture: Wiring, source: int, passed: Sequence[Any]) -> list[Meeting]:
    found: list[Meeting] = []
    # By all sources: no gradient goes from an embedding to the numbers that it looks up.
    takers = [call.index for call in picture.calls if source in call.sources]
    for index in takers:
        subject = picture.subjects[index]
        if _passes(subject, passed):
            found += _in_picture(picture, index, passed)
        else:
            after = [picture.subjects[i] for i in picture.graph.consumers.get(index, ())]
            found.append((subject, after))
    return found
