"""Kernels that are judged by what stands around them."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from versions import needs_axes

import keras_inits as ki

RandomNormal = keras.initializers.RandomNormal
ZEROS = {"kernel_initializer": "zeros"}
ONES = {"kernel_initializer": "ones"}


def stack(*inner, shape=(64,)):
    return keras.Sequential([keras.Input(shape), *inner])


def net(shape, function):
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


def subclassed(function, *inner, shape):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = list(inner)

        def call(self, x):
            return function(x, *self.inner)

    model = Net()
    model(np.ones((1, *shape), "float32"))
    return model


@keras.saving.register_keras_serializable("test_around")
class Repeated(keras.initializers.Initializer):
    """ICNR: each filter of an enlargement four times."""

    def __call__(self, shape, dtype=None):
        filters = keras.initializers.HeNormal(seed=3)((*shape[:-1], shape[-1] // 4))
        return ops.cast(ops.repeat(filters, 4, axis=-1), dtype or "float32")

    def get_config(self):
        return {}


def shuffle(y):
    _, height, width, channels = y.shape
    y = ops.reshape(y, (-1, height, width, channels // 4, 2, 2))
    y = ops.transpose(y, (0, 1, 4, 2, 5, 3))
    return ops.reshape(y, (-1, 2 * height, 2 * width, channels // 4))


def icnr(filters=12):
    return layers.Conv2D(filters, 3, padding="same", kernel_initializer=Repeated())


def sines(width, limit):
    law = keras.initializers.RandomUniform
    return layers.Dense(width, kernel_initializer=law(-limit, limit))


def residual(blocks, *, end="he_normal", inside="he_normal", normalized=False, relu=False):
    x = inputs = keras.Input((64,))
    for _ in range(blocks):
        h = layers.LayerNormalization()(x) if normalized else x
        h = layers.Dense(64, "relu", kernel_initializer=inside)(h)
        x = x + layers.Dense(64, kernel_initializer=end() if callable(end) else end)(h)
        x = ops.relu(x) if relu else x
    return keras.Model(inputs, layers.Dense(3)(x))


def scored(x, initializer):
    values = layers.BatchNormalization()(layers.Dense(32, kernel_initializer=initializer)(x))
    moved = values + layers.Dense(32, **ZEROS)(x)
    return layers.Dense(2)(layers.Dense(32, "softmax", **ZEROS)(x) * moved)


SOUND = {
    "zeros that score what a normalization hands on": lambda: net(
        (16,), lambda x: scored(x, "he_normal")
    ),
    "pixel shuffle by ops, at the end": lambda: net((8, 8, 16), lambda x: shuffle(icnr()(x))),
    "pixel shuffle by ops, to one channel, before a kernel": lambda: net(
        (8, 8, 16), lambda x: layers.Conv2D(3, 3)(shuffle(icnr(4)(x)))
    ),
    "pixel shuffle in a Lambda": lambda: stack(icnr(), layers.Lambda(shuffle), shape=(8, 8, 16)),
    "pixel shuffle in a subclass": lambda: subclassed(
        lambda x, a, b: b(shuffle(a(x))), icnr(), layers.Conv2D(3, 3), shape=(8, 8, 16)
    ),
    "sines in a subclass": lambda: subclassed(
        lambda x, a, b, c: c(ops.sin(30 * b(ops.sin(30 * a(x))))),
        sines(64, 0.5),
        sines(64, (6 / 64) ** 0.5 / 30),
        layers.Dense(1),
        shape=(2,),
    ),
    "a zero head in a subclass": lambda: subclassed(
        lambda x, a, b: b(ops.relu(a(x))), layers.Dense(64), layers.Dense(3, **ZEROS), shape=(8,)
    ),
    "a depthwise kernel before a normalization, in a subclass": lambda: subclassed(
        lambda x, a, b: ops.relu(b(a(x))),
        layers.DepthwiseConv2D(3),
        layers.BatchNormalization(),
        shape=(8, 8, 64),
    ),
    "zeros at the end of a branch": lambda: residual(3, end="zeros"),
    "a first convolution of DCGAN, grey": lambda: stack(
        layers.Conv2D(64, 3, strides=2, padding="same", kernel_initializer=RandomNormal(0, 0.02)),
        layers.LeakyReLU(0.2),
        layers.Conv2D(64, 3, kernel_initializer=RandomNormal(0, 0.02)),
        layers.BatchNormalization(),
        shape=(28, 28, 1),
    ),
    "ones in a gate of which the other half differs": lambda: net(
        (16,), lambda x: layers.Dense(2)(layers.Dense(32, **ONES)(x) * layers.Dense(32)(x))
    ),
    "attention": lambda: net(
        (5, 16), lambda x: layers.Dense(2)(layers.MultiHeadAttention(2, 8)(x, x))
    ),
    "a recurrent kernel of zeros": lambda: stack(
        layers.SimpleRNN(16, recurrent_initializer="zeros"), layers.Dense(2), shape=(9, 4)
    ),
    "the identity behind ReLU over 784 steps": lambda: stack(
        layers.SimpleRNN(
            100,
            "relu",
            kernel_initializer=RandomNormal(0, 0.001),
            recurrent_initializer="identity",
        ),
        shape=(784, 1),
    ),
    "gated cells over 100 steps": lambda: stack(
        layers.LSTM(64, return_sequences=True), layers.GRU(64), shape=(100, 8)
    ),
    "few sums": lambda: residual(4),
    "sums with a normalization in each branch": lambda: residual(8, normalized=True),
    "ends by the root of the number of sums": lambda: residual(
        60, end=lambda: RandomNormal(0, (2 / 64 / 60) ** 0.5)
    ),
}


def towers(shared_input):
    """Two encoders that one seed drew."""
    one, other = keras.Input((8,)), keras.Input((8,))
    law = keras.initializers.GlorotUniform(seed=1)
    ends = [
        layers.Dense(16, "relu", kernel_initializer=law)(x)
        for x in (one, one if shared_input else other)
    ]
    if shared_input:
        return keras.Model(one, layers.Average()(ends))
    return keras.Model([one, other], layers.Dot(-1)(ends))


def routed():
    """Experts behind a router of zeros."""
    x = inputs = keras.Input((16,))
    weights = ops.softmax(layers.Dense(4, **ZEROS)(x))
    experts = ops.reshape(layers.Dense(4 * 16)(x), (-1, 4, 16))
    return keras.Model(inputs, layers.Dense(2)(ops.sum(weights[..., None] * experts, axis=1)))


def before(normalization):
    wide = layers.Dense(64, use_bias=False, kernel_initializer=RandomNormal(0, 3.0))
    return net((32,), lambda x: layers.Dense(4)(normalization(wide(x))))


class Factor(layers.Layer):
    """A learned factor, 0 at the start (ReZero)."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(), initializer="zeros", name="factor")

    def call(self, x):
        return x * self.factor


