"""Remedies at the end of a model, as code for a model called `model`."""

import json
from collections.abc import Mapping, Sequence

import keras

from keras_inits._diagnose.setting.plain import End, Targets
from keras_inits._diagnose.setting.reading import Bend
from keras_inits._reporting import Finding

COMPILE = "model.compile(model.optimizer, loss=model.loss)"  # again, as it was


def fitting(targets: Targets) -> tuple[int, str, str]:
    """Returns the units, the activation and the loss that fit targets.

    >>> from keras_inits._diagnose.setting.plain import targets_of
    >>> fitting(targets_of([0, 1, 1, 0])), fitting(targets_of([0.2, 1.7, -1]))
    ((1, 'sigmoid', 'binary_crossentropy'), (1, 'linear', 'mse'))
    """
    if targets.exclusive:
        return targets.values.shape[-1], "softmax", "categorical_crossentropy"
    if targets.binary:
        return targets.rows().shape[1], "sigmoid", "binary_crossentropy"
    if targets.classes:
        return int(targets.high) + 1, "softmax", "sparse_categorical_crossentropy"
    return targets.rows().shape[1], "linear", "mse"


def on_activation(
    evidence: str, consequence: str, remedy: str, numbers: Mapping[str, float] | None = None
) -> Finding:
    """Returns a finding on the last activation of a model."""
    where = ("output",)
    return Finding(
        kind="output activation",
        where=where,
        evidence=evidence,
        consequence=consequence,
        remedy=remedy,
        numbers=numbers or {},
    )


def on_loss(
    evidence: str, consequence: str, remedy: str, numbers: Mapping[str, float] | None = None
) -> Finding:
    """Returns a finding on the loss of a model."""
    return Finding(
        kind="loss",
        where=("loss",),
        evidence=evidence,
        consequence=consequence,
        remedy=remedy,
        numbers=numbers or {},
    )


def new_loss(loss: str) -> str:
    """Returns code that compiles with another loss."""
    return f'model.compile(model.optimizer, loss="{loss}")'


def new_activation(end: End, name: str, loss: str = "") -> str:
    """Returns code that gives the last layer another activation, and compiles again.

    In words where the layer cannot be reached by its name.
    """
    if end.operation or not end.reference:
        place = f"behind {end.layer}" if end.operation else f"in {end.layer}"
        old = f" in the place of {end.activation}" if end.operation else ""
        words = (
            f'activation="{name}"{old} {place}' if name != "linear" else f"No activation {place}"
        )
        return f'{words}, and compile with loss="{loss}"' if loss else words
    compiled = new_loss(loss) if loss else COMPILE
    return f"{end.reference}.activation = keras.activations.{name}; {compiled}"


def new_end(end: End, targets: Targets) -> str:
    """Returns code that ends the model in the units, activation and loss that fit targets."""
    units, activation, loss = fitting(targets)
    if units == end.units and end.before == "linear" and (end.reference or end.operation):
        return new_activation(end, activation, loss)
    words = f'End in Dense({units}, "{activation}")'
    if not end.replaceable:
        return f'{words}, and compile with loss="{loss}"'
    return (
        f"{words}: optimizer = type(model.optimizer).from_config(model.optimizer.get_config()); "
        f'model = keras.Model(model.inputs, keras.layers.Dense({units}, "{activation}")'
        f'(model.layers[-1].input)); model.compile(optimizer, loss="{loss}")'
    )


def reference(model: keras.Model, layer: object) -> str:
    """Returns an expression for a layer whose activation can be set; empty where there is none."""
    return path_to(model, layer) if hasattr(layer, "activation") else ""


def set_on(model: keras.Model, layers: Sequence[keras.Layer], name: str, value: float | str) -> str:
    """Returns code that sets an attribute of some layers and compiles again, or words for it.

    Args:
        model: that they are in.
        layers: which.
        name: of the attribute.
        value: a number, or code.

    >>> model = keras.Sequential([keras.layers.Dropout(0.5, name="drop")])
    >>> set_on(model, model.layers, "rate", 0.25)
    'model.get_layer("drop").rate = 0.25; model.compile(model.optimizer, loss=model.loss)'
    """
    paths = [path_to(model, layer) for layer in layers]
    if not all(paths):
        return f"{name}={value} in {' and '.join(la.name for la in layers)}, and compile again"
    return "".join(f"{path}.{name} = {value}; " for path in paths) + COMPILE


def other_activation(
    model: keras.Model, bends: Sequence[Bend], name: str, *, initializer: str = ""
) -> str:
    """Returns code that puts an activation in the place of others, or words for it.

    Args:
        model: that they are in.
        bends: the others.
        name: of a function of `keras.activations`.
        initializer: an expression: the kernels before them are drawn anew by it; empty for not.
    """
    new = f"keras.activations.{name}"
    drawn = [path_to(model, bend.kernel) for bend in bends] if initializer else []
    if not all(drawn) or not all(bend.can_be_set for bend in bends):
        old = " and ".join(dict.fromkeys(bend.name for bend in bends))
        behind = " and ".join(bend.kernel.name for bend in bends)
        also = f", draw these kernels by {initializer}" if initializer else ""
        return f"{new} in the place of {old} behind {behind}{also}, and compile again"
    code = "".join(f"keras_inits.initialize({path}, {initializer}); " for path in drawn)
    return code + set_on(model, [bend.subject for bend in bends], "activation", new)


def on_weights(condition: str, name: str, value: str) -> str:
    """Returns code that sets an attribute of some weights `w` of a model, and compiles again.

    >>> print(on_weights("w.regularizer is not None", "regularizer", "None").splitlines()[1])
        if w.regularizer is not None:
    """
    return (
        "for w in model.trainable_weights:\n"
        f"    if {condition}:\n"
        f"        w.{name} = {value}\n"
        f"{COMPILE}"
    )


def weaker_regularizers() -> str:
    """Returns code that gives weights with a regularizer a weak one."""
    return on_weights("w.regularizer is not None", "regularizer", "keras.regularizers.L2(1e-4)")


def path_to(model: keras.Model, layer: object) -> str:
    """Returns an expression for a layer of a model, or of models in it; empty where there is none.

    >>> inner = keras.Sequential([keras.layers.Dropout(0.5, name="drop")], name="inner")
    >>> path_to(keras.Sequential([inner]), inner.layers[0])
    'model.get_layer("inner").get_layer("drop")'
    """
    for each in model.layers:
        call = f".get_layer({json.dumps(each.name, ensure_ascii=False)})"
        if each is layer:
            return f"model{call}"
        if isinstance(each, keras.Model) and (inner := path_to(each, layer)):
            return f"model{call}{inner.removeprefix('model')}"
    return ""
