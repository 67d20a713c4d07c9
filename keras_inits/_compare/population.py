"""Many models of one architecture trained side by side, as one compiled computation.

The weights of K models lie stacked in one variable each. A step looks up one batch, runs the model
over the stack (`tf.vectorized_map`, `jax.vmap`), differentiates the sum of the K losses (each
weight is in one of them only, so this is each model's own gradient) and lets one Keras optimizer,
built for the stacked variables, update them all. A whole epoch is one compiled loop. On a CPU, nets
with convolutions are run and differentiated one after another inside of it (`engines.turns`).

That is what K calls of `fit` compute, if the optimizer treats every number by itself. With batches
shared, "one batch, K kernels" is one product `(batch, in) @ (in, K * out)` in the first layer.

On a CPU several threads of TensorFlow share the models: models side by side use processors better
than the parts of one small operation do.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from keras_inits._compare.engines import Population, Shared, population_class
from keras_inits._compare.models import compiled_model
from keras_inits._compare.plan import Listener, Member, Plan, Run
from keras_inits._compare.store import EpochState
from keras_inits._compare.vectorizing import refuse


def train_population(
    plan: Plan,
    members: Sequence[Member],
    on_epoch: Listener = lambda epoch: None,
    state: EpochState | None = None,
    threads: int = 1,
) -> list[Run]:
    """Returns runs, trained side by side.

    Args:
        plan: what they share.
        members: label and seed of each.
        on_epoch: called with the number of epochs finished, after each.
        state: where each finished epoch is kept, for the next call to resume from.
        threads: number of threads that share the runs.

    Returns:
        A run for each member, in their order.

    Raises:
        CannotVectorizeError: the model has to be trained by `fit`.
    """
    template = compiled_model(plan)
    refuse(template)
    shared, population = Shared(plan, template), population_class()
    # All Python code of the model runs here, in the caller's thread: the others do not know its
    # dtype policy and scopes.
    size = population.part_size(template, len(members), threads)
    parts = [population(shared, members[i : i + size], state) for i in range(0, len(members), size)]
    histories = (state and _restore(parts, state)) or [{} for _ in members]
    finished = len(histories[0].get("loss", ()))
    with ThreadPoolExecutor(threads) as pool:
        for epoch in range(finished, plan.epochs):
            _extend(histories, list(pool.map(lambda part, epoch=epoch: part.run(epoch), parts)))
            if state is not None:
                state.save([value for part in parts for value in part.values()], histories)
            on_epoch(epoch + 1)
    costs = [cost for part in parts for cost in part.costs]
    kept = [weights for part in parts for weights in part.weights()] if plan.keep_weights else []
    return [
        Run(
            label,
            seed,
            {m: tuple(v) for m, v in history.items()},
            "population",
            weights=kept[i] if kept else (),
            cost=costs[i],
        )
        for i, ((label, seed), history) in enumerate(zip(members, histories, strict=True))
    ]


def _extend(histories: Sequence[Any], measured: Sequence[Any]) -> None:
    """Appends to each history what an epoch measured, by part of the population."""
    for metric in measured[0]:
        values = np.concatenate([of_part[metric] for of_part in measured])
        for history, value in zip(histories, values, strict=True):
            history.setdefault(metric, []).append(float(value))


def _restore(parts: Sequence[Population], state: EpochState) -> list[Any] | None:
    """Restores what is kept and returns the histories; None if nothing that fits is kept."""
    if (kept := state.load([v.shape for part in parts for v in part.values()])) is None:
        return None
    values, histories = kept
    for part in parts:
        part.restore([values.pop(0) for _ in part.values()])
    return histories
