"""What a model takes, as symbolic tensors."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_inits._errors import InputError, InputTypeError
from keras_inits._keras_internals import has_no_call

# For sizes that a model leaves open: the batch, and the lengths and widths that are tried in turn.
# 32 can be halved five times, as most nets of images do. Some ask for more (Inception for 75), and
# tables of positions for less.
_BATCH = 2
_SIZES = (32, 16, 64, 256, 1024, 8, 4)


def symbolic_inputs(model: Any, inputs: Any) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yields what to call `model` with, for one choice of its open sizes after the other.

    Args:
        model: a built model or layer.
        inputs: what it takes; None to ask the model.

    Yields:
        Positional arguments and named ones, of `keras.KerasTensor`s.

    Raises:
        InputError: the model does not say what it takes.
    """
    arguments, named = _given(model, inputs)
    leaves = [leaf for leaf in keras.tree.flatten((arguments, named)) if leaf is not None]
    open_ = any(None in leaf.shape[1:] for leaf in leaves)
    for size in _SIZES if open_ else _SIZES[:1]:

        def with_size(leaf: Any, size: int = size) -> Any:
            if leaf is None:
                return None
            batch, *rest = leaf.shape or (None,)
            sizes = (batch or _BATCH, *(size if n is None else n for n in rest))
            return keras.KerasTensor(sizes if leaf.shape else (), leaf.dtype, name=leaf.name)

        yield (
            tuple(keras.tree.map_structure(with_size, arguments)),
            keras.tree.map_structure(with_size, named),
        )


def _given(model: Any, inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if has_no_call(model):
        names = [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
        raise InputError(
            f"The model {model.name!r} has no `call`: only its `train_step` puts it together. "
            f"Trace the models that it is made of, one by one: {', '.join(names) or 'none'}."
        )
    if inputs is not None:
        given = _map_specs(inputs)
        several = isinstance(inputs, Mapping) and not hasattr(model, "inputs")
        return ((), given) if several else ((given,), {})
    if getattr(model, "inputs", None):
        if isinstance(model, keras.Sequential):
            return (model.inputs[0],), {}
        return (model.input,), {}  # in the structure that the model was made with
    config = model.get_build_config() or {}
    if config.get("input_shape") is not None:
        return (_map_specs(_open_batch(config["input_shape"])),), {}
    if config.get("shapes_dict"):
        shapes = {name.removesuffix("_shape"): s for name, s in config["shapes_dict"].items()}
        return (), {name: _map_specs(_open_batch(s)) for name, s in shapes.items()}
    raise InputError(
        f"The model {model.name!r} does not say what it takes. Give `inputs`: shapes such as "
        "(None, 28, 28), or example arrays."
    )


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(n is None or isinstance(n, int) for n in value)


def _map_specs(value: Any) -> Any:
    """Returns the structure of shapes, arrays and tensors `value` as one of symbolic tensors."""
    if _is_shape(value):
        return keras.KerasTensor(tuple(value), keras.config.floatx())
    if isinstance(value, Mapping):
        return {name: _map_specs(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_map_specs(each) for each in value]
    try:
        dtype = keras.backend.standardize_dtype(value.dtype)
        return keras.KerasTensor(tuple(value.shape), dtype)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputTypeError(
            "`inputs` must be shapes such as (None, 28, 28), or arrays of numbers, in the "
            f"structure that the model takes. Received: a value of type {type(value).__name__}"
        ) from error


def _open_batch(value: Any) -> Any:
    """Returns shapes without the batch size that a model happened to be built with."""
    if _is_shape(value):
        return (None, *value[1:]) if value else ()
    if isinstance(value, Mapping):
        return {name: _open_batch(each) for name, each in value.items()}
    return [_open_batch(each) for each in value]
