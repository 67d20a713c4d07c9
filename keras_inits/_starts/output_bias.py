"""`fit_output_bias`: the last bias from the targets."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits._float_range import beyond
from keras_inits._layers import LeftAlone, role
from keras_inits._layers.kinds import KERNELS, Kind
from keras_inits._starts.base_rates import (
    INVERSES,
    BaseRate,
    center,
    class_shares,
    sigmoid,
    softmax,
)
from keras_inits._starts.output_bias_report import OutputBiasReport, OutputBiasRow
from keras_inits._starts.targets import Targets, by_output, collected
from keras_inits._wiring import Call, Wiring, wiring

# What a loss takes its targets for.
_LOSSES = {
    "sparse_categorical_crossentropy": "labels",
    "categorical_crossentropy": "shares",
    "categorical_focal_crossentropy": "shares",
    "kl_divergence": "shares",
    "binary_crossentropy": "rates",
    "binary_focal_crossentropy": "rates",
    "mean_squared_error": "values",
    "mean_absolute_error": "values",
    "huber": "values",
    "log_cosh": "values",
    "poisson": "values",
}
_ENTROPIES = frozenset(
    {"", "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"}
)
_BETWEEN = frozenset({Kind.ACTIVATION, Kind.RESHAPING, Kind.IDENTITY, Kind.NOISE})


def fit_output_bias(
    model: keras.Model,
    y: Any,
    *,
    inputs: Any = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
) -> OutputBiasReport:
    r"""Sets the last bias of `model` so that it starts by predicting the base rate of the targets.

    By the loss that the model is compiled with, and the activation at its end: $\log p$ for
    softmax, $\log(p / (1 - p))$ for sigmoid, both for logits too (`from_logits=True`); the mean of
    `y` for regression, the median for mean absolute error. Label smoothing and `ignore_class` of
    the loss count, and so do weights of examples. A model without a loss is judged by its
    activation alone; an output to which the compiled losses give None keeps its bias. A class that
    no target has counts as half an example.

    The first loss is then that of the base rate, as far as the last kernel gives out little.

    Args:
        model: a built model whose outputs each end in a layer with a bias.
        y: targets as `fit` takes them: an array, or a list or dict of them for several outputs; or
            an iterable of `(x, y)` or `(x, y, sample_weight)` batches, such as a `tf.data.Dataset`.
        inputs: what the model takes, where it does not say so itself; see `keras_inits.wiring`.
        sample_weight: as `fit` takes it, next to arrays.
        class_weight: as `fit` takes it.

    Returns:
        A row for each output: the rule, the bias, and the loss of the base rate.

    Raises:
        InputError: a model that is not built, targets that do not fit the outputs, an end or a loss
            for which there is no rule, a bias that is missing or frozen.
        InputTypeError: something that is no model.

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    >>> report = fit_output_bias(model, np.array([0, 0, 0, 1]))
    >>> round(report.rows[0].bias[0], 4), round(report.rows[0].loss, 4)
    (-1.0986, 0.5623)

    Reference:
        Lin et al., Focal loss for dense object detection, ICCV 2017, section 3.3,
        https://arxiv.org/abs/1708.02002
    """
    _checks.built(model, "given a bias")
    found = wiring(model, inputs)
    count = len(found.outputs)
    given, weights = collected(y, sample_weight)
    losses = by_output(model, getattr(model, "loss", None), count, spread=True)
    trained = [loss is not None or not any(losses) for loss in losses]
    targets = by_output(model, given, count, may_lack=trained)
    shares = by_output(model, weights, count, spread=True)
    if class_weight is not None:
        _checks.instance("class_weight", class_weight, Mapping, "a dict from classes to factors")
    if class_weight is not None and count > 1:
        raise InputError("`class_weight` is for a model of one output, as in `fit`.")
    fitted = []
    for output, target, weight, loss, wanted in zip(
        found.outputs, targets, shares, losses, trained, strict=True
    ):
        if not wanted:
            continue
        call, activation = _end(found, output)
        layer = found.subjects[call.index]
        checked = Targets.of(target, weight, class_weight)
        rate = _base_rate(layer, call, checked, activation, loss)
        if why := beyond(rate.bias, layer.bias.dtype):
            raise InputError(
                f"The last bias, of {call.path!r}, cannot be set: {why}. Divide the targets by a "
                "constant, or give the last layer dtype='float32'."
            )
        fitted.append((call, layer, rate))
    rows = []
    for call, layer, rate in fitted:  # nothing is set before all is known
        before = np.asarray(ops.convert_to_numpy(layer.bias), "float64").reshape(-1)
        layer.bias.assign(ops.cast(rate.bias.reshape(layer.bias.shape), layer.bias.dtype))
        path = next((w for w in call.weights if w.endswith("bias")), f"{call.path}/bias")
        rows.append(
            OutputBiasRow(
                path,
                rate.rule,
                tuple(map(float, before)),
                tuple(map(float, rate.bias)),
                rate.loss,
                rate.note,
            )
        )
    return OutputBiasReport(model.name, tuple(rows))


def _end(found: Wiring, output: int) -> tuple[Call, str]:
    """Returns the kernel before an output, and the name of the activation between them."""
    heads = dataclasses.replace(found, outputs=(output,)).heads if output >= 0 else ()
    if len(heads) != 1:
        raise InputError(
            f"The model {found.model!r} does not end in one layer with a kernel, but in "
            f"{found.calls[output].path if output >= 0 else 'its input'!r}: set its bias yourself."
        )
    head, at, met = heads[0], output, []
    while at != head.index:
        call = found.calls[at]
        if call.kind not in _BETWEEN:
            raise InputError(
                f"Between the last kernel, {head.path!r}, and the output stands {call.path!r}, "
                f"{call.kind}: there is no rule for a bias before it."
            )
        met += [call.activation] if call.kind is Kind.ACTIVATION else []
        at = call.signals[0]
    met += [head.activation]
    met = [name for name in met if name and name != "linear"]
    if len(met) > 1:
        raise InputError(f"The output of {head.path!r} meets several activations: {met}.")
    layer = found.subjects[head.index]
    bias = getattr(layer, "bias", None)
    if head.kind not in KERNELS or bias is None:
        raise InputError(f"The last layer, {head.path!r}, has no bias: give it use_bias=True.")
    if isinstance(why := role(layer, bias), LeftAlone) or not bias.trainable:
        reason = why.reason if isinstance(why, LeftAlone) else "it is frozen (trainable=False)"
        raise InputError(f"The last bias, of {head.path!r}, cannot be set: {reason}.")
    return head, met[0] if met else "linear"


class _Asked(NamedTuple):
    """What a loss asks for.

    Attributes:
        name: as Keras writes its function; empty without a loss.
        logits: whether it takes logits.
        smoothing: its label smoothing.
        ignored: the class that it ignores, if any.
        weighed: whether weights of examples change its size, and not only what counts in it.
    """

    name: str = ""
    logits: bool = False
    smoothing: float = 0.0
    ignored: int | None = None
    weighed: bool = False


def _base_rate(layer: Any, call: Call, given: Targets, activation: str, loss: Any) -> BaseRate:
    asked, y = _asked(loss), given.values
    if call.kind is not Kind.DENSE and getattr(layer, "data_format", "") == "channels_first":
        y = np.moveaxis(y, 1, -1)
    units = math.prod(layer.bias.shape)
    what = _LOSSES.get(asked.name) or _by_activation(activation, y, units)
    _check_end(what, asked, activation, call)
    if what == "labels":
        _refuse_other_shape(y, call)
        labels = y.reshape(-1)
        weights = given.weights_of(labels.size)
        kept = np.full(labels.shape, True) if asked.ignored is None else labels != asked.ignored
        if not weights[kept].sum() > 0:
            raise InputError("`y` must hold a label that counts. Received: y with none")
        labels, weights = labels[kept], weights[kept]
        shares = class_shares(labels, weights, units)
        rate = softmax(shares, labels.size, smoothing=asked.smoothing)
    else:
        rows = _rows(y, units, call)
        weights = given.weights_of(len(rows))
        mean = np.average(rows, axis=0, weights=weights)
        if what == "shares":
            rate = softmax(mean, len(rows), smoothing=asked.smoothing)
        elif what == "rates":
            if rows.min() < 0 or rows.max() > 1:
                raise InputError(
                    f"`y` must lie in 0 to 1. Received: y from {rows.min():g} to {rows.max():g}"
                )
            rate = sigmoid(mean, len(rows), smoothing=asked.smoothing)
        else:
            rate = center(rows, weights, activation, asked.name or "mean_squared_error")
    scale = weights.mean() if asked.weighed else 1.0
    known = what == "values" or asked.name in _ENTROPIES
    return dataclasses.replace(rate, loss=float(rate.loss * scale) if known else math.nan)


def _check_end(what: str, asked: _Asked, activation: str, call: Call) -> None:
    """Raises an `InputError` if the last activation does not go with the loss."""
    link = {"labels": "softmax", "shares": "softmax", "rates": "sigmoid"}.get(what)
    wanted = "linear" if asked.logits else link
    if link and activation != wanted:
        raise InputError(
            f"The loss {asked.name} takes {'logits' if asked.logits else 'probabilities'}, so that "
            f"the last activation must be {wanted}. Received: {activation}, after {call.path!r}. "
            "Is `from_logits` of the loss right?"
        )
    if what == "values" and activation not in INVERSES:
        raise InputError(f"There is no rule for the last activation {activation!r}.")


def _refuse_other_shape(y: NDArray[Any], call: Call) -> None:
    """Raises an `InputError` if labels are not one for each row of units."""
    rank, given = len(call.shape) - 1 + call.over_time, y.ndim
    if rank > 0 and given != rank and not (given == rank + 1 and y.shape[-1] == 1):
        raise InputError(
            f"`y` must hold a class number for each output of {call.path!r}, whose shape is "
            f"{('batch', *call.shape[1:])}. Received: y of shape {y.shape}"
        )


def _rows(y: NDArray[Any], units: int, call: Call) -> NDArray[np.float64]:
    if y.size % units or (units > 1 and math.prod(y.shape[1:]) % units):
        raise InputError(
            f"`y` must hold a value for each of the {units} units of {call.path!r}. "
            f"Received: y of shape {y.shape}"
        )
    return y.reshape(-1, units)


def _by_activation(activation: str, y: NDArray[Any], units: int) -> str:
    """Returns what targets are by the last activation, in a model without a loss."""
    if activation == "softmax":
        shares = y.ndim > 1 and y.shape[-1] == units and np.all(y <= 1)
        return "shares" if shares else "labels"
    if activation == "sigmoid":
        return "rates"
    if activation == "linear" and np.all(y == np.round(y)):
        raise InputError(
            "The model has no loss and a linear end, and `y` holds whole numbers: they may be "
            "classes or values. Compile it with the loss that it will have."
        )
    return "values"


def _asked(loss: Any) -> _Asked:
    """Returns what a loss asks for.

    Raises:
        InputError: there is no rule for it.
    """
    if loss is None:
        return _Asked()
    loss = keras.losses.get(loss)
    name = getattr(loss, "__name__", type(loss).__name__)
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    name = {"kldivergence": "kl_divergence"}.get(name, name)
    if name not in _LOSSES:
        raise InputError(f"There is no rule for the loss {name}. Known are {', '.join(_LOSSES)}.")
    # Keras 3.16 no longer keeps these as attributes of every loss.
    options = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    return _Asked(
        name,
        logits=bool(options.get("from_logits")),
        smoothing=float(options.get("label_smoothing") or 0.0),
        ignored=options.get("ignore_class"),
        weighed=options.get("reduction") != "mean_with_sample_weight",
    )
