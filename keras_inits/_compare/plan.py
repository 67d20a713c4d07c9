"""What every run of a comparison has in common: plain data that may travel to another machine."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare.data import Batches, TrainingData, epoch_rows
from keras_inits._compare.weights import GivenWeights, Weights, derived_seeds, draw
from keras_inits._schemes.geometric import with_seed


@dataclass(frozen=True)
class Run:
    """One model trained.

    Attributes:
        scheme: label of the scheme.
        seed: the seed of the run.
        history: by metric, a value for each epoch. `loss` is the mean over the epoch's samples as
            the weights move; the others are measured after it.
        trainer: `"population"` or `"fit"`.
        reason: why it went through `fit`.
        weights: in the end, as `model.get_weights` gives them, if they are kept.
    """

    scheme: str
    seed: int
    history: Mapping[str, tuple[float, ...]]
    trainer: str
    reason: str = ""
    weights: tuple[NDArray[Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Plan:
    """A comparison, but for who trains which part of it.

    Attributes:
        build: returns a model; takes nothing, or the scheme.
        schemes: initializers or `GivenWeights` by label.
        data: what to train and to evaluate on.
        epochs: how many.
        batch_size: samples a batch.
        steps: batches an epoch; None for one pass over the data.
        shuffle: whether each epoch has a new order.
        batches: whether all seeds see the same batches, or each its own.
        optimizer: serialized, or a name; None if `build()` compiles.
        loss: as `compile` takes it.
        metrics: as `compile` takes them.
        root_seed: where all random numbers come from.
        keep_weights: whether the runs hold the weights that they end with.
    """

    build: Callable[..., keras.Model]
    schemes: Mapping[str, Any]
    data: TrainingData
    epochs: int
    batch_size: int
    steps: int | None = None
    shuffle: bool = True
    batches: Batches = "shared"
    optimizer: Any = None
    loss: Any = None
    metrics: Any = field(default_factory=list)
    root_seed: int = 0
    keep_weights: bool = False

    def rows(self, seed: int, epoch: int) -> list[NDArray[np.int32]]:
        """Returns the rows of a run's batches in an epoch, counted from 0."""
        key = [self.root_seed, 0 if self.batches == "shared" else seed, epoch]
        return epoch_rows(
            self.data.samples, self.batch_size, key, shuffle=self.shuffle, steps=self.steps
        )

    def model(self, label: str | None = None, seed: int = 0) -> keras.Model:
        """Returns a compiled model; scheme and seed matter only to a `build` that takes one."""
        model = self._build(label or next(iter(self.schemes)), seed)
        if not model.built:
            model.build(
                keras.tree.map_structure(lambda array: (None, *array.shape[1:]), self.data.x)
            )
        if self.optimizer is not None or not model.compiled:
            model.compile(
                optimizer=keras.optimizers.get(self.optimizer),
                loss=_of_type(self.loss, model),
                metrics=self.metrics,
                # On a CPU a step this small costs more through XLA than without.
                jit_compile=False,
            )
        return model

    def starting_weights(self, template: keras.Model, label: str, seed: int) -> Weights:
        """Returns what the trainable variables of a run start from."""
        if takes_scheme(self.build):
            return [v.numpy() for v in self.model(label, seed).trainable_variables]
        return draw(template, self.schemes[label], self.root_seed, seed)

    def starting_states(self, template: keras.Model, seed: int) -> Weights:
        """Returns what the other variables start from: as built, random states from the seed."""
        states = []
        for variable in template.non_trainable_variables:
            value = variable.numpy()
            if is_random_state(variable):
                value = np.array([derived_seeds(self.root_seed, seed, 1)[0], 0], value.dtype)
            states.append(value)
        return states

    def settings(self, template: keras.Model) -> dict[str, Any]:
        """Returns, ready for JSON, what decides the numbers of a run besides scheme and seed."""
        plain: dict[str, Any] = {
            "model": [[type(layer).__name__ for layer in getattr(template, "layers", ())]]
            + [list(v.shape) for v in template.trainable_variables],
            "optimizer": _plain(template.optimizer),
            "loss": _plain(template.loss),
            "metrics": _plain(self.metrics),
            "data": self.data.digest(),
            "batch_size": self.batch_size,
            "steps": self.steps,
            "shuffle": self.shuffle,
            "batches": self.batches,
            "root_seed": self.root_seed,
        }
        return dict(json.loads(json.dumps(plain)))

    def scheme_settings(self, label: str) -> Any:
        """Returns, ready for JSON, what a scheme is."""
        scheme = self.schemes[label]
        return json.loads(json.dumps("given" if _given(scheme) else _plain(scheme)))

    def _build(self, label: str, seed: int) -> keras.Model:
        if not takes_scheme(self.build):
            return self.build()
        scheme = self.schemes[label]
        if _given(scheme):
            raise ValueError(
                f"Given weights need a `build` without arguments. Received: {label!r} for a "
                "`build` that takes the scheme"
            )
        number = derived_seeds(self.root_seed, seed, 1)[0]
        # A generator, since with an integer all layers of one shape would start equal.
        return self.build(with_seed(scheme, keras.random.SeedGenerator(number)))


def takes_scheme(build: Callable[..., keras.Model]) -> bool:
    """Says whether `build` has an argument that must be given: the scheme."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(
        p.kind in kinds and p.default is p.empty
        for p in inspect.signature(build).parameters.values()
    )


def is_random_state(variable: Any) -> bool:
    """Says whether a variable is the state of a `keras.random.SeedGenerator`."""
    return bool(variable.path.endswith("seed_generator_state"))


def _of_type(loss: Any, model: keras.Model) -> Any:
    """A loss by name computes in the type of the model, so that float64 stays float64."""
    if isinstance(loss, Mapping) and "class_name" not in loss:  # by output
        return {output: _of_type(own, model) for output, own in loss.items()}
    if isinstance(loss, list | tuple):
        return [_of_type(own, model) for own in loss]
    loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss) or loss is None or model.compute_dtype != "float64":
        return loss
    name = "".join(part.capitalize() for part in loss.__name__.split("_"))
    cls = getattr(keras.losses, name, None)
    return cls(dtype=model.compute_dtype) if cls else loss


def _given(scheme: Any) -> bool:
    return isinstance(scheme, GivenWeights)


def _plain(thing: Any) -> Any:
    if thing is None or isinstance(thing, str):
        return thing
    if isinstance(thing, Mapping):
        return {key: _plain(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_plain(value) for value in thing]
    try:
        config = keras.saving.serialize_keras_object(thing)
    except (TypeError, ValueError):
        return getattr(thing, "__qualname__", repr(type(thing)))
    inner = config.get("config")
    if isinstance(inner, dict):  # names are counted up in each process: sgd_1, sgd_2
        inner = {key: value for key, value in inner.items() if key != "name"}
    return [config.get("class_name"), inner]
