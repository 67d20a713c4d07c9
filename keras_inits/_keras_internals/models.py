"""What Keras and TensorFlow keep around a model: layers inside layers, states, callbacks."""

import importlib
import sys
from typing import Any

import keras


def of_keras(thing: Any) -> bool:
    """Returns whether the class of a thing is one of Keras's own, and no subclass of yours."""
    return type(thing).__module__.partition(".")[0] == "keras"


def all_layers(layer: keras.Layer, *, itself: bool = False) -> list[keras.Layer]:
    """Returns every layer inside `layer`, at any depth, each once.

    Those that subclassed models, attention, cells and wrappers keep in their attributes are among
    them: `Model.layers` has those at the top alone. Tried with Keras 3.15.1.

    Args:
        layer: a layer or model.
        itself: whether `layer` comes first.
    """
    return list(layer._flatten_layers(include_self=itself))


def unlisted_variables(layer: keras.Layer) -> list[keras.Variable]:
    """Returns the variables inside `layer` that no `variables` names, such as states of RNNs.

    A stateful recurrent layer keeps its states out of Keras's tracking, and assigns to them in each
    call. Tried with Keras 3.15.1.
    """
    listed = {id(v) for v in layer.variables}
    found: dict[int, keras.Variable] = {}
    for each in all_layers(layer, itself=True):
        for value in vars(each).values():
            if isinstance(value, keras.Variable | list | tuple):
                parts = keras.tree.flatten(value)
                found.update({id(v): v for v in parts if isinstance(v, keras.Variable)})
    return [v for key, v in found.items() if key not in listed]


def moved_by_calls(model: keras.Model) -> list[keras.Variable]:
    """Returns the variables that a call of a model may move.

    Moving statistics, and the states of random generators and of recurrent layers.
    """
    return [*model.non_trainable_variables, *unlisted_variables(model)]


def has_no_call(model: Any) -> bool:
    """Returns whether a model of a class of its own is made of others, without a `call`."""
    return isinstance(model, keras.Model) and type(model).call is keras.Model.call


def compile_arguments(model: keras.Model) -> dict[str, Any]:
    """Returns what `compile` was given, by name; nothing where that is not known.

    `get_compile_config` raises where one of them cannot be written down, such as a closure.
    """
    return dict(getattr(getattr(model, "_compile_config", None), "config", None) or {})


def jit_by_default(model: keras.Model) -> bool | None:
    """Returns what `jit_compile="auto"` makes of a model; None where that is not known."""
    resolve = getattr(model, "_resolve_auto_jit_compile", None)
    return None if resolve is None or model.run_eagerly else bool(resolve())


def global_seed_state() -> Any:
    """Returns the variable that seeds draws without a seed; None if nothing was drawn yet."""
    module = sys.modules.get("keras.src.backend.common.global_state")
    generator = module and module.get_global_attribute("global_seed_generator")
    return getattr(generator, "state", None)


def forget_global_seed() -> None:
    """Lets the seed of draws without a seed be made anew, as in a fresh process."""
    module = sys.modules.get("keras.src.backend.common.global_state")
    if module is not None:
        module.set_global_attribute("global_seed_generator", None)


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """Returns the place of a variable, as `update_step` is given it, among those of `build`.

    On TensorFlow that may be the tensor inside of Keras's variable, or its copy on one device.
    Every optimizer of Keras's asks for its own state so. Tried with Keras 3.15.1 on TensorFlow and
    JAX.
    """
    return optimizer._get_variable_index(variable)  # type: ignore[no-any-return]


def operation_callbacks() -> Any:
    """Returns TensorFlow's module of callbacks on eager operations; None where there is none.

    It has no public name; TensorFlow's own debugger (tf.debugging.experimental) is built on it.
    Tried with TensorFlow 2.18 to 2.21.
    """
    try:
        module = importlib.import_module("tensorflow.python.framework.op_callbacks")
    except ImportError:
        return None
    wanted = ("add_op_callback", "remove_op_callback")
    return module if all(callable(getattr(module, name, None)) for name in wanted) else None
