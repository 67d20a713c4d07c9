"""What is to be done with each weight of a model, before anything is done."""

import fnmatch
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from keras import ops

from keras_inits import _gains, _registry
from keras_inits._checks import instance
from keras_inits._errors import InputError
from keras_inits._initialize.around import in_pairs, kernel_beside, starts_as_its_bias
from keras_inits._initialize.auto import choose
from keras_inits._initialize.bare import bare_kernels
from keras_inits._initialize.carrying import Choice, Weight
from keras_inits._initialize.shares import Residual
from keras_inits._initialize.statistics import mean_square
from keras_inits._initialize.step import Step
from keras_inits._keras_internals import has_no_call
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import (
    Default,
    LeftAlone,
    OwnedWeight,
    Role,
    Unknown,
    geometry,
    owned_weights,
    role,
)
from keras_inits._layers.activations import activation_name
from keras_inits._layers.ownership import kept_initializer
from keras_inits._recipes import Bound
from keras_inits._schemes import (
    BiasUniformInit,
    ChronoInit,
    ConstantInit,
    GeometricInit,
    XavierInit,
    ZerosInit,
)
from keras_inits._schemes.base import KernelScheme
from keras_inits._schemes.laws import constant_value, expected_stddev
from keras_inits._wiring import wiring

AUTO = "auto"  # as the graph of the model asks for
OWN = "own"  # the initializer that the layer has


@dataclass(frozen=True)
class _Wanted:
    """One weight, what it is in its layer, and what is to draw it."""

    owned: OwnedWeight
    role: Role
    spec: Any  # an initializer, AUTO or OWN; None to leave it alone
    pattern: str = ""  # the override that says so


def plan(
    weights: Sequence[OwnedWeight],
    scheme: Any,
    overrides: Mapping[str, Any] | None = None,
    *,
    model: Any = None,
    residual: Residual = "auto",
) -> tuple[Step, ...]:
    """Returns a step for each weight.

    Args:
        weights: those of a model.
        scheme: an initializer, a recipe with its model, `AUTO` or `OWN`.
        overrides: the same by pattern of weight paths, None to leave a weight alone; the first
            pattern that fits counts.
        model: the model, for `AUTO`.
        residual: how `AUTO` scales the ends of branches.

    Raises:
        InputError: a pattern that fits no weight, a registered geometry of another shape.
    """
    overrides = overrides or {}
    for pattern in overrides:
        instance("overrides", pattern, str, "a dict from patterns of paths to schemes")
        if not any(fnmatch.fnmatchcase(owned.path, pattern) for owned in weights):
            raise InputError(
                f"The pattern {pattern!r} in `overrides` fits no weight. Paths are such as "
                + ", ".join(repr(owned.path) for owned in weights[:3])
            )
    wanted = [_wanted(owned, scheme, overrides) for owned in weights]
    choices: Mapping[str, Choice] = {}
    reason = ""
    if any(_is_auto(each) for each in wanted):
        wanted, choices, reason = _choices(model, wanted, residual)
    return in_pairs([_step(each, choices, reason) for each in wanted], model, _own)


def _wanted(owned: OwnedWeight, scheme: Any, overrides: Mapping[str, Any]) -> _Wanted:
    found = role(owned.layer, owned.weight)
    if isinstance(found, KernelGeometry) and found.shape != tuple(owned.weight.shape):
        raise InputError(
            f"The geometry registered for {type(owned.layer).__name__} has shape {found.shape}"
            f", but {owned.path!r} has shape {tuple(owned.weight.shape)}"
        )
    fitting = next((p for p in overrides if fnmatch.fnmatchcase(owned.path, p)), None)
    if fitting is None:
        return _Wanted(owned, found, scheme)
    return _Wanted(owned, found, overrides[fitting], fitting)


def _is_auto(wanted: _Wanted) -> bool:
    """Returns whether the graph decides what a weight gets, if it is a kernel."""
    return bool(wanted.spec == AUTO)


