import functools

import keras
import numpy as np
import pytest
from compare.small_models import not_on_torch, sequential
from keras import layers
from versions import ON_JAX, of_tensorflow

from keras_inits import Execution, GivenWeights, compare
from keras_inits._cli import models
from keras_inits._compare import population
from keras_inits._compare.vectorizing import ELEMENTWISE, CannotVectorizeError

DENSE = (layers.Flatten, lambda: layers.Dense(16, "relu"))
ARCHITECTURES = {
    "dense": DENSE,
    "convolution": (
        lambda: layers.Conv2D(4, 3, strides=2, activation="relu"),
        lambda: layers.MaxPooling2D(2),
        layers.Flatten,
    ),
    "batch norm": (
        # with a bias, whose gradient is rounding alone, Adam makes steps of rounding
        lambda: layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization,
        layers.ReLU,
        layers.GlobalAveragePooling2D,
    ),
    "dropout": (*DENSE, lambda: layers.Dropout(0.5)),
    "regularizers": (
        layers.Flatten,
        lambda: layers.Dense(16, "relu", kernel_regularizer="l2", activity_regularizer="l2"),
    ),
    "recurrent": (lambda: layers.Reshape((8, 16)), lambda: layers.SimpleRNN(5)),
    "separable, layer norm": (
        lambda: layers.SeparableConv2D(4, 3, activation="relu"),
        layers.LayerNormalization,
        layers.Flatten,
    ),
}
OPTIMIZERS = {
    "sgd": keras.optimizers.SGD(0.05),
    "momentum": keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": keras.optimizers.Adam(0.01),
}


def assert_same_numbers(build, data, options, atol=1e-4, schemes=("he", "xavier")):
    """Trains by `fit` and in the population: every metric of every run must agree."""
    ours = compare(build, schemes, data, execution=Execution(trainer="population"), **options)
    theirs = compare(build, schemes, data, execution=Execution(trainer="fit"), **options)
    assert (ours.trainer, theirs.trainer) == ("population", "fit")
    assert ours.metrics == theirs.metrics
    for metric in ours.metrics:
        np.testing.assert_allclose(ours.values(metric), theirs.values(metric), atol=atol, rtol=0)
    return ours


@pytest.mark.parametrize(
    ("architecture", "optimizer"),
    [
        ("dense", "sgd"),
        pytest.param("dense", "adam", marks=pytest.mark.slow),
        pytest.param("dense", "momentum", marks=pytest.mark.slow),
        *(
            pytest.param(architecture, optimizer, marks=(pytest.mark.slow, not_on_torch))
            for architecture in ("convolution", "batch norm")
            for optimizer in OPTIMIZERS
        ),
    ],
)
def test_the_population_has_the_numbers_of_fit(architecture, optimizer, images, options):
    build = sequential(*ARCHITECTURES[architecture])
    result = assert_same_numbers(build, images, options | {"optimizer": OPTIMIZERS[optimizer]})
    losses = result.values("loss")
    assert len(np.unique(losses)) == losses.size  # no two runs are the same


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param("dropout", marks=not_on_torch),
        pytest.param("regularizers", marks=pytest.mark.slow),
        pytest.param("recurrent", marks=pytest.mark.slow),
        pytest.param("separable, layer norm", marks=(pytest.mark.slow, not_on_torch)),
    ],
)
def test_other_layers_have_the_numbers_of_fit_too(architecture, images, options):
    assert_same_numbers(sequential(*ARCHITECTURES[architecture]), images, options)


@pytest.mark.slow
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_optimizer_that_is_called_elementwise_is(name, images, options):
    optimizer = getattr(keras.optimizers, name)(weight_decay=0.01, clipvalue=0.5)
    assert_same_numbers(sequential(*DENSE), images, options | {"optimizer": optimizer})


def test_an_optimizer_that_mixes_the_models_would_not_agree(images, options, monkeypatch):
    """Negative control: clipping by norm, were it let through, must be seen."""
    monkeypatch.setattr(population, "refuse", lambda model: None)
    optimizer = keras.optimizers.SGD(0.5, clipnorm=0.1)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_same_numbers(sequential(*DENSE), images, options | {"optimizer": optimizer})


def test_batches_of_their_own_have_the_numbers_of_fit_too(images, options):
    result = assert_same_numbers(sequential(*DENSE), images, options | {"batches": "own"})
    shared = compare(sequential(*DENSE), ["he", "xavier"], images, **options)
    np.testing.assert_allclose(result.values("loss")[:, 0], shared.values("loss")[:, 0], atol=1e-5)
    assert np.all(result.values("loss")[:, 1] != shared.values("loss")[:, 1])


