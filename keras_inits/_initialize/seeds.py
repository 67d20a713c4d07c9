"""One root seed for a model, and from it a seed of 128 bits for each weight.

No two weights of a model share a seed: that two of a million meet has a chance below 2^-88.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from keras_inits import _checks
from keras_inits._keras_internals import made_up_name
from keras_inits._layers import OwnedWeight

_BYTES = 16  # of a derived seed: as many as NumPy's SeedSequence keeps of its entropy


def root_seed(seed: int | None = None) -> int:
    """Returns `seed` as an int, or a new one if it is None.

    Raises:
        InputError: anything but a whole number from 0, NumPy's included, or None.
    """
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return _checks.integer("seed", seed)


def run_seed(root: int, run: int) -> int:
    """Returns the root seed of a run among several; that of run 0 is `root` itself.

    >>> run_seed(7, 0)
    7
    """
    return root if run == 0 else _derived(f"{root}/run/{run}")


def weight_seed(root: int, path: str) -> int:
    """Returns the seed of the weight at a stable path."""
    return _derived(f"{root}/{path}")


def stable_paths(weights: Sequence[OwnedWeight]) -> tuple[str, ...]:
    """Returns the paths of weights, the same however many models the process has made before.

    The numbers that Keras appends to names it makes up (`dense_7`) count every layer of the
    process. They are replaced by their rank in the model, so that the same program gives the same
    weights.
    """
    names = _ranked_names(weights)
    return tuple(
        "/".join(names.get(part, part) for part in owned.path.split("/")) for owned in weights
    )


def _derived(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=_BYTES).digest())


def _ranked_names(weights: Iterable[OwnedWeight]) -> dict[str, str]:
    """Returns the names that Keras made up, each with the name to use in its place."""
    layers = {id(layer): layer for owned in weights for layer in (owned.layer, *owned.parents)}
    numbered: dict[str, dict[str, int]] = defaultdict(dict)
    for layer in layers.values():
        if found := made_up_name(layer.name, type(layer).__name__):
            base, number = found
            numbered[base][layer.name] = number
    return {
        name: f"{base}_{rank}"
        for base, numbers in numbered.items()
        for rank, name in enumerate(sorted(numbers, key=numbers.__getitem__))
    }
