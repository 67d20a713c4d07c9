"""Schemes that are starts: models drawn, then set in place by data or by another model."""

import functools
import hashlib
import inspect
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_inits._checks import function
from keras_inits._compare.code import code_digest
from keras_inits._compare.weights import Weights, draw, drawing
from keras_inits._errors import InputError, InputTypeError
from keras_inits._initialize.seeds import run_seed

# Arguments that a start is given where it has them: the training data, and the seed of the run.
_GIVEN = ("x", "y", "seed")


@dataclass(frozen=True, init=False)
class Start:
    """A scheme that is a function: it sets a model in place, by data or by another model.

    Each run has a model of its own. It is drawn by `scheme`; then the functions set it, one after
    the other: `keras_inits.calibrate`, `pretrain`, `warm_start`, `fit_output_bias`, one of yours,
    or a `functools.partial` of one. A function is called with the model, and with those of `x`,
    `y` (the training data) and `seed` (that of the run) that it has arguments for and that are not
    given. In `compare`, a function alone whose first argument is called `model` is a `Start` too.

    Attributes:
        functions: what sets the model.
        scheme: what draws it before, in any form that `initialize` takes.

    >>> import keras_inits
    >>> start = Start(keras_inits.calibrate, keras_inits.fit_output_bias, scheme="auto")
    >>> len(start.functions)
    2
    """

    functions: tuple[Callable[..., Any], ...]
    scheme: Any

    def __init__(self, *functions: Callable[..., Any], scheme: Any = "own") -> None:
        for each in functions:
            function("functions", each, "functions of a model, such as `keras_inits.calibrate`")
        if not functions:
            raise InputError(
                "`Start` needs a function or more, such as `keras_inits.calibrate`. Received: none"
            )
        object.__setattr__(self, "functions", functions)
        object.__setattr__(self, "scheme", drawing(scheme))


def labelled(schemes: Any) -> dict[str, Any]:
    """Returns schemes by label: initializers, recipes, `"auto"`, `"own"`, `GivenWeights`, `Start`s.

    Args:
        schemes: a mapping from labels to anything that `initialize` takes, `GivenWeights`, a
            `Start` or a function of a model; or a sequence of names and initializers, whose labels
            are then their names.

    Raises:
        InputError: no schemes, two of the same label, or an unknown name.

    >>> list(labelled(["he", "xavier"]))
    ['he', 'xavier']
    """
    if isinstance(schemes, str) or not isinstance(schemes, Mapping | Sequence):
        raise InputTypeError(
            "`schemes` must be a sequence of names or initializers, or a dict from labels to "
            f"them. Received: schemes={schemes!r}"
        )
    if not isinstance(schemes, Mapping):
        labels = [s if isinstance(s, str) else _label(s) for s in schemes]
        if len(set(labels)) < len(labels):
            raise InputError(f"`schemes` must name each scheme once. Received: {labels}")
        schemes = dict(zip(labels, schemes, strict=True))
    if not schemes:
        raise InputError("`schemes` must name one scheme or more. Received: none")
    return {label: _scheme(spec) for label, spec in schemes.items()}


def _scheme(spec: Any) -> Any:
    if is_start(spec):
        return Start(spec)
    return spec if isinstance(spec, Start) else drawing(spec)


def _label(spec: Any) -> str:
    return _name(spec) if is_start(spec) else repr(spec)


@dataclass(frozen=True)
class Started:
    """What a run starts from, and what that cost.

    Attributes:
        weights: the values of the trainable variables.
        states: those of the others; None if they are as built.
        seconds: how long the functions of a start took; 0 for a draw.
        passes: how often they passed data forward through the model, or a part of it.
    """

    weights: Weights
    states: Weights | None = None
    seconds: float = 0.0
    passes: float = 0.0


def is_start(scheme: Any) -> bool:
    """Returns whether a function is a start, and no initializer: its first argument is `model`."""
    inner = scheme.func if isinstance(scheme, functools.partial) else scheme
    if not isinstance(inner, types.FunctionType | types.MethodType):
        return False
    return next(iter(inspect.signature(scheme).parameters), "") == "model"


