"""`calibrate`: layer-sequential unit variance, in one forward pass."""

from typing import Any

import keras

from keras_inits import _checks
from keras_inits._initialize.initialize import scheme_names, set_by
from keras_inits._initialize.seeds import root_seed
from keras_inits._starts.calibration_report import CalibrationReport
from keras_inits._starts.examples import check_taken, finite, first_examples
from keras_inits._starts.passing import Pass, values_of

_EXAMPLES = 256  # the standard error of a second moment over 256 examples is below 10 %


def calibrate(
    model: keras.layers.Layer,
    x: Any,
    target: float = 1.0,
    *,
    seed: int | None = None,
    center: bool = False,
    scheme: Any = "initkit_orthogonal",
    examples: int = _EXAMPLES,
) -> CalibrationReport:
    r"""Scales every kernel of `model` by data, so that each layer gives out the same size.

    The weights are drawn by `scheme`. Then one forward pass runs: at each kernel the output before
    the activation, $z$, is measured, the kernel is multiplied by $t / \sqrt{E[z^2]}$, and the pass
    goes on with the corrected output. What one layer gives is what the next is measured on, so that
    one pass does for any depth. Gates, groups, heads and experts are scaled each by itself.

    The paper divides by the standard deviation of $z$, and takes passes until it is close. Here it
    is the root mean square, which is the length that mean field theory speaks of; a layer that
    gives every example about the same is then not blown up. With `center` the two are the same.

    Normalizations take the statistics of the batch during the pass; dropout and other noise is
    off. Moving statistics, frozen weights and the compiled state stay as they are. A layer that is
    called several times is corrected at its first call. Recurrent kernels keep the scale of the
    scheme: what comes into them is their own output. If the pass fails, the model is as it was.

    Args:
        model: a built model or layer; functional, Sequential, nested or subclassed.
        x: data: arrays in the structure that the model takes, or an iterable of batches such as a
            `tf.data.Dataset`. Labels of `(x, y)` batches are not used.
        target: the root mean square to give the output of each kernel, before the activation.
        seed: root of the seeds of the weights; None takes a new one, which the report gives.
        center: set biases so that each unit has mean 0 before its activation.
        scheme: what `initialize` draws the weights by; None keeps those that the model has.
        examples: at most how many examples the pass takes; batches are joined until there are so
            many. They go through the model at once.

    Returns:
        A row for each kernel: the root mean square before and after, the factor, or why it has
        none.

    Raises:
        InputError: a model that is not built, no data, data that the model does not take, a target
            that is not positive.
        InputTypeError: something that is no model, no data or no seed.

    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(64, "relu")])
    >>> x = np.random.default_rng(0).normal(3.0, 2.0, (128, 8)).astype("float32")
    >>> round(calibrate(model, x, seed=0).rows[0].after, 3)
    1.0

    Reference:
        Mishkin & Matas, All you need is a good init, ICLR 2016, algorithm 1,
        https://arxiv.org/abs/1511.06422
    """
    _checks.built(model, "calibrated")
    target, center = _checks.real("target", target, above=0), _checks.boolean("center", center)
    batch = finite(first_examples(x, examples))
    root = root_seed(seed)
    before = [values_of(weight) for weight in model.weights]
    try:
        steps = () if scheme is None else set_by(model, scheme, root, keep_old=False)
        running = Pass(model, float(target), center=center)
        running.run(model, batch)
    except BaseException as error:
        for weight, values in zip(model.weights, before, strict=True):
            weight.assign(values)
        if isinstance(error, Exception):
            check_taken(model, batch)  # a better message, where it is the data
        raise
    return CalibrationReport(
        model=model.name,
        seed=root,
        scheme=", ".join(scheme_names(steps)),
        target=float(target),
        examples=len(keras.tree.flatten(batch)[0]),
        rows=tuple(running.rows.values()),
    )
