"""Keras's own initializers that draw by the laws of ours."""

import functools
import math
from collections.abc import Collection
from typing import Any

import keras
from keras import initializers

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._schemes import (
    BalancedInit,
    BiasUniformInit,
    ConstantInit,
    CutNormalInit,
    GeometricInit,
    HadamardOrthogonalInit,
    IdentityInit,
    OnesInit,
    OrthogonalInit,
    RandomInit,
    SirenInit,
    SuoInit,
    TruncatedNormalInit,
    UniformInit,
    VarianceScalingInit,
    XavierInit,
    ZerosInit,
)
from keras_inits._schemes.base import Scheme
from keras_inits._schemes.sampling import TRUNCATED_STDDEV
from keras_inits._schemes.variance_scaling import Mode

_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = {"normal": "untruncated_normal"}  # what Keras calls it, where it differs
# Keras's names for the commonest laws: the same class arguments, and legible in a configuration.
_NAMED = (
    initializers.HeNormal,
    initializers.HeUniform,
    initializers.GlorotNormal,
    initializers.GlorotUniform,
    initializers.LecunNormal,
    initializers.LecunUniform,
)


class NoCounterpartError(Exception):
    """Keras has no initializer of that law: the message is the reason for the report."""


@functools.singledispatch
def keras_counterpart(scheme: Any, geometry: KernelGeometry | None) -> tuple[Any, str]:
    """Returns Keras's initializer of the same law, and what is to be said of it.

    Args:
        scheme: one of ours.
        geometry: that of the weight that it draws; None where that is not known. The law of the
            result is that of `scheme` in this geometry, whatever Keras reads off the shape.

    Raises:
        NoCounterpartError: there is none.

    >>> from keras_inits._schemes import HeInit
    >>> type(keras_counterpart(HeInit(distribution="truncated_normal"), None)[0]).__name__
    'HeNormal'
    """
    raise NoCounterpartError(f"Keras has no initializer that draws as {scheme!r}")


@keras_counterpart.register(VarianceScalingInit)
def _variance_scaling(
    scheme: VarianceScalingInit, geometry: KernelGeometry | None
) -> tuple[Any, str]:
    seed = _seed(scheme)
    if scheme.cut not in (None, 2.0):
        raise NoCounterpartError("Keras cuts at two standard deviations alone")
    if geometry is not None and not _reads_alike(scheme, geometry):
        return _of_stddev(scheme, geometry, seed)
    if scheme.has_axes:
        raise NoCounterpartError("Keras reads the axes off the shape")
    if scheme.mode not in _MODES:
        if geometry is None:
            raise NoCounterpartError(f"Keras has no mode {scheme.mode!r}")
        return _of_stddev(scheme, geometry, seed)
    made = initializers.VarianceScaling(
        scale=scheme.scale,
        mode=scheme.mode,
        distribution=_DISTRIBUTIONS.get(scheme.distribution, scheme.distribution),
        seed=seed,
    )
    for named in _NAMED:
        other = named(seed=seed)
        if (other.scale, other.mode, other.distribution) == (
            made.scale,
            made.mode,
            made.distribution,
        ):
            return other, ""
    return made, ""


def _of_stddev(scheme: VarianceScalingInit, geometry: KernelGeometry, seed: Any) -> tuple[Any, str]:
    """Returns the same law with its scale as a number, for weights of this shape alone."""
    stddev = scheme.expected_stddev(geometry)
    note = "its scale is a number: another shape would need another"
    if scheme.distribution == "uniform":
        bound = math.sqrt(3) * stddev
        return initializers.RandomUniform(-bound, bound, seed=seed), note
    if scheme.distribution == "truncated_normal":
        return initializers.TruncatedNormal(0.0, stddev / TRUNCATED_STDDEV, seed=seed), note
    return initializers.RandomNormal(0.0, stddev, seed=seed), note


@keras_counterpart.register(GeometricInit)
def _geometric(scheme: GeometricInit, geometry: KernelGeometry | None) -> tuple[Any, str]:
    if geometry is None:
        raise NoCounterpartError("its geometry is not in the shape, which Keras reads alone")
    inner = scheme.scheme
    if not isinstance(inner, Scheme):  # Keras's own, in a geometry that Keras does not know
        from_keras = scheme.expected_stddev(scheme.geometry(geometry.shape))
        raise NoCounterpartError(f"Keras has none of standard deviation {from_keras} here")
    return keras_counterpart(inner, scheme.geometry(geometry.shape))


@keras_counterpart.register(BalancedInit)
def _balanced(scheme: BalancedInit, geometry: KernelGeometry | None) -> tuple[Any, str]:
    if geometry is None:
        raise NoCounterpartError("its scale follows from the fan, which is not known here")
    made, note = _of_stddev(XavierInit(scheme.effective_gain), geometry, _seed(scheme))
    if scheme.positive:
        mean = scheme.effective_gain / max(1, geometry.matrix_shape[1])
        stddev = scheme.expected_stddev(geometry)
        made = initializers.RandomNormal(mean, stddev, seed=_seed(scheme))
    return made, f"of the same mean and variance, taps independent; {note}"


