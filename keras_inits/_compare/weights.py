"""What a run starts from: the variables of a model, drawn by a scheme as `initialize` draws."""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits import _registry
from keras_inits._checks import function, instance
from keras_inits._errors import InputError
from keras_inits._initialize.plan import AUTO, OWN, plan
from keras_inits._initialize.seeds import run_seed, weight_seed
from keras_inits._initialize.setting import naming
from keras_inits._initialize.step import Step, seed_paths
from keras_inits._initialize.writing import values_for
from keras_inits._layers import LeftAlone, owned_weights, role
from keras_inits._recipes import find

Weights = list[NDArray[Any]]


@dataclass(frozen=True)
class GivenWeights:
    """A scheme that is a function: the weights themselves, rather than a law for each kernel.

    Attributes:
        draw: takes the model and the seed of the run; returns arrays in the order of
            `model.trainable_variables`.

    >>> import numpy as np
    >>> def halves(model, seed):
    ...     return [np.full(weight.shape, 0.5) for weight in model.trainable_variables]
    >>> scheme = GivenWeights(halves)  # compare(build, {"0.5": scheme, "he": "he"}, ...)
    >>> scheme.draw is halves
    True

    Raises:
        InputTypeError: something that is no function.
    """

    draw: Callable[[keras.Model, int], Sequence[Any]]

    def __post_init__(self) -> None:
        function("draw", self.draw, "a function of a model and a seed that returns arrays")


def drawing(spec: Any) -> Any:
    """Returns what draws weights in the form that `draw` takes.

    Raises:
        InputError: an unknown name.
    """
    if isinstance(spec, GivenWeights) or by_model(spec):
        return spec
    return find(spec) or _registry.get(spec)


def by_model(scheme: Any) -> bool:
    """Returns whether a scheme is `"auto"` or `"own"`, whose laws follow from the model."""
    return isinstance(scheme, str) and scheme in (AUTO, OWN)


def derived_seeds(root_seed: int, seed: int, count: int) -> list[int]:
    """Returns seeds for what is no weight of a run; the first do not depend on `count`."""
    return [int(n) for n in np.random.SeedSequence([root_seed, seed]).generate_state(count)]


def draw(model: keras.Model, scheme: Any, root_seed: int, seed: int) -> Weights:
    """Returns what the trainable variables of a run start from; the model is left as it is.

    They are the values that `keras_inits.initialize(model, scheme, seed=run_seed(root_seed, seed))`
    sets: for run 0 those of `seed=root_seed`. Kernels come from the scheme, each in the geometry of
    its layer; biases, scales and the like from the initializer of their own layer. Each has its own
    derived seed, the same under every scheme. A weight that the library does not know starts as
    `build()` made it.

    Args:
        model: a built model.
        scheme: an initializer, `"auto"`, `"own"` or `GivenWeights`.
        root_seed: the root of all seeds of a comparison.
        seed: the number of the run.

    Returns:
        Arrays in the order of `model.trainable_variables`.

    Raises:
        InputError: `GivenWeights` of other shapes than the model's.
        ValueError: a scheme that cannot fill a kernel.
    """
    variables = model.trainable_variables
    if isinstance(scheme, GivenWeights):
        return _checked(scheme.draw(model, seed), variables)
    root = run_seed(root_seed, seed)
    drawn = _drawn_weights(model, scheme)
    return [_values(variable, *drawn[id(variable)], root) for variable in variables]


def _values(variable: keras.Variable, step: Step, path: str, root: int) -> NDArray[Any]:
    if step.initializer is None:
        return keras.ops.convert_to_numpy(variable)  # type: ignore[no-any-return]
    dtype = keras.backend.standardize_dtype(variable.dtype)
    with naming(step):
        values = values_for(step.initializer, step.geometry, dtype, weight_seed(root, path))
    return keras.ops.convert_to_numpy(values)  # type: ignore[no-any-return]


# By model, then by the identity of a scheme, which is kept alive with its entry.
_Drawn = dict[int, tuple[Step, str]]
_plans: weakref.WeakKeyDictionary[keras.Model, dict[tuple[int, ...], tuple[Any, _Drawn]]]
_plans = weakref.WeakKeyDictionary()


def _drawn_weights(model: keras.Model, scheme: Any) -> _Drawn:
    """Returns step and stable path of each weight by its identity, computed once per scheme."""
    # Frozen or thawed since, a model has other trainable variables.
    key = (id(scheme), *map(id, model.trainable_variables))
    plans = _plans.setdefault(model, {})
    if key not in plans:
        owned = owned_weights(model)
        recipe = find(scheme)
        chosen = recipe.on(model, owned) if recipe else scheme
        steps = plan(owned, chosen, model=model)
        plans[key] = (
            scheme,
            {
                id(step.owned.weight): (step, path)
                for step, path in zip(steps, seed_paths(steps), strict=True)
            },
        )
    return plans[key][1]


def left_alone(model: keras.Model) -> list[str]:
    """Returns the paths of weights that are not known, and so start equal in every run."""
    trainable = {id(variable) for variable in model.trainable_variables}
    return [
        owned.path
        for owned in owned_weights(model)
        if id(owned.weight) in trainable and isinstance(role(owned.layer, owned.weight), LeftAlone)
    ]


def _checked(arrays: Sequence[Any], variables: Sequence[Any]) -> Weights:
    instance("draw", arrays, (list, tuple), "a function that returns a list of arrays")
    weights = [
        np.asarray(array, dtype=variable.dtype)
        for array, variable in zip(arrays, variables, strict=False)
    ]
    expected = [tuple(v.shape) for v in variables]
    if len(arrays) != len(variables) or [w.shape for w in weights] != expected:
        raise InputError(
            f"Given weights must have the shapes of the model's trainable variables: {expected}. "
            f"Received: {[np.shape(a) for a in arrays]}"
        )
    return weights
