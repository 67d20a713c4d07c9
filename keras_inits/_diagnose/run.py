"""`diagnose`: one pass forward, one back, and what they show."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_inits import _checks
from keras_inits._backend import WITH_GRADIENTS
from keras_inits._diagnose.report import SignalReport
from keras_inits._diagnose.signal.thresholds import Thresholds
from keras_inits._diagnose.standard_input import StandardInput, draw_input
from keras_inits._errors import InputError, InputTypeError, keras_2_hint


def diagnose(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    *,
    loss: Any = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    thresholds: Thresholds | None = None,
    training: bool = True,
    jacobian_samples: int = 2,
    confirm: bool = False,
    seed: int = 0,
) -> SignalReport:
    """Returns what is wrong with the setting of a training, and what each layer does to the signal.

    The setting: data, targets, the end of the model against the loss, and, of a compiled model with
    targets, some 100 steps (of 32 samples) of its optimizer on a copy of the weights, 20 of models
    that are not small. Of models of more than 100 trained layers or 1e12 multiplications a trial 4
    steps on 8 samples are tried, which show a rate that is far too high, and little else.

    The signal: one pass forward and one back over `x`, and a few over `jacobian_samples` of its
    samples. The loss and the gradients are those of the first step of `fit` on that batch, whatever
    `compile` was given (weights of outputs, samples and classes, penalties, mixed precision, a
    `compute_loss` or `train_step` of the model's own), with one difference: dropout and other noise
    are off, so that results of one seed are the same on every call. Sizes, dead and saturated units
    are an alarm only if the steps lead to a clearly lower loss with kernels drawn anew; where a
    signal fades a little, in small models, after ten times as many steps as well.

    The model is left as it was: weights, statistics, seeds, metrics, optimizer and compiled
    functions; so are the random generators of Python, NumPy and Keras. A model without weights yet
    is built, as a call would build it.

    It runs on TensorFlow, JAX and torch, with the same figures and verdicts; on the last two Keras
    cuts off the probabilities that it computes cross-entropy from, at 1e-7.

    Args:
        model: a Keras model of any kind.
        x: a batch as the model takes it, `(batch, ...)`: an array, or a list or dict; of
            more than 256 samples in a mixed order, since data are often sorted; or a
            `tf.data.Dataset`, `keras.utils.PyDataset` or torch `DataLoader`, whose first batch is
            taken, with its targets and weights. None: input made up like data (images with a 1/f
            spectrum, tokens by Zipf's law, else standard normal), of 32 samples.
        y: targets. Without them a random cotangent goes back, independent unit normals at each
            output, which shows what the model does to any gradient; of a model that was compiled
            without a loss and adds one in its `call`, the gradient of that.
        loss: with `y`, what `model.compile` takes as `loss`; the compiled loss if None.
        sample_weight: as `fit` takes it.
        class_weight: as `fit` takes it.
        thresholds: where a figure becomes a verdict; `Thresholds()` if None.
        training: whether normalization uses the statistics of the batch, as at the first step of
            training, or its moving ones.
        jacobian_samples: how many samples' Jacobians to look at; 0 for none.
        confirm: whether to apply the remedies of what was found of the signal to the weights, look
            again, and put the weights back. Each such finding then says in `evidence` whether it is
            confirmed and what was measured before and after, and in `numbers` under
            `"confirmed"`, `"before"` and `"after"`. It costs a pass forward and back for each kind.
        seed: of the random vectors.

    Returns:
        The report: `findings`, the setting's first, then a row in `layers` for each call of a
        layer.

    Raises:
        InputTypeError: `model` is no Keras model, `x` holds no arrays, or an option is of another
            type.
        InputError: an empty `x`, `y` without a loss, a loss that Keras does not know, or another
            backend.

    >>> import keras_inits
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((8,))])
    >>> for _ in range(20):
    ...     model.add(keras.layers.Dense(64, "relu", kernel_initializer="initkit_xavier"))
    >>> keras_inits.diagnose(model, np.random.default_rng(0).normal(size=(32, 8))).verdict
    'vanishing'
    """
    _check_model(model)
    if loss is not None:
        _checks.loss(loss)
    if thresholds is not None:
        _checks.instance("thresholds", thresholds, Thresholds, "a keras_inits.Thresholds, or None")
    training = _checks.boolean("training", training)
    confirm = _checks.boolean("confirm", confirm)
    jacobian_samples = _checks.integer("jacobian_samples", jacobian_samples)
    seed = _checks.integer("seed", seed)
    # Here, since they load what the backend computes gradients with.
    from keras_inits._diagnose.batch import first_batch
    from keras_inits._diagnose.engine import Options, report

    drawn = draw_input(model, seed=seed) if x is None else x
    notes: tuple[str, ...] = ()
    if isinstance(drawn, StandardInput):
        drawn, notes = drawn.x, (f"input: {drawn.description}, since no data was given",)
    batch = first_batch(drawn, y, sample_weight, class_weight, finite=False)
    tokens = "keras.layers.TextVectorization turns into numbers"
    numbers = "np.unique(labels, return_inverse=True)[1] turns into numbers"
    _check_values("x", batch.x, getattr(model, "inputs", None), tokens)
    _check_values("y", batch.y, getattr(model, "outputs", None), numbers)
    _checks.fits(model, batch.x)
    options = Options(
        loss=loss,
        thresholds=thresholds or Thresholds(),
        training=training,
        jacobian_samples=jacobian_samples,
        confirm=confirm,
        seed=seed,
        setting=not notes,
    )
    return report(model, batch, options, notes)


def signal_report(
    model: keras.Model, x: Any, y: Any = None, thresholds: Thresholds | None = None
) -> SignalReport:
    """Returns what each layer of `model` does to the signal, without a look at its setting."""
    _check_model(model)
    from keras_inits._diagnose.batch import first_batch
    from keras_inits._diagnose.engine import Options, report

    return report(
        model, first_batch(x, y, None, None), Options(thresholds=thresholds or Thresholds())
    )


def loss_of_guess(model: keras.Model, x: Any, y: Any = None) -> float | None:
    """Returns the compiled loss of the best guess that is the same for all; None if not known.

    Args:
        model: a built, compiled model.
        x: a batch, as `diagnose` takes it.
        y: its targets.
    """
    from keras_inits._diagnose.batch import first_batch
    from keras_inits._diagnose.engine import guess

    return guess(model, first_batch(x, y))


def _check_values(name: str, arrays: Any, tensors: Any, remedy: str) -> None:
    """Refuses text and complex numbers where a model has none, before a backend fails to cast them.

    Args:
        name: of the argument.
        arrays: what was given for it.
        tensors: symbolic ones, what the model takes or makes; if there are none, all is let pass.
        remedy: what to do with text.
    """
    known = {keras.backend.standardize_dtype(t.dtype) for t in keras.tree.flatten(tensors or [])}
    given = {str(array.dtype) for array in keras.tree.flatten(arrays) if array is not None}
    numbers = f"`{name}` must hold numbers, {', '.join(sorted(known))}, as the model has them. "
    for kind, hint in (
        ("string", f"text, which {remedy}"),
        ("complex", "complex numbers: give real and imaginary parts as two features"),
    ):
        taken, holds = (any(kind in dtype for dtype in dtypes) for dtypes in (known, given))
        if known and holds and not taken:
            raise InputError(f"{numbers}Received: {hint}")


def _check_model(model: Any) -> None:
    if (backend := keras.backend.backend()) not in WITH_GRADIENTS:
        raise InputError(
            "`diagnose` needs gradients: set KERAS_BACKEND to tensorflow, jax or torch and load "
            f"the model there. Received: backend {backend!r}"
        )
    if not isinstance(model, keras.Model):
        raise InputTypeError(
            "`model` must be a keras.Model; wrap a layer in keras.Sequential([layer]). "
            f"Received: model={model!r} of type {type(model).__name__}" + keras_2_hint(model)
        )
