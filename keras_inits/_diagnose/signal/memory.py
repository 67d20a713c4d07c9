"""Recurrent layers whose gradient grows or fades over the steps of a sequence."""

import math
from typing import Any

import keras

from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.remedies import reference
from keras_inits._reporting import Finding

# Numbers of a finding about the gradient over the steps of a sequence.
OVER_TIME = frozenset({"first step", "last step", "steps"})


def amplifying(evidence: Evidence) -> Found:
    """Yields recurrent layers whose gradient grows from the last time step back to the first."""
    return (pair for pair in _steps(evidence) if pair[1].kind == "exploding")


def forgetting(evidence: Evidence) -> Found:
    """Yields recurrent layers whose gradient fades from the last time step back to the first."""
    return (pair for pair in _steps(evidence) if pair[1].kind == "vanishing")


def _steps(evidence: Evidence) -> Found:
    """Yields recurrent layers whose gradient at the first step is not of the last one's size."""
    thresholds = evidence.thresholds
    for index, call in enumerate(evidence.calls):
        if len(call.steps) != 2 or not 0 < call.steps[1] < math.inf:
            continue
        ratio = call.steps[0] / call.steps[1]
        grounds = f"the gradient at its first step is {ratio:.2g} times that at its last one"
        length = call.inputs.shape[1] if call.inputs else 100
        gates = float(gate_of_memory(getattr(call.layer, "cell", None)) is not None)
        numbers = {
            "first step": call.steps[0],
            "last step": call.steps[1],
            "steps": length,
            "gates": gates,
        }
        if ratio < 1 / thresholds.forgotten:
            yield (
                index,
                Finding(
                    kind="vanishing",
                    where=(call.name,),
                    evidence=f"{grounds} (limit {1 / thresholds.forgotten:g})",
                    consequence="What the first steps hold is not learned",
                    remedy=_longer_memory(evidence, call, length),
                    numbers=numbers,
                ),
            )
        elif not ratio <= thresholds.amplified:
            yield (
                index,
                Finding(
                    kind="exploding",
                    where=(call.name,),
                    evidence=f"{grounds} (limit {thresholds.amplified:g})",
                    consequence=(
                        "A step that fits the last time steps is far too large for the first"
                    ),
                    remedy=_orthogonal(evidence, call),
                    numbers=numbers,
                ),
            )


def _longer_memory(evidence: Evidence, call: Call, steps: int) -> str:
    layer = reference(evidence.model, call)
    cell: Any = getattr(call.layer, "cell", None)
    place = gate_of_memory(cell)
    if layer is not None and isinstance(cell, keras.layers.SimpleRNNCell):
        return _orthogonal(evidence, call)
    if layer is None or place is None or getattr(cell, "bias", None) is None:
        return (
            "Shorten the sequences, or use keras.layers.LSTM with a forget bias of log(steps), or "
            "attention."
        )
    # Chrono initialization, Tallec & Ollivier 2018, https://arxiv.org/abs/1804.11188
    row = "0, " if len(cell.bias.shape) > 1 else ""
    return (
        f"import numpy as np; b = {layer}.cell.bias.numpy(); "
        f"b[{row}{place.start}:{place.stop}] = np.log({steps}); {layer}.cell.bias.assign(b)"
    )


def gate_of_memory(cell: object) -> slice | None:
    """Returns where in a cell's bias the gate stands that keeps its state; None if it has none.

    Of an LSTM the forget gate, the second; of a GRU the update gate, the first.
    """
    if isinstance(cell, keras.layers.LSTMCell):
        return slice(cell.units, 2 * cell.units)
    return slice(0, cell.units) if isinstance(cell, keras.layers.GRUCell) else None


def _orthogonal(evidence: Evidence, call: Call) -> str:
    layer = reference(evidence.model, call)
    if layer is None or not hasattr(call.layer, "cell"):
        return "Draw its recurrent kernel as an orthogonal matrix."
    kernel = f"{layer}.cell.recurrent_kernel"
    return f"{kernel}.assign(keras.initializers.Orthogonal()({kernel}.shape))"
