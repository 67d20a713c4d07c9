"""What stands behind the layer of a kernel, as far as the graph of layers shows it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from keras_inits._keras_internals import next_operations
from keras_inits._layers import OwnedWeight
from keras_inits._layers.activations import activation_after

_NORMALIZATIONS = (
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.RMSNormalization,
)
# What comes out of these has a unit for each unit that goes in, treated alike.
_KEEP_UNITS = (
    *_NORMALIZATIONS,
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ELU,
    layers.Softmax,
    layers.Identity,
    layers.ActivityRegularization,
    layers.Dropout,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.Masking,
    layers.Rescaling,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.Add,
    layers.Subtract,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    # A unit is laid out over places here, and still goes only where it goes.
    layers.Flatten,
    layers.Reshape,
    layers.Permute,
    layers.RepeatVector,
    layers.Concatenate,
    layers.Dot,
)


@dataclass(frozen=True)
class Surroundings:
    """What stands behind a layer.

    Attributes:
        alone: whether the layer was audited by itself, so that nothing is known of the rest.
        known: whether every way behind the layer is understood, to the next kernels.
        following: identities of the layers whose kernels meet its units first; none for a head.
        activation: what its units go through first; None for none.
        normalized: whether each way to the outputs passes a normalization.
    """

    alone: bool = False
    known: bool = False
    following: tuple[int, ...] = ()
    activation: Any = None
    normalized: bool = False

    @property
    def is_head(self) -> bool:
        """Whether the units are the outputs of the model: each has a target of its own."""
        return self.known and not self.following


def surroundings(model: Any, owned: OwnedWeight, with_kernels: Collection[int]) -> Surroundings:
    """Returns what stands behind the layer of a weight in `model`.

    Args:
        model: what is audited.
        owned: a kernel.
        with_kernels: identities of the layers that have kernels.
    """
    layer = owned.layer
    if not isinstance(model, keras.Model):
        # Of a composite layer (attention, a recurrent layer) this is a part: it is not alone.
        return Surroundings(alone=layer is model, activation=getattr(layer, "activation", None))
    top = {id(one) for one in getattr(model, "operations", ())}
    if id(layer) not in top:  # inside a nested model, a composite or a subclassed layer
        return Surroundings(activation=getattr(layer, "activation", None))
    found: list[int] = []
    known = _walk(layer, top, with_kernels, found, set())
    return Surroundings(
        known=known,
        following=tuple(found),
        activation=activation_after(layer),
        normalized=known and _is_normalized(layer, top, {}),
    )


def _walk(
    operation: Any, top: set[int], kernels: Collection[int], found: list[int], seen: set[int]
) -> bool:
    """Adds the layers of the next kernels to `found`; returns whether all ways are understood."""
    known = True
    for following in next_operations(operation):
        if id(following) in seen or id(following) not in top:
            continue  # the layer is part of other models too
        seen.add(id(following))
        if id(following) in kernels:
            found.append(id(following))
        elif isinstance(following, _KEEP_UNITS):
            known = _walk(following, top, kernels, found, seen) and known
        else:
            known = False
    return known


def _is_normalized(operation: Any, top: set[int], known: dict[int, bool]) -> bool:
    """Returns whether each way from `operation` to an output passes a normalization."""
    following = [one for one in next_operations(operation) if id(one) in top]
    for one in following:
        if id(one) not in known:
            known[id(one)] = isinstance(one, _NORMALIZATIONS) or _is_normalized(one, top, known)
    return bool(following) and all(known[id(one)] for one in following)
