"""Which models can be trained side by side, and what is said of those that cannot."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import keras

# Their update of a number depends on that number, its gradient and the step alone. Adafactor, Lamb,
# Muon and clipping by norm look at whole variables, which would mix the models.
ELEMENTWISE = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion")


class CannotVectorizeError(Exception):
    """A model that cannot be trained side by side with others; the message is the reason."""


def refuse(model: keras.Model) -> None:
    """Raises a `CannotVectorizeError` for what would not give the numbers of `fit`."""
    if keras.backend.backend() != "tensorflow":
        raise CannotVectorizeError(f"Keras runs on {keras.backend.backend()}, not on TensorFlow")
    for method in ("train_step", "test_step"):
        own = getattr(type(model), method)
        if own not in (getattr(keras.Model, method), getattr(keras.Sequential, method)):
            raise CannotVectorizeError(f"{type(model).__name__} has a {method} of its own")
    optimizer = model.optimizer
    if type(optimizer) not in [getattr(keras.optimizers, name) for name in ELEMENTWISE]:
        raise CannotVectorizeError(
            f"{type(optimizer).__name__} is not known to update every number by itself"
        )
    for option in ("clipnorm", "global_clipnorm", "gradient_accumulation_steps"):
        if getattr(optimizer, option, None):
            raise CannotVectorizeError(f"the optimizer uses {option}")


def compiled(function: Any, *arguments: Any) -> Any:
    """Returns a compiled function; what fails while it is traced cannot be vectorized."""
    with _quiet_conversion():
        try:
            return function.get_concrete_function(*arguments)
        except Exception as error:
            # Whatever a layer does that pfor does not know ends here, as any kind of error.
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise CannotVectorizeError(
                f"{type(error).__name__} while vectorizing: {lines[-1] if lines else error}"
            ) from error


@contextlib.contextmanager
def _quiet_conversion() -> Iterator[None]:
    """Silences the notes on operations, such as Conv2D, that pfor loops over: that is wanted."""
    logger = logging.getLogger("tensorflow")

    def other(record: logging.LogRecord) -> bool:
        return "while_loop for converting" not in record.getMessage()

    logger.addFilter(other)
    try:
        yield
    finally:
        logger.removeFilter(other)
