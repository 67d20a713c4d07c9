"""Optimizers whose learning rate is scaled for each variable, saved and loaded with the model."""

from collections.abc import Sequence
from typing import Any, Literal

import keras

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits._keras_internals import of_keras, variable_index
from keras_inits._registry import PACKAGE
from keras_inits.mup._scaling import weight_scalings

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
    """Mixin: an optimizer with a factor on its learning rate for each variable.

    Args:
        rates: paths of variables, in the order of the model's trainable ones, with their factors.
    """

    def __init__(self, *args: Any, rates: Sequence[tuple[str, float]] = (), **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.rates = [(str(path), float(factor)) for path, factor in rates]

    @property
    def rate_factors(self) -> dict[str, float]:
        """The factors that are not 1, by the path of the variable."""
        return {path: factor for path, factor in self.rates if factor != 1}

    def build(self, variables: Any) -> None:
        """Notes which factor is for which variable, and makes the optimizer's own."""
        self._factors = tuple(_factors([v.path for v in variables], self.rates))
        super().build(variables)  # type: ignore[misc]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a variable at its own learning rate."""
        rate = learning_rate * self._factors[variable_index(self, variable)]
        super().update_step(gradient, variable, rate)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration of the optimizer, and the factors."""
        rates = [list(each) for each in self.rates]
        return {**super().get_config(), "rates": rates}  # type: ignore[misc]


def _factors(paths: Sequence[str], rates: Sequence[tuple[str, float]]) -> list[float]:
    """Returns the factor of each variable.

    By path, so that layers may be frozen. Where paths do not tell, which is so where Keras has
    named the layers anew in a model that was loaded, by order.

    Raises:
        InputError: other variables than those that the factors are for.
    """
    known = dict(rates)
    if len(known) == len(rates) and len(set(paths)) == len(paths) and known.keys() >= set(paths):
        return [known[path] for path in paths]
    if len(paths) == len(rates):
        return [factor for _, factor in rates]
    strange = next((path for path in paths if path not in known), paths[0] if paths else "")
    raise InputError(
        f"The learning rates are those of a model with {len(rates)} variables, without "
        f"{strange!r}: make the optimizer anew, by mup.optimizer(like, model, base). "
        f"Received: {len(paths)} variables"
    )


def _scaled(optimizer: type) -> Any:
    name = f"Mup{optimizer.__name__}"
    made = type(name, (_Scaled, optimizer), {"__module__": __name__, "__doc__": optimizer.__doc__})
    return keras.saving.register_keras_serializable(PACKAGE, name)(made)


_SCALED = {cls: _scaled(cls) for classes in _FAMILIES.values() for cls in classes}


def optimizer(like: Any, model: keras.Model, base: keras.Model) -> keras.optimizers.Optimizer:
    """Returns an optimizer like `like` that trains `model` at the learning rate of its base.

    With m the width of a weight against the base: of Adam and its kin the rate of kernels whose
    inputs widen is divided by m. Of SGD the rate of vectors and of kernels of which the outputs
    alone widen is multiplied by m, that of kernels of which the inputs alone widen divided by it.

    Decoupled weight decay shrinks a weight by the rate times the decay, and muP keeps that product:
    the published code multiplies the decay by what it divides the rate by. Keras takes the global
    rate for it, so that the decay stays as it is. Schedules, clipping, moving averages and mixed
    precision are those of `like`.

    Args:
        like: an optimizer of Keras's, or its name: SGD, Adam, AdamW, Adamax, Nadam or Lion, with
            the learning rate, or schedule, that is good for the base.
        model: the wide model, built.
        base: its narrow sibling, built.

    Returns:
        An optimizer of the same class with a rate for each weight, to compile `model` with.

    Raises:
        InputError: another optimizer, or two models that differ by more than widths.

    Reference:
        Yang et al. 2022, Tensor Programs V, table 3. https://arxiv.org/abs/2203.03466
        The authors' code for the decay: `mup/optim.py`. https://github.com/microsoft/mup

    >>> net = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    >>> type(optimizer("adam", net, net)).__name__
    'MupAdam'
    """
    like = _checks.identified("like", like, keras.optimizers.get, "adam")
    if isinstance(like, keras.optimizers.LossScaleOptimizer):
        inner = optimizer(like.inner_optimizer, model, base)
        config = {**like.get_config(), "inner_optimizer": inner}
        return type(like)(**config)
    # On torch Keras makes subclasses of its own classes; those of others may step in other ways.
    own = of_keras(like)
    cls = next((cls for cls in type(like).__mro__ if cls in _SCALED), None) if own else None
    if cls is None:
        known = ", ".join(cls.__name__ for cls in _SCALED)
        raise InputError(
            f"muP's learning rates are known for {known}. Received: {type(like).__name__}"
        )
    family = next(family for family, classes in _FAMILIES.items() if cls in classes)
    factors = {
        id(each.weight): one.rate_factor(family) for each, one in weight_scalings(model, base)
    }
    rates = [(v.path, factors.get(id(v), 1.0)) for v in model.trainable_variables]
    return _SCALED[cls].from_config({**like.get_config(), "rates": rates})