def orthogonal_among(
    scheme: OrthogonalInit, kernels: Collection[KernelGeometry]
) -> tuple[Any, str]:
    """Returns Keras's initializer for kernels of several shapes, and what is to be said of it.

    Keras's Orthogonal reads each matrix off the shape; that of an attention layer's kernel is not
    there. Only VarianceScaling is given the axes of those.

    Args:
        scheme: draws all of them.
        kernels: their geometries.

    Raises:
        NoCounterpartError: no fan gives each of them its scale.
    """
    modes: tuple[Mode, ...] = ("fan_in", "fan_out") if kernels else ()
    for mode in modes:
        first = next(iter(kernels))
        gain = scheme.expected_stddev(first) / VarianceScalingInit(mode=mode).expected_stddev(first)
        law = VarianceScalingInit(gain, mode=mode, seed=_seed(scheme))
        if all(
            math.isclose(law.expected_stddev(one), scheme.expected_stddev(one), rel_tol=1e-6)
            for one in kernels
        ):
            made, _ = _variance_scaling(law, None)
            return made, "of the same mean and variance, entries independent"
    raise NoCounterpartError("one initializer is for kernels of several shapes, which scale apart")


@keras_counterpart.register(OrthogonalInit)
def _orthogonal(scheme: OrthogonalInit, geometry: KernelGeometry | None) -> tuple[Any, str]:
    if geometry is None:
        return orthogonal_among(scheme, ())
    alike = _reads_alike(scheme, geometry)
    if not alike and isinstance(scheme, SuoInit | HadamardOrthogonalInit):
        # What `initialize(model, "auto")` leaves in attention, gates, groups.
        made = initializers.RandomNormal(0.0, scheme.expected_stddev(geometry), seed=_seed(scheme))
        return made, (
            "of the same mean and variance, entries independent; its scale is a number: another "
            "shape would need another"
        )
    if scheme.has_axes or not alike:
        raise NoCounterpartError("Keras's Orthogonal reads one matrix off the shape")
    if type(scheme).gain_in is not OrthogonalInit.gain_in:
        gain, note = scheme.gain_in(geometry), "its gain is that of this shape alone"
    else:
        gain, note = scheme.effective_gain, ""
    if isinstance(scheme, HadamardOrthogonalInit):
        note = f"{note}; Haar-uniform".removeprefix("; ")
    return initializers.Orthogonal(gain=gain, seed=_seed(scheme)), note


@keras_counterpart.register(ZerosInit)
def _zeros(scheme: Any, geometry: KernelGeometry | None) -> tuple[Any, str]:
    return initializers.Zeros(), ""


@keras_counterpart.register(OnesInit)
def _ones(scheme: Any, geometry: KernelGeometry | None) -> tuple[Any, str]:
    return initializers.Ones(), ""


@keras_counterpart.register(ConstantInit)
def _constant(scheme: ConstantInit, geometry: KernelGeometry | None) -> tuple[Any, str]:
    return initializers.Constant(scheme.value), ""


@keras_counterpart.register(IdentityInit)
def _identity(scheme: IdentityInit, geometry: KernelGeometry | None) -> tuple[Any, str]:
    if geometry is None or len(geometry.shape) != 2 or geometry.blocks != 1:
        raise NoCounterpartError("Keras's Identity fills one matrix alone")
    return initializers.Identity(gain=scheme.gain), ""


@keras_counterpart.register(RandomInit)
def _normal(scheme: RandomInit, geometry: KernelGeometry | None) -> tuple[Any, str]:
    return initializers.RandomNormal(scheme.mean, scheme.stddev, seed=_seed(scheme)), ""


@keras_counterpart.register(UniformInit)
def _uniform(scheme: UniformInit, geometry: KernelGeometry | None) -> tuple[Any, str]:
    return initializers.RandomUniform(scheme.minval, scheme.maxval, seed=_seed(scheme)), ""


@keras_counterpart.register(SirenInit)
@keras_counterpart.register(BiasUniformInit)
def _uniform_by_fan(
    scheme: SirenInit | BiasUniformInit, geometry: KernelGeometry | None
) -> tuple[Any, str]:
    given = isinstance(scheme, BiasUniformInit) and scheme.fan_in is not None
    if geometry is None and not given:
        raise NoCounterpartError("its bound follows from the fan, which is not known here")
    # A bias that was given its fan asks nothing of the geometry.
    bound = math.sqrt(3) * scheme.expected_stddev(geometry or KernelGeometry.from_shape(()))
    return initializers.RandomUniform(-bound, bound, seed=_seed(scheme)), (
        "its scale is a number: another shape would need another"
    )


@keras_counterpart.register(CutNormalInit)
def _cut(scheme: CutNormalInit, geometry: KernelGeometry | None) -> tuple[Any, str]:
    if scheme.cut != 2.0:
        raise NoCounterpartError("Keras cuts at two standard deviations alone")
    stddev = scheme.stddev if scheme.before_cut else scheme.stddev / TRUNCATED_STDDEV
    return initializers.TruncatedNormal(0.0, stddev, seed=_seed(scheme)), ""


@keras_counterpart.register(TruncatedNormalInit)
def _truncated(scheme: TruncatedNormalInit, geometry: KernelGeometry | None) -> tuple[Any, str]:
    if scheme.minval is not None or scheme.maxval is not None:
        raise NoCounterpartError("Keras cuts at two standard deviations alone")
    return initializers.TruncatedNormal(scheme.mean, scheme.stddev, seed=_seed(scheme)), ""


def _reads_alike(scheme: Scheme, geometry: KernelGeometry) -> bool:
    """Returns whether the shape alone gives the same law, by Keras's reading."""
    by_shape = KernelGeometry.from_shape(geometry.shape)
    if scheme.draws_alike(by_shape, geometry):
        return scheme.expected_stddev(by_shape) == scheme.expected_stddev(geometry)
    return False


def _seed(scheme: Any) -> Any:
    seed = getattr(scheme, "seed", None) if scheme.get_config().get("seed") is not None else None
    if isinstance(seed, int) and seed >= 2**31:  # Keras keeps 31 bits
        return seed % 2**31
    return seed if isinstance(seed, int | keras.random.SeedGenerator) else None
