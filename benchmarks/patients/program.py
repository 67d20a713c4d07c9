"""A program that does not train, and its repair: what both are made of and how they are scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

Score = Callable[[np.ndarray], float]

# Which kinds of findings name a fault of a program. Places are compared apart from them.
NAMED_BY: dict[str, tuple[str, ...]] = {
    "output": ("output activation", "output units", "no gradient"),
    "loss": ("loss", "output activation", "labels"),
    "labels": ("labels", "target shape", "output units", "class imbalance"),
    "input": ("input scale", "input padding", "input constant", "input not finite", "input values"),
    "target scale": ("target scale",),
    "hidden activation": ("missing activation", "hidden activation", "saturated", "dying"),
    "initialization": (
        "symmetric",
        "vanishing",
        "exploding",
        "saturated",
        "dying",
        "rank-collapsed",
        "no gradient",
        "loss at the start",
    ),
    "rate too high": ("learning rate too high",),
    "rate too low": ("learning rate too low",),
    "precision": ("weight precision",),
    "dropout": ("dropout",),
    "regularization": ("regularization",),
    "capacity": ("missing activation", "dying", "missing positions", "hidden units"),
    "layers": (
        "target shape",
        "output units",
        "missing activation",
        "moving statistics",
        "normalization",
        "missing positions",
        "input padding",  # of a mask that a layer is called with: it names the layer as well
    ),
    "epochs": ("learning rate too low",),
    "gradient": ("no gradient", "vanishing", "normalization", "not finite"),
}
# The end, the loss and the targets are three sides of one mismatch: each names the place to look.
_END = {"output", "loss", "targets"}


@dataclass(frozen=True)
class Fault:
    """What is known to be wrong.

    Attributes:
        kind: a key of `NAMED_BY`.
        where: "input", "targets", "loss", "optimizer", "output", or the index of a layer.
    """

    kind: str
    where: str | int

    def named(self, finding: Any) -> bool:
        """Returns whether a finding names this cause."""
        return finding.kind in NAMED_BY[self.kind]

    def located(self, finding: Any, model: keras.Model) -> bool:
        """Returns whether a finding points to the place of this fault."""
        places = set(finding.where)
        if isinstance(self.where, int):
            name = model.layers[self.where].name
            return any(place.split("/")[-1].split(":")[0] == name for place in places)
        if self.where == "output":
            last = model.layers[-1].name
            return bool(places & {"output", last}) or (self.kind == "output" and "loss" in places)
        if self.where in _END and places & {"loss", "targets"}:
            return True
        return self.where in places


def faults(text: str) -> tuple[Fault, ...]:
    """Returns faults written as `"output@output, initialization@0"`.

    >>> faults("loss@loss, initialization@0")
    (Fault(kind='loss', where='loss'), Fault(kind='initialization', where=0))
    """
    pairs = [part.strip().split("@") for part in text.split(",") if part.strip()]
    return tuple(Fault(k, int(w) if w.lstrip("-").isdigit() else w) for k, w in pairs)


@dataclass(frozen=True, eq=False)
class Training:
    """One side of a program: a model and how it is trained.

    Attributes:
        model: built or not.
        x: what it is given.
        y: its targets.
        loss: as `compile` takes it.
        optimizer: as `compile` takes it.
        score: of predictions for `x`: an accuracy or a share of explained variance.
        batch: samples a step.
        steps: of the training that shows the difference.
        compiled: further arguments of `compile`.
        weights: `class_weight` or `sample_weight` of `fit`.
    """

    model: keras.Model
    x: Any
    y: Any
    loss: Any
    optimizer: Any
    score: Score
    batch: int = 32
    steps: int = 600
    compiled: dict[str, Any] = dataclasses.field(default_factory=dict)
    weights: dict[str, Any] = dataclasses.field(default_factory=dict)

    def but(self, **changes: Any) -> Training:
        """Returns the same training with some parts changed."""
        return dataclasses.replace(self, **changes)

    def compile(self, **options: Any) -> keras.Model:
        """Compiles and returns the model."""
        optimizer = keras.optimizers.get(self.optimizer)
        own = type(optimizer).from_config(optimizer.get_config())  # each belongs to one model
        self.model.compile(own, self.loss, **self.compiled, **options)
        return self.model

    def train(self, seed: int) -> float:
        """Returns the score after training; -1 where that fails or ends in NaN."""
        keras.utils.set_random_seed(seed)
        n = len(keras.tree.flatten(self.x)[0])
        epochs = max(1, round(self.steps / max(1, n // self.batch)))
        model = self.compile(steps_per_execution=min(50, max(1, n // self.batch)))
        try:
            model.fit(
                self.x, self.y, batch_size=self.batch, epochs=epochs, verbose=0, **self.weights
            )
            made = model.predict(self.x, batch_size=256, verbose=0)
        except Exception:  # whatever Keras or the backend raises: the program does not run
            return -1.0
        first = keras.tree.flatten(made)[0]
        return self.score(first) if np.isfinite(first).all() else -1.0


Sides = Callable[[np.random.Generator], tuple[Training, Training]]


@dataclass(frozen=True, eq=False)
class Program:
    """A program that does not train, and its repair.

    Attributes:
        key: the number of the question, or a short name.
        sources: the collections that hold it.
        faults: what is known to be wrong with it.
        sides: returns the broken training and the repaired one.
    """

    key: str
    sources: tuple[str, ...]
    faults: tuple[Fault, ...]
    sides: Sides

    def build(self, seed: int) -> tuple[Training, Training]:
        """Returns both trainings; data do not depend on `seed`, weights do."""
        keras.utils.set_random_seed(seed)
        return self.sides(np.random.default_rng(0))


def register(table: dict[str, Program], *sources: str) -> Callable[..., Callable[[Sides], Sides]]:
    """Returns a decorator `(key, faults)` that enters a program into `table`."""

    def program(key: str, known: str, *more: str) -> Callable[[Sides], Sides]:
        def enter(sides: Sides) -> Sides:
            if key in table:
                raise ValueError(f"Programs need keys of their own. Received: key={key!r}, twice")
            table[key] = Program(key, more or sources, faults(known), sides)
            return sides

        return enter

    return program


def healthy(
    table: dict[str, Program], source: str
) -> Callable[[str], Callable[[Callable[..., Training]], Sides]]:
    """Returns a decorator `(key)` that enters a program without a fault: both sides are one."""
    enter = register(table, source)

    def program(key: str) -> Callable[[Callable[..., Training]], Sides]:
        def once(one: Callable[..., Training]) -> Sides:
            def sides(rng: np.random.Generator) -> tuple[Training, Training]:
                training = one(rng)
                return training, training

            return enter(key, "")(sides)

        return once

    return program


def accuracy(labels: Any) -> Score:
    """Returns the score of class predictions: argmax of several units, one half for one unit."""
    labels = np.asarray(labels)

    def score(made: np.ndarray) -> float:
        if made.shape[-1] > 1 and labels.ndim < made.ndim:
            made = made.argmax(-1)
        else:
            made = (made > 0.5).astype(int)
        if made.size % labels.size == 0 and made.shape != labels.shape:
            made = made.reshape((*labels.shape, -1))[..., -1]
        return float((made == labels).mean())

    return score


def explained(goal: Any, std: Any = 1.0, mean: Any = 0.0) -> Score:
    """Returns the score R2 of predictions that are `std * made + mean`; -1 at the least."""
    goal = np.asarray(goal, float)

    def score(made: np.ndarray) -> float:
        made = np.asarray(made, float) * std + mean
        made = made.reshape(goal.shape) if made.size == goal.size else made.mean() + 0 * goal
        total = ((goal - goal.mean(0)) ** 2).sum()
        return float(max(-1.0, 1 - ((made - goal) ** 2).sum() / total))

    return score
