"""Models that are made of models and train by a step of their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from versions import of_tensorflow

from keras_inits import InputError, diagnose

pytestmark = of_tensorflow("steps written in it")


def _critic(hidden):
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16),
            hidden,
            layers.Dense(8),
            layers.LeakyReLU(0.2),
            layers.Dense(1),
        ],
        name="critic",
    )


class _Slope(keras.Model):
    """A critic of the data and of noise, whose slope is to be 1 (Gulrajani et al. 2017)."""

    def __init__(self, critic):
        super().__init__()
        self.critic = critic

    def train_step(self, data):
        noise = tf.random.normal(tf.shape(data))
        with tf.GradientTape() as tape:
            with tf.GradientTape() as inner:
                inner.watch(noise)
                judged = self.critic(noise)
            slope = inner.gradient(judged, noise)
            loss = tf.reduce_mean(self.critic(noise)) - tf.reduce_mean(self.critic(data))
            if slope is not None:
                length = tf.sqrt(tf.reduce_sum(slope**2, axis=1) + 1e-12)
                loss += 10.0 * tf.reduce_mean((length - 1.0) ** 2)
        weights = self.critic.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}


class _Rounded(layers.Layer):
    def call(self, x):
        return ops.round(x)


@pytest.mark.parametrize(
    ("hidden", "lost"),
    [(lambda: layers.LeakyReLU(0.2), False), (_Rounded, True)],
    ids=["leaky", "round"],
)
def test_a_critic_whose_slope_is_in_the_loss_is_not_without_gradient_but_a_rounded_one_is(
    hidden, lost
):
    keras.utils.set_random_seed(0)
    model = _Slope(_critic(hidden()))
    model.compile("adam")
    x = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
    report = diagnose(model, x)
    assert any(f.kind == "no gradient" for f in report.findings) is lost


class _Tagger(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, self(x)))
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


def test_the_gradient_of_a_table_in_a_step_of_its_own_is_that_of_its_rows():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,), dtype="int32")
    outputs = layers.Dense(3, "softmax")(layers.Embedding(20, 4, name="table")(inputs))
    model = _Tagger(inputs, outputs)
    model.compile("adam")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 20, (16, 5)), rng.integers(0, 3, (16, 5))
    found = {w.path: w for la in diagnose(model, x, y).layers for w in la.weights}
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, model(x)))
    rows = tape.gradient(loss, model.get_layer("table").embeddings.value)
    norm = float(tf.norm(tf.convert_to_tensor(rows)))
    assert found["table/embeddings"].gradient_norm == pytest.approx(norm, rel=1e-4)


def test_a_step_that_needs_targets_says_so_without_them():
    inputs = keras.Input((5,))
    model = _Tagger(inputs, layers.Dense(3, "softmax")(inputs))
    model.compile("adam")
    x = np.random.default_rng(0).normal(size=(16, 5)).astype("float32")
    with pytest.raises(InputError, match=r"train_step of _Tagger fails .* Received: y=None"):
        diagnose(model, x)
