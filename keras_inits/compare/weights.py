"""What a run starts from: the variables of a model, drawn by a scheme from a derived seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits import registry

Weights = list[NDArray[Any]]

# Layers whose kernel a scheme can draw from its shape alone. For the others (depthwise, transposed,
# attention) the shape gives wrong fans: they keep their own initializer, and the result says so.
_KERNEL_LAYERS = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)
_INSIDE = ("layer", "cell", "forward_layer", "backward_layer")  # of wrappers and recurrent layers


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
        label: spec if isinstance(spec, GivenWeights) else registry.get(spec)
        for label, spec in schemes.items()
    }


def derived_seeds(root_seed: int, seed: int, count: int) -> list[int]:
    """Returns the seeds of a run's variables; the first of them do not depend on `count`."""
    return [int(n) for n in np.random.SeedSequence([root_seed, seed]).generate_state(count)]


def seeded(initializer: Any, seed: Any) -> Any:
    """Returns a copy of the initializer with this seed, or itself if it has none."""
    get_config = getattr(initializer, "get_config", None)
    config = get_config() if get_config else {}
    if "seed" in config:
        return type(initializer).from_config({**config, "seed": seed})
    return initializer


def draw(model: keras.Model, scheme: Any, root_seed: int, seed: int) -> Weights:
    """Returns what the trainable variables of a run start from; the model is left as it is.

    Kernels of Dense and convolution layers come from the scheme; every other variable from the
    initializer of its own layer. Each has its own derived seed, the same under every scheme.

    Raises:
        ValueError: `GivenWeights` of other shapes than the model's.
    """
    variables = model.trainable_variables
    if isinstance(scheme, GivenWeights):
        return _checked(scheme.draw(model, seed), variables)
    seeds = derived_seeds(root_seed, seed, len(variables))
    origin = {id(v): (initializer, k) for v, initializer, k in initialized_variables(model)}
    drawn = []
    for variable, number in zip(variables, seeds, strict=True):
        initializer, is_kernel = origin.get(id(variable), (None, False))
        if is_kernel:
            initializer = scheme
        if initializer is None:
            drawn.append(variable.numpy())
        else:
            fresh = seeded(initializer, number)(variable.shape, dtype=variable.dtype)
            drawn.append(keras.ops.convert_to_numpy(fresh))
    return drawn


def left_alone(model: keras.Model) -> tuple[list[str], list[str]]:
    """Returns the paths of weights that no scheme draws.

    Returns:
        Kernels that keep the initializer of their layer, since their shape does not tell the fans;
        and variables of layers that say no initializer, which start as `build()` made them, equal
        in every run.
    """
    origin = {id(v): (v, k) for v, _, k in initialized_variables(model)}
    own, equal = [], []
    for variable in model.trainable_variables:
        if id(variable) not in origin:
            equal.append(variable.path)
        elif not origin[id(variable)][1] and len(variable.shape) > 1:
            own.append(variable.path)
    return own, equal


def initialized_variables(layer: Any) -> Iterator[tuple[Any, Any, bool]]:
    """Yields `(variable, its initializer, whether it is a kernel that a scheme may draw)`."""
    for name in dir(layer):
        if not name.endswith("_initializer") or name.startswith("_"):
            continue
        stem = name.removesuffix("_initializer")
        # `bias`, `pointwise_kernel`; a DepthwiseConv2D calls its only kernel `kernel`
        for attribute in (stem, f"{stem}_kernel", "kernel"):
            variable = getattr(layer, attribute, None)
            if isinstance(variable, keras.Variable):
                exact = type(layer) in _KERNEL_LAYERS and stem == "kernel"
                yield variable, getattr(layer, name), exact
                break
    inside = [getattr(layer, name, None) for name in _INSIDE]
    for child in [*getattr(layer, "layers", ()), *inside]:
        if isinstance(child, keras.layers.Layer):
            yield from initialized_variables(child)


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
