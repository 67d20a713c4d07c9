"""Optimizers whose learning rate is scaled for each variable, saved and loaded with the model."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import keras

from keras_inits._errors import InputError
from keras_inits._registry import PACKAGE
from keras_inits.mup._scaling import scaling

_FAMILIES: dict[Literal["adam", "sgd"], tuple[Any, ...]] = {
    "sgd": (keras.optimizers.SGD,),
    "adam": (
        keras.optimizers.Adam,
        keras.optimizers.AdamW,
        keras.optimizers.Adamax,
        keras.optimizers.Nadam,
        keras.optimizers.Lion,
    ),
}


class _Scaled:
    """Mixin: an optimizer with factors on its learning rate, by the path of the variable."""

    def __init__(self, *args: Any, rate_factors: Mapping[str, float] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.rate_factors = dict(rate_factors or {})

    def build(self, variables: Any) -> None:
        """Notes which factor is for which variable, and makes the optimizer's own."""
        super().build(variables)  # type: ignore[misc]
        by_identity = {}
        for variable in variables:
            factor = self.rate_factors.get(variable.path, 1.0)
            by_identity[id(variable)] = factor
            if keras.backend.backend() == "tensorflow":
                # There `update_step` gets the variable of TensorFlow's that is inside.
                by_identity[id(variable.value)] = factor
        # A mapping that TensorFlow does not wrap: it takes no dicts with keys other than strings.
        self._factor_of = MappingProxyType(by_identity)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a variable at its own learning rate."""
        rate = learning_rate * self._factor_of[id(variable)]
        super().update_step(gradient, variable, rate)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration of the optimizer, and the factors."""
        return {**super().get_config(), "rate_factors": self.rate_factors}  # type: ignore[misc]


def _scaled(optimizer: type) -> Any:
    name = f"Mup{optimizer.__name__}"
    made = type(name, (_Scaled, optimizer), {"__module__": __name__, "__doc__": optimizer.__doc__})
    return keras.saving.register_keras_serializable(PACKAGE, name)(made)


_SCALED = {cls: _scaled(cls) for classes in _FAMILIES.values() for cls in classes}


def optimizer(like: Any, model: keras.Model, base: keras.Model) -> keras.optimizers.Optimizer:
    """Returns an optimizer like `like` that trains `model` at the learning rate of its base.

    With m the width of a weight against the base: of Adam and its kin the rate of kernels whose
    inputs widen is divided by m. (Decoupled weight decay stays, as Keras multiplies it by the
    global rate.) Of SGD the rate of vectors and of kernels of which the outputs alone widen is
    multiplied by m, that of kernels of which the inputs alone widen divided by it.

    Args:
        like: an optimizer of Keras's, or its name: SGD, Adam, AdamW, Adamax, Nadam or Lion, with
            the learning rate, or schedule, that is good for the base.
        model: the wide model, built.
        base: its narrow sibling, built.

    Raises:
        InputError: another optimizer, or two models that differ by more than widths.

    >>> net = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    >>> type(optimizer("adam", net, net)).__name__
    'MupAdam'
    """
    like = keras.optimizers.get(like)
    # On torch Keras makes subclasses of its own classes; those of others may step in other ways.
    own = type(like).__module__.partition(".")[0] == "keras"
    cls = next((cls for cls in type(like).__mro__ if cls in _SCALED), None) if own else None
    if cls is None:
        known = ", ".join(cls.__name__ for cls in _SCALED)
        raise InputError(
            f"muP's learning rates are known for {known}. Received: {type(like).__name__}"
        )
    family = next(family for family, classes in _FAMILIES.items() if cls in classes)
    factors = {
        one.path: factor
        for one in scaling(model, base).weights
        if (factor := one.rate_factor(family)) != 1
    }
    return _SCALED[cls].from_config({**like.get_config(), "rate_factors": factors})
