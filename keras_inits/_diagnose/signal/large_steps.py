"""Gradients so large that one step of plain gradient descent replaces a kernel."""

import math

import keras

from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.remedies import scale_input
from keras_inits._diagnose.signal.sizes import amplified
from keras_inits._reporting import Finding

DEFAULT_RATE = 0.01  # of SGD in Keras


def check(evidence: Evidence) -> Found:
    """Yields kernels that one step of plain gradient descent would replace."""
    if evidence.loss is None or not _plain_descent(evidence.model):
        return
    limit = evidence.thresholds.step
    for index, call in enumerate(evidence.calls):
        large = [
            report
            for weight in call.layer.trainable_weights
            if (report := evidence.weights.get(id(weight))) is not None
            and len(weight.shape) > 1
            and limit < report.ratio < math.inf
        ]
        if call.composite or not large:
            continue
        most = max(large, key=lambda report: report.ratio)
        # Of a kernel with its factor, as in sin(30 x), the gradient is less, and the norm more.
        if most.ratio / amplified(evidence, index) ** 2 <= limit:
            continue
        # A compiled rate that is lower was chosen for such gradients. One that is higher is judged
        # by what it does to the loss.
        own = _rate(evidence.model)
        if most.ratio * min(own, DEFAULT_RATE) <= limit * DEFAULT_RATE:
            continue
        rate = DEFAULT_RATE * limit / most.ratio
        yield (
            index,
            Finding(
                kind="exploding",
                where=(call.name,),
                evidence=(
                    f"the gradient of {most.path} is {most.ratio:.3g} times its own norm "
                    f"(at most {limit:g})"
                ),
                consequence=(
                    "A step of rate 0.01, SGD's default, replaces the kernel"
                    if own >= DEFAULT_RATE
                    else f"A step of the rate {own:.2g} replaces the kernel"
                ),
                remedy=_calmer(evidence, rate),
                numbers={"ratio": most.ratio, "limit": limit},
            ),
        )


def _rate(model: keras.Model) -> float:
    """Returns the compiled learning rate, or SGD's default."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return DEFAULT_RATE if optimizer is None else float(optimizer.learning_rate)


def _plain_descent(model: keras.Model) -> bool:
    """Returns whether a gradient's size is the step's: not in Adam, nor with clipping."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer is None:
        return True
    clips = (optimizer.clipnorm, optimizer.clipvalue, optimizer.global_clipnorm)
    return isinstance(optimizer, keras.optimizers.SGD) and not any(clips)


def _calmer(evidence: Evidence, rate: float) -> str:
    # 10 times what layers expect
    return scale_input(evidence, limit=10.0) or f"model.optimizer.learning_rate = {rate:.1g}"
