"""Optimizers and losses by the names that Keras has for them; the step size of one."""

from types import ModuleType
from typing import Any

from keras_inits._errors import InputError, did_you_mean


def by_name(option: str, given: Any, module: ModuleType) -> Any:
    """Returns what `module.get` makes of the value of an option.

    Args:
        option: as it is written, such as `"--optimizer"`.
        given: a name, or what `get` hands on.
        module: `keras.optimizers` or `keras.losses`.

    Raises:
        InputError: a name that Keras does not know; the message lists near matches.
    """
    try:
        return module.get(given)
    except (ValueError, TypeError) as error:
        # Keras takes its classes' names in any case: "sgd" for SGD.
        known = {name.lower() for name in dir(module) if not name.startswith("_")}
        raise InputError(
            f"`{option}` must be a name that Keras knows. "
            f"{did_you_mean(str(given).lower(), sorted(known))}Received: {option} {given}. "
            f"See keras.{module.__name__.rpartition('.')[2]}"
        ) from error


def set_rate(optimizer: Any, rate: float | None) -> None:
    """Sets the learning rate of an optimizer, where `--learning-rate` was given.

    Raises:
        InputError: it is not positive.
    """
    if rate is None:
        return
    if not 0 < rate < float("inf"):
        raise InputError(f"`--learning-rate` must be positive. Received: --learning-rate {rate}")
    optimizer.learning_rate = rate
