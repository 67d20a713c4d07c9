"""Normalizations: their scales and offsets start as the layer says, by default at 1 and 0."""

from typing import Any

from keras import layers

from keras_inits._layers.dispatch import Default, LeftAlone, Role, geometry, unknown


@geometry.register(layers.BatchNormalization)
@geometry.register(layers.LayerNormalization)
@geometry.register(layers.GroupNormalization)
def _normalization(layer: Any, weight: Any) -> Role:
    if weight.name in ("gamma", "beta", "moving_mean", "moving_variance"):
        return Default(getattr(layer, f"{weight.name}_initializer"))
    if weight.name in ("moving_stddev", "renorm_stddev"):
        # Standard deviations to the variance above; 1 is the root of Keras's default.
        return Default("ones")
    if weight.name == "renorm_mean":
        return Default(layer.moving_mean_initializer)
    return unknown(layer, weight)


@geometry.register(layers.RMSNormalization)
def _rms(layer: Any, weight: Any) -> Role:
    # RMSNormalization sets it to 1 and offers no argument for it.
    return Default("ones") if weight.name == "scale" else unknown(layer, weight)


@geometry.register(layers.Normalization)
def _adapted(layer: Any, weight: Any) -> Role:
    return LeftAlone("Normalization holds statistics of the data that it was adapted to")


@geometry.register(layers.SpectralNormalization)
def _spectral(layer: Any, weight: Any) -> Role:
    return LeftAlone("SpectralNormalization's power iteration fits it to any kernel by itself")