def test_learning_rate_schedules_are_followed(images, options):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)
    optimizer = keras.optimizers.SGD(schedule)
    assert_same_numbers(sequential(*DENSE), images, options | {"optimizer": optimizer})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"optimizer": keras.optimizers.SGD(clipnorm=1.0)}, "the optimizer uses clipnorm"),
        ({"optimizer": "adafactor"}, "Adafactor is not known to update every number by itself"),
    ],
)
def test_what_cannot_go_side_by_side_goes_through_fit_with_the_reason(
    change, reason, images, options
):
    result = compare(sequential(*DENSE), ["he"], images, **options | change)
    assert result.trainer == "fit"
    assert reason in "".join(result.notes)
    assert reason in " ".join(result.summary().split())


def test_a_train_step_of_its_own_is_respected(images, options):
    class Twice(keras.Sequential):
        def train_step(self, *given):  # on JAX the state as well
            *state, data = given
            if state:
                _, state = super().train_step(*state, data)
                return super().train_step(state, data)
            super().train_step(data)
            return super().train_step(data)

    result = compare(lambda: Twice(sequential(*DENSE)().layers), ["he"], images, **options)
    assert "Twice has a train_step of its own" in "".join(result.notes)


class Eager(layers.Layer):
    """Works as Python, and cannot be traced: a tensor in a graph has no numpy()."""

    def compute_output_shape(self, shape):  # without which Keras traces the call to build
        return shape

    def call(self, x):
        return x * float(x.numpy().mean())


class Mistaken(layers.Layer):
    """Works nowhere in training."""

    def call(self, x, training=False):
        return x * forgotten if training else x  # noqa: F821


def eager(layer):
    def build():
        model = sequential(layers.Flatten, layer)()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, run_eagerly=True)
        return model

    return build


@of_tensorflow("a tensor without numpy()")
def test_a_model_that_python_must_run_is_trained_by_fit_with_the_reason(images, options):
    options = {**options, "optimizer": None, "loss": None, "metrics": ()}
    result = compare(eager(Eager), ["he"], images, **options)
    assert result.trainer == "fit"
    assert "Trained one by one by `fit`: AttributeError while vectorizing" in result.notes[0]
    assert np.isfinite(result.values("loss")).all()
    insisting = Execution(trainer="population")
    with pytest.raises(CannotVectorizeError, match="numpy"):
        compare(eager(Eager), ["he"], images, execution=insisting, **options)


@pytest.mark.parametrize("trainer", ["auto", "population"])
def test_a_mistake_in_a_model_is_raised_as_it_is(trainer, images, options):
    options = {**options, "optimizer": None, "loss": None, "metrics": ()}
    with pytest.raises(NameError, match="forgotten"):
        compare(eager(Mistaken), ["he"], images, execution=Execution(trainer=trainer), **options)


def test_a_diverging_model_leaves_the_others_alone(images, options):
    big = GivenWeights(lambda model, seed: [np.full(v.shape, 1e30) for v in model.weights])
    schemes = {"he": "he", "big": big}
    build = sequential(layers.Flatten, lambda: layers.Dense(16))
    together = compare(build, schemes, images, **options)
    alone = compare(build, ["he"], images, **options)
    assert together.diverged().tolist() == [[False, False], [True, True]]
    np.testing.assert_allclose(together.final("loss")[0], alone.final("loss")[0], rtol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=not_on_torch if models.needs_images(name) else ())
        for name in models.MODELS
    ],
)
def test_the_classic_models_train_side_by_side(name, options):
    random = np.random.default_rng(0)
    shape = (28, 28, 1) if models.needs_images(name) else (784,)
    data = (random.normal(size=(64, *shape)).astype("float32"), random.integers(0, 10, 64))
    build = models.builder(name, shape, 10)
    result = compare(
        build, ["he", "lecun"], data, execution=Execution(trainer="population"), **options
    )
    assert result.trainer == "population"
    assert np.isfinite(result.values("loss")).all()


def circles_model():
    kernel = functools.partial(layers.Dense, dtype="float64")
    return keras.Sequential(
        [
            keras.Input((2,), dtype="float64"),
            kernel(10, "relu"),
            kernel(5, "relu"),
            kernel(1),
        ]
    )