def _step(wanted: _Wanted, choices: Mapping[str, Choice], reason: str) -> Step:
    owned, found, spec = wanted.owned, wanted.role, wanted.spec
    if choice := choices.get(owned.path):
        return Step(
            owned,
            found,
            choice.initializer,
            kept=True,
            note=choice.note,
            second_moment=choice.second_moment,
        )
    if _is_auto(wanted) and starts_as_its_bias(owned):
        note = "0, as its layer has it: what comes out starts as its bias"
        return Step(owned, found, ZerosInit(), kept=True, note=note)
    if wanted.pattern:
        return _overridden(owned, found, spec, wanted.pattern, reason)
    if isinstance(spec, Bound):
        return _by_recipe(owned, found, spec)
    if spec == OWN and isinstance(found, KernelGeometry | Unknown):
        return _own(owned, found)
    if isinstance(found, KernelGeometry):
        return _by_scheme(owned, found, spec, reason)
    if isinstance(found, LeftAlone):
        return Step(owned, found, None)
    if isinstance(spec, BiasUniformInit) and (kernel := kernel_beside(owned)):
        return Step(owned, found, spec.for_bias(kernel), kept=True)
    return Step(owned, found, _registry.get(found.initializer))


def _choices(
    model: Any, wanted: Sequence[_Wanted], residual: Residual
) -> tuple[list[_Wanted], Mapping[str, Choice], str]:
    """Returns weights, choices, and the reason why other kernels have no choice.

    The weights are those of `wanted`; the graph of the model may show more of them to be kernels.
    The choices are what the graph decides, by path.
    """
    try:
        found = wiring(model)
    except InputError as error:
        reason = str(error).split(". ")[0].splitlines()[0].rstrip(".")
        return list(wanted), _of_parts(model, wanted, residual), reason
    bare = bare_kernels(found, {w.owned.path: w.owned.weight for w in wanted if _is_bare(w)})
    known = [replace(each, role=bare.get(each.owned.path, each.role)) for each in wanted]
    weights = {each.owned.path: _weight(each) for each in known}
    return known, choose(model, found, weights, residual), "no call of it was seen"


def _is_bare(wanted: _Wanted) -> bool:
    unknown = isinstance(wanted.role, Unknown) and wanted.owned.weight.trainable
    return _is_auto(wanted) and unknown


def _of_parts(model: Any, wanted: Sequence[_Wanted], residual: Residual) -> dict[str, Choice]:
    """Returns what the graphs of the models decide that a model without a `call` is made of.

    An encoder and a decoder, say, or a generator and a critic, which only a `train_step` puts
    together: what each of them puts out is an output.
    """
    choices: dict[str, Choice] = {}
    if not has_no_call(model):
        return choices
    by_weight = {id(each.owned.weight): each for each in wanted}
    for part in model.layers:
        try:
            found = wiring(part)
        except InputError:
            continue
        own = {one.path: by_weight[id(one.weight)] for one in owned_weights(part)}
        weights = {path: _weight(each) for path, each in own.items()}
        for path, choice in choose(part, found, weights, residual).items():
            note = f"{choice.note}; {part.name} by itself"
            choices.setdefault(own[path].owned.path, replace(choice, note=note))
    return choices


def _weight(wanted: _Wanted) -> Weight:
    owned, found = wanted.owned, wanted.role
    if isinstance(found, KernelGeometry) and _is_auto(wanted):
        kept = starts_as_its_bias(owned)
        return Weight(found, 0.0) if kept else Weight(found, math.nan, chosen=True)
    step = _step(wanted, {}, "")
    if step.initializer is None:
        return Weight(_what_it_is(owned), mean_square(owned.weight))
    law = expected_stddev(step.initializer, step.geometry) if step.kernel else None
    if law is not None:
        return Weight(step.kernel, law**2)
    if not isinstance(found, Default):
        return Weight(step.kernel, mean_square(owned.weight))
    shape = tuple(owned.weight.shape)
    value = constant_value(step.initializer)
    if value is None:
        start = np.asarray(ops.convert_to_numpy(step.initializer(shape, dtype="float32")))
    else:
        start = np.array([value], "float32")
    by_us = isinstance(step.initializer, ConstantInit | ZerosInit)  # an earlier "auto"
    may_shrink = _is_auto(wanted) and owned.weight.trainable  # moving variances start at 1 too
    is_scale = may_shrink and (by_us or bool(np.all(start == 1)))
    values = np.unique(start) if np.ptp(start) == 0 else np.ravel(start)
    return Weight(
        None,
        float(np.mean(start**2)),
        is_scale=is_scale,
        values=values.astype(np.float64) if np.any(start) else None,
    )


