"""Recurrent kernels, judged over a sequence."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_inits._audit.context import root_mean_square
from keras_inits._audit.kernel import Judgement, Kernel, Kernels, activated
from keras_inits._layers import OwnedWeight
from keras_inits._layers.ownership import kept_initializer
from keras_inits._reporting import Finding, draw_anew
from keras_inits._schemes import ChronoInit

# Orthogonal and Glorot kernels have a spectral radius near 1, He's 1.4 (circular law, Ginibre
# 1965). At 3 the states of a tanh or sigmoid lie at its ends: no gradient comes through.
_MOST_RADIUS = 3.0
# A plain recurrence whose state fades to a thousandth in three steps has no memory.
_LEAST_RADIUS = 0.1
# A small change of the state that grows so over the sequence makes its gradients explode.
_MOST_GROWTH = 1e3
_STEPS = (100, 200)  # where the sequence has no length of its own; most that are run
_SLOPE = 1e-3
_INPUTS = 64  # sequences that are run side by side


def recurrent(kernel: Kernel, kernels: Kernels) -> Iterator[Judgement]:
    """Yields a finding if a recurrent kernel makes the state saturate, explode or fade.

    Of a gated cell a small kernel is no fault: its state goes on through the gates.
    """
    if kernel.cell != "recurrent" or kernel.geometry.taps != 1:
        return
    maps, rows, outputs = kernel.geometry.matrix_shape
    if rows != outputs:
        return
    radius = max(
        float(np.abs(np.linalg.eigvals(m.astype("float64"))).max()) for m in kernel.matrices
    )
    largest = max(float(np.linalg.norm(m.astype("float64"), 2)) for m in kernel.matrices)
    steps = kernel.context.steps or _STEPS[0]
    growth = _growth(kernel, kernels, min(steps, _STEPS[1])) if maps == 1 else 0.0
    effect = ""
    if growth > _MOST_GROWTH:
        effect = f"a small change of the state is {growth:.2g} times as large {steps} steps later"
        effect += ": gradients explode"
    elif radius > _MOST_RADIUS:
        effect = "the states and gates lie where their activations are flat, and pass no gradient"
    elif maps == 1 and radius < _LEAST_RADIUS:
        effect = "the state is forgotten within a step or two: the layer has no memory"
    if effect:
        yield Judgement(
            Finding(
                kind="recurrence",
                where=(kernel.path,),
                evidence=(
                    f"spectral radius {radius:.3g}, largest singular value {largest:.3g}"
                    + (f" in the worst of {maps} gates" if maps > 1 else "")
                ),
                consequence=effect,
                remedy=draw_anew(kernel.path, "initkit_orthogonal"),
                numbers={
                    "radius": radius,
                    "singular value": largest,
                    "steps": steps,
                    "growth": growth,
                },
            )
        )


def bias_of_pieces(weights: Iterable[OwnedWeight]) -> Iterator[Judgement]:
    """Yields a finding for each bias of which Keras asked `ChronoInit` piece by piece."""
    for one in weights:
        if (
            one.weight.name == "bias"
            and getattr(one.layer, "unit_forget_bias", False)
            and isinstance(kept_initializer(one.layer, "bias"), ChronoInit)
        ):
            yield Judgement(
                Finding(
                    kind="recurrence",
                    where=(one.path,),
                    evidence=(
                        "with unit_forget_bias=True, Keras's default, ChronoInit drew pieces of "
                        "the bias as if each were a whole one"
                    ),
                    consequence="the gates start at no time constants that were asked for",
                    remedy=draw_anew(one.path, "initkit_chrono"),
                )
            )


def _growth(kernel: Kernel, kernels: Kernels, steps: int) -> float:
    """Returns how much a small change of the state grows over a sequence of white noise.

    h' = f(W h + V x), and a change d follows d' = f'(...) W d: its mean growth, largest over half
    of the steps, so that the start counts for nothing.
    """
    inputs = [k for k in kernels.by_layer[kernel.layer] if k.cell == "input"]
    (matrix,) = kernel.matrices.astype("float64")
    drive = 1.0
    if inputs:
        (incoming,) = inputs
        drive = float(np.sqrt(np.square(incoming.values, dtype="float64").mean() *
                              incoming.geometry.fan_in))  # fmt: skip
    rng = np.random.default_rng(0)
    units = len(matrix)
    state, change = np.zeros((_INPUTS, units)), rng.standard_normal((_INPUTS, units))
    logarithm = 0.0
    for _ in range(steps):
        z = state @ matrix + drive * rng.standard_normal(state.shape)
        slope = _slope(kernel.context.activation, z)
        if slope is None:
            return 0.0
        state, gradient = slope
        change = gradient * (change @ matrix)
        size = root_mean_square(change)
        if not np.isfinite(state).all() or np.abs(state).max() > 1e15:
            return 1e30  # it has left every range: no more can be said
        if size == 0.0:
            return 0.0
        logarithm += float(np.log10(size))
        change /= size
    return float(10.0 ** min(30.0, logarithm))


def _slope(activation: Any, z: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Returns an activation and its derivative; None if it takes no single numbers."""
    step = _SLOPE * np.maximum(1.0, np.abs(z))
    at, above = activated(activation, z), activated(activation, z + step)
    return None if at is None or above is None else (at, (above - at) / step)
