"""Faults of each kind, in many forms, and sound nets that look like them."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from versions import ON_TORCH, of_tensorflow

import keras_inits as ki
from keras_inits._diagnose import draw_input

rng = np.random.default_rng(0)
V, S, IM = (rng.standard_normal(s, dtype="float32") for s in ((32, 20), (8, 10, 12), (8, 8, 8, 12)))


class Between(layers.Layer):
    def __init__(self, function):
        super().__init__(name="between")
        self.function = function

    def call(self, x):
        return self.function(x)


CUTS = {
    "Round": ops.round,
    "Sign": ops.sign,
    "StopGradient": ops.stop_gradient,
    "ArgMax": lambda x: ops.one_hot(ops.argmax(x, -1), 32),
    "Greater": lambda x: ops.cast(x > 0, "float32"),
}


@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("bare", [False, True])
def test_a_cut_gradient_is_named_with_its_operation(name, bare):
    inputs = keras.Input((20,))
    hidden = layers.Dense(32, "tanh", name="before")(inputs)
    hidden = CUTS[name](hidden) if bare else Between(CUTS[name])(hidden)
    model = keras.Model(inputs, layers.Dense(1, name="after")(hidden))
    report = ki.diagnose(model, V, V[:, :1], loss="mse", jacobian_samples=0)
    assert report.verdict == "no gradient"
    finding = report.findings[0]
    assert "before" in finding.where
    assert name in finding.evidence


def test_a_gradient_that_goes_around_a_cut_is_no_fault():
    inputs = keras.Input((20,))
    x = layers.Dense(32, "tanh")(inputs)
    x = Between(lambda x: x + ops.stop_gradient(ops.round(x) - x))(x)
    assert ki.diagnose(keras.Model(inputs, layers.Dense(1)(x)), V).ok


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
def test_softmax_over_one_unit_is_named_under_mse_and_learns_under_cross_entropy():
    model = keras.Sequential(
        [
            *(keras.Input((20,)), layers.Dense(64, "relu", kernel_initializer="initkit_he")),
            layers.Dense(1, "softmax", name="head"),
        ]
    )
    y = rng.integers(0, 2, (32, 1)).astype("float32")
    report = ki.diagnose(model, V, y, loss="mse")
    assert report.findings[0].kind == "output activation"
    # The gradient is 0 by oneDNN's softmax; others round that of one number by the last bit.
    lost = [f.where for f in report.findings if f.kind == "no gradient"]
    assert (report.verdict, lost) in [("no gradient", [("head",)]), ("output activation", [])]
    learns = ki.diagnose(model, V, y, loss="binary_crossentropy")
    assert "no gradient" not in {finding.kind for finding in learns.findings}


def test_a_loss_without_a_gradient_is_named():
    model = keras.Sequential([keras.Input((20,)), layers.Dense(4)])
    report = ki.diagnose(model, V, V[:, :4], loss=lambda y, p: ops.mean(ops.sign(y - p), -1))
    assert report.verdict == "no gradient"
    assert report.findings[0].where == ("loss",)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_loss_that_is_not_finite_is_named_before_any_rate(compiled):
    model = keras.Sequential([keras.Input((20,)), layers.Dense(8, "tanh"), layers.Dense(4)])

    def loss(y, made):
        return ops.mean(ops.log(made) * y, -1)  # of a negative number

    if compiled:
        model.compile("adam", loss)
    report = ki.diagnose(model, V, np.abs(V[:, :4]), loss=None if compiled else loss)
    assert [f.where for f in report.findings] == [("loss",)]
    assert "finite outputs" in report.findings[0].evidence


def test_a_value_that_is_not_finite_is_named_before_the_loss_at_the_start():
    logarithm = layers.Lambda(lambda x: ops.log(x), name="logarithm")
    model = keras.Sequential([keras.Input((20,)), logarithm, layers.Dense(4)])
    model.compile("adam", "mse")
    report = ki.diagnose(model, np.maximum(V, 0), V[:, :4])
    assert (report.findings[0].kind, report.findings[0].where) == ("not finite", ("logarithm",))


def norm_of(size, norm):
    return keras.Sequential(
        [keras.Input((20,)), layers.Dense(size), norm, layers.ReLU(), layers.Dense(1)]
    )


def norm_of_a_sequence(norm):
    parts = [norm, layers.Conv1D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(1)]
    return keras.Sequential([keras.Input((10, 1)), *parts])


NORMS = {
    "a group for each feature": (lambda: norm_of(16, layers.GroupNormalization(16)), 1),
    "instances": (lambda: norm_of(16, layers.GroupNormalization(-1)), 1),
    "two features a group": (lambda: norm_of(16, layers.GroupNormalization(8)), 2),
    "four features a group": (lambda: norm_of(16, layers.GroupNormalization(4)), 0),
    "one unit": (lambda: norm_of(1, layers.LayerNormalization()), 1),
    "two units": (lambda: norm_of(2, layers.LayerNormalization()), 2),
    "the size of one unit": (lambda: norm_of(1, layers.RMSNormalization()), 1),
    "the size of two units": (lambda: norm_of(2, layers.RMSNormalization()), 0),
    "a large epsilon": (lambda: norm_of(1, layers.RMSNormalization(epsilon=1.0)), 0),
    "a vector of one": (lambda: norm_of(1, layers.UnitNormalization()), 1),
    "features of steps": (lambda: norm_of_a_sequence(layers.LayerNormalization()), 1),
    "steps": (lambda: norm_of_a_sequence(layers.LayerNormalization(axis=1)), 0),
    "each step": (
        lambda: norm_of_a_sequence(layers.TimeDistributed(layers.LayerNormalization())), 1,
    ),
    "batch": (lambda: norm_of(16, layers.BatchNormalization()), 0),
}  # fmt: skip


LACKING = {"steps"} if ON_TORCH else set()  # Keras 3.15 can normalize the last axes alone there


@pytest.mark.parametrize("key", [key for key in NORMS if key not in LACKING])
def test_a_mean_over_one_or_two_values_lets_nothing_or_a_sign_through(key):
    made, values = NORMS[key]
    keras.utils.set_random_seed(0)
    model = made()
    x = V if model.input_shape[1] == 20 else S[..., :1]
    found = [f for f in ki.diagnose(model, x).findings if "values" in f.numbers]
    assert [f.numbers["values"] for f in found] == [float(values)] * (values > 0)
    assert all(f.kind == "no gradient" for f in found)
    if found:  # its remedy helps
        names = {"keras": keras, "model": model}
        exec(found[0].remedy, names)
        again = ki.diagnose(names["model"], x).findings
        assert not [f for f in again if "values" in f.numbers]


@pytest.mark.parametrize("weights", ["fresh", "trained"])
def test_a_normalization_of_single_values_in_a_branch_is_named_alone(weights):
    inputs = keras.Input((20,))
    h = layers.Dense(16, "relu")(inputs)
    norm = layers.GroupNormalization(16, name="norm")
    branch = layers.ReLU()(norm(layers.Dense(16)(h)))
    model = keras.Model(inputs, layers.Dense(1, "sigmoid")(h + branch))
    if weights == "trained":
        for weight in norm.weights:
            weight.assign(rng.normal(1, 0.3, weight.shape))
    model.compile("adam", "binary_crossentropy")
    report = ki.diagnose(model, V, V[:, 0] > 0)
    assert [f.where for f in report.findings] == [("norm",)]
    exec(report.findings[0].remedy, {"keras": keras, "model": model})
    assert ki.diagnose(model, V, V[:, 0] > 0).ok


@pytest.mark.parametrize(("samples", "training", "found"),
    [(1, True, 1), (2, True, 2), (32, True, 0), (1, False, 0), (2, False, 0)])  # fmt: skip
def test_a_batch_of_one_leaves_nothing_to_a_batch_normalization(samples, training, found):
    model = norm_of(16, layers.BatchNormalization(name="norm"))
    report = ki.diagnose(model, V[:samples], training=training)
    assert [f.numbers["values"] for f in report.findings if "norm" in f.where] == [found] * (
        found > 0
    )


def test_columns_of_any_scale_behind_a_normalization_are_no_explosion():
    table = V * np.logspace(-2, 6, 20, dtype="float32")
    scale = layers.Normalization()
    scale.adapt(table)
    parts = [scale, layers.Dense(32, "relu"), layers.Dense(1)]
    assert ki.diagnose(keras.Sequential([keras.Input((20,)), *parts]), table).ok
    plain = keras.Sequential([keras.Input((20,)), layers.Dense(32, "relu"), layers.Dense(1)])
    assert not ki.diagnose(plain, table).ok


def test_a_zero_head_and_a_frozen_base_are_no_faults():
    base = layers.Dense(32, "tanh", trainable=False)
    for head in (layers.Dense(3), layers.Dense(3, kernel_initializer="zeros")):
        model = keras.Sequential([keras.Input((20,)), layers.Dense(32, "tanh"), base, head])
        y = rng.integers(0, 3, 32)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        assert ki.diagnose(model, V, y, loss=loss).ok
    frozen = layers.Dense(32, "tanh", trainable=False)
    cut = keras.Sequential([keras.Input((20,)), frozen, Between(ops.round), layers.Dense(3)])
    assert ki.diagnose(cut, V).ok  # nothing before the cut is to learn


def behind(x, make):
    inputs = keras.Input(x.shape[1:])
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(make(inputs))))


class MyDense(layers.Dense):
    pass


def chosen(x):
    return ops.where(x > 0, x, ops.zeros_like(x))


def masked(x):
    return x * ops.cast(x > 0, "float32")


def half_sum(x):
    return (x + ops.abs(x)) / 2


BIAS = {"bias_initializer": keras.initializers.Constant(-30.0)}
DEAD = {
    "a subclass": (V, lambda: MyDense(32, "relu", **BIAS)),
    "transposed": (IM, lambda: layers.Conv2DTranspose(16, 3, activation="relu", **BIAS)),
    "depthwise": (IM, lambda: layers.DepthwiseConv2D(3, activation="relu", **BIAS)),
    "separable": (IM, lambda: layers.SeparableConv2D(16, 3, activation="relu", **BIAS)),
    "einsum": (S, lambda: layers.EinsumDense("abc,cd->abd", (10, 16), "relu", "d", **BIAS)),
    "over time": (S, lambda: layers.TimeDistributed(layers.Dense(16, "relu", **BIAS))),
    "recurrent": (S, lambda: layers.SimpleRNN(16, "relu", **BIAS)),
    "an operation": (V, lambda: lambda x: ops.relu(layers.Dense(32, **BIAS)(x))),
    "in a layer": (V, lambda: lambda x: Between(ops.relu)(layers.Dense(32, **BIAS)(x))),
    "a layer behind": (V, lambda: lambda x: layers.ReLU()(layers.Dense(32, **BIAS)(x))),
    "a choice": (V, lambda: lambda x: chosen(layers.Dense(32, **BIAS)(x))),
    "a mask": (V, lambda: lambda x: masked(layers.Dense(32, **BIAS)(x))),
    "a half sum": (V, lambda: lambda x: Between(half_sum)(layers.Dense(32, **BIAS)(x))),
}


@pytest.mark.parametrize("form", DEAD)
def test_dead_units_are_seen_in_every_form(form):
    x, make = DEAD[form]
    report = ki.diagnose(behind(x, make()), x, jacobian_samples=0)
    assert report.verdict == "dying", report.findings


class Factor(layers.Layer):
    def __init__(self, start):
        super().__init__(name="factor")
        self.factor = self.add_weight(shape=(), initializer=keras.initializers.Constant(start))

    def call(self, x):
        return x * self.factor


def branch(factor, start):
    inputs = keras.Input((20,))
    hidden = layers.Dense(20, kernel_initializer=start, name="end")(inputs)
    return keras.Model(inputs, layers.Dense(4)(inputs + Factor(factor)(hidden)))


def scored(queries, keys):
    inputs = keras.Input((10, 12))
    q = layers.Dense(8, kernel_initializer=queries, name="q")(inputs)
    k = layers.Dense(8, kernel_initializer=keys, name="k")(inputs)
    scores = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 2, 1))))
    return keras.Model(inputs, layers.Dense(4)(ops.matmul(scores, layers.Dense(8)(inputs))))


def test_two_factors_that_both_start_at_0_are_stuck_and_one_is_not():
    report = ki.diagnose(branch(0.0, "zeros"), V, jacobian_samples=0)
    assert [(f.kind, f.where) for f in report.findings] == [("no gradient", ("end", "factor"))]
    assert ki.diagnose(branch(0.0, "he_normal"), V, jacobian_samples=0).ok
    assert ki.diagnose(branch(0.1, "zeros"), V, jacobian_samples=0).ok


class Masking(layers.Layer):
    """Makes a mask of its input; of an embedding, which it also has, only if it is asked to."""

    def __init__(self, reads):
        super().__init__(name="masking")
        self.reads = reads
        self.threshold = self.add_weight(shape=(20,), initializer="zeros")

    def call(self, x):
        return x - self.threshold if self.reads else x * 1.0


@pytest.mark.parametrize("reads", [False, True])
def test_a_mask_that_is_computed_of_no_weight_loses_no_gradient(reads):
    inputs = keras.Input((20,))
    mask = ops.cast(Masking(reads)(inputs) > 0, "float32")
    hidden = layers.Dense(20, name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(1)(Between(lambda x: x)(hidden * mask)))
    found = ki.diagnose(model, V, jacobian_samples=0).findings
    assert [f.kind for f in found] == ["no gradient"] * reads


def test_queries_and_keys_that_both_start_at_0_are_stuck_and_one_is_not():
    model = scored("zeros", "zeros")
    report = ki.diagnose(model, S, jacobian_samples=0)
    assert [(f.kind, set(f.where)) for f in report.findings] == [("no gradient", {"q", "k"})]
    exec(report.findings[0].remedy, {"model": model, "keras_inits": ki})
    assert ki.diagnose(model, S, jacobian_samples=0).ok
    assert ki.diagnose(scored("zeros", "he_normal"), S, jacobian_samples=0).ok


SATURATED = {
    "transposed": (IM, lambda: layers.Conv2DTranspose(16, 3, activation="tanh")),
    "separable": (IM, lambda: layers.SeparableConv2D(16, 3, activation="sigmoid")),
    "over time": (S, lambda: layers.TimeDistributed(layers.Dense(16, "tanh"))),
    "recurrent": (S, lambda: layers.SimpleRNN(16)),
    "gates": (S, lambda: layers.GRU(16)),
    "an operation": (V, lambda: lambda x: ops.tanh(layers.Dense(32)(x))),
    "an operation in a layer": (V, lambda: lambda x: Between(ops.sigmoid)(layers.Dense(32)(x))),
}


@pytest.mark.parametrize("form", SATURATED)
def test_saturation_is_seen_in_every_form(form):
    x, make = SATURATED[form]
    model = behind(x, make())
    assert "saturated" not in {f.kind for f in ki.diagnose(model, x, jacobian_samples=0).findings}
    report = ki.diagnose(model, 1000 * x, jacobian_samples=0)
    assert report.verdict == "saturated", report.findings


@pytest.mark.parametrize(
    ("stddev", "kind"), [(None, "vanishing"), (0.02, "vanishing"), (1.0, "exploding")]
)
def test_time_steps_are_judged_by_their_gradients(stddev, kind):
    keras.utils.set_random_seed(0)
    recurrent = "orthogonal" if stddev is None else keras.initializers.RandomNormal(0.0, stddev)
    model = keras.Sequential(
        [
            keras.Input((100, 8)),
            layers.SimpleRNN(32, recurrent_initializer=recurrent, name="rnn"),
            layers.Dense(1),
        ]
    )
    x = rng.standard_normal((16, 100, 8), dtype="float32")
    findings = ki.diagnose(model, x, jacobian_samples=0).findings_of("rnn")
    assert kind in {f.kind for f in findings if "first step" in f.evidence}
    short = ki.diagnose(model, x[:, :5], jacobian_samples=0).findings_of("rnn")
    assert not [f for f in short if "first step" in f.evidence]


# Keras 3.16 lets no mask past an LSTM, and warns that it does not, though the LSTM itself heeds it.
@pytest.mark.filterwarnings("ignore:Layer 'lstm.*was passed an input with a mask")
def test_padding_that_is_masked_is_no_vanishing_gradient():
    model = keras.Sequential(
        [
            *(keras.Input((40,), dtype="int32"), layers.Embedding(20, 8, mask_zero=True)),
            *(layers.LSTM(8), layers.Dense(1)),
        ]
    )
    tokens = np.zeros((8, 40), int)
    tokens[:, 34:] = rng.integers(1, 20, (8, 6))
    assert "vanishing" not in {f.kind for f in ki.diagnose(model, tokens).findings}


def test_units_that_only_look_alike_next_to_a_larger_one_are_not_equal():
    model = keras.Sequential([keras.Input((20,)), layers.Dense(10, "softmax", name="head")])
    y = rng.integers(0, 10, 32)
    loss = "sparse_categorical_crossentropy"
    report = ki.diagnose(model, 100 * V, y, loss=loss, jacobian_samples=0)
    assert "symmetric" not in {finding.kind for finding in report.findings}
    kernel = model.get_layer("head").kernel
    values = kernel.numpy()
    values[:, 3] = values[:, 7]
    kernel.assign(values)
    y = np.where((y == 3) | (y == 7), 0, y)  # no target of its own for either
    report = ki.diagnose(model, V, y, loss=loss, jacobian_samples=0)
    assert report.verdict == "symmetric"


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
def test_integers_of_a_quantized_layer_are_no_weights():
    model = keras.Sequential([keras.Input((20,)), layers.Dense(32, "relu"), layers.Dense(8)])
    assert ki.diagnose(model, V).layers[0].predicted_second_moment is not None
    model.quantize("int8")
    report = ki.diagnose(model, V, jacobian_samples=0)
    assert [layer.predicted_second_moment for layer in report.layers] == [None, None]


def test_a_wide_layer_before_few_logits_keeps_the_length_of_the_gradient():
    def head(**options):
        return keras.Sequential(
            [keras.Input((2048,)), layers.ReLU(), layers.Dense(10, name="head", **options)]
        )

    x = rng.standard_normal((32, 2048), dtype="float32")
    for scheme in ("glorot_uniform", "initkit_he", "initkit_lecun"):
        assert ki.diagnose(head(kernel_initializer=scheme), x, jacobian_samples=0).ok
    small = head(kernel_initializer=keras.initializers.RandomNormal(stddev=1e-4))
    assert ki.diagnose(small, x, jacobian_samples=0).verdict == "vanishing"


def test_pixels_of_0_to_255_explode_and_scaled_ones_do_not():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            *(keras.Input((16, 16, 3)), layers.Conv2D(16, 3, activation="relu")),
            *(layers.Flatten(), layers.Dense(32, "relu"), layers.Dense(10)),
        ]
    )
    # Of probabilities Keras cuts off what is large on JAX and torch, with its gradient.
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = rng.integers(0, 256, (32, 16, 16, 3)).astype("float32"), rng.integers(0, 10, 32)
    report = ki.diagnose(model, x, y, jacobian_samples=0)
    assert report.verdict == "exploding"
    scaled = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-7)
    assert report.findings[0].kind == "input scale"
    remedies = {finding.remedy for finding in report.findings if finding.kind == "exploding"}
    assert remedies == {"x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-7)"}
    assert ki.diagnose(model, scaled, y, jacobian_samples=0).ok


@pytest.mark.parametrize("size", [32, 64])
def test_the_default_input_of_images_suits_a_plain_modern_network(size):
    keras.utils.set_random_seed(0)
    blocks = []
    for i in range(3):
        conv = layers.Conv2D(8 * 2**i, 3, padding="same", kernel_initializer="he_normal")
        blocks += [conv, layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D()]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(10)]
    model = keras.Sequential([keras.Input((size, size, 3)), *blocks, *head])
    report = ki.diagnose(model)
    assert report.ok, report.findings
    assert "1/f" in report.notes[0]


def test_default_images_have_the_spectrum_of_photographs_and_tokens_zipfs_law():
    images = draw_input(keras.Sequential([keras.Input((64, 64, 3)), layers.Flatten()])).x
    power = np.mean(np.abs(np.fft.fft2(images, axes=(1, 2))) ** 2, axis=(0, 3))
    slope = np.polyfit(np.log(np.arange(2, 20)), np.log(power[0, 2:20]), 1)[0]
    assert slope == pytest.approx(-2, abs=0.2)
    assert images.std() == pytest.approx(1, rel=1e-4)
    text = keras.Sequential([keras.Input((500,), dtype="int32"), layers.Embedding(100, 4)])
    tokens = draw_input(text).x
    shares = np.bincount(tokens.ravel(), minlength=100) / tokens.size
    assert shares[0] / shares[9] == pytest.approx(10, rel=0.25)


def test_text_is_asked_for():
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, layers.StringLookup(vocabulary=["a"])(inputs))
    with pytest.raises(ValueError, match="takes text: give data"):
        ki.diagnose(model)


@of_tensorflow("tensors of text")
def test_text_is_diagnosed():
    vectorize = layers.TextVectorization(output_sequence_length=4, vocabulary=["a", "b", "c"])
    model = keras.Sequential(
        [
            *(keras.Input((1,), dtype="string"), vectorize, layers.Embedding(6, 8)),
            *(layers.GlobalAveragePooling1D(), layers.Dense(1)),
        ]
    )
    report = ki.diagnose(model, np.array([["a b"], ["c"], ["b b a"]]))
    assert [layer.kind for layer in report.layers][-1] == "Dense"
    assert "text" in report.notes[0]


@pytest.mark.parametrize("first", ["examples", "prompts"])
def test_an_input_without_entries_is_no_signal(first):
    names = ["examples", "prompts"] if first == "examples" else ["prompts", "examples"]
    shapes = {"examples": (20,), "prompts": (None, 20)}
    inputs = {name: keras.Input(shapes[name], name=name) for name in names}

    class Sum(layers.Layer):
        def __init__(self):
            super().__init__(name="sum")
            self.of_prompt = layers.Dense(16, name="prompt")
            self.of_example = layers.Dense(16, "relu", name="example")

        def call(self, given):
            prompts = ops.sum(self.of_prompt(given["prompts"]), axis=1)
            return self.of_example(given["examples"]) + prompts

    model = keras.Model(inputs, layers.Dense(3, name="head")(Sum()(inputs)))
    empty = {"examples": V, "prompts": np.zeros((32, 0, 20), "float32")}
    report = ki.diagnose(model, empty)
    assert report.ok, report
    assert "sum/prompt" not in {layer.name for layer in report.layers}
    assert {"sum/example", "head"} <= {layer.name for layer in report.layers}
    given = {**empty, "prompts": np.ones((32, 2, 20), "float32")}
    assert "sum/prompt" in {layer.name for layer in ki.diagnose(model, given).layers}


class Around(layers.Layer):
    """Gives `f(x) + (x - f(x))`, so that all of the gradient goes around `f`; or `f(x)` alone."""

    def __init__(self, alone):
        super().__init__(name="around")
        self.alone = alone
        self.made = layers.Dense(16, name="made")
        self.part = None if alone else layers.Dense(16, name="part")

    def call(self, x):
        made = self.made(x)
        return made if self.alone else made + (x - made) + 1e-3 * self.part(made)


@pytest.mark.parametrize("alone", [False, True])
def test_a_gradient_that_goes_around_a_layer_is_not_of_its_making(alone):
    model = keras.Sequential(
        [keras.Input((20,)), layers.Dense(16, name="before"), Around(alone), layers.Dense(4)]
    )
    if alone:  # the control: here it is
        kernel = model.get_layer("around").made.kernel
        kernel.assign(100 * kernel)
    report = ki.diagnose(model, V, jacobian_samples=0)
    assert ("exploding" in {f.kind for f in report.findings_of("around/made")}) == alone


class Sine(layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return ops.sin(self.factor * x)


@pytest.mark.parametrize("form", ["layer", "lambda", "operations"])
@pytest.mark.parametrize(("factor", "ok"), [(30.0, True), (1.0, False)])
def test_a_kernel_and_the_factor_behind_it_are_judged_as_one(form, factor, ok):
    h = inputs = keras.Input((2,))
    for first in (True, False, False, False):
        h = layers.Dense(64, kernel_initializer=ki.SirenFirstInit() if first else ki.SirenInit())(h)
        if form == "operations":
            h = ops.sin(factor * h)
        else:
            shape = {"layer": Sine, "lambda": lambda f: layers.Lambda(lambda x: ops.sin(f * x))}
            h = shape[form](factor)(h)
    x = rng.uniform(-1, 1, (64, 2)).astype("float32")
    report = ki.diagnose(keras.Model(inputs, layers.Dense(1)(h)), x)
    assert report.ok == ok
    assert ok or {f.kind for f in report.findings} == {"vanishing"}


def mixture(*, mean="zeros"):
    """The head of a mixture density net: weights, means and scales of three components."""
    inputs = keras.Input((20,))
    trunk = layers.Dense(16, "tanh")(inputs)
    starts = ("zeros", mean, "zeros")
    heads = [layers.Dense(3, kernel_initializer=start)(trunk) for start in starts]
    return keras.Model(inputs, layers.Concatenate()(heads))


def log_likelihood(y, made):
    share, mean, size = made[:, :3], made[:, 3:6], made[:, 6:]
    each = ops.log_softmax(share) - size - ((y - mean) / ops.exp(size)) ** 2 / 2
    return -ops.logsumexp(each, axis=-1)


@pytest.mark.parametrize(("mean", "kind"), [("zeros", ["symmetric"]), ("glorot_uniform", [])])
def test_heads_of_zeros_are_equal_for_good_only_where_the_loss_does_not_tell_them_apart(mean, kind):
    found = ki.diagnose(mixture(mean=mean), V, V[:, :1], loss=log_likelihood).findings
    assert [f.kind for f in found][:1] == kind


@pytest.mark.parametrize("samples", [8, 32])
def test_classes_that_a_batch_lacks_do_not_make_a_head_of_zeros_equal_for_good(samples):
    head = layers.Dense(16, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((20,)), layers.Dense(32, "relu"), head])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    labels = np.arange(samples) % 10  # of 16 classes
    findings = ki.diagnose(model, V[:samples], labels, loss=loss).findings
    assert "symmetric" not in [f.kind for f in findings]


@pytest.mark.parametrize(
    ("y", "says"),
    [(np.array(["cat", "dog"] * 16), "return_inverse"), (V[:, :1] + 1j, "real and imaginary")],
)
def test_targets_that_are_no_real_numbers_are_refused(y, says):
    model = keras.Sequential([keras.Input((20,)), layers.Dense(1)])
    with pytest.raises(ki.InputError, match=says):
        ki.diagnose(model, V, y, loss="mse")


def rare(bias):
    """A detector whose answers start near `sigmoid(bias)`."""
    start = keras.initializers.Constant(bias)
    made = layers.Dense(6, "sigmoid", bias_initializer=start, name="it")
    return behind(V * 0.3, made), V * 0.3


def long_memory(steps):
    """An LSTM by chrono initialization: Tallec & Ollivier 2018."""
    lstm = layers.LSTM(16, unit_forget_bias=False, name="it")
    model = keras.Sequential([keras.Input((20, 4)), lstm, layers.Dense(1)])
    kept = np.log(rng.uniform(steps / 2, steps, 16)).astype("float32")
    lstm.cell.bias.assign(np.concatenate([-kept, kept, np.zeros(32, "float32")]))
    return model, rng.standard_normal((8, 20, 4), dtype="float32")


@pytest.mark.parametrize(
    ("make", "start", "saturated"),
    [(rare, -4.6, 0), (rare, -9.0, 1), (long_memory, 300, 0), (long_memory, 1e6, 1)],
)
def test_what_a_bias_holds_near_a_bound_is_saturated_only_where_no_slope_is_left(
    make, start, saturated
):
    model, x = make(start)
    kinds = [(f.kind, f.where) for f in ki.diagnose(model, x, jacobian_samples=0).findings]
    assert kinds == [("saturated", ("it",))] * saturated


WIDTHS = {
    "one wide layer": ((4096,), True),
    "a bottleneck": ((256, 16, 256), True),
    "ten layers that fade": ((256,) * 10, False),
    "a fading bottleneck": ((256, 16) * 5, False),
}


@pytest.mark.parametrize("name", WIDTHS)
def test_sizes_fade_where_they_do_so_per_entry_and_by_length(name):
    widths, ok = WIDTHS[name]
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(width, "relu") for width in widths]
    report = ki.diagnose(keras.Sequential([keras.Input((20,)), *hidden, layers.Dense(4)]), V)
    assert report.verdict == ("healthy" if ok else "vanishing")


def test_what_silences_a_net_and_no_kernel_amends_is_named():
    inputs = keras.Input((20,))
    hidden = layers.Dense(8, "relu", name="before")(inputs)
    model = keras.Model(inputs, layers.Dense(1)(layers.ReLU(name="again")(-hidden)))
    model.compile("adam", "mse")
    found = ki.diagnose(model, V, V[:, :1] + V[:, 1:2], jacobian_samples=0).findings
    assert [(f.kind, f.where) for f in found] == [("dying", ("again",))]


@pytest.mark.parametrize("behind_it", [True, False])
def test_a_kernel_and_its_factor_are_one_where_its_gradient_is_compared_to_it(behind_it):
    draw = keras.initializers.RandomUniform(-((6 / 64) ** 0.5) / 30, (6 / 64) ** 0.5 / 30)
    x = rng.uniform(-1, 1, (64, 2)).astype("float32")
    first, last = (1, 30) if behind_it else (30, 1)
    parts = [
        layers.Dense(64, name="first"),
        Between(lambda x: first * ops.sin(20 * x)),
        layers.Dense(64, kernel_initializer=draw, name="kernel"),
        layers.Lambda(lambda x: ops.sin(last * x)),
        layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((2,)), *parts])
    report = ki.diagnose(model, x, 30 * x[:, :1], loss="mse", jacobian_samples=0)
    assert report["kernel"].weights[0].ratio > 100
    assert bool(report.findings_of("kernel")) is not behind_it


def test_a_low_rank_update_of_an_einsum_is_seen_through():
    layer = layers.EinsumDense("abc,cd->abd", (10, 16), activation="relu")
    model = keras.Sequential([keras.Input((10, 12)), layer, layers.Flatten(), layers.Dense(1)])
    layer.enable_lora(2)
    assert ki.diagnose(model, S).ok


STANDARDIZED = {
    "mean and variance": lambda x: (
        (x - ops.mean(x, -1, keepdims=True)) / ops.sqrt(ops.var(x, -1, keepdims=True) + 1e-6)
    ),
    "size": lambda x: x * ops.rsqrt(ops.mean(x * x, -1, keepdims=True) + 1e-6),
    "mean alone": lambda x: x - ops.mean(x, -1, keepdims=True),
}


@pytest.mark.parametrize("name", STANDARDIZED)
def test_a_scale_that_operations_take_away_is_no_fault(name):
    draw = keras.initializers.RandomNormal(stddev=3.0)
    kernel = layers.Dense(32, use_bias=False, kernel_initializer=draw)
    parts = [kernel, Between(STANDARDIZED[name]), layers.Dense(8, "relu"), layers.Dense(1)]
    report = ki.diagnose(keras.Sequential([keras.Input((20,)), *parts]), V, jacobian_samples=0)
    assert report.verdict == ("exploding" if name == "mean alone" else "healthy")


@pytest.mark.parametrize("bad", [1, 700])
def test_the_good_entries_of_a_weight_are_kept_where_most_are_good(bad):
    model = keras.Sequential([keras.Input((20,)), layers.Dense(40), layers.Dense(1)])
    kernel = model.layers[0].kernel
    values = keras.ops.convert_to_numpy(kernel).copy()
    values.flat[:bad] = np.nan
    for find in (lambda: ki.audit(model).findings[0], lambda: ki.diagnose(model, V).findings[0]):
        kernel.assign(values)
        exec(find().remedy, {"model": model, "keras_inits": ki})
        assert ki.diagnose(model, V).ok
        kept = (keras.ops.convert_to_numpy(kernel) == values).sum()
        assert kept == (values.size - bad if bad == 1 else 0)


def test_text_for_a_model_of_numbers_is_refused_in_a_sentence():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    with pytest.raises((ValueError, TypeError), match=r"text|numbers"):
        ki.diagnose(model, np.array([["a", "b"], ["c", "d"]]))


@pytest.mark.parametrize("cut", [False, True])
def test_a_loss_that_a_layer_adds_may_leave_out_the_output(cut):
    class Endpoint(keras.layers.Layer):
        """Logits and targets in, probabilities out: the loss is of the logits."""

        def call(self, logits, targets):
            taught = keras.ops.stop_gradient(logits) if cut else logits
            self.add_loss(keras.losses.BinaryCrossentropy(from_logits=True)(targets, taught))
            return keras.ops.softmax(logits)

    rng = np.random.default_rng(0)
    x = rng.random((128, 10)).astype("float32")
    y = (x @ rng.normal(size=(10, 4)) > 0).astype("float32")
    inputs, targets = keras.Input((10,)), keras.Input((4,))
    model = keras.Model([inputs, targets], Endpoint()(keras.layers.Dense(4)(inputs), targets))
    model.compile("adam")
    found = [f.kind for f in ki.diagnose(model, [x, y]).findings]
    assert ("no gradient" in found) is cut


@pytest.mark.parametrize("alone", [False, True])
def test_a_matrix_that_starts_as_the_identity_loses_no_samples(alone):
    """As that of PointNet (Qi et al. 2017), which multiplies what it is computed from."""
    cloud = keras.Input((32, 3))
    x = layers.GlobalMaxPooling1D()(layers.Conv1D(64, 1, activation="relu")(cloud))
    identity = keras.initializers.Constant(np.eye(3).ravel())
    matrix = layers.Dense(9, kernel_initializer="zeros", bias_initializer=identity, name="turn")(x)
    if not alone:
        matrix = layers.Dot(axes=(2, 1))([cloud, layers.Reshape((3, 3))(matrix)])
        matrix = layers.Flatten()(matrix)
    model = keras.Model(cloud, layers.Dense(5)(layers.Dense(32, "relu")(matrix)))
    rng = np.random.default_rng(3)
    points = rng.normal(size=(32, 32, 3)) * rng.uniform(0.2, 2.0, (32, 1, 3))
    found = ki.diagnose(model, points.astype("float32")).findings_of("turn")
    assert ("rank-collapsed" in {f.kind for f in found}) == alone
