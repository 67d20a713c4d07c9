"""Checks of arguments that every part of the library takes; each returns the value to use."""

import inspect
import math
import numbers
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from keras_inits._errors import InputError, InputTypeError, did_you_mean, keras_2_hint

T = TypeVar("T")
_Name = TypeVar("_Name", bound=str)


def integer(name: str, value: Any, *, minimum: int | None = 0) -> int:
    """Returns `value` as an int if it is an integer, and not below `minimum`.

    Integers of NumPy count, scalar arrays among them; truth values do not.

    Args:
        name: the argument, for the message.
        value: what was given for it.
        minimum: the smallest number allowed; None for no bound.

    Raises:
        InputTypeError: something that is not an integer.
        InputError: an integer below `minimum`.

    >>> integer("seed", 3)
    3
    """
    try:
        if isinstance(value, bool | np.bool_):  # NumPy 1.26 takes its own for an index
            raise TypeError("a truth value")
        number = operator.index(value)
    except (TypeError, AttributeError) as error:  # the latter of TensorFlow's scalars
        least = "" if minimum is None else f", and at least {minimum}"
        raise InputTypeError(
            f"`{name}` must be an integer{least}. "
            f"Received: {name}={value!r} of type {type(value).__name__}"
        ) from error
    if minimum is not None and number < minimum:
        raise InputError(f"`{name}` must be at least {minimum}. Received: {name}={value!r}")
    return number


