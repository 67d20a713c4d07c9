"""No recipe is blamed for what it does on purpose; a deep net without its scaling is."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits


def transformer(*, alpha=None, gated=False, blocks=3, width=32):
    tokens = keras.Input((7,), dtype="int32")
    x = layers.Embedding(40, width)(tokens)
    for _ in range(blocks):
        for branch in (attention, gated_branch if gated else feed_forward):
            if alpha is None:
                x = x + branch(layers.LayerNormalization()(x), width)
            else:
                x = layers.LayerNormalization()(alpha * x + branch(x, width))
    return keras.Model(tokens, layers.Dense(40)(layers.LayerNormalization()(x)))


def attention(x, width):
    return layers.MultiHeadAttention(2, width // 2)(x, x)


def feed_forward(x, width):
    return layers.Dense(width)(layers.Dense(2 * width, "gelu")(x))


def gated_branch(x, width):
    return layers.Dense(width)(layers.Dense(2 * width, "silu")(x) * layers.Dense(2 * width)(x))


def image_transformer():
    x = images = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 32))(layers.Conv2D(32, 4, 4)(x))
    for _ in range(3):
        for branch in (attention, feed_forward):
            x = x + branch(layers.LayerNormalization()(x), 32)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(images, layers.Dense(10, "softmax")(x))


def convolutional(*, normalized):
    def convolution(x):
        x = layers.Conv2D(16, 3, padding="same", use_bias=not normalized)(x)
        return layers.BatchNormalization()(x) if normalized else x

    images = keras.Input((8, 8, 3))
    x = layers.ReLU()(convolution(images))
    for _ in range(4):
        h = convolution(layers.ReLU()(convolution(x)))
        x = layers.ReLU()(layers.add([x, h]))
    return keras.Model(images, layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(x)))


def generator():
    noise = keras.Input((16,))
    x = layers.Reshape((4, 4, 32))(layers.Dense(512, use_bias=False)(noise))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(16, 4, 2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(noise, layers.Conv2DTranspose(3, 4, 2, padding="same", activation="tanh")(x))


def recurrent():
    steps = keras.Input((20, 8))
    x = layers.SimpleRNN(32, activation="relu")(steps)
    return keras.Model(steps, layers.Dense(5, "softmax")(x))


def residual():
    x = inputs = keras.Input((20,))
    x = layers.Dense(32)(x)
    for _ in range(4):
        x = layers.add([x, layers.Dense(32)(layers.Dense(32, "relu")(x))])
    return keras.Model(inputs, layers.Dense(5, "softmax")(x))


MODELS = {
    "dcgan": generator,
    "deepnorm": lambda: transformer(alpha=6**0.25),
    "fixup": lambda: convolutional(normalized=False),
    "gpt2": transformer,
    "irnn": recurrent,
    "megatron": transformer,
    "mitchell": transformer,
    "neox": transformer,
    "resnet": lambda: convolutional(normalized=True),
    "torchtitan": lambda: transformer(gated=True),
    "vit": image_transformer,
}


@pytest.mark.parametrize(("name", "make"), [*MODELS.items(), ("fixup", residual)])
def test_what_a_recipe_sets_is_no_fault(name, make):
    model = make()
    keras_inits.initialize(model, name, seed=1)
    report = keras_inits.audit(model)
    assert report.findings == ()
    assert [remark.kind for remark in report.remarks] == []  # above all not that it was trained


def branches_of_zeros(*, shortcut):
    """Residual blocks that end in zeros, and a head of zeros; the last one may have no shortcut."""
    x = inputs = keras.Input((8,))
    x = layers.Dense(16)(x)
    for block in range(3):
        h = layers.Dense(16, "relu")(x)
        h = layers.Dense(16, kernel_initializer="zeros", name=f"end_{block}")(h)
        x = layers.add([x, h]) if block < 2 or shortcut else h
    return keras.Model(inputs, layers.Dense(3, kernel_initializer="zeros", name="head")(x))


def test_the_last_branch_before_a_head_of_zeros_is_no_fault_and_zeros_behind_zeros_are():
    assert keras_inits.audit(branches_of_zeros(shortcut=True)).findings == ()
    (found,) = keras_inits.audit(branches_of_zeros(shortcut=False)).findings
    assert (found.kind, found.where) == ("constant kernel", ("end_2/kernel",))


def normalized_branches(blocks, width=256, inner=512):
    tokens = keras.Input((7,), dtype="int32")
    x = layers.Embedding(40, width)(tokens)
    for _ in range(blocks):
        h = layers.Dense(inner, "relu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(width)(h)
    return keras.Model(tokens, layers.Dense(40)(layers.LayerNormalization()(x)))


@pytest.mark.slow
def test_flat_ends_of_many_branches_are_a_fault_and_scaled_ones_are_not():
    model = normalized_branches(48)
    keras_inits.initialize(model, "gpt2", seed=1)
    assert keras_inits.audit(model).findings == ()
    lines = keras_inits.recipe("gpt2").table()
    flat = {role: law for role, law in lines.items() if role != "branch_end"}
    keras_inits.initialize(model, keras_inits.recipe(flat), seed=1)
    (found,) = keras_inits.audit(model).findings
    assert found.kind == "residual stream"
    assert len(found.where) == 48
    exec(found.remedy, {"model": model, "keras_inits": keras_inits})
    assert keras_inits.audit(model).findings == ()
    ends = np.std(model.get_layer(found.where[0].split("/")[0]).get_weights()[0])
    assert ends == pytest.approx(0.02 / 48**0.5, rel=0.1)


def test_diagnose_knows_that_branches_of_zeros_wake_up_with_the_head():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 8)).astype("float32"), rng.integers(0, 3, 16)
    verdicts = []
    for shortcut in (True, False):
        model = branches_of_zeros(shortcut=shortcut)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, jit_compile=False)
        verdicts.append(keras_inits.diagnose(model, x, y).verdict)
        for _ in range(3):
            model.train_on_batch(x, y)
        kernel = model.get_layer("end_1").get_weights()[0]
        assert bool(np.ptp(kernel)) == shortcut  # the claim itself
    assert verdicts == ["healthy", "symmetric"]
