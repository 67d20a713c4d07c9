"""Remedies as code that runs, for a model called `model`."""

import json
import re
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.seen.traits import activation_of, has_kernel
from keras_inits._diagnose.signal.evidence import Evidence
from keras_inits._schemes import XavierInit

# So the scales of He and of Xavier with the gain of ReLU differ where one side is 1.7 of the other.
NEAR_ONE = 1.3
SMALL_SHIFT = 0.1  # a bias that shifts next to nothing of unit signals
# What an operation of TensorFlow is called in Keras.
_NAMES = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softsign": "softsign",
    "Maximum": "relu",
}


def reference(model: keras.Model, call: Call) -> str | None:
    """Returns an expression for a call's layer, such as `model.get_layer("d5")`; None if none."""
    expression, holder = "model", model
    for part in re.sub(r":\d+$", "", call.name).split("/"):
        inner = _listed(holder, part)
        if inner is not None:
            expression += f".get_layer({json.dumps(part, ensure_ascii=False)})"
        else:
            attribute, inner = _held(holder, part)
            expression += f".{attribute}"
        if inner is None:
            return None
        holder = inner
    return expression if holder is call.layer else None


def _listed(holder: Any, name: str) -> Any:
    if not isinstance(holder, keras.Model):
        return None
    same = [layer for layer in holder.layers if layer.name == name]
    return same[0] if len(same) == 1 else None


def _held(holder: Any, name: str) -> tuple[str, Any]:
    for attribute, value in vars(holder).items():
        if not attribute.isidentifier():
            continue  # what is made of it must stay one name
        if isinstance(value, keras.layers.Layer) and value.name == name:
            return attribute, value
    return "", None


def replaced(model: Any, call: Call, instead: str) -> str:
    """Returns code that puts another layer in the place of a call's, and keeps all other weights.

    Words where the layer stands in another model, or the model is not made of listed layers.

    Args:
        model: that it is in.
        call: of the layer.
        instead: the expression of the other layer.
    """
    listed = isinstance(model, keras.Sequential) or hasattr(model, "operations")
    if not listed or _listed(model, call.layer.name) is not call.layer:
        return f"{instead} in the place of {call.name}"
    name = json.dumps(call.layer.name, ensure_ascii=False)
    clone = (
        "model = keras.models.clone_model(model, clone_function=lambda layer: "
        f"{instead} if layer.name == {name} else layer)"
    )
    if not model.compiled:
        return clone
    return (
        "optimizer, loss = type(model.optimizer).from_config(model.optimizer.get_config()), "
        f"model.loss; {clone}; model.compile(optimizer, loss=loss)"
    )


def kernel_before(evidence: Evidence, index: int) -> int | None:
    """Returns the nearest call with a kernel: that one, or what alone leads to it."""
    while True:
        call = evidence.calls[index]
        if has_kernel(call.layer) and not call.composite:
            return index
        if len(call.before) != 1:
            return None
        (index,) = call.before


def redraw(evidence: Evidence, index: int, scheme: str | None = None) -> str:
    """Returns code that draws the kernel of a call again, and its bias; empty if it has none.

    Args:
        evidence: of the pass.
        index: of the call.
        scheme: the expression of an initializer; that which fits the activation behind if None.
    """
    found = kernel_before(evidence, index)
    expression = None if found is None else reference(evidence.model, evidence.calls[found])
    if found is None or expression is None:
        return ""
    layer = evidence.calls[found].layer
    bias = ', overrides={"*bias": "zeros"}' if any(w.name == "bias" for w in layer.weights) else ""
    return f"keras_inits.initialize({expression}, {scheme or fitting(evidence, found)}{bias})"


def fits(evidence: Evidence, index: int) -> bool:
    """Returns whether `redraw` would change nothing: a kernel is drawn so, its bias is 0."""
    found = kernel_before(evidence, index)
    if found is None:
        return False
    layer = evidence.calls[found].layer
    kernel = getattr(layer, "kernel", None)
    bias = getattr(layer, "bias", None)
    if kernel is None or len(kernel.shape) < 2:
        return False
    values = keras.ops.convert_to_numpy(kernel).astype("float64")
    shift = 0.0 if bias is None else float(np.abs(keras.ops.convert_to_numpy(bias)).max(initial=0))
    scheme = XavierInit(activation=activation_name(evidence, found) or None, seed=0)
    wanted = keras.ops.convert_to_numpy(scheme(values.shape)).astype("float64")
    ratio = np.sqrt((values**2).mean() / (wanted**2).mean())
    return bool(1 / NEAR_ONE <= ratio <= NEAR_ONE and shift <= SMALL_SHIFT)


def scale_input(evidence: Evidence, limit: float = 10.0) -> str:
    """Returns code that standardizes the input, if it is far from what layers expect; else ""."""
    first = next((call.inputs for call in evidence.calls if call.inputs is not None), None)
    if first is None or first.second_moment <= limit**2:
        return ""
    return "x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-7)"


def fitting(evidence: Evidence, index: int) -> str:
    """Returns the expression of the initializer that keeps a signal's size through a layer."""
    name = activation_name(evidence, index)
    return f'keras_inits.XavierInit(activation="{name}")' if name else "keras_inits.XavierInit()"


def activation_name(evidence: Evidence, index: int) -> str:
    """Returns the name of the activation of a layer or right behind it; empty if there is none."""
    call = evidence.calls[index]
    name = _named(activation_of(call.layer))
    if not name and call.squashed:
        name = _NAMES.get(call.squashed[0].operation, "")
    followers = evidence.consumers[index]
    if not name and len(followers) == 1:
        follower = evidence.calls[followers[0]].layer
        if not has_kernel(follower):
            name = _named(activation_of(follower))
    return name


def _named(activation: Any) -> str:
    if isinstance(activation, keras.layers.ReLU):
        return "relu"
    name = getattr(activation, "__name__", "")
    known = getattr(keras.activations, name, None) is activation if name else False
    return name if known and name not in ("linear", "softmax", "log_softmax") else ""
