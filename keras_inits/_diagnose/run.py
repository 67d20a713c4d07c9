"""`diagnose`: one pass forward, one back, and what they tell."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_inits._diagnose import jacobian as jacobians
from keras_inits._diagnose.paths import bypassed
from keras_inits._diagnose.recording import Call, Recorder, Silencer, recording
from keras_inits._diagnose.report import (
    Finding,
    JacobianReport,
    LayerReport,
    SignalReport,
    WeightReport,
)
from keras_inits._diagnose.theory import predict
from keras_inits._diagnose.verdicts import Thresholds, judge


def diagnose(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    loss: Any = None,
    thresholds: Thresholds | None = None,
    training: bool = True,
    jacobian_samples: int = 2,
    seed: int = 0,
) -> SignalReport:
    """Returns what each layer of `model` does to the signal and to its gradient.

    One pass forward and one back over `x`, and a few over `jacobian_samples` of its samples. The
    model is left as it was: weights, statistics, seeds and compiled state. Dropout and noise are
    off. Results of one seed are the same on every call.

    Needs the TensorFlow backend (and no JAX or torch one), since the layers of a running model are
    watched under a `tf.GradientTape`.

    Args:
        model: a Keras model of any kind; built, if it is not, by a call.
        x: a batch of data as the model takes it, `(batch, ...)`: an array, or a list or dict.
        y: targets. Without them a random cotangent goes back, independent unit normals at each
            output, which shows what the model does to any gradient.
        loss: with `y`, what `model.compile` takes as `loss` for one output; the compiled loss if
            None.
        thresholds: where a figure becomes a verdict; `Thresholds()` if None.
        training: whether normalization uses the statistics of the batch, as at the first step of
            training, or its moving ones.
        jacobian_samples: how many samples' Jacobians to look at; 0 for none.
        seed: of the random vectors.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: an empty or not finite `x`, `y` without a loss, or another backend.

    >>> import keras_inits
    >>> model = keras.Sequential([keras.Input((8,))])
    >>> for _ in range(20):
    ...     model.add(keras.layers.Dense(64, "relu", kernel_initializer="initkit_xavier"))
    >>> keras_inits.diagnose(model, np.random.default_rng(0).normal(size=(32, 8))).verdict
    'vanishing'
    """
    _check_model(model)
    inputs = _tensors(x)
    rng = np.random.default_rng(seed)
    recorder = Recorder(tf.GradientTape())
    with _restored(model):
        with recorder.tape as tape:
            for tensor in keras.tree.flatten(inputs):
                recorder.add_input(tensor)
            with recording(recorder):
                outputs = model(inputs, training=training)
            value, targets, cotangents = _objective(model, outputs, y, loss, rng)
        ends = [recorder.source(t) for t in keras.tree.flatten(outputs) if tf.is_tensor(t)]
        weights = model.trainable_weights
        gradients = tape.gradient(targets, [w.value for w in weights], cotangents)
    gradient_of = {id(w): g for w, g in zip(weights, gradients, strict=True)}
    around = bypassed(recorder.calls, recorder.given, ends)
    findings = judge(recorder.calls, around, thresholds or Thresholds())
    jacobian, notes = _jacobian(model, inputs, training, jacobian_samples, rng)
    return SignalReport(
        model=model.name,
        batch=int(keras.tree.flatten(inputs)[0].shape[0]),
        loss=value,
        layers=_layers(recorder.calls, findings, gradient_of),
        jacobian=jacobian,
        notes=notes,
    )


def _check_model(model: Any) -> None:
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "`diagnose` needs the TensorFlow backend: set KERAS_BACKEND=tensorflow and load the "
            f"model there. Received: backend {keras.backend.backend()!r}"
        )
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a keras.Model; wrap a layer in keras.Sequential([layer]). "
            f"Received: model={model!r} of type {type(model).__name__}"
        )


def _tensors(x: Any) -> Any:
    inputs = keras.tree.map_structure(_tensor, x)
    flat = keras.tree.flatten(inputs)
    if not flat or any(t.shape.rank == 0 or t.shape[0] == 0 for t in flat):
        raise ValueError(
            "`x` must hold at least one sample, its first axis being the batch. "
            f"Received: shapes {[tuple(t.shape) for t in flat]}"
        )
    for tensor in flat:
        if tensor.dtype.is_floating and not np.isfinite(tensor.numpy()).all():
            raise ValueError(
                "`x` must be finite; of a model nothing can be told from NaN or infinity. "
                f"Received: an input of shape {tuple(tensor.shape)} that is not"
            )
    return inputs


def _tensor(array: Any) -> Any:
    tensor = ops.convert_to_tensor(array)
    return ops.cast(tensor, keras.config.floatx()) if tensor.dtype.is_floating else tensor


@contextmanager
def _restored(model: Any) -> Iterator[None]:
    """Puts moving statistics, recurrent states and seeds back as they were."""
    before = [(v, v.numpy()) for v in model.non_trainable_variables] if model.built else []
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def _objective(
    model: Any, outputs: Any, y: Any, loss: Any, rng: np.random.Generator
) -> tuple[float | None, Any, Any]:
    """Returns the loss, what to take the gradient of, and the cotangents that go back."""
    flat = [t for t in keras.tree.flatten(outputs) if t.dtype.is_floating]
    if y is None:
        if loss is not None:
            raise ValueError(f"A loss needs targets: give `y`. Received: loss={loss!r}, y=None")
        normal = [rng.standard_normal(t.shape, np.float32) for t in flat]
        return None, flat, [tf.cast(v, t.dtype) for v, t in zip(normal, flat, strict=True)]
    loss = getattr(model, "loss", None) if loss is None else loss
    if loss is None:
        raise ValueError(
            "`y` needs a loss: compile the model, or give `loss`, such as 'mse'. "
            "Received: y without a loss"
        )
    several = keras.tree.is_nested(outputs) or keras.tree.is_nested(loss)
    parts = _paired(outputs, y, loss) if several else [(y, outputs, loss)]
    value = sum(
        tf.reduce_mean(keras.losses.get(own)(ops.convert_to_tensor(target), predicted))
        for target, predicted, own in parts
    )
    return float(value), [value], None


def _paired(outputs: Any, y: Any, loss: Any) -> list[tuple[Any, Any, Any]]:
    predicted, targets = keras.tree.flatten(outputs), keras.tree.flatten(y)
    losses = keras.tree.flatten(loss) if keras.tree.is_nested(loss) else [loss] * len(predicted)
    if not len(predicted) == len(targets) == len(losses):
        raise ValueError(
            "A model of several outputs needs as many targets, and one loss or one for each. "
            f"Received: {len(predicted)} outputs, {len(targets)} targets, {len(losses)} losses"
        )
    return list(zip(targets, predicted, losses, strict=True))


def _jacobian(
    model: Any, inputs: Any, training: bool, samples: int, rng: np.random.Generator
) -> tuple[JacobianReport | None, tuple[str, ...]]:
    if samples == 0:
        return None, ()
    if not all(t.dtype.is_floating for t in keras.tree.flatten(inputs)):
        return None, ("no Jacobian: the model takes integers",)

    def run(tensors: Any) -> Any:
        return model(tensors, training=training)

    with _restored(model), recording(Silencer()):
        return jacobians.estimate(run, inputs, samples=samples, steps=4, rng=rng), ()


def _layers(
    calls: Sequence[Call],
    findings: Sequence[tuple[Finding, ...]],
    gradient_of: dict[int, Any],
) -> tuple[LayerReport, ...]:
    told: set[int] = set()
    reports = []
    for call, found, (second_moment, gradient) in zip(calls, findings, predict(calls), strict=True):
        weights = [
            w for w in call.layer.trainable_weights if id(w) not in told and id(w) in gradient_of
        ]
        told.update(map(id, weights))
        reports.append(
            LayerReport(
                name=call.name,
                kind=type(call.layer).__name__,
                output=call.output,
                gradient=call.gradient,
                predicted_second_moment=second_moment,
                predicted_gradient=gradient,
                weights=tuple(_weight(w, gradient_of[id(w)]) for w in weights),
                findings=found,
            )
        )
    return tuple(reports)


def _weight(weight: Any, gradient: Any) -> WeightReport:
    norm = _norm(weight.value)
    back = np.nan if gradient is None else _norm(tf.convert_to_tensor(gradient))
    ratio = back / norm if norm else (np.inf if back else np.nan)
    return WeightReport(weight.path, norm, back, ratio)


def _norm(tensor: Any) -> float:
    values = tf.cast(tensor, tf.float32)
    scale = float(tf.reduce_max(tf.abs(values)))  # a vanished gradient's squares would be 0
    if not 0 < scale < np.inf:
        return scale
    return scale * float(tf.norm(values / scale))