def _what_it_is(owned: OwnedWeight) -> KernelGeometry | None:
    """Returns the geometry of a weight that stays as it is, frozen, say."""
    found = geometry(owned.layer, owned.weight)
    if isinstance(found, KernelGeometry):
        return found
    is_matrix = isinstance(found, Unknown) and len(owned.weight.shape) > 1
    # With LoRA those are two factors, whose product is added to the kernel.
    added = getattr(owned.layer, "lora_enabled", False)
    return KernelGeometry.from_shape(owned.weight.shape) if is_matrix and not added else None


def _overridden(owned: OwnedWeight, found: Role, spec: Any, pattern: str, reason: str) -> Step:
    if isinstance(found, LeftAlone) and not isinstance(found, Unknown):
        return Step(owned, found, None)
    if spec is None:
        return Step(owned, LeftAlone(f"the override {pattern!r} says so"), None)
    if spec == OWN:
        return _own(owned, found)
    if isinstance(spec, Bound):
        return _by_recipe(owned, found, spec)
    return _by_scheme(owned, found, spec, reason)


def _by_scheme(owned: OwnedWeight, found: Role, spec: Any, reason: str) -> Step:
    initializer, note = _alone(owned, reason) if spec == AUTO else (spec, "")
    if isinstance(initializer, KernelScheme) and initializer.has_axes:  # the caller knows better
        found = initializer.geometry(tuple(owned.weight.shape))
    elif isinstance(found, Unknown):
        found, note = KernelGeometry.from_shape(owned.weight.shape), "geometry by shape"
    elif (
        isinstance(initializer, BiasUniformInit | ChronoInit)
        and isinstance(found, Default)
        and (kernel := kernel_beside(owned))
    ):
        initializer = initializer.for_bias(kernel)
    return Step(owned, found, initializer, kept=True, note=note)


def _by_recipe(owned: OwnedWeight, found: Role, recipe: Bound) -> Step:
    """Returns the step by the line of a recipe; what no line is for starts as its layer says."""
    if isinstance(found, LeftAlone) and not isinstance(found, Unknown):
        return Step(owned, found, None)
    line = recipe.line(owned.path)
    if line.initializer is not None:
        return replace(_by_scheme(owned, found, line.initializer, ""), note=line.note)
    if line.role:
        return Step(owned, LeftAlone(line.note), None)
    return replace(_own(owned, found), note=line.note if isinstance(found, KernelGeometry) else "")


def _own(owned: OwnedWeight, found: Role) -> Step:
    """Returns the step that draws a weight as building its layer does."""
    if not isinstance(found, KernelGeometry | Unknown):
        return Step(owned, found, _registry.get(found.initializer))  # type: ignore[union-attr]
    initializer = kept_initializer(owned.layer, owned.weight.name)
    if initializer is None:
        reason = f"{type(owned.layer).__name__} keeps no initializer for it"
        return Step(owned, found if isinstance(found, Unknown) else Unknown(reason), None)
    if not isinstance(initializer, GeometricInit) and isinstance(initializer, KernelScheme):
        drawn_in = initializer.geometry(tuple(owned.weight.shape))
    else:  # Keras's own read the shape
        drawn_in = KernelGeometry.from_shape(owned.weight.shape)
    return Step(owned, found, initializer, note="its layer's own", drawn_in=drawn_in)


def _alone(owned: OwnedWeight, reason: str) -> tuple[Any, str]:
    """Returns the initializer for a kernel by its layer alone, where the graph does not show it."""
    if hasattr(owned.layer, "state_size"):  # a recurrent cell: it is stepped through many times
        return XavierInit(), "recurrent: gain 1"
    activation = getattr(owned.layer, "activation", None)
    name = activation_name(activation)
    follows = "what follows is not known" if name == "linear" else name
    note = f"judged by its layer alone, {follows}"
    try:
        gain = _gains.gain(activation)
    except ValueError:
        gain, note = 1.0, f"{note}, of no known gain"
    return XavierInit(gain), f"{note}: gain {gain:.4g}; {reason}"
