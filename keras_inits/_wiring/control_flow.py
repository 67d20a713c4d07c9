"""Loops and branches of `keras.ops`: the functions that they are given, called on symbolic tensors.

How often a loop calls its function has to be known without data. Of `cond` and `switch` each branch
is called, and what they return meets as behind `where`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_inits._wiring.steps import symbolic

# Steps of one loop that are run out: 64 of a Transformer block take 1 s, and "auto" 3 s more; 256
# take 4 and 12 s.
_MOST = 64


def run_out(operation: Any, args: Sequence[Any]) -> Any:
    """Returns what an operation that calls functions makes of symbolic tensors.

    Args:
        operation: one whose class is named in `CALLS_FUNCTIONS`.
        args: what it is called with.

    Raises:
        LookupError: how often it calls its function is not known, or it is often.
    """
    return CALLS_FUNCTIONS[type(operation).__name__](operation, *args)


def _cond(_: Any, predicate: Any, if_true: Any, if_false: Any) -> Any:
    return _either(predicate, if_true(), if_false())


def _switch(_: Any, index: Any, branches: Any, *operands: Any) -> Any:
    made, *others = (branch(*operands) for branch in branches)
    for number, other in enumerate(others, start=1):
        made = _either(ops.equal(index, number), other, made)
    return made


def _either(predicate: Any, one: Any, other: Any) -> Any:
    return keras.tree.map_structure(lambda a, b: ops.where(predicate, a, b), one, other)


def _for(operation: Any, value: Any) -> Any:
    first = int(operation.lower)
    for step in range(_few(int(operation.upper) - first)):
        value = operation.body_fun(first + step, value)
    return value


def _while(operation: Any, values: Any) -> Any:
    is_one = not isinstance(values, tuple | list)
    values = (values,) if is_one else tuple(values)
    most = operation.maximum_iterations
    for step in range(_MOST + 1):
        if step == most or not _goes_on(operation.cond(*values), most):
            return values[0] if is_one else values
        made = operation.body(*values)
        values = tuple(made) if isinstance(made, tuple | list) else (made,)
    raise LookupError(most)


def _goes_on(condition: Any, most: int | None) -> bool:
    """Returns whether a loop takes another step: what depends on data may take all of them."""
    if not symbolic(condition):
        return bool(ops.convert_to_numpy(condition))
    _few(math.inf if most is None else most)
    return True


def _scan(operation: Any, function: Any, carry: Any, xs: Any = None) -> Any:
    steps = operation.length or keras.tree.flatten(xs)[0].shape[0]
    rows = {}
    for step in _order(_few(steps), operation.reverse):
        carry, rows[step] = function(carry, _row(xs, step))
    if not keras.tree.flatten(rows[0]):
        return carry, rows[0]
    return carry, _over([rows[step] for step in range(steps)], ops.stack)


def _associative_scan(operation: Any, function: Any, elements: Any) -> Any:
    axis = operation.axis
    steps = _few(keras.tree.flatten(elements)[0].shape[axis])
    parts = keras.tree.map_structure(lambda t: ops.split(t, steps, axis), elements)
    rows = {
        step: keras.tree.map_structure_up_to(elements, lambda p, step=step: p[step], parts)
        for step in range(steps)
    }
    made: dict[int, Any] = {}
    before: int | None = None
    for step in _order(steps, operation.reverse):
        made[step] = rows[step] if before is None else function(made[before], rows[step])
        before = step
    return _over([made[step] for step in range(steps)], lambda row: ops.concatenate(row, axis))


def _map(operation: Any, *args: Any) -> Any:
    """Returns what a function makes of the first of several values, for each of them."""
    function, xs = args if len(args) == 2 else (operation.function, args[0])
    return _over([function(_row(xs, 0))] * _few(keras.tree.flatten(xs)[0].shape[0]), ops.stack)


def _row(xs: Any, step: int) -> Any:
    return None if xs is None else keras.tree.map_structure(lambda t: t[step], xs)


def _over(rows: list[Any], joined: Callable[[Any], Any]) -> Any:
    return keras.tree.map_structure(lambda *row: joined(row), *rows)


def _order(steps: int, reverse: bool) -> range:
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _few(steps: Any) -> int:
    if not steps <= _MOST:
        raise LookupError(steps)
    return int(steps)


CALLS_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Cond": _cond,
    "Switch": _switch,
    "ForiLoop": _for,
    "WhileLoop": _while,
    "Scan": _scan,
    "AssociativeScan": _associative_scan,
    "Map": _map,
    "VectorizedMap": _map,
}
