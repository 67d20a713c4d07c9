"""Optimizers used wrongly, layers of one's own, and data that a pipeline spoils."""

import keras
import numpy as np
from data import blobs, linear, pictures, standardized, waves, words
from keras import layers, ops
from nets import BCE, SPARSE, adam, mlp, net, sgd
from program import Program, Training, accuracy, explained, register

BROKEN: dict[str, Program] = {}
program = register(BROKEN, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D
Pool = layers.GlobalAveragePooling2D


def _classes(rng, optimizer, **options):
    x, y = blobs(rng, 600, 20, 5)
    model = mlp(20, [48, 48], 5, "softmax")
    return Training(model, x, y, SPARSE, optimizer, accuracy(y), steps=300, **options)


def _fresh(training, **changes):
    return training.but(model=keras.models.clone_model(training.model), **changes)


@program("customers-adadelta-at-its-default", "rate too low@optimizer, epochs@optimizer")
def _(rng):
    broken = _classes(rng, keras.optimizers.Adadelta())
    return broken, _fresh(broken, optimizer=keras.optimizers.Adadelta(1.0))


@program("sensors-lion-at-the-rate-of-sgd", "rate too high@optimizer")
def _(rng):
    broken = _classes(rng, keras.optimizers.Lion(0.1))
    return broken, _fresh(broken, optimizer=keras.optimizers.Lion(0.0005))


@program("tickets-clipped-to-a-norm-of-a-millionth", "rate too low@optimizer, epochs@optimizer")
def _(rng):
    broken = _classes(rng, sgd(0.1, clipnorm=1e-6))
    return broken, _fresh(broken, optimizer=sgd(0.1, clipnorm=1.0))


@program("meters-decay-of-twenty-in-adamw", "regularization@optimizer, rate too high@optimizer")
def _(rng):
    broken = _classes(rng, keras.optimizers.AdamW(0.01, weight_decay=20.0))
    return broken, _fresh(broken, optimizer=keras.optimizers.AdamW(0.01, weight_decay=0.004))


@program("claims-schedule-counted-in-epochs", "rate too low@optimizer, epochs@optimizer")
def _(rng):
    plan = keras.optimizers.schedules.ExponentialDecay
    broken = _classes(rng, sgd(plan(0.05, 1, 0.7), 0.9))
    return broken, _fresh(broken, optimizer=sgd(plan(0.05, 100, 0.7), 0.9))


@program("orders-classes-joined-to-rows-of-others", "labels@targets, labels@loss")
def _(rng):
    broken = _classes(rng, adam(0.003))
    true = broken.y
    return broken.but(y=rng.permutation(true)), _fresh(broken, y=true)


@program("loans-every-row-weighs-nothing", "gradient@loss, labels@targets, loss@loss")
def _(rng):
    broken = _classes(rng, adam(0.003), weights={"sample_weight": np.zeros(600)})
    return broken, _fresh(broken, weights={"sample_weight": np.ones(600)})


@program(
    "ads-number-of-the-row-among-the-features", "input@input, input@0, rate too high@optimizer"
)
def _(rng):
    x, y = blobs(rng, 600, 12, 4)
    x = np.concatenate([x, rng.permutation(600)[:, None] + 4_000_000.0], 1)
    broken = Training(
        mlp(13, [48, 48], 4, "softmax"), x, y, SPARSE, adam(0.003), accuracy(y), steps=300
    )
    return broken, _fresh(broken, x=standardized(x))


class Rounded(layers.Layer):
    """Rounds what it is given, with or without a gradient past the rounding."""

    def __init__(self, passes, **options):
        super().__init__(**options)
        self.passes = passes

    def call(self, h):
        """Returns halves."""
        whole = ops.round(2 * h) / 2
        return h + ops.stop_gradient(whole - h) if self.passes else whole


@program("codes-rounded-without-a-way-back", "gradient@0, gradient@1, gradient@2")
def _(rng):
    x, y = linear(rng, 500, 8)
    y = np.sin(standardized(y)) * 2

    def model(passes):
        return net((8,), Dense(32, "tanh"), Dense(3), Rounded(passes), Dense(1, use_bias=False))

    broken = Training(model(False), x, y, "mse", adam(0.005), explained(y), steps=500)
    return broken, broken.but(model=model(True))


@program("digits-target-stopped-in-the-loss", "gradient@loss, loss@loss, gradient@output")
def _(rng):
    x, y = linear(rng, 500, 8)
    y = standardized(y)[:, None]

    def frozen(true, made):
        return ops.mean(ops.square(true - ops.stop_gradient(made)) + 0.001 * made**2, -1)

    def plain(true, made):
        return ops.mean(ops.square(true - made) + 0.001 * made**2, -1)

    broken = Training(mlp(8, [32], 1), x, y, frozen, adam(0.005), explained(y), steps=400)
    return broken, _fresh(broken, loss=plain)


@program("prices-relu-before-negative-returns", "output@output, output@-1")
def _(rng):
    x, y = linear(rng, 500, 8)
    y = standardized(y)[:, None] - 1.5
    broken = Training(mlp(8, [32, 32], 1, "relu"), x, y, "mse", adam(0.003), explained(y))
    return broken.but(steps=400), broken.but(model=mlp(8, [32, 32], 1), steps=400)


@program(
    "cells-half-precision-and-a-faint-rate",
    "rate too low@optimizer, epochs@optimizer, precision@optimizer",
)
def _(rng):
    x, y = blobs(rng, 600, 20, 5)

    def model(policy):
        inner = [Dense(48, "relu", dtype=policy) for _ in range(2)]
        return net((20,), *inner, Dense(5, "softmax", dtype=policy))

    broken = Training(model("bfloat16"), x, y, SPARSE, sgd(0.0003, 0.9), accuracy(y), 32, 1500)
    return broken, broken.but(model=model("mixed_bfloat16"), optimizer=sgd(0.02, 0.9))


@program("calls-relu-in-a-recurrent-net-of-twos", "initialization@0, hidden activation@0")
def _(rng):
    x, y = waves(rng, 400, 40, 4)

    def model(gain):
        start = keras.initializers.Orthogonal(gain)
        cell = layers.SimpleRNN(32, activation="relu", recurrent_initializer=start)
        return net((40, 1), cell, Dense(4, "softmax"))

    broken = Training(model(2.0), x, y, SPARSE, adam(0.002), accuracy(y), steps=400)
    return broken, broken.but(model=model(0.9))


@program("reviews-mask-turned-around", "layers@1, layers@2, input@input, layers@3")
def _(rng):
    x, y = words(rng, 500, 20, 300)
    x = np.concatenate([x, np.zeros((500, 20), int)], 1)

    def model(turned):
        given = Input((40,), dtype="int32")
        keep = ops.cast(ops.equal(given, 0) if turned else ops.not_equal(given, 0), "float32")
        h = layers.Embedding(300, 16)(given) * keep[..., None]
        h = ops.sum(h, 1) / ops.maximum(ops.sum(keep, 1, keepdims=True), 1.0)
        return keras.Model(given, Dense(1, "sigmoid")(Dense(16, "relu")(h)))

    goal = y[:, None]
    broken = Training(model(True), x, goal, BCE, adam(0.01), accuracy(goal), steps=300)
    return broken, broken.but(model=model(False))


@program("plates-frozen-head-on-a-frozen-base", "layers@-1, gradient@-1, rate too low@optimizer")
def _(rng):
    x, y = pictures(rng, 400, 16, 3, 5)

    def model(trains):
        base = [Conv(16, 3, activation="relu"), Conv(24, 3, strides=2, activation="relu")]
        for layer in base:
            layer.trainable = False
        head = [Pool(), layers.BatchNormalization(momentum=0.9), Dense(5, "softmax")]
        head[-1].trainable = trains
        return net((16, 16, 3), *base, *head)

    broken = Training(model(False), x, y, SPARSE, adam(0.02), accuracy(y), steps=300)
    return broken, broken.but(model=model(True))
