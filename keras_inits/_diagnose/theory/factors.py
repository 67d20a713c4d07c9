"""Signals times a factor, or plus a constant."""

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose.theory.given import Given, mean_square
from keras_inits._diagnose.theory.laws import Moments
from keras_inits._diagnose.theory.nodes import Node
from keras_inits._wiring.steps import Step


def scaled(given: Given) -> Moments | None:
    """Returns the law of a signal times a fixed or a learned factor."""
    factor = squared_factor(given.step, given.node)
    return None if factor is None else given.moments[0].times(factor)


def squared_factor(step: Step | None, node: Node) -> float | None:
    """Returns the mean square of what a node multiplies its signal by; None if not known."""
    subject = node.subject
    if isinstance(subject, keras.layers.Layer):
        weights = subject.weights
        return mean_square(weights[0]) if len(weights) == 1 else None
    name = type(subject).__name__
    if name == "Negative":
        return 1.0
    if step is None or name not in ("Multiply", "Divide", "TrueDivide"):
        return None
    values = _constants(step)
    if len(values) != 1 or not np.all(np.isfinite(values[0])):
        return None
    inverse = name != "Multiply"
    if inverse and np.any(values[0] == 0):
        return None
    return float(np.mean(values[0] ** (-2.0 if inverse else 2.0)))


def _constants(step: Step) -> list[NDArray[np.float64]]:
    """Returns the numbers, arrays and variables that an operation is called on."""
    found = []
    for leaf in keras.tree.flatten(step.arguments):
        if isinstance(leaf, keras.KerasTensor) or leaf is None or isinstance(leaf, bool | str):
            continue
        try:
            found.append(np.asarray(keras.ops.convert_to_numpy(leaf), np.float64))
        except Exception:  # a mask, a shape, a function: no operand of single values
            return []
    return found


def shifted(given: Given) -> Moments | None:
    """Returns the law of a signal plus a constant or a bias."""
    step, (law, *_) = given.step, given.moments
    name = type(given.node.subject).__name__
    values = [] if step is None else _constants(step)
    if name not in ("Add", "Subtract") or len(values) != 1 or not np.all(np.isfinite(values[0])):
        return None
    added = float(np.mean(values[0])) * (1 if name == "Add" else -1)
    square = float(np.mean(values[0] ** 2))
    if square == 0:
        return law
    mean = 0.0 if law.gaussian else law.mean
    total = law.second_moment + square + 2 * mean * added
    share = law.second_moment / total if total > 0 else 0.0
    return Moments(total, mean + added, False, total, law.variance * share**2)
