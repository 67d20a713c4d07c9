"""Which models can be trained side by side, and the reasons why others cannot."""

import contextlib
import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import keras

from keras_inits._backend import WITH_GRADIENTS
from keras_inits._errors import InputError
from keras_inits._foreign_messages import left_out, sentence
from keras_inits._keras_internals import unlisted_variables

# Their update of a number depends on that number, its gradient and the step alone. Adafactor, Lamb,
# Muon and clipping by norm look at whole variables, which would mix the models.
ELEMENTWISE = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion")

_T = TypeVar("_T")


class CannotVectorizeError(InputError):
    """A model that cannot be trained side by side with others; the message is the reason."""


def refuse(model: keras.Model) -> None:
    """Raises a `CannotVectorizeError` for what would not give the numbers of `fit`."""
    if (backend := keras.backend.backend()) not in WITH_GRADIENTS:
        raise CannotVectorizeError(f"Keras runs on {backend}, not on {' or '.join(WITH_GRADIENTS)}")
    for method in ("train_step", "test_step"):
        own = getattr(type(model), method)
        if own not in (getattr(keras.Model, method), getattr(keras.Sequential, method)):
            raise CannotVectorizeError(f"{type(model).__name__} has a {method} of its own")
    if states := unlisted_variables(model):
        raise CannotVectorizeError(f"{states[0].path} moves, which is in no list of variables")
    optimizer = model.optimizer
    if _of_keras(type(optimizer)) not in [getattr(keras.optimizers, n) for n in ELEMENTWISE]:
        raise CannotVectorizeError(
            f"{type(optimizer).__name__} is not known to update every number by itself"
        )
    for option in ("clipnorm", "global_clipnorm", "gradient_accumulation_steps"):
        if getattr(optimizer, option, None):
            raise CannotVectorizeError(f"the optimizer uses {option}")


def _of_keras(optimizer: type[keras.optimizers.Optimizer]) -> type[Any]:
    """Returns the public class behind Keras's own of one backend (torch has some), or itself."""
    for cls in optimizer.__mro__:
        if not cls.__module__.startswith("keras.src.backend."):
            return cls
    return optimizer


def refuse_assigned(
    scope: keras.StatelessScope, variables: Sequence[Any], before: Sequence[Any], when: str
) -> None:
    """Raises a `CannotVectorizeError` if a call has assigned to variables that it must not touch.

    `fit` carries on with what is assigned; the population, whose models share one call, does not.

    Args:
        scope: in which the model was called.
        variables: those that must be left alone.
        before: their values before the call.
        when: which call it was.
    """
    for variable, value in zip(variables, before, strict=True):
        if scope.get_current_value(variable) is not value:
            raise CannotVectorizeError(f"{when} assigns to {variable.path}")


def traced(trace: Callable[[], _T], *, plainly: Callable[[], object]) -> _T:
    """Returns what `trace` returns; what fails there cannot be vectorized.

    Args:
        trace: traces a computation over a stack of models.
        plainly: runs the same model without any of this. What fails there too is a mistake in the
            model, not in vectorizing it, and is raised as it is.

    Raises:
        CannotVectorizeError: the model works, but not vectorized.
    """
    with left_out("tensorflow", _of_loops), _no_garbage_collection():
        try:
            return trace()
        except CannotVectorizeError:
            raise
        except Exception as error:
            # What pfor or a graph cannot do ends here as any kind of error: a ValueError for an
            # operation without a rule, an AttributeError for `tensor.numpy()` in a graph.
            plainly()
            raise CannotVectorizeError(
                f"{type(error).__name__} while vectorizing: {sentence(error)}"
            ) from error


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Puts the search for cycles off: a graph's many objects start it often, and it finds none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _of_loops(record: logging.LogRecord) -> bool:
    """Returns whether a message is about operations, such as Conv2D, that pfor is meant to loop."""
    return "while_loop for converting" in record.getMessage()
