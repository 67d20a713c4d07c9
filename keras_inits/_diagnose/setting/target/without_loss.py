"""Outputs that have no part in the loss, and layers that lead to no others."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.reading import tensors_of
from keras_inits._keras_internals import all_layers, compile_arguments
from keras_inits._reporting import Finding


def check(case: Case) -> list[Finding]:
    """Returns the finding that outputs have no part in the loss, and layers of their own.

    Layers that lead to no other output stay as they were drawn. An output that has no trainable
    layer of its own may be watched in this way.
    """
    flat, names = tensors_of(case.model, "outputs"), list(getattr(case.model, "output_names", ()))
    weights = _loss_weights(case.model, names)
    if not case.own or not flat or len({len(flat), len(names), len(weights)}) > 1:
        return []
    counted = [i for i, weight in enumerate(weights) if weight != 0 and i in case.places]
    if len(counted) == len(flat):
        return []
    alone = _leading_to_no_other(case.model, [flat[i] for i in counted])
    if not alone:
        return []
    layers = " and ".join(layer.name for layer in alone)
    off = " and ".join(name for i, name in enumerate(names) if i not in counted)
    mute = not all(i in case.places for i in range(len(flat)))
    new = [float(weight or 1.0) for weight in weights]
    return [
        Finding(
            kind="loss",
            where=("loss", *(layer.name for layer in alone)),
            evidence=(
                (f"there is no loss for {off}" if mute else f"loss_weights has 0 for {off}")
                + f", and {layers} lead to no other output"
            ),
            consequence=(
                "They get no gradient, and stay as they were drawn (where that is meant so, give "
                "them trainable = False)"
            ),
            remedy=(
                f"Compile with a loss for {off} as well"
                if mute
                else f"model.compile(model.optimizer, loss=model.loss, loss_weights={new})"
            ),
            numbers={"outputs": len(flat) - len(counted), "layers": len(alone)},
        )
    ]


def _loss_weights(model: keras.Model, names: Sequence[str]) -> list[Any]:
    """Returns the compiled weight of each output's loss; 1 where none was given."""
    given = compile_arguments(model).get("loss_weights")
    if given is None:
        return [1.0] * len(names)
    if isinstance(given, dict):
        return [given.get(name, 1.0) for name in names]
    return list(keras.tree.flatten(given))


def _leading_to_no_other(model: keras.Model, taught: Sequence[Any]) -> list[keras.Layer]:
    """Returns the layers with weights that none of the outputs that are taught depends on."""
    rest = keras.Model(model.inputs, list(taught), name=model.name) if taught else None
    learning = {id(w) for w in rest.trainable_weights} if rest else set()
    return [
        layer
        for layer in all_layers(model)
        if any(id(w) not in learning for w in layer.trainable_weights)
        and not isinstance(layer, keras.Model)
    ]
