"""The MNIST log, trained in one of two ways.

`fit` is Keras as anybody would write it, one run after another. The population trains all runs side
by side, from the same weights; the runs of a seed see the same batches as the first seed's under
`fit`, so that the log of the first seed is the same in both.
"""

import dataclasses
import functools
from collections.abc import Callable

from keras_inits._compare import Execution, compare
from keras_inits._compare.data import from_images
from keras_inits._progress import Progress
from keras_inits.datasets import ImageDataset, load_mnist
from keras_inits.experiments.mnist_log.fit import build_model, train_one_by_one
from keras_inits.experiments.mnist_log.result import (
    EpochListener,
    MnistLogConfig,
    MnistLogResult,
    TrainingRun,
)
from keras_inits.experiments.record import decimal, versions


def run(
    config: MnistLogConfig,
    *,
    report: Callable[[str], object] = print,
    on_epoch: EpochListener = lambda run: None,
    on_progress: Callable[[Progress], object] = lambda progress: None,
) -> MnistLogResult:
    """Trains every scheme with every seed, and goes on where an earlier call stopped.

    Args:
        config: what to do. With `config.out`, the state of the runs is kept there after each epoch,
            and a later call continues from it with the same numbers.
        report: takes lines for people about the data.
        on_epoch: takes the run as far as it has come, after each epoch, those that an earlier call
            finished included. Of a population, whose runs come side by side, it gets one run after
            another when all are there.
        on_progress: takes how far the whole is.

    Raises:
        DataError: MNIST could not be had.
        ValueError: `config.out` holds runs of another recipe.
    """
    data = load_mnist(config.source, config.data_dir, report=report)
    report(data.description)
    if config.trainer == "population":
        runs = _train_population(data, config, on_epoch, on_progress)
    else:
        runs = train_one_by_one(data, config, on_epoch, on_progress)
    return MnistLogResult(
        config=config,
        data=data.provenance(),
        versions=versions(),
        runs=tuple(runs),
    )


def _train_population(
    data: ImageDataset,
    config: MnistLogConfig,
    on_epoch: EpochListener,
    on_progress: Callable[[Progress], object],
) -> list[TrainingRun]:
    compared = compare(
        # The scheme and the derived seeds take the place of those that are given here.
        functools.partial(
            build_model, data.train_images.shape[1], "zeros", config.learning_rate, bias_seed=0
        ),
        config.schemes,
        from_images(data, None),
        seeds=config.seeds,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.root_seed,
        execution=Execution(
            trainer="population",
            out=None if config.out is None else config.out / "state",
            on_progress=on_progress,
        ),
    )
    runs = [
        TrainingRun(
            scheme,
            seed,
            tuple(compared.values("loss")[i, seed].tolist()),
            tuple(decimal(value) for value in compared.values("test_accuracy")[i, seed]),
        )
        for seed in range(config.seeds)
        for i, scheme in enumerate(config.schemes)
    ]
    for run in runs:
        for epoch in range(1, config.epochs + 1):
            on_epoch(dataclasses.replace(run, cost=run.cost[:epoch], accuracy=run.accuracy[:epoch]))
    return runs
