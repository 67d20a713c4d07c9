"""Rules that answer for one weight: tables of layers known by name are made of them."""

from collections.abc import Callable, Mapping
from typing import Any

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.dispatch import Default, LeftAlone, Role, unknown

# What a weight of a layer is.
Rule = Callable[[Any, Any], Role]
# The rule of each weight of a layer, by the weight's name.
Weights = Mapping[str, Rule]


def start(initializer: Any) -> Rule:
    """Returns the rule for a weight whose layer has this start in its code, and no argument."""
    return lambda layer, weight: Default(initializer)


def start_from(read: Callable[[Any], Any]) -> Rule:
    """Returns the rule for a weight whose start follows from the layer's configuration."""
    return lambda layer, weight: Default(read(layer))


def argument(name: str) -> Rule:
    """Returns the rule for a weight that starts by an initializer that the layer was given."""
    return lambda layer, weight: Default(getattr(layer, name))


def kernel(*, maps: int | None = None, blocks: int = 1) -> Rule:
    """Returns the rule for a kernel, `(..., inputs, outputs)` but for the axis of its maps.

    Args:
        maps: the axis of independent maps, such as experts.
        blocks: maps that lie one behind the other along the outputs.
    """
    return lambda layer, weight: KernelGeometry.from_shape(
        weight.shape, batch_axes=maps, blocks=blocks
    )


def left(reason: str) -> Rule:
    """Returns the rule for a weight that keeps its value."""
    return lambda layer, weight: LeftAlone(f"{type(layer).__name__} {reason}")


def by_weight(rules: Weights) -> Rule:
    """Returns the rule of a layer from those of its weights; other weights are not known."""

    def rule(layer: Any, weight: Any) -> Role:
        found = rules.get(weight.name)
        return unknown(layer, weight) if found is None else found(layer, weight)

    return rule


ONES, ZEROS = start("ones"), start("zeros")