def rezero(end):
    branch = layers.Dense(16, "relu"), layers.Dense(16, kernel_initializer=end), Factor()
    return net((16,), lambda x: layers.Dense(2)(x + branch[2](branch[1](branch[0](x)))))


def deep_rezero(depth):
    def function(x):
        for _ in range(depth):
            inner = layers.Dense(64, "relu", kernel_initializer="he_normal")(x)
            x = x + Factor()(layers.Dense(64, kernel_initializer="he_normal")(inner))
        return layers.Dense(2)(x)

    return net((64,), function)


def with_a_filter_of_zeros(activation):
    values = np.random.default_rng(0).normal(0, 0.1, (3, 3, 8, 16)).astype("float32")
    values[..., 3] = 0
    law = keras.initializers.Constant(values)
    return stack(
        layers.Conv2D(16, 3, activation=activation, kernel_initializer=law),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2),
        shape=(8, 8, 8),
    )


def plain(depth, law):
    hidden = [layers.Dense(64, "relu", kernel_initializer=law()) for _ in range(depth)]
    return stack(*hidden, layers.Dense(2))


class Placed(layers.Layer):
    """Patches by a kernel as Keras's users draw it, a learned position added to each."""

    def __init__(self, spread):
        super().__init__()
        self.patches, law = layers.Conv2D(64, 8, 8), RandomNormal(0, spread)
        self.table = layers.Embedding(16, 64, embeddings_initializer=law)

    def call(self, x):
        return ops.reshape(self.patches(x), (-1, 16, 64)) + self.table(ops.arange(16)[None])


