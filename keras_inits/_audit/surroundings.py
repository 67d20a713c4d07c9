"""What stands behind the layer of a kernel, as far as the graph of layers shows it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import keras

from keras_inits._keras_internals import next_operations, producer
from keras_inits._layers import OwnedWeight
from keras_inits._layers.activations import following
from keras_inits._layers.kinds import KEEPS_SCALE, Kind, kind

# What comes out of these has a unit for each unit that goes in, treated alike. (Reshaping lays a
# unit out over places; it still goes only where it goes.)
_KEEP_UNITS = KEEPS_SCALE | {
    Kind.ACTIVATION,
    Kind.CONCATENATION,
    Kind.INPUT,  # of a nested model
    Kind.NORMALIZATION,
    Kind.POOLING,
    Kind.PRODUCT,
    Kind.SCALING,
    Kind.SUM,
}


@dataclass(frozen=True)
class Surroundings:
    """What stands behind a layer.

    Attributes:
        alone: whether the layer was audited by itself, so that nothing is known of the rest.
        known: whether every way behind the layer is understood, to the next kernels.
        following: identities of the layers whose kernels meet its units first; none for a head.
        activation: what its units go through first; None for none.
        normalized: whether each way to the outputs passes a normalization.
    """

    alone: bool = False
    known: bool = False
    following: tuple[int, ...] = ()
    activation: Any = None
    normalized: bool = False

    @property
    def is_head(self) -> bool:
        """Whether the units are the outputs of the model: each has a target of its own."""
        return self.known and not self.following


class LayerGraph:
    """The layers and operations of a model in order, those of nested models in their places.

    Empty for a layer and for a subclassed model.

    Args:
        model: what is audited.
    """

    def __init__(self, model: Any) -> None:
        self._next: dict[int, list[Any]] = {}
        if _has_graph(model):
            self._add(model, [])

    def __contains__(self, operation: Any) -> bool:
        return id(operation) in self._next

    def after(self, operation: Any) -> list[Any]:
        """Returns what takes the output of `operation`."""
        return self._next[id(operation)]

    def _add(self, model: Any, behind: list[Any]) -> None:
        """Adds the operations of a model; `behind` takes what the model puts out."""
        inside = {id(one): one for one in getattr(model, "operations", None) or model.layers}
        inside |= {id(one): one for one in map(producer, model.inputs)}
        ends = {id(producer(tensor)) for tensor in model.outputs}
        for key, operation in inside.items():
            entries = [
                entered
                for one in next_operations(operation)
                if id(one) in inside
                for entered in (map(producer, one.inputs) if _has_graph(one) else [one])
            ]
            entries += behind if key in ends else []
            if _has_graph(operation):
                self._add(operation, entries)
            else:
                self._next.setdefault(key, []).extend(entries)


def _has_graph(operation: Any) -> bool:
    if not isinstance(operation, keras.Model):
        return False
    # A subclassed model that was called on symbolic tensors has no outputs of its own.
    is_graph = isinstance(operation, keras.Sequential) or hasattr(operation, "operations")
    return is_graph and bool(getattr(operation, "inputs", None))


def surroundings(
    model: Any, graph: LayerGraph, owned: OwnedWeight, with_kernels: Collection[int]
) -> Surroundings:
    """Returns what stands behind the layer of a weight in `model`.

    Args:
        model: what is audited.
        graph: that of `model`.
        owned: a kernel.
        with_kernels: identities of the layers that have kernels.
    """
    layer = owned.layer
    if layer not in graph:  # inside a composite or a subclassed layer
        own = getattr(layer, "activation", None)
        # Of a composite layer (attention, a recurrent layer) this may be a part: it is not alone.
        return Surroundings(alone=layer is model, activation=own)
    activation = following(layer)
    found: list[int] = []
    known = _walk(layer, graph, with_kernels, found, set())
    return Surroundings(
        known=known,
        following=tuple(found),
        activation=activation.activation,
        normalized=_is_normalized(layer, graph, {}),
    )


def _walk(
    operation: Any, graph: LayerGraph, kernels: Collection[int], found: list[int], seen: set[int]
) -> bool:
    """Adds the layers of the next kernels to `found`; returns whether all ways are understood."""
    known = True
    for behind in graph.after(operation):
        if id(behind) in seen:
            continue
        seen.add(id(behind))
        if id(behind) in kernels:
            found.append(id(behind))
        elif _kind(behind) in _KEEP_UNITS:
            known = _walk(behind, graph, kernels, found, seen) and known
        else:
            known = False
    return known


def _is_normalized(operation: Any, graph: LayerGraph, known: dict[int, bool]) -> bool:
    """Returns whether each way from `operation` to an output passes a normalization."""
    following = graph.after(operation)
    for one in following:
        if id(one) not in known:
            known[id(one)] = False  # a layer that is called again meets itself
            known[id(one)] = _kind(one) is Kind.NORMALIZATION or _is_normalized(one, graph, known)
    return bool(following) and all(known[id(one)] for one in following)


def _kind(operation: Any) -> Kind:
    return kind(operation) if isinstance(operation, keras.layers.Layer) else Kind.UNKNOWN
