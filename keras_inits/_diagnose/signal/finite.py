"""Values that are not finite: the first output, the last gradient, the loss."""

import math

import numpy as np

from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.remedies import redraw, scale_input
from keras_inits._reporting import Finding, refill

_UNDEFINED = (
    "Look in it for a logarithm, a root or a quotient of what may be 0 or negative: "
    "keras.ops.log(x + 1e-6), or keras.ops.maximum(x, 1e-6), in the place of x"
)


def inside(evidence: Evidence) -> Found:
    """Yields the first layer whose output is not finite, or else the last such gradient."""
    calls = evidence.calls
    first = next((i for i, call in enumerate(calls) if not call.output.finite), None)
    if first is not None:
        yield first, _output_not_finite(evidence, first)
        return
    bad = (i for i, call in enumerate(calls) if call.gradient and not call.gradient.finite)
    last = max(bad, default=None)  # the gradient comes from the end
    if last is not None:
        yield last, _gradient_not_finite(evidence, last)


def _output_not_finite(evidence: Evidence, index: int) -> Finding:
    call = evidence.calls[index]
    bad = [w for w in call.layer.weights if not _all_finite(w)] if not call.composite else []
    if call.composite:  # by something outside of any layer inside it
        origin, remedy = "computed inside it", "Look for a division by 0 or an overflow in it."
    elif bad:
        origin = f"weights {', '.join(w.path for w in bad)}"
        few = all(np.isfinite(w.numpy().astype("float64")).mean() > 0.5 for w in bad)
        remedy = "\n".join(refill(w.path) for w in bad) if few else redraw(evidence, index)
    else:
        origin = "from finite weights and inputs"
        if call.inputs is not None and call.inputs.zeros > 0:
            origin += f", {call.inputs.zeros:.0%} of which are 0"
        remedy = scale_input(evidence, limit=1e6) or redraw(evidence, index) or _UNDEFINED
    return Finding(
        kind="not finite",
        where=(call.name,),
        evidence=f"its output has NaN or infinity: {origin}",
        consequence="All that follows it is NaN, and so is every weight after one step",
        remedy=remedy,
        numbers={} if call.composite or bad else {"overflow": 1.0},
    )


def _gradient_not_finite(evidence: Evidence, index: int) -> Finding:
    name, last = evidence.calls[index].name, index in evidence.ends
    return Finding(
        kind="not finite",
        where=(name, "loss") if last else (name,),
        evidence=(
            "its output is finite, the gradient there is not"
            + (": it comes from the loss" if last else "")
        ),
        consequence="Every weight before it is NaN after one step",
        remedy=(
            "Look at the loss, or at the layers after it, for 0/0 or a root at 0: "
            "keras.ops.sqrt(x + 1e-7) has a gradient where x is 0."
        ),
        numbers={"overflow": 1.0},
    )


def _all_finite(weight: object) -> bool:
    value = weight.numpy()  # type: ignore[attr-defined]
    return value.dtype.kind not in "fV" or bool(np.isfinite(value.astype("float64")).all())


def of_loss(evidence: Evidence) -> Found:
    """Yields that the loss is not finite although all that the model puts out is."""
    if evidence.loss is not None and not math.isfinite(evidence.loss):
        yield (
            None,
            Finding(
                kind="not finite",
                where=("loss",),
                evidence=f"the loss is {evidence.loss:g}, of finite outputs",
                consequence="Every weight is NaN after one step",
                remedy=(
                    "Look in the loss for a logarithm, a root or a quotient of what may be 0 or "
                    "negative: keras.ops.softplus(x) + 1e-6 in the place of x makes it positive."
                ),
            ),
        )