def carried_out(start: Start, model: keras.Model, x: Any, y: Any, root: int, run: int) -> Started:
    """Returns what a start makes of a model of its own.

    Args:
        start: the start.
        model: a built and compiled model, which is set in place.
        x: the training inputs.
        y: the targets.
        root: the root seed of the comparison.
        run: the number of the run.

    Raises:
        InputError: a function that returns another model, or changes shapes.
    """
    for variable, value in zip(
        model.trainable_variables, draw(model, start.scheme, root, run), strict=True
    ):
        variable.assign(value)
    shapes = _shapes(model)
    given = {"x": x, "y": y, "seed": run_seed(root, run)}
    begun = time.perf_counter()
    passes = sum(_set(model, function, given) for function in start.functions)
    seconds = time.perf_counter() - begun
    if _shapes(model) != shapes:
        raise InputError(
            "A start must leave the variables of the model as many and as large as they are. "
            f"Received: {', '.join(map(_name, start.functions))}"
        )
    weights, states = (
        [keras.ops.convert_to_numpy(v) for v in group]
        for group in (model.trainable_variables, model.non_trainable_variables)
    )
    return Started(weights, states, seconds, passes)


def _shapes(model: keras.Model) -> list[tuple[int, ...]]:
    return [tuple(v.shape) for v in (*model.trainable_variables, *model.non_trainable_variables)]


def _set(model: keras.Model, function: Callable[..., Any], given: Mapping[str, Any]) -> float:
    """Has a function set a model; returns how often it passed data forward."""
    report = function(model, **_arguments(function, given))
    if isinstance(report, keras.Model) and report is not model:
        raise InputError(
            "A start sets the model that it is given. Received: "
            f"{_name(function)}, which returned another one"
        )
    return float(getattr(report, "passes", 0.0))


def start_settings(start: Start) -> dict[str, Any]:
    """Returns, ready for JSON, what decides the numbers of a start but for its scheme.

    Models that the functions take from (the source of a warm start) count with their weights, and
    files that they are given with their content.
    """
    known = [thing for function in start.functions for thing in _known(function)]
    given = [thing for function in start.functions for thing in _given(function)]
    digests = [*map(_weights_of, [*given, *known]), *map(_file_of, given)]
    return {
        "class_name": "Start",
        "code": code_digest(*start.functions),
        "takes_from": [digest for digest in digests if digest],
    }


def _arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters
    fixed = function.keywords if isinstance(function, functools.partial) else {}
    return {name: given[name] for name in _GIVEN if name in parameters and name not in fixed}


def _given(function: Any) -> Iterator[Any]:
    """Yields the arguments that a function was given beforehand."""
    if isinstance(function, functools.partial):
        yield from (*function.args, *function.keywords.values())
        yield from _given(function.func)


def _known(function: Any) -> Iterator[Any]:
    """Yields the values that a function of the user's refers to."""
    if isinstance(function, functools.partial):
        yield from _known(function.func)
    elif isinstance(function, types.FunctionType):
        if function.__module__.partition(".")[0] == "keras_inits":
            return
        for cell in function.__closure__ or ():
            yield cell.cell_contents
        names = function.__code__.co_names
        yield from (function.__globals__[n] for n in names if n in function.__globals__)
        yield from (function.__defaults__ or ())


def _weights_of(thing: Any) -> str:
    """Returns a digest of a model's weights; nothing for anything else."""
    if not isinstance(thing, keras.Layer):
        return ""
    arrays = [np.ascontiguousarray(keras.ops.convert_to_numpy(w)) for w in thing.weights]
    return _digest(b"".join(array.tobytes() for array in arrays))


def _file_of(thing: Any) -> str:
    """Returns a digest of the content of a file; nothing for anything else."""
    if not isinstance(thing, str | Path) or not Path(thing).is_file():
        return ""
    return _digest(Path(thing).read_bytes())


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _name(function: Any) -> str:
    inner = function.func if isinstance(function, functools.partial) else function
    return str(getattr(inner, "__qualname__", type(inner).__name__))
