"""One root seed for a model, and from it a seed for each weight."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_inits._layers import OwnedWeight


def root_seed(seed: Any = None) -> int:
    """Returns `seed` if it is a whole number from 0, or a new one if it is None.

    Raises:
        ValueError: anything else.
    """
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"`seed` must be a whole number from 0, or None. Received: seed={seed!r}")
    return seed


def weight_seeds(root: int, weights: Sequence[OwnedWeight]) -> tuple[int, ...]:
    """Returns a seed for each weight, from `root` and the weight's path alone.

    The numbers that Keras appends to names it makes up (`dense_7`) count every layer of the
    process. They are replaced by their rank in the model, so that the same program gives the same
    weights however many models came before.
    """
    names = _ranked_names(weights)
    seeds = []
    for owned in weights:
        path = "/".join(names.get(part, part) for part in owned.path.split("/"))
        digest = hashlib.blake2b(f"{root}/{path}".encode(), digest_size=4).digest()
        seeds.append(int.from_bytes(digest) >> 1)  # Keras takes seeds below 2^31
    return tuple(seeds)


def _ranked_names(weights: Iterable[OwnedWeight]) -> dict[str, str]:
    """Returns the names that Keras made up, each with the name to use in its place."""
    layers = {id(layer): layer for owned in weights for layer in (owned.layer, *owned.parents)}
    numbered: dict[str, dict[str, int]] = defaultdict(dict)
    for layer in layers.values():
        base, number = re.fullmatch(r"(.*?)(?:_(\d+))?", layer.name).groups()  # type: ignore[union-attr]
        # Bidirectional makes its names up from those of the layers that it is given.
        made_up = base.removeprefix("forward_").removeprefix("backward_").replace("_", "")
        if made_up == type(layer).__name__.lower().replace("_", ""):
            numbered[base][layer.name] = int(number or 0)
    return {
        name: f"{base}_{rank}"
        for base, numbers in numbered.items()
        for rank, name in enumerate(sorted(numbers, key=numbers.__getitem__))
    }