def patches(spread):
    inputs = keras.Input((32, 32, 3))
    x = layers.LayerNormalization()(Placed(spread)(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


def test_small_positions_leave_a_scale_to_the_normalization_behind_and_large_ones_a_remark():
    assert not ki.audit(patches(0.02)).remarks
    report = ki.audit(patches(1.0))
    [remark] = report.remarks
    assert report.ok
    assert remark.kind == "scale"
    assert "conv2d" in remark.where[0]


@pytest.mark.parametrize(("normalized", "alarm"), [(True, False), (False, True)])
def test_patches_as_keras_reads_their_fans_are_small_only_where_nothing_normalizes(
    normalized, alarm
):
    inputs = keras.Input((32, 32, 3))
    x = layers.Reshape((16, 64))(layers.Conv2D(64, 8, 8)(inputs))
    for _ in range(2):
        x = x + layers.Dense(64)(layers.Dense(64, "gelu")(layers.LayerNormalization()(x)))
    if normalized:
        x = layers.LayerNormalization()(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    assert any(f.kind == "scale" for f in ki.audit(model).findings) is alarm


class Standardized(layers.Dense):
    """A kernel whose columns are standardized before each product."""

    def call(self, x):
        kernel = self.kernel - ops.mean(self.kernel, 0)
        kernel = kernel / (ops.std(kernel, 0) * self.kernel.shape[0] ** 0.5)
        return ops.relu(x @ kernel)


class Twice(layers.Dense):
    """A layer of one's own that takes its kernel as it is."""

    def call(self, x):
        return 2 * super().call(x)


SOUND |= {
    "a router of zeros": routed,
    "a scale that the layer itself takes away": lambda: stack(
        Standardized(64, kernel_initializer=RandomNormal(0, 3.0)), layers.Dense(2)
    ),
    "positive weights that add up to 1": lambda: stack(
        layers.Dense(64, "relu", kernel_initializer=keras.initializers.RandomUniform(0, 2 / 64)),
        layers.Dense(2),
    ),
    "24 sums whose branches have a factor of zero": lambda: deep_rezero(24),
    "a scale that a norm written out takes away": lambda: before(
        lambda y: y / ops.norm(y, axis=-1, keepdims=True)
    ),
    "a scale that an operation of Keras takes away": lambda: before(ops.normalize),
    "a scale that spectral normalization takes away": lambda: stack(
        layers.SpectralNormalization(
            layers.Dense(64, "relu", kernel_initializer=RandomNormal(0, 3.0))
        ),
        layers.Dense(2),
    ),
    "a head that starts small behind a tanh": lambda: stack(
        layers.Dense(64, "relu"),
        layers.Dense(2, "tanh", kernel_initializer=RandomNormal(0, 1e-3)),
    ),
    "a factor of zero": lambda: rezero("he_normal"),
    "a filter of zeros under tanh": lambda: with_a_filter_of_zeros("tanh"),
    "He over 30 layers": lambda: plain(30, lambda: "he_normal"),
}

FAULTY = {
    "positive weights that add up to 32": (
        "scale",
        lambda: stack(
            layers.Dense(64, "relu", kernel_initializer=keras.initializers.RandomUniform(0, 1)),
            layers.Dense(2),
        ),
    ),
    "a large scale in a layer of one's own": (
        "scale",
        lambda: stack(Twice(64, kernel_initializer=RandomNormal(0, 3.0)), layers.Dense(2)),
    ),
    "units alike through two layers of a subclass": (
        "constant kernel",
        lambda: subclassed(
            lambda x, a, b, c: c(ops.tanh(b(ops.tanh(a(x))))),
            layers.Dense(32, **ONES),
            layers.Dense(32, **ONES),
            layers.Dense(3),
            shape=(8,),
        ),
    ),
    "zeros that score units that are alike behind a normalization": (
        "constant kernel",
        lambda: net((16,), lambda x: scored(x, "ones")),
    ),
    "units that are summed": (
        "constant kernel",
        lambda: net((8,), lambda x: ops.sum(ops.tanh(layers.Dense(32, **ONES)(x)), -1)),
    ),
    "a recurrence of N(0, 1)": (
        "recurrence",
        lambda: stack(
            layers.SimpleRNN(64, recurrent_initializer=RandomNormal(0, 1.0)), shape=(100, 8)
        ),
    ),
    "a gated recurrence of N(0, 1)": (
        "recurrence",
        lambda: stack(layers.LSTM(64, recurrent_initializer=RandomNormal(0, 1.0)), shape=(9, 8)),
    ),
    "1.5 times the identity behind ReLU": (
        "recurrence",
        lambda: stack(
            layers.SimpleRNN(16, "relu", recurrent_initializer=keras.initializers.Identity(1.5)),
            shape=(100, 8),
        ),
    ),
    "a state that is forgotten": (
        "recurrence",
        lambda: stack(
            layers.SimpleRNN(32, recurrent_initializer=RandomNormal(0, 0.001)), shape=(9, 8)
        ),
    ),
    "towers of one input": ("equal weights", lambda: towers(True)),
    "a kernel of zeros before a factor of zero": ("constant kernel", lambda: rezero("zeros")),
    "a filter of zeros under ReLU": ("dead units", lambda: with_a_filter_of_zeros("relu")),
    "a fading over layers that each are in bounds": (
        "scale",
        lambda: plain(9, lambda: RandomNormal(0, 0.05)),
    ),
    "24 sums": ("residual stream", lambda: residual(24)),
    "60 sums with a ReLU behind each": ("residual stream", lambda: residual(60, relu=True)),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=needs_axes) if k == "attention" else k for k in SOUND]
)
def test_what_stands_around_a_kernel_can_make_it_sound(kind):
    report = ki.audit(SOUND[kind]())
    assert report.ok, str(report)
    assert report.remarks == (), str(report)


def both_ways():
    law = {"recurrent_initializer": "identity"}
    return stack(layers.Bidirectional(layers.SimpleRNN(8, "relu", **law)), shape=(9, 4))


@pytest.mark.parametrize("model", [lambda: towers(False), both_ways])
def test_equal_kernels_that_something_tells_apart_are_a_remark(model):
    report = ki.audit(model())
    assert report.ok, str(report)
    assert [remark.kind for remark in report.remarks] == ["equal weights"]


@pytest.mark.parametrize("kind", FAULTY)
def test_a_fault_of_the_surroundings_is_found_and_its_remedy_removes_it(kind):
    expected, make = FAULTY[kind]
    model = make()
    found = ki.audit(model).findings
    assert expected in [f.kind for f in found]
    assert max(map(len, str(ki.audit(model)).splitlines())) <= 80
    while found:
        exec(found[0].remedy, {"keras_inits": ki, "model": model})
        left = ki.audit(model).findings
        assert len(left) < len(found), str(left)
        found = left


class LayerScale(layers.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(name="gamma", shape=(shape[-1],), initializer="zeros")

    def call(self, x):
        return x * self.gamma


@pytest.mark.parametrize(
    ("lost", "options"),
    [(True, {}), (False, {"bias_initializer": "ones"}), (False, {"activation": "sigmoid"})],
)
def test_a_zero_kernel_and_a_zero_factor_lose_a_branch_that_puts_nothing_out(lost, options):
    def with_branch(x):
        branch = layers.Dense(16, **ZEROS, **options)(layers.Dense(16, "relu")(x))
        return layers.Dense(3)(x + LayerScale()(branch))

    report = ki.audit(net((16,), with_branch))
    said = [f.consequence for f in (*report.findings, *report.remarks)]
    assert lost == any("the branch is lost" in text for text in said)


def test_layers_of_towers_side_by_side_are_not_one_behind_the_other():
    def side_by_side(x):
        ends = []
        for tower in range(2):
            y = x
            for place in range(9):
                small = RandomNormal(stddev=0.05, seed=9 * tower + place)
                y = layers.Dense(64, "relu", kernel_initializer=small)(y)
            ends.append(y)
        return layers.Dense(2)(layers.Concatenate()(ends))

    findings = ki.audit(net((64,), side_by_side)).findings
    (finding,) = (f for f in findings if "one behind the other" in f.evidence)
    assert finding.numbers["layers"] == 9
    assert len(finding.where) == 18


def test_the_predicted_growth_of_a_stream_is_the_measured_one():
    keras.utils.set_random_seed(0)
    model = residual(24)
    (finding,) = ki.audit(model).findings
    stream = keras.Model(model.inputs, model.layers[-2].output)
    x = np.random.default_rng(0).normal(size=(256, 64)).astype("float32")
    measured = float(np.sqrt(np.mean(np.square(stream.predict(x, verbose=0).astype("float64")))))
    assert finding.numbers["growth"] == pytest.approx(measured, rel=1.0)
    assert finding.numbers["growth"] > 1e5


def test_findings_are_in_order_of_gravity():
    model = stack(layers.Dense(64), layers.Dense(64), layers.Dense(64))
    first, second, _ = model.layers
    second.kernel.assign(3 * second.kernel)
    first.kernel.assign(first.kernel * float("nan"))
    assert [f.kind for f in ki.audit(model).findings] == ["not finite", "scale"]


@pytest.mark.parametrize(("times", "alarm"), [(1, False), (100, True)])
def test_a_table_whose_scheme_reads_its_fans_off_the_shape_is_a_remark(times, alarm):
    left, right = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    table = layers.Embedding(400, 50, embeddings_initializer="he_normal")
    scores = layers.Dot(axes=1)([table(left), table(right)])  # as in matrix factorization
    table.embeddings.assign(times * table.embeddings)
    report = ki.audit(keras.Model([left, right], scores))
    assert bool(report.findings) is alarm
    assert bool(report.remarks) is not alarm


@pytest.mark.parametrize(("epsilon", "found"), [(1e-5, []), (1e-3, ["scale"])])
def test_a_normalization_takes_away_what_is_above_its_own_epsilon(epsilon, found):
    inputs = keras.Input((8, 8, 16))
    small = RandomNormal(stddev=0.004, seed=0)  # 0.016 behind the kernel
    x = layers.Conv2D(32, 1, use_bias=False, kernel_initializer=small)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(epsilon=epsilon)(x))
    x = layers.GlobalAveragePooling2D()(x)
    report = ki.audit(keras.Model(inputs, layers.Dense(3)(x)))
    assert [finding.kind for finding in report.findings] == found


class Untraceable(keras.Model):
    """Two layers whose order no symbolic run shows."""

    def __init__(self, initializer):
        super().__init__()
        self.one = layers.Dense(16, kernel_initializer=initializer)
        self.other = layers.Dense(16, kernel_initializer=initializer)

    def call(self, x):
        return self.other(ops.tanh(self.one(ops.convert_to_tensor(np.asarray(x)))))


@pytest.mark.parametrize(
    ("initializer", "ok"),
    [("identity", True), (keras.initializers.HeNormal(seed=3), False)],
)
def test_identities_are_no_seed_used_twice_where_the_wiring_is_not_known(initializer, ok):
    model = Untraceable(initializer)
    model(np.ones((1, 16), "float32"))
    report = ki.audit(model)
    assert "equal weights" in {f.kind for f in (*report.findings, *report.remarks)}
    assert report.ok == ok, str(report)
