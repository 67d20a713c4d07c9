"""What a run starts from: the variables of a model, drawn by a scheme from a derived seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits import _registry
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import Default, LeftAlone, owned_weights, role
from keras_inits._schemes import geometric

Weights = list[NDArray[Any]]


@dataclass(frozen=True)
class GivenWeights:
    """A scheme that is a function: the weights themselves, rather than a law for each kernel.

    Attributes:
        draw: takes the model and the seed of the run; returns arrays in the order of
            `model.trainable_variables`.
    """

    draw: Callable[[keras.Model, int], Sequence[Any]]


def labelled(schemes: Any) -> dict[str, Any]:
    """Returns schemes by label, each an initializer or `GivenWeights`.

    Args:
        schemes: a mapping from labels to anything that `keras_inits.get` takes or `GivenWeights`,
            or a sequence of names and initializers, whose labels are then their names.

    Raises:
        ValueError: no schemes, two of the same label, or an unknown name.

    >>> list(labelled(["he", "xavier"]))
    ['he', 'xavier']
    """
    if isinstance(schemes, str) or not isinstance(schemes, Mapping | Sequence):
        raise TypeError(
            "`schemes` must be a sequence of names or initializers, or a dict from labels to "
            f"them. Received: schemes={schemes!r}"
        )
    if not isinstance(schemes, Mapping):
        labels = [s if isinstance(s, str) else repr(s) for s in schemes]
        if len(set(labels)) < len(labels):
            raise ValueError(f"`schemes` must name each scheme once. Received: {labels}")
        schemes = dict(zip(labels, schemes, strict=True))
    if not schemes:
        raise ValueError("`schemes` must name one scheme or more. Received: none")
    return {
        label: spec if isinstance(spec, GivenWeights) else _registry.get(spec)
        for label, spec in schemes.items()
    }


def derived_seeds(root_seed: int, seed: int, count: int) -> list[int]:
    """Returns the seeds of a run's variables; the first of them do not depend on `count`."""
    return [int(n) for n in np.random.SeedSequence([root_seed, seed]).generate_state(count)]


def draw(model: keras.Model, scheme: Any, root_seed: int, seed: int) -> Weights:
    """Returns what the trainable variables of a run start from; the model is left as it is.

    Kernels come from the scheme, each in the geometry of its layer; biases, scales and the like
    from the initializer of their own layer. Each has its own derived seed, the same under every
    scheme. A weight that the library does not know starts as `build()` made it.

    Raises:
        ValueError: `GivenWeights` of other shapes than the model's; a scheme that cannot fill a
            kernel.
    """
    variables = model.trainable_variables
    if isinstance(scheme, GivenWeights):
        return _checked(scheme.draw(model, seed), variables)
    roles = {id(owned.weight): role(owned.layer, owned.weight) for owned in owned_weights(model)}
    seeds = derived_seeds(root_seed, seed, len(variables))
    drawn = []
    for variable, number in zip(variables, seeds, strict=True):
        found = roles[id(variable)]
        if isinstance(found, KernelGeometry):
            values = geometric.draw(scheme, found, variable.dtype, number)
        elif isinstance(found, Default):
            initializer = geometric.with_seed(_registry.get(found.initializer), number)
            values = initializer(tuple(variable.shape), dtype=variable.dtype)
        else:
            values = variable
        drawn.append(keras.ops.convert_to_numpy(values))
    return drawn


def left_alone(model: keras.Model) -> list[str]:
    """Returns the paths of weights that are not known, and so start equal in every run."""
    trainable = {id(variable) for variable in model.trainable_variables}
    return [
        owned.path
        for owned in owned_weights(model)
        if id(owned.weight) in trainable and isinstance(role(owned.layer, owned.weight), LeftAlone)
    ]


def _checked(arrays: Sequence[Any], variables: Sequence[Any]) -> Weights:
    weights = [
        np.asarray(array, dtype=variable.dtype)
        for array, variable in zip(arrays, variables, strict=False)
    ]
    expected = [tuple(v.shape) for v in variables]
    if len(arrays) != len(variables) or [w.shape for w in weights] != expected:
        raise ValueError(
            f"Given weights must have the shapes of the model's trainable variables: {expected}. "
            f"Received: {[np.shape(a) for a in arrays]}"
        )
    return weights
