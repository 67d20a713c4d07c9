"""A plan carried out: on all weights of a model, or, if anything fails, on none."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import initializers, ops

from keras_inits._errors import InputError, InputTypeError
from keras_inits._float_range import beyond
from keras_inits._initialize.keeping import kept_schemes
from keras_inits._initialize.step import Step
from keras_inits._initialize.writing import values_for
from keras_inits._schemes import (
    ConstantInit,
    HadamardOrthogonalInit,
    OnesInit,
    OrthogonalInit,
    RandomInit,
    RandomLargeInit,
    RandomSmallInit,
    SuoInit,
    UniformInit,
    VarianceScalingInit,
    ZerosInit,
)
from keras_inits._schemes.base import Scheme
from keras_inits._schemes.laws import kernel_scheme
from keras_inits._sharding import sharding_of

# Classes that draw any shape. A subclass may do otherwise, so the type must be one of these.
_DRAW_ANY_SHAPE = frozenset(
    {
        initializers.Zeros,
        initializers.Ones,
        initializers.Constant,
        initializers.RandomNormal,
        initializers.RandomUniform,
        initializers.TruncatedNormal,
        ZerosInit,
        OnesInit,
        ConstantInit,
        RandomInit,
        RandomSmallInit,
        RandomLargeInit,
        UniformInit,
    }
)
_OVERRIDES = "An entry in `overrides` gives this weight another scheme, or None to leave it alone."
_SMALL = 2**22  # numbers of a model whose old values are all kept: 16 MiB in float32


def set_all(steps: Sequence[Step], seeds: Sequence[int], *, keep_old: bool = True) -> None:
    """Draws and assigns every weight that a step sets, and has the layers keep their schemes.

    All or nothing: what can be checked without a draw is checked before the first weight changes.
    Then come the weights whose draw may still fail (by a user's initializer, or by a scheme that
    only fits some shapes), then the attributes of the layers; of both the old values are kept. Last
    come the weights whose draw cannot fail. Of these a large model keeps no old values, so that its
    weights are in memory once: only an interrupt or the end of memory leaves it half set.

    Args:
        steps: the plan.
        seeds: one for each step.
        keep_old: whether old values of weights are kept at all; if not, the caller keeps them.

    Raises:
        InputError: an initializer that cannot fill its weight; nothing has changed then.
    """
    drawn = [(s, seed) for s, seed in zip(steps, seeds, strict=True) if s.initializer is not None]
    certain = [_is_certain(step) for step, _ in drawn]
    attributes = kept_schemes(steps)
    small = sum(math.prod(step.owned.weight.shape) for step, _ in drawn) <= _SMALL
    undo: list[Callable[[], Any]] = []
    try:
        for (step, seed), sure in zip(drawn, certain, strict=True):
            if not sure:
                _set(step, seed, undo if keep_old else None)
        for layer, attribute, scheme in attributes:
            undo.append(functools.partial(setattr, layer, attribute, getattr(layer, attribute)))
            setattr(layer, attribute, scheme)
        for (step, seed), sure in zip(drawn, certain, strict=True):
            if sure:
                _set(step, seed, undo if small and keep_old else None)
    except BaseException:
        for put_back in reversed(undo):
            put_back()
        raise


def _set(step: Step, seed: int, undo: list[Callable[[], Any]] | None) -> None:
    """Draws a weight and assigns it; adds what puts it back to `undo`."""
    weight = step.owned.weight
    sharding = sharding_of(weight)
    with naming(step, _OVERRIDES):
        values = values_for(step.initializer, step.geometry, _dtype(weight), seed, sharding)
        if tuple(values.shape) != tuple(weight.shape):
            raise InputError(f"it draws the shape {tuple(values.shape)}, not {weight.shape}.")
        if _dtype(weight) == "float16" and (why := _beyond_float16(values, step, seed)):
            raise InputError(f"{why}.")
    if undo is not None:
        # JAX's arrays never change; a sharded one need not fit into a process.
        old = weight.value if sharding else np.array(ops.convert_to_numpy(weight))
        undo.append(functools.partial(weight.assign, old))
    weight.assign(values)


def _beyond_float16(values: Any, step: Step, seed: int) -> str:
    """Returns why float16 cannot hold what is drawn; empty if it can."""
    drawn = np.asarray(ops.convert_to_numpy(values))
    if not drawn.size or (drawn.any() and not np.isinf(drawn).any()):
        return ""
    wide = values_for(step.initializer, step.geometry, "float32", seed)
    return beyond(ops.convert_to_numpy(wide), "float16")


def _is_certain(step: Step) -> bool:
    """Returns whether the draw of a weight cannot fail, after the checks that need no draw.

    Raises:
        InputError: the draw is sure to fail.
    """
    initializer, geometry = step.initializer, step.geometry
    dtype = _dtype(step.owned.weight)
    if dtype == "float16":  # which may not hold what is drawn
        return False
    with naming(step, _OVERRIDES):
        scheme = kernel_scheme(initializer) or initializer
        if isinstance(scheme, Scheme):
            scheme.working_dtype(dtype)
        if isinstance(scheme, VarianceScalingInit):
            scheme.expected_stddev(geometry)
            return True
    # These fill any matrix: axes with one role each.
    if type(scheme) in (OrthogonalInit, HadamardOrthogonalInit, SuoInit):
        named = (*geometry.input_axes, *geometry.output_axes)
        return bool(named) and len(set(named)) == len(named)
    return type(scheme) in _DRAW_ANY_SHAPE


@contextmanager
def naming(step: Step, way_out: str = "") -> Iterator[None]:
    """Names weight, layer and way out in an error that the initializer raises."""
    try:
        yield
    except (TypeError, ValueError) as error:
        layer = type(step.owned.layer).__name__
        wrong = InputTypeError if isinstance(error, TypeError) else InputError
        said = f"{step.initializer!r} cannot fill {step.owned.path!r} of {layer}: {error} {way_out}"
        raise wrong(said.rstrip()) from error


def _dtype(weight: keras.Variable) -> str:
    return str(keras.backend.standardize_dtype(weight.dtype))
