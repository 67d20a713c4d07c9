"""How the kernels of a model follow on each other, as far as units can be copied along."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import layers

from keras_inits._errors import InputError
from keras_inits._layers.kinds import Kind
from keras_inits._wiring import Call, Wiring, wiring

_MAPS = frozenset({Kind.DENSE, Kind.CONVOLUTION})
# Functions of single units, or of their positions: a copied unit gives a copied output.
_BY_UNIT = frozenset(
    {Kind.ACTIVATION, Kind.ELEMENTWISE, Kind.NOISE, Kind.RESHAPING, Kind.POOLING, Kind.PADDING,
     Kind.UPSAMPLING, Kind.IDENTITY}
)  # fmt: skip


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


def links_of(model: Any) -> tuple[Link, ...] | None:
    """Returns the chain that a model is, or None."""
    try:
        found = chain(wiring(model))
    except InputError:
        return None
    return None if isinstance(found, str) else found


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
    last = found.outputs[0] if len(found.outputs) == 1 else -1
    for call in found.calls:
        layer = found.subjects[call.index]
        if call.signals not in ((call.index - 1,),):
            return f"{call.path!r} takes more than what {call.index - 1} gives"
        if call.kind in _MAPS and getattr(layer, "groups", 1) == 1:
            if any(link.layer is layer for link in links):
                return f"{call.path!r} is called more than once"
            activation = found.activation_function(call)
            previous = None if before is None else found.subjects[before.index]
            links.append(Link(layer, previous, tuple(between), activation))
            between, before = [], call
        elif isinstance(layer, layers.BatchNormalization):
            between.append(layer)
        elif call.kind not in _BY_UNIT or (call.activation == "softmax" and call.index != last):
            return f"{call.path!r} mixes units"
    return tuple(links)
