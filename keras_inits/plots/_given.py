"""Checks of what is to be drawn, and of where."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from keras_inits import _checks
from keras_inits._errors import InputError


def axes_for(ax: Axes | None, figsize: tuple[float, float] | None = None) -> Axes:
    """Returns the Axes to draw on: `ax`, or the only ones of a new figure if that is None.

    Args:
        ax: what was given for them.
        figsize: width and height of the new figure in inches; matplotlib's own if None.

    Raises:
        InputTypeError: something that is no Axes.

    >>> axes_for(None).get_xlabel()
    ''
    """
    if ax is None:
        return Figure(figsize, layout="constrained").subplots()
    return _checks.instance("ax", ax, Axes, "Axes of matplotlib, or None")


def numbers(name: str, value: Any, axes: str, *counts: int) -> NDArray[np.float64]:
    """Returns `value` as an array, if it is one of numbers with as many axes, none of them empty.

    Args:
        name: the argument, for the message.
        value: what was given for it.
        axes: what its axes are, such as `"(seeds, epochs)"`.
        *counts: how many axes it may have.

    Raises:
        InputError: something else.

    >>> numbers("curves", [[1, 2]], "(seeds, epochs)", 2)
    array([[1., 2.]])
    """
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:  # the latter of rows that are not equally long
        raise InputError(f"`{name}` must be numbers, {axes}. Received: {value!r:.200}") from error
    if array.ndim not in counts or not array.size:
        raise InputError(f"`{name}` must be numbers, {axes}. Received: shape {array.shape}")
    return array


def by_title(name: str, value: Any, what: str) -> Mapping[str, Any]:
    """Returns `value` if it is a mapping from titles to something, and not empty.

    Args:
        name: the argument, for the message.
        value: what was given for it.
        what: what the titles are for, in words.

    Raises:
        InputTypeError: no mapping.
        InputError: an empty one.

    >>> by_title("losses", {"mup": 0}, "arrays")
    {'mup': 0}
    """
    _checks.instance(name, value, Mapping, f"a dict from titles to {what}")
    if not value:
        raise InputError(f"`{name}` must have at least one of {what}. Received: {name}={value!r}")
    found: Mapping[str, Any] = value
    return found