@pytest.mark.skipif(ON_JAX, reason="JAX has no float64 by default")
def test_full_batches_of_float64_from_given_weights_follow_a_plain_loop():
    """The article's two circles: many steps between two measurements, weights from elsewhere."""
    random = np.random.default_rng(1)
    x = random.normal(size=(60, 2))
    y = (np.linalg.norm(x, axis=1) < 1).astype("float64")[:, None]

    def draw(model, seed):
        legacy = np.random.RandomState(seed)
        shapes = [v.shape for v in model.trainable_variables]
        return [legacy.randn(*s[::-1]).T if len(s) == 2 else np.zeros(s) for s in shapes]

    result = compare(
        circles_model,
        {"random": GivenWeights(draw)},
        ((x, y), {"train": (x, y), "test": (x[:20], y[:20])}),
        seeds=[3, 5],
        epochs=2,
        steps_per_epoch=250,
        batch_size=None,
        shuffle=False,
        optimizer=keras.optimizers.SGD(0.01),
        loss=keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64"),
        metrics=[keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)],
    )
    assert result.trainer == "population"
    for seed, measured in zip((3, 5), result.values("train_loss")[0], strict=True):
        expected = gradient_descent(draw(circles_model(), seed), x, y, steps=(250, 500))
        # a Keras optimizer keeps its learning rate, 0.01, in float32
        np.testing.assert_allclose(measured, expected, rtol=1e-7)


def gradient_descent(weights, x, y, steps):
    """Binary cross-entropy of a 2-10-5-1 ReLU net after so many full-batch steps of 0.01."""
    a, b, c, d, e, f = (w.copy() for w in weights)

    def forward():
        first = np.maximum(x @ a + b, 0)
        second = np.maximum(first @ c + d, 0)
        return first, second, 1 / (1 + np.exp(-(second @ e + f)))

    costs = []
    for step in range(max(steps)):
        first, second, p = forward()
        back = (p - y) / len(x)
        back_second = back @ e.T * (second > 0)
        back_first = back_second @ c.T * (first > 0)
        for weight, gradient in (
            (a, x.T @ back_first),
            (b, back_first.sum(0)),
            (c, first.T @ back_second),
            (d, back_second.sum(0)),
            (e, second.T @ back),
            (f, back.sum(0)),
        ):
            weight -= 0.01 * gradient
        if step + 1 in steps:
            p = forward()[2]
            costs.append(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))
    return costs


def two_inputs():
    first, second = keras.Input((8, 8, 2), name="image"), keras.Input((3,), name="extra")
    joined = layers.Concatenate()([layers.Flatten()(first), second])
    hidden = layers.Dense(8, "relu")(joined)
    outputs = {"kind": layers.Dense(3, name="kind")(hidden), "size": layers.Dense(1)(hidden)}
    return keras.Model({"image": first, "extra": second}, outputs)


@pytest.mark.slow
@pytest.mark.parametrize("batches", ["shared", "own"])
def test_models_of_several_inputs_and_outputs_give_the_numbers_of_fit(images, options, batches):
    random = np.random.default_rng(1)

    def of(x, y):
        extra = random.normal(size=(len(x), 3)).astype("float32")
        return {"image": x, "extra": extra}, {"kind": y, "size": extra.sum(axis=1)}

    data = of(images.x, images.y), of(*images.evaluation["test"])
    options |= {
        "loss": {"kind": options["loss"], "size": "mean_squared_error"},
        "metrics": {"kind": ["accuracy"], "size": []},
        "batches": batches,
    }
    ours, theirs = (
        compare(two_inputs, ["he", "xavier"], data, **options, execution=Execution(trainer=trainer))
        for trainer in ("population", "fit")
    )
    assert ours.metrics == theirs.metrics
    assert "test_kind_accuracy" in ours.metrics
    for metric in ours.metrics:
        np.testing.assert_allclose(ours.values(metric), theirs.values(metric), rtol=1e-4)
    shuffled = (data[0][0], {**data[0][1], "size": data[0][1]["size"][::-1]}), data[1]
    other = compare(
        two_inputs, ["he", "xavier"], shuffled, **options, execution=Execution(trainer="population")
    )
    assert not np.allclose(ours.values("loss"), other.values("loss"), rtol=1e-3)


def test_inputs_may_be_a_tuple(images, options):
    def build():
        first, second = keras.Input((8, 8, 2)), keras.Input((8, 8, 2))
        joined = layers.Flatten()(layers.Add()([first, second]))
        return keras.Model([first, second], layers.Dense(3)(joined))

    x = images.x, images.x
    result = compare(build, ["he"], (x, images.y), **options | {"metrics": []})
    assert result.trainer == "population"
    assert np.isfinite(result.values("loss")).all()
    with pytest.raises(ValueError, match=r"as many targets as inputs.*330, 300 inputs"):
        compare(build, ["he"], ((images.x, images.x[:300]), images.y), **options)