def real(
    name: str,
    value: Any,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
) -> float:
    """Returns `value` as a float if it is a finite real number within the bounds.

    Numbers of NumPy count, scalar arrays among them; truth values do not.

    Args:
        name: the argument, for the message.
        value: what was given for it.
        minimum: the smallest number allowed; None for no bound.
        maximum: the largest number allowed; None for no bound.
        above: a number that is itself too small; None for no bound.

    Raises:
        InputTypeError: something that is no real number.
        InputError: a number that is not finite, or out of bounds.

    >>> real("sigma_w", np.float32(0.5), minimum=0)
    0.5
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputTypeError(
            f"`{name}` must be a real number. "
            f"Received: {name}={value!r} of type {type(value).__name__}"
        )
    try:
        number = float(value)
    except OverflowError:  # an integer past 1.8e308
        number = math.inf
    if not math.isfinite(number):
        raise InputError(f"`{name}` must be finite. Received: {name}={value!r}")
    if above is not None and not number > above:
        bound = "positive" if above == 0 else f"above {above:g}"
        raise InputError(f"`{name}` must be {bound}. Received: {name}={value!r}")
    low, high = -math.inf if minimum is None else minimum, math.inf if maximum is None else maximum
    if not low <= number <= high:
        bounds = f"at least {low:g}" if maximum is None else f"at most {high:g}"
        if minimum is not None and maximum is not None:
            bounds = f"from {low:g} to {high:g}"
        raise InputError(f"`{name}` must be {bounds}. Received: {name}={value!r}")
    return number


def boolean(name: str, value: Any) -> bool:
    """Returns `value` as a bool if it is a truth value, NumPy's among them.

    Args:
        name: the argument, for the message.
        value: what was given for it.

    Raises:
        InputTypeError: something else, such as 1 or "yes".

    >>> boolean("center", np.True_)
    True
    """
    if not isinstance(value, bool | np.bool_):
        raise InputTypeError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return bool(value)


def choice(name: str, value: _Name, known: Iterable[str]) -> _Name:
    """Returns `value` if it is one of the names that are known.

    Args:
        name: the argument, for the message.
        value: what was given for it.
        known: the names that it may be.

    Raises:
        InputError: something else; the message lists the names, and the most alike.

    >>> choice("order", "pixel_shuffle", ("depth_to_space", "pixel_shuffle"))
    'pixel_shuffle'
    """
    names = list(known)
    if isinstance(value, str) and value in names:
        return value
    hint = did_you_mean(value, names) if isinstance(value, str) else ""
    raise InputError(
        f"`{name}` must be one of {', '.join(map(repr, names))}. {hint}Received: {name}={value!r}"
    )


def position(name: str, value: Any, known: Sequence[Any]) -> int:
    """Returns the place of `value` among those that are known, from 0.

    Args:
        name: the argument, for the message.
        value: what was given for it.
        known: the values that it may be.

    Raises:
        InputError: something else; the message lists what is known.

    >>> position("scheme", "he", ("xavier", "he"))
    1
    """
    try:
        return list(known).index(value)
    except ValueError as error:
        raise InputError(
            f"`{name}` must be one of {', '.join(map(repr, known))}. Received: {name}={value!r}"
        ) from error


def instance(name: str, value: T, kind: type | tuple[type, ...], expected: str) -> T:
    """Returns `value` if it is of a type.

    Args:
        name: the argument, for the message.
        value: what was given for it.
        kind: the type, or several.
        expected: what it must be, in words, such as `"a dict of names"`.

    Raises:
        InputTypeError: something else.

    >>> instance("class_weight", {0: 2.0}, dict, "a dict from classes to factors")
    {0: 2.0}
    """
    if not isinstance(value, kind):
        raise InputTypeError(
            f"`{name}` must be {expected}. Received: {name} of type {type(value).__name__}"
        )
    return value


def function(name: str, value: T, expected: str) -> T:
    """Returns `value` if it can be called, and is no model or layer.

    Args:
        name: the argument, for the message.
        value: what was given for it.
        expected: what it must be, in words, such as `"a function that returns a model"`.

    Raises:
        InputTypeError: something else.
    """
    if not callable(value) or isinstance(value, keras.Layer):
        raise InputTypeError(
            f"`{name}` must be {expected}. Received: {name} of type {type(value).__name__}"
        )
    return value


def takes(value: Callable[..., Any], *given: Any) -> bool:
    """Returns whether a function takes these arguments; True where its signature is not known.

    >>> takes(lambda width: width, 8), takes(lambda: 8, 8)
    (True, False)
    """
    try:
        inspect.signature(value).bind(*given)
    except TypeError:
        return False
    except ValueError:  # of some functions that are written in C
        pass
    return True


def path(name: str, value: Any) -> Path:
    """Returns `value` as a path, if it is one.

    Args:
        name: the argument, for the message.
        value: what was given for it.

    Raises:
        InputTypeError: something else.
    """
    try:
        return Path(value)
    except TypeError as error:
        raise InputTypeError(
            f"`{name}` must be a path. Received: {name} of type {type(value).__name__}"
        ) from error


def identified(name: str, value: Any, get: Callable[[Any], Any], example: str) -> Any:
    """Returns what Keras makes of an identifier: a name, a configuration or the thing itself.

    Args:
        name: the argument, for the message.
        value: what was given for it.
        get: such as `keras.optimizers.get`.
        example: a name that it takes.

    Raises:
        InputError: something that Keras makes nothing of.

    >>> type(identified("optimizer", "sgd", keras.optimizers.get, "adam")).__name__
    'SGD'
    """
    try:
        found = get(value)
        if found is None:
            raise ValueError("nothing")
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(
            f"`{name}` must be one that `compile` takes, such as {example!r}. "
            f"Received: {name}={value!r}"
        ) from error
    return found


def loss(value: Any) -> None:
    """Checks that `compile` takes `value` as a loss, or as a nest of losses by output.

    Args:
        value: what was given for `loss`; None for an output that is not trained.

    Raises:
        InputError: something that Keras makes nothing of, or a nest without a loss.

    >>> loss({"class": "sparse_categorical_crossentropy", "box": "mse"})
    """
    given = list(_losses(value))
    if not given:
        raise InputError(f"`loss` must be one that `compile` takes. Received: loss={value!r}")
    for part in given:
        function("loss", identified("loss", part, keras.losses.get, "mse"), "a loss, no model")


def _losses(value: Any) -> Iterator[Any]:
    """Yields the losses of a nest by output; a configuration is one loss."""
    if isinstance(value, Mapping) and "class_name" not in value:
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _losses(part)
    elif value is not None:
        yield value


def shape(value: Any) -> tuple[int, ...]:
    """Returns a shape as a tuple of integers from 0 up.

    Raises:
        InputTypeError: no sequence.
        InputError: a size that is no integer from 0.

    >>> shape(np.array([3, 4]))
    (3, 4)
    """
    if isinstance(value, str | bytes) or not (
        isinstance(value, Sequence) or hasattr(value, "__array__") or hasattr(value, "as_list")
    ):
        raise InputTypeError(
            f"`shape` must be a sequence of sizes, such as (3, 4). Received: shape={value!r}"
        )
    try:
        sizes = tuple(map(operator.index, value))
    except Exception as error:  # a scalar of any library, sizes of any kind
        raise InputTypeError(
            "`shape` must be a sequence of integers from 0, all known, such as (3, 4). "
            f"Received: shape={value!r}"
        ) from error
    if min(sizes, default=0) < 0:
        raise InputError(f"`shape` must be of integers from 0. Received: shape={value!r}")
    return sizes


def fits(model: Any, x: Any, *, name: str = "x") -> None:
    """Refuses data that cannot go into a functional model, before anything is computed.

    Of one input the number of axes and the last one, the features, have to fit; whether other sizes
    do is up to the layers, as in Keras. Several inputs need more than one array.

    Args:
        model: a model; one that declares no inputs takes what it takes.
        x: arrays as the model takes them.
        name: the argument, for the message.

    Raises:
        InputError: another shape, or one array for several inputs.

    >>> fits(keras.Sequential([keras.Input((4,))]), np.zeros((8, 4)))
    """
    inputs = getattr(model, "inputs", None) or []
    if keras.tree.is_nested(x) or not inputs:
        return
    given = tuple(x.shape)
    if len(inputs) > 1:
        raise InputError(
            f"`{name}` must be a dict or list of {len(inputs)} arrays, one for each input of the "
            f"model. Received: {name} of shape {given}"
        )
    expected = tuple(inputs[0].shape)
    # Keras itself adds or drops a last axis of size 1.
    fitting = [expected, (*expected, 1), expected[:-1] if expected[-1:] == (1,) else expected]
    if not any(
        len(shape) == len(given) and (shape[-1] is None or shape[-1] == given[-1])
        for shape in fitting
    ):
        raise InputError(
            f"`{name}` must have the shape that the model takes, {expected}, None for any size. "
            f"Received: {name} of shape {given}"
        )


def built(model: Any, purpose: str) -> Any:
    """Returns `model` if it is a model or layer of Keras that has its weights.

    Args:
        model: what was given as a model.
        purpose: what it is needed for, such as `"audited"`.

    Raises:
        InputTypeError: something that is no layer.
        InputError: a layer that is not built.
    """
    if not isinstance(model, keras.Layer):
        raise InputTypeError(
            "`model` must be a built Keras model or layer. "
            f"Received: model={model!r} of type {type(model).__module__}.{type(model).__name__}"
            + keras_2_hint(model)
        )
    if not model.built:
        raise InputError(
            "`model` must be a built Keras model or layer: call it on data, or `model.build(...)`, "
            f"before it can be {purpose}. Received: model={model!r}"
        )
    return model
