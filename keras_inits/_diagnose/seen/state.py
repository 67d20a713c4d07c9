"""What a model and the process hold, as it was before a diagnosis."""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.backends import backend
from keras_inits._keras_internals import (
    all_layers,
    forget_global_seed,
    global_seed_state,
    unlisted_variables,
)


class State:
    """The values of variables before they moved; those of a layer are read when it first runs.

    Layers that no model or layer lists (kept in a dict, or made by a closure) are met so, too.
    """

    def __init__(self) -> None:
        self._values: dict[int, tuple[Any, Any]] = {}
        self._layers: set[int] = set()

    def note(self, layer: keras.Layer) -> None:
        """Keeps the values of a layer's variables, the first time that it is met."""
        if id(layer) not in self._layers:
            self._layers.add(id(layer))
            # Trainable ones too: SpectralNormalization, for one, assigns them in its call.
            self.note_variables(layer.variables)

    def note_variables(self, variables: Iterable[Any]) -> None:
        """Keeps the values of variables that were not met before."""
        for variable in variables:
            if id(variable) not in self._values:
                self._values[id(variable)] = (variable, backend.held(variable))

    def restore(self, but: Iterable[Any] = ()) -> None:
        """Puts all values back that have changed, but those of some variables."""
        left = {id(variable) for variable in but}
        for variable, value in self._values.values():
            if id(variable) in left:
                continue
            before, now = backend.array(value), backend.array(backend.current(variable))
            if not np.shares_memory(now, before) and now.tobytes() != before.tobytes():
                variable.assign(value)


@contextmanager
def left_as_it_was(model: keras.Model) -> Iterator[State]:
    """Puts back what a built model, its metrics, its optimizers and the random generators held."""
    state = State()
    state.note(model)
    state.note_variables([*model.metrics_variables, *unlisted_variables(model)])
    for value in (getattr(model, "optimizer", None), *vars(model).values()):
        if isinstance(value, keras.optimizers.Optimizer):
            state.note_variables(value.variables)
    with random_state_kept():
        try:
            yield state
        finally:
            state.restore()


@contextmanager
def initializers_kept(model: keras.Model) -> Iterator[None]:
    """Puts back the initializers that layers hold: `initialize` leaves its schemes with them."""
    held = [
        (layer, name, value)
        for layer in all_layers(model, itself=True)
        for name, value in vars(layer).items()
        if name.endswith("initializer") or name == "unit_forget_bias"
    ]
    try:
        yield
    finally:
        for layer, name, value in held:
            if getattr(layer, name) is not value:
                setattr(layer, name, value)


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Puts the states of Python's, NumPy's, Keras's and torch's global random generators back."""
    library = backend.random_state()
    python, numpy, seed = random.getstate(), np.random.get_state(), global_seed_state()  # noqa: NPY002
    value = None if seed is None else seed.numpy()
    try:
        yield
    finally:
        backend.set_random_state(library)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if seed is not None:
            seed.assign(value)
        else:
            forget_global_seed()
