"""The circles, trained: five schemes from the published draw, and from many seeds."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._compare import Comparison, Execution, GivenWeights, compare
from keras_inits._compare.weights import draw, labelled
from keras_inits._progress import Progress, part_of
from keras_inits.experiments.circles.result import (
    RECORDED_EVERY,
    CirclesConfig,
    CirclesResult,
    CirclesRun,
    Seed,
)
from keras_inits.experiments.record import versions

Points = tuple[NDArray[np.float64], NDArray[np.int64]]  # where they are, and on which circle

# The factors of the published draw by fan_in; the names are those of the library's schemes of the
# same law, by which the seeds draw.
SCALES: Mapping[str, Callable[[int], float]] = {
    "zeros": lambda fan_in: 0.0,
    "random_large": lambda fan_in: 10.0,
    "random_small": lambda fan_in: 0.01,
    "xavier": lambda fan_in: (1 / fan_in) ** 0.5,
    "he": lambda fan_in: (2 / fan_in) ** 0.5,
}
PUBLISHED_SEED = 3  # of NumPy's legacy generator
LEARNING_RATE = 0.01
GRID = np.linspace(-1.5, 1.5, 121)
LOSS = keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64")


def run(
    config: CirclesConfig,
    *,
    report: Callable[[str], object] = print,
    on_progress: Callable[[Progress], object] = lambda progress: None,
) -> CirclesResult:
    """Trains every scheme from the published draw and from every seed.

    Args:
        config: what to do. With `config.out`, each finished epoch of 1,000 iterations is kept
            there, and a later call goes on from it.
        report: takes lines for people about the data.
        on_progress: takes how far the whole is.

    Raises:
        ValueError: `config.out` holds runs of another recipe.
    """
    train, test = points(1, 300), points(2, 100)
    report(
        f"Two circles with noise 0.05: {len(train[1])} points to train on, {len(test[1])} to test"
    )
    given = {
        name: GivenWeights(functools.partial(published_draw, scale))
        for name, scale in SCALES.items()
    }
    drawn = labelled(list(SCALES))
    once = len(SCALES) * (config.iterations // RECORDED_EVERY)
    total = once * (1 + config.seeds)
    train_part = functools.partial(_compare, config, train, test)
    with _float64():
        published = train_part(
            "published", given, 1, part_of(on_progress, 0, total), keep_weights=True
        )
        seeded = train_part("seeds", drawn, config.seeds, part_of(on_progress, once, total))
        runs = (
            *_runs(published, given, train, ["published"]),
            *_runs(seeded, drawn, train, seeded.seeds),
        )
        boundaries = {scheme: _boundary(published.weights[scheme, 0]) for scheme in SCALES}
    return CirclesResult(config, versions(), runs, train, boundaries)


def points(seed: int, count: int) -> Points:
    """Returns noisy points on two circles and which one each is on, as the article drew them."""
    from sklearn.datasets import make_circles  # an extra

    x, y = make_circles(n_samples=count, noise=0.05, random_state=seed)
    return x, y


def build() -> keras.Model:
    """Returns the net, in float64; its output is a logit."""
    return keras.Sequential(
        [
            keras.Input((2,), dtype="float64"),
            keras.layers.Dense(10, "relu", dtype="float64"),
            keras.layers.Dense(5, "relu", dtype="float64"),
            keras.layers.Dense(1, dtype="float64"),
        ]
    )


def published_draw(scale: Callable[[int], float], model: keras.Model, seed: int = 0) -> list[Any]:
    """Returns the weights that the article started from: `randn(out, in)` layer after layer."""
    generator = np.random.RandomState(PUBLISHED_SEED)
    weights: list[Any] = []
    for layer in model.layers:
        fan_in, fan_out = layer.kernel.shape
        weights.append(generator.randn(fan_out, fan_in).T * scale(fan_in))
        weights.append(np.zeros(fan_out))
    return weights


def _compare(
    config: CirclesConfig,
    train: Points,
    test: Points,
    name: str,
    schemes: Mapping[str, Any],
    seeds: int,
    on_progress: Callable[[Progress], object],
    *,
    keep_weights: bool = False,
) -> Comparison:
    return compare(
        build,
        schemes,
        (train, {"train": train, "test": test}),
        seeds=seeds,
        epochs=config.iterations // RECORDED_EVERY,
        steps_per_epoch=RECORDED_EVERY,
        batch_size=None,
        shuffle=False,
        optimizer=keras.optimizers.SGD(LEARNING_RATE),
        loss=LOSS,
        metrics=[keras.metrics.BinaryAccuracy("accuracy", dtype="float64", threshold=0.0)],
        seed=config.root_seed,
        keep_weights=keep_weights,
        execution=Execution(
            out=None if config.out is None else config.out / "state" / name,
            on_progress=on_progress,
        ),
    )


def _runs(
    result: Comparison, schemes: Mapping[str, Any], train: Points, names: Sequence[Seed]
) -> Iterator[CirclesRun]:
    """Yields the runs of a comparison, whose seeds are called `names`."""
    model = build()
    for k, seed in enumerate(result.seeds):
        for i, scheme in enumerate(result.schemes):
            model.set_weights(draw(model, schemes[scheme], result.seed, seed))
            first = float(LOSS(train[1][:, None], model(train[0])))
            # after 1,000, 2,000, ... iterations; the article recorded before the first of each
            later = result.values("train_loss")[i, k, :-1].tolist()
            yield CirclesRun(
                scheme,
                names[k],
                (first, *later),
                float(result.final("train_accuracy")[i, k]),
                float(result.final("test_accuracy")[i, k]),
            )


def _boundary(weights: Sequence[Any]) -> NDArray[np.float64]:
    model = build()
    model.set_weights(weights)
    grid = np.stack(np.meshgrid(GRID, GRID), axis=-1).reshape(-1, 2)
    logits = keras.ops.convert_to_numpy(model(grid))
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-logits.reshape(len(GRID), len(GRID))))
    return probability


@contextlib.contextmanager
def _float64() -> Iterator[None]:
    """Lets the optimizer hold its learning rate in float64: 0.01 in float32 is another number."""
    keras.config.dtype_policy()  # which is made once, from the type that is set now
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(before)
