"""Weights whose start follows from another one: biases from kernels, attention kernels in pairs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from keras import ops

from keras_inits._errors import InputError
from keras_inits._initialize.step import Step
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import OwnedWeight, geometry
from keras_inits._layers.ownership import kept_initializer
from keras_inits._schemes import GeometricInit, MimeticInit
from keras_inits._schemes.laws import constant_value
from keras_inits._wiring import Wiring, wiring


def kernel_beside(owned: OwnedWeight) -> KernelGeometry | None:
    """Returns the geometry of the kernel whose outputs a bias is added to; None if there is none.

    Of a recurrent cell that is the recurrent kernel, of a separable convolution the pointwise one.
    """
    if not owned.weight.name.endswith("bias"):
        return None
    roles = [geometry(owned.layer, weight) for weight in owned.layer.weights]
    kernels = [found for found in roles if isinstance(found, KernelGeometry)]
    return kernels[-1] if kernels else None


def starts_as_its_bias(owned: OwnedWeight) -> bool:
    """Returns whether a kernel starts at 0 and the bias beside it at values that differ.

    So a layer that makes a transformation starts with the identity, whatever comes in (Jaderberg et
    al. 2015, section 4).
    """
    layer, name = owned.layer, owned.weight.name
    bias = next((w for w in layer.weights if w.name == "bias"), None)
    if name != "kernel" or bias is None or not len(bias.shape):
        return False
    if constant_value(kept_initializer(layer, name)) != 0:
        return False
    initializer = kept_initializer(layer, "bias")
    is_random = hasattr(initializer, "seed")  # with a seed of its own it draws the same each time
    if initializer is None or is_random or constant_value(initializer) is not None:
        return False
    one, two = (
        np.asarray(ops.convert_to_numpy(initializer(tuple(bias.shape), dtype="float32")))
        for _ in range(2)
    )
    return bool(np.ptp(one) > 0 and np.array_equal(one, two))


@dataclass(frozen=True)
class _Pair:
    """Two kernels of one attention, by their paths, and why they cannot be drawn as a pair."""

    first: str
    second: str
    problem: str


def in_pairs(
    steps: Sequence[Step], model: Any, own: Callable[[OwnedWeight, Any], Step]
) -> tuple[Step, ...]:
    """Returns the steps with one seed for the two kernels of each mimetic pair.

    A kernel of no pair that can be drawn so starts by its layer's own initializer.

    Args:
        steps: the plan.
        model: the model.
        own: makes that step of a weight and its role.
    """
    if not any(_mimetic(step) for step in steps):
        return tuple(steps)
    try:
        found = _pairs(wiring(model), {step.owned.path: step for step in steps})
        problem = "no attention to the signal itself was seen here"
    except InputError as error:
        found, problem = {}, str(error).rstrip(".")
    made = []
    for step in steps:
        if (part := _mimetic(step)) is None:
            made.append(step)
            continue
        pair = found.get((step.owned.path, part.part in ("query", "key")))
        if pair is None or pair.problem:
            fallback = own(step.owned, step.role)
            if _mimetic(fallback):  # kept from an earlier start
                fallback = replace(fallback, initializer=None)
            note = f"not mimetic: {pair.problem if pair else problem}; its layer's own"
            made.append(replace(fallback, note=note))
        else:
            made.append(replace(step, seed_of=pair.first))
    return tuple(made)


def _mimetic(step: Step) -> MimeticInit | None:
    inner = step.initializer
    inner = inner.scheme if isinstance(inner, GeometricInit) else inner
    return inner if isinstance(inner, MimeticInit) else None


def _pairs(found: Wiring, steps: Mapping[str, Step]) -> dict[tuple[str, bool], _Pair]:
    """Returns by path, and by whether it is that of queries and keys, the pair of a kernel."""
    pairs: dict[tuple[str, bool], _Pair] = {}
    for attention in found.attentions:
        same = _same_signal(found, attention.query, attention.key, attention.value)
        for one, other, scores in (
            (attention.query, attention.key, True),
            (attention.value, attention.out, False),
        ):
            kernels = [_kernel(found, index, steps) for index in (one, other)]
            if None in kernels:
                continue
            first, second = kernels
            problem = "" if same else "attention to another signal"
            problem = problem or _misfit(steps[first], steps[second], scores=scores)
            pair = _Pair(first, second, problem)
            pairs |= {(first, scores): pair, (second, scores): pair}
    return pairs


def _same_signal(found: Wiring, *calls: int | None) -> bool:
    signals = {found.calls[index].signals[:1] for index in calls if index is not None}
    return len(signals) == 1 and None not in calls


def _kernel(found: Wiring, index: int | None, steps: Mapping[str, Step]) -> Any:
    """Returns the path of the kernel of a call, if it is to be drawn as one of a pair."""
    paths = () if index is None else found.calls[index].weights
    return next((path for path in paths if path in steps and _mimetic(steps[path])), None)


def _misfit(first: Step, second: Step, *, scores: bool) -> str:
    """Returns why two kernels are no pair; empty if they are one."""
    one, other = first.geometry, second.geometry
    if scores:
        if one.shape != other.shape:
            return "queries and keys differ in width or in the number of heads"
        plain = len(one.output_axes) == 1
        if plain and (part := _mimetic(first)) is not None and part.heads is None:
            return "the shape does not show the heads: recipe('mimetic', heads=...)"
        return ""
    _, rows, outputs = one.matrix_shape
    if other.matrix_shape[1:] != (outputs, rows):
        return "values and the projection out differ in width"
    return ""
