"""The schemes that layers keep as their initializers after `initialize`."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_inits._errors import InputError
from keras_inits._initialize.step import Step
from keras_inits._layers.ownership import initializer_attribute
from keras_inits._schemes import ChronoInit, GeometricInit
from keras_inits._schemes.geometric import with_seed

_ByAttribute = dict[tuple[int, str], tuple[keras.layers.Layer, list[keras.Initializer]]]


def kept_schemes(
    steps: Sequence[Step],
) -> list[tuple[keras.layers.Layer, str, Any]]:
    """Returns layers, attributes and the schemes to keep in them, unseeded.

    An attribute that serves several weights is kept only if all of them were given one scheme.
    """
    own: _ByAttribute = {}
    around: _ByAttribute = {}
    # Vectors without an initializer of their own may be drawn by that of the kernels around them:
    # those of RWKV7 in Keras Hub are.
    vectors: dict[int, set[tuple[int, ...]]] = {}
    for step in steps:
        layer, name = step.owned.layer, step.owned.weight.name
        shape = tuple(step.owned.weight.shape)
        if len(shape) == 1 and not initializer_attribute(layer, name):
            for holder in (layer, *step.owned.parents):
                vectors.setdefault(id(holder), set()).add(shape)
        if not step.kept:
            continue
        if attribute := initializer_attribute(layer, name):
            scheme = GeometricInit.in_geometry(step.initializer, step.geometry)
            own.setdefault((id(layer), attribute), (layer, []))[1].append(scheme)
        # Attention layers and the like make sublayers from an initializer of their own.
        for parent in step.owned.parents:
            if attribute := initializer_attribute(parent, name):
                around.setdefault((id(parent), attribute), (parent, []))[1].append(step.initializer)
    kept: list[tuple[keras.layers.Layer, str, Any]] = [
        # An instance for each layer: instances that are shared would draw equal weights.
        (layer, attribute, with_seed(schemes[0], None))
        for (_, attribute), (layer, schemes) in {**around, **own}.items()
        if all(scheme == schemes[0] for scheme in schemes[1:])
        and _is_settable(layer, attribute)
        and all(_fills(schemes[0], shape) for shape in vectors.get(id(layer), ()))
    ]
    # Else Keras would make the bias of pieces, each of which the scheme would take for a whole one.
    return [
        *kept,
        *(
            (layer, "unit_forget_bias", False)
            for layer, attribute, scheme in kept
            if isinstance(scheme, ChronoInit) and getattr(layer, "unit_forget_bias", False)
        ),
    ]


def _is_settable(layer: keras.layers.Layer, attribute: str) -> bool:
    # Recurrent layers show the initializers of their cell, which has its own entry. A layer that
    # keeps the plain name that it was given passes it on in its configuration as it is: it does
    # not serialize an instance.
    is_property = isinstance(getattr(type(layer), attribute, None), property)
    return not is_property and not isinstance(getattr(layer, attribute), str | dict)


def _fills(scheme: Any, shape: tuple[int, ...]) -> bool:
    try:
        scheme(shape)
    except InputError:
        return False
    return True
