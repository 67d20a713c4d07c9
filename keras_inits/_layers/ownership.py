"""Which layer made which weight, and where a layer keeps the initializer of a weight."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_inits import _registry
from keras_inits._keras_internals import all_layers

# Weights whose initializer is not called after them.
_INITIALIZERS = {
    "kernel": "depthwise_initializer",
    "reverse_embeddings": "embeddings_initializer",
    "output_kernel": "kernel_initializer",
}


@dataclass(frozen=True)
class OwnedWeight:
    """A weight, the layer that made it, and a path that no other weight has.

    Attributes:
        path: the variable's path; `#2`, `#3` and so on follow where Keras gives one path twice.
        weight: the variable.
        layer: the innermost layer that has it.
        parents: the layers around that one, in no order.
    """

    path: str
    weight: Any
    layer: Any
    parents: tuple[Any, ...]


def owned_weights(model: Any) -> tuple[OwnedWeight, ...]:
    """Returns every weight of `model` once, shared layers and tied weights too."""
    layers = all_layers(model, itself=True)
    inner = {id(layer): all_layers(layer) for layer in layers}
    owners: dict[int, Any] = {}
    parents: dict[int, list[Any]] = {}
    for layer in layers:
        below = {id(weight) for sublayer in inner[id(layer)] for weight in sublayer.weights}
        for weight in layer.weights:
            if id(weight) not in below:
                owners.setdefault(id(weight), layer)
        for sublayer in inner[id(layer)]:
            parents.setdefault(id(sublayer), []).append(layer)
    seen: Counter[str] = Counter()
    found = []
    for weight in {id(weight): weight for weight in model.weights}.values():
        seen[weight.path] += 1
        path = weight.path if seen[weight.path] == 1 else f"{weight.path}#{seen[weight.path]}"
        layer = owners[id(weight)]
        found.append(OwnedWeight(path, weight, layer, tuple(parents.get(id(layer), ()))))
    return tuple(found)


def initializer_attribute(layer: Any, weight_name: str) -> str | None:
    """Returns the attribute in which `layer` keeps the initializer of its weight of that name."""
    candidates = [
        f"{weight_name}_initializer",
        f"{weight_name.removesuffix('_kernel')}_initializer",
        _INITIALIZERS.get(weight_name, ""),
    ]
    # MultiHeadAttention keeps its own under a private name and has no public one.
    candidates += [f"_{name}" for name in candidates]
    return next((name for name in candidates if hasattr(layer, name)), None)


def kept_initializer(layer: Any, weight_name: str) -> Any:
    """Returns the initializer that `layer` keeps for its weight of that name; None if it has none.

    Some layers keep the name or configuration that they were given: it is resolved.
    """
    attribute = initializer_attribute(layer, weight_name)
    kept = getattr(layer, attribute) if attribute else None
    return _registry.get(kept) if isinstance(kept, str | Mapping) else kept
