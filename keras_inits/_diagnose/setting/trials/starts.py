"""Other starts of a training than the one it has: weights drawn anew, other activations."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.setting.reading import Bend
from keras_inits._diagnose.setting.trials.steps import Copy
from keras_inits._diagnose.signal.memory import gate_of_memory
from keras_inits._keras_internals import all_layers

SIGMOIDS = ("sigmoid", "hard_sigmoid")


def redrawn(copy: Copy) -> list[Any]:
    """Returns the trained variables, kernels drawn from N(0, 2 / fan_in) and biases 0.

    He et al. 2015, equation 10. Each gate's recurrent kernel is orthogonal, as by default in Keras;
    embeddings and all other weights stay.
    """
    rng = np.random.default_rng(0)
    values: list[Any] = []
    for variable in copy.trained:
        shape = tuple(variable.shape)
        if variable.name == "kernel" and len(shape) > 1:
            fan_in = int(np.prod(shape[:-1]))
            values.append(rng.normal(0, np.sqrt(2 / fan_in), shape).astype("float32"))
        elif variable.name == "recurrent_kernel" and len(shape) == 2 and shape[1] % shape[0] == 0:
            gates = rng.normal(size=(shape[1] // shape[0], shape[0], shape[0]))
            values.append(np.concatenate(np.linalg.qr(gates)[0], axis=1).astype("float32"))
        elif variable.name == "bias":
            values.append(np.zeros(shape, "float32"))
        else:
            values.append(variable)
    return values


def rectified(model: keras.Model, sigmoids: Sequence[Bend]) -> keras.Model | None:
    """Returns a copy with ReLU in the place of hidden sigmoids, kernels and biases as `redrawn`.

    None where there are none, or the model cannot be copied layer by layer.
    """
    anew = {bend.kernel.name: {"kernel_initializer": "he_normal"} for bend in sigmoids}
    changed = dict.fromkeys(sigmoids, "relu")
    return with_settings(model, anew, changed, drawn=True) if changed else None


def with_settings(
    model: keras.Model,
    settings: Mapping[str, Mapping[str, Any]],
    activations: Mapping[Bend, str] | None = None,
    *,
    drawn: bool = False,
) -> keras.Model | None:
    """Returns a copy with other settings of some layers, and the same weights where these fit.

    Args:
        model: to copy; None comes out where that cannot be done layer by layer.
        settings: what is changed in the configurations, by the names of layers.
        activations: the names of those that stand in the place of others.
        drawn: whether the weights of the layers with other settings are drawn anew.
    """
    instead = {id(bend.subject): name for bend, name in (activations or {}).items()}
    if id(None) in instead:  # what several operations compute cannot be exchanged for one
        return None
    exchanged = set[int]()

    def clone(layer: Any) -> Any:
        changed = {**settings.get(layer.name, {})}
        if id(layer) in instead:
            exchanged.add(id(layer))
            if not hasattr(layer, "activation"):
                return keras.layers.Activation(instead[id(layer)], name=layer.name)
            changed["activation"] = instead[id(layer)]
        config = {**layer.get_config(), **changed}
        try:
            return type(layer).from_config(config)
        except (
            Exception
        ):  # an initializer of the user's own: no draw is needed where weights are set
            plain = {key: "glorot_uniform" for key in config if key.endswith("_initializer")}
            return type(layer).from_config({**config, **plain})

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        # An activation in the place of what is told of masks, or of an axis.
        alone = isinstance(operation, keras.layers.Activation)
        return operation(args[0]) if alone else operation(*args, **kwargs)

    functional = hasattr(model, "operations") and not isinstance(model, keras.Sequential)
    options = {"call_function": call} if functional else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a lambda is written down
            other = keras.models.clone_model(model, clone_function=clone, **options)
        copies = {layer.name: layer for layer in other.layers}
        for old, new in [(la, copies[la.name]) for la in model.layers if la.weights]:
            shapes = [[tuple(w.shape) for w in layer.weights] for layer in (old, new)]
            if shapes[0] == shapes[1] and not (drawn and old.name in settings):
                new.set_weights(old.get_weights())
    except Exception:  # a layer of the user's own that its configuration does not make
        return None
    return other if exchanged == set(instead) else None


def hidden_sigmoids(bends: Sequence[Bend]) -> tuple[Bend, ...]:
    """Returns the sigmoids behind plain kernels."""
    plain = keras.layers.Dense | keras.layers.Conv1D | keras.layers.Conv2D
    return tuple(each for each in bends if each.name in SIGMOIDS and isinstance(each.kernel, plain))


def remembering(copy: Copy, steps: Mapping[str, float]) -> list[Any] | None:
    """Returns the trained variables, changed so that the first steps of a sequence are not lost.

    Gates keep what they hold for a whole sequence: Tallec & Ollivier 2018,
    https://arxiv.org/abs/1804.11188, a bias of log(steps) at those that keep the state. Without
    gates the recurrent kernel is orthogonal: Le, Jaitly, Hinton 2015,
    https://arxiv.org/abs/1504.00941. None where no layer is of either kind.

    Args:
        copy: of the model.
        steps: how many each recurrent layer takes that forgets, by its name.
    """
    rng = np.random.default_rng(0)
    gates: dict[int, tuple[slice, float]] = {}
    plain: set[int] = set()
    for layer in all_layers(copy.model):
        cell: Any = getattr(layer, "cell", None)
        if layer.name not in steps:
            continue
        keeps = gate_of_memory(cell)
        if keeps is not None and cell.bias is not None:
            gates[id(cell.bias)] = keeps, float(np.log(max(steps[layer.name], 2)))
        elif isinstance(cell, keras.layers.SimpleRNNCell):
            plain.add(id(cell.recurrent_kernel))
    if not gates and not plain:
        return None
    values: list[Any] = []
    for variable in copy.trained:
        if id(variable) in gates:
            place, bias = gates[id(variable)]
            value = keras.ops.convert_to_numpy(variable).copy()
            rows = value.reshape(-1, value.shape[-1])  # a GRU may have a second one
            rows[0, place] = bias
            values.append(value)
        elif id(variable) in plain:
            values.append(np.linalg.qr(rng.normal(size=variable.shape))[0].astype("float32"))
        else:
            values.append(variable)
    return values
