"""How the published programs are entered."""

from collections.abc import Callable
from typing import Any

import numpy as np
from data import standardized
from program import Program, Training, accuracy, explained, register


def entering(table: dict[str, Program], kind: str) -> Callable[..., None]:
    """Returns a function that enters programs of a kind, "classes" or "values", into `table`."""
    program = register(table, "deepmufl")

    def enter(
        key: str,
        known: str,
        data: Callable[[np.random.Generator], Any],
        models: tuple[Callable[[], Any], Callable[[], Any]],
        *sources: str,
        **training: Any,
    ) -> None:
        """Enters a program.

        Args:
            key: the number of the question.
            known: what is wrong, as `program.faults` reads it.
            data: returns inputs and class numbers or values.
            models: make the net and the repaired one.
            *sources: the collections, deepmufl by default.
            **training: of both sides; with the suffix `_repaired` of the repair alone. `inputs` and
                `targets` are what is done to the data.
        """

        @program(key, known, *sources)
        def _(rng: np.random.Generator) -> tuple[Training, Training]:
            x, y = data(rng)
            both = {k: v for k, v in training.items() if not k.endswith("_repaired")}
            own = {k.removesuffix("_repaired"): v for k, v in training.items() if k not in both}
            broken, repaired = (
                _side(kind, x, y, model(), options)
                for model, options in zip(models, (both, both | own), strict=True)
            )
            return broken, repaired

    return enter


def _side(kind: str, x: Any, y: Any, model: Any, options: dict[str, Any]) -> Training:
    options = dict(options)
    inputs = options.pop("inputs", lambda x: x)
    targets = options.pop("targets", lambda y: y)
    score = accuracy(y) if kind == "classes" else explained(y)
    if targets is standardized:
        score = explained(y, y.std(0), y.mean(0))
    return Training(model, inputs(x), targets(y), score=score, **{"optimizer": "adam", **options})
