"""The layers of Keras Hub that make weights themselves, by family: what each weight is.

Each file has one table, from the names that `keras_inits._layers.kinds.by_name` reads to a rule for
each weight. A weight that is no kernel starts as Keras Hub's own code has it start.
"""

from collections.abc import Mapping
from typing import Any

from keras_inits._layers.hub import experts, fixed, mixers, positions, scales
from keras_inits._layers.kinds import by_name
from keras_inits._layers.rules import Rule, Weights, by_weight

# The rules of all weights, by layer and weight.
WEIGHTS: Mapping[str, Weights] = {
    f"keras_hub>{name}": weights
    for table in (experts.LAYERS, fixed.LAYERS, mixers.LAYERS, positions.LAYERS, scales.LAYERS)
    for name, weights in table.items()
}
RULES: Mapping[str, Rule] = {name: by_weight(weights) for name, weights in WEIGHTS.items()}

__all__ = ["RULES", "WEIGHTS", "family"]


def family(layer: Any, weight_name: str) -> str:
    """Returns `"token"` or `"position"` for a learned vector of a layer, else an empty text."""
    for name, table in (("token", positions.TOKENS), ("position", positions.POSITIONS)):
        known = {f"keras_hub>{layer_name}": weights for layer_name, weights in table.items()}
        if weight_name in (by_name(type(layer), known) or ()):
            return name
    return ""
