"""How the kernels of a model follow on each other, as far as units can be copied along."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from keras_inits._errors import InputError
from keras_inits._layers.kinds import Kind
from keras_inits._starts.unit_maps import repeated
from keras_inits._wiring import Call, Wiring, wiring

_MAPS = frozenset({Kind.DENSE, Kind.CONVOLUTION})
# Weights that hold one value for each unit.
_OF_UNITS = (layers.BatchNormalization, layers.PReLU)
# Nothing happens to a value outside of training.
_SILENT = frozenset({Kind.NOISE, Kind.IDENTITY})
_PROBES = np.linspace(-6, 6, 241, dtype="float32")  # where activations are compared
_CLOSE = 1e-2  # of values of order 1: a float16 has three digits


@dataclass(frozen=True)
class Link:
    """A kernel in a chain.

    Attributes:
        layer: the layer that has it.
        before: the layer whose output it takes; None for the first.
        between: layers with weights that stand between the two, each with one value for a unit.
        activation: the function behind it; None for none.
    """

    layer: Any
    before: Any
    between: tuple[Any, ...]
    activation: Callable[[Any], Any] | None


def links_of(model: Any) -> tuple[Link, ...] | str:
    """Returns the chain that a model is, or why it is none."""
    try:
        return chain(wiring(model))
    except InputError as error:
        return str(error)


def head_layers(model: Any) -> list[Any]:
    """Returns the layers of the last kernels of a model; none where it does not show them."""
    try:
        found = wiring(model)
    except InputError:
        return []
    return [found.subjects[call.index] for call in found.heads]


def chain(found: Wiring) -> tuple[Link, ...] | str:
    """Returns the kernels of a model in order, or why they are no chain.

    A chain has one way from input to output, over Dense layers and convolutions that are not
    grouped, and between them only what treats each unit by itself.
    """
    links: list[Link] = []
    between: list[Any] = []
    before: Call | None = None
    mixed = ""  # what mixes units behind the last kernel, which keeps its units, is of no account
    for call in found.calls:
        layer = found.subjects[call.index]
        if call.signals not in ((call.index - 1,),):
            return f"{call.path!r} takes more than what {call.index - 1} gives"
        is_map = call.kind in _MAPS and getattr(layer, "groups", 1) == 1
        if mixed and (is_map or isinstance(layer, _OF_UNITS)):
            return f"{mixed!r} mixes units"
        if is_map:
            if any(link.layer is layer for link in links):
                return f"{call.path!r} is called more than once"
            if getattr(layer, "data_format", "") == "channels_first":
                return f"{call.path!r} has its units first"
            activation = found.activation_function(call)
            previous = None if before is None else found.subjects[before.index]
            links.append(Link(layer, previous, tuple(between), activation))
            between, before = [], call
            mixed = "" if _by_unit(layer.activation, call.shape) else call.path
        elif isinstance(layer, _OF_UNITS):
            if isinstance(layer, layers.BatchNormalization) and layer.axis not in (
                -1,
                len(call.shape) - 1,
            ):
                return f"{call.path!r} normalizes another axis than the last"
            between.append(layer)
        elif call.kind not in _SILENT and not mixed:
            (shape,) = found.shapes_into(call)
            mixed = "" if _by_unit(found.function_of(call), shape) else call.path
    return tuple(links)


def hands_on(link: Link, links: tuple[Link, ...]) -> bool:
    """Returns whether a kernel of a chain can be an identity that leaves the chain's outputs alone.

    It is square, no normalization stands behind it, and its activation changes nothing that the
    one before it gives.
    """
    behind = next((other.between for other in links if other.before is link.layer), ())
    if link.before is None or behind:
        return False
    if link.activation is not None:
        before = next(other.activation for other in links if other.layer is link.before)
        if link.between or before is None:
            return False
        given = _array(before(_PROBES))
        if not np.allclose(_array(link.activation(given)), given, atol=1e-6):
            return False
    convolution = hasattr(link.layer, "padding")
    same = not convolution or (
        link.layer.padding == "same" and set(np.ravel(link.layer.strides)) == {1}
    )
    return bool(same and link.layer.kernel.shape[-1] == link.layer.kernel.shape[-2])


def _by_unit(function: Callable[[Any], Any] | None, shape: tuple[int, ...]) -> bool:
    """Returns whether copied units on the last axis give copied units, and no others.

    What the function gives may hold each unit several times, as a flattened picture does.

    Args:
        function: of a tensor; None for the identity.
        shape: of what it takes.
    """
    if function is None:
        return True
    generator = np.random.default_rng(0)
    units = shape[-1]
    values = generator.normal(size=shape).astype("float32")
    copied = generator.integers(0, units, units)
    try:
        plain, other = (_array(function(v)) for v in (values, values[..., copied]))
    except Exception:  # whatever the code of a user says of an array
        return False
    if plain.shape != other.shape or plain.shape[-1] % units:
        return False
    expected = plain[..., repeated(copied, units, plain.shape[-1] // units)]
    return bool(np.allclose(expected, other, rtol=_CLOSE, atol=_CLOSE, equal_nan=True))


def _array(tensor: Any) -> NDArray[Any]:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))
