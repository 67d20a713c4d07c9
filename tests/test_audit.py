import json

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_inits as ki


def built(layer, *shapes):
    layer.build(*shapes)
    return layer


def dense(kernel_initializer="glorot_uniform", units=32, inputs=64):
    layer = layers.Dense(units, kernel_initializer=kernel_initializer)
    return built(layer, (None, inputs))


def filled(change):
    """A Dense layer after `change` was made to its kernel."""
    layer = dense()
    kernel = layer.kernel.numpy()
    change(kernel)
    layer.kernel.assign(kernel)
    return layer


def copy_unit(kernel):
    kernel[:, 3] = kernel[:, 5]


def put_nan(kernel):
    kernel[0, 0], kernel[1, 1] = np.nan, np.inf


def embedding(change):
    layer = built(layers.Embedding(50, 8))
    table = layer.embeddings.numpy()
    change(table)
    layer.embeddings.assign(table)
    return layer


def clear_entries(table):
    table[3:6] = 0


def copy_entry(table):
    table[7] = table[9]


class Forgetful(keras.initializers.Initializer):
    """An initializer that its user never registered."""

    def __call__(self, shape, dtype=None):
        return keras.random.normal(shape, stddev=0.1, dtype=dtype)


FAULTY = {
    "not finite": lambda: filled(put_nan),
    "constant kernel": lambda: dense("zeros"),
    "equal units": lambda: filled(copy_unit),
    "equal weights": lambda: built(
        layers.MultiHeadAttention(4, 8, kernel_initializer=ki.HeInit(seed=1)),
        (None, 3, 32),
        (None, 3, 32),
    ),
    "one seed": lambda: shared_instance(),
    "scale": lambda: built(layers.DepthwiseConv2D(3), (None, 8, 8, 64)),
    "not orthogonal": lambda: built(
        layers.MultiHeadAttention(4, 8, kernel_initializer="orthogonal"),
        (None, 3, 32),
        (None, 3, 32),
    ),
    "not savable": lambda: dense(Forgetful()),
}


def shared_instance():
    scheme = keras.initializers.HeNormal(seed=1)
    sizes = [(64, 32), (32, 32)]
    return keras.Sequential(
        [keras.Input((64,)), *(dense(scheme, units, inputs) for inputs, units in sizes)]
    )


def test_a_table_and_the_head_behind_it_may_be_of_one_seed():
    scheme = keras.initializers.RandomNormal(stddev=0.1, seed=1)
    table = layers.Embedding(50, 64, embeddings_initializer=scheme)
    head = layers.Dense(50, kernel_initializer=scheme)
    report = ki.audit(keras.Sequential([keras.Input((4,)), table, head]))
    assert report.ok, report
    assert [f.kind for f in report.remarks] == ["one seed"]


def test_one_seed_is_a_fault_only_where_units_come_out_alike():
    scheme = keras.initializers.HeNormal(seed=1)
    found = {}
    for last in (32, 16):
        stack = [layers.Dense(n, "relu", kernel_initializer=scheme) for n in (32, last)]
        report = ki.audit(keras.Sequential([keras.Input((64,)), *stack]))
        found[last] = [f.kind for f in report.findings], [f.kind for f in report.remarks]
        # What the two kernels make of one signal: as alike as that of two seeds, or equal.
        rows = np.random.default_rng(0).normal(size=(4096, 32))
        one, other = (rows @ layer.kernel.numpy()[:32] for layer in stack)
        between = np.corrcoef(one.T, other.T)[:32, 32:]
        assert (between.max() > 0.99) == (last == 32)
    assert found == {32: (["one seed"], []), 16: ([], ["one seed"])}


def test_a_kernel_that_repeats_another_in_a_corner_is_no_fault():
    scheme = keras.initializers.HeNormal(seed=1)
    x = inputs = keras.Input((8, 8, 32))
    for taps in (1, 3):
        x = layers.Conv2D(32, taps, padding="same", kernel_initializer=scheme)(x)
    report = ki.audit(keras.Model(inputs, x))
    assert report.ok, report
    assert [f.kind for f in report.remarks] == ["one seed"]


def test_keys_that_equal_values_are_no_fault_and_queries_that_equal_keys_are():
    x = inputs = keras.Input((8, 32))
    parts = [layers.Dense(32, use_bias=False) for _ in range(4)]
    query, key, value = (part(x) for part in parts[:3])
    weights = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 2, 1))) / 32**0.5)
    model = keras.Model(inputs, parts[3](ops.matmul(weights, value)))
    parts[2].kernel.assign(parts[1].kernel)
    report = ki.audit(model)
    assert report.ok, str(report)
    assert [remark.kind for remark in report.remarks] == ["equal weights"]
    parts[0].kernel.assign(parts[1].kernel)
    assert [found.kind for found in ki.audit(model).findings] == ["equal weights"]


@pytest.mark.parametrize("kind", FAULTY)
def test_a_fault_is_found_reported_and_fixed(kind):
    model = FAULTY[kind]()
    before = model.get_weights()
    report = ki.audit(model)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    finding = next(found for found in report.findings if found.kind == kind)
    assert set(finding.where) <= {weight.path for weight in model.weights}
    assert finding.evidence
    assert finding.consequence
    text = str(report)
    assert max(map(len, text.splitlines())) <= 80
    json.dumps(report.to_dict())
    assert not report.ok
    assert ki.AuditReport.from_dict(json.loads(report.to_json())) == report
    # the line that fixes it does
    if kind != "not savable":
        exec(finding.remedy, {"keras_inits": ki, "model": model})
        left = [f for f in ki.audit(model).findings if f.kind == kind]
        assert finding.where not in [found.where for found in left]


SOUND = {
    "Dense": lambda: dense(),
    "embedding with one entry of zeros, for padding": lambda: embedding(
        lambda table: table[:1].fill(0)
    ),
    "initkit_orthogonal": lambda: dense("initkit_orthogonal"),
    "Keras's orthogonal in half precision": lambda: built(
        layers.Dense(32, kernel_initializer="orthogonal", dtype="float16"), (None, 64)
    ),
    "small normal": lambda: dense(keras.initializers.RandomNormal(stddev=0.02)),
    "sparse": lambda: dense("initkit_sparse"),
}


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_model_has_no_findings(kind):
    if keras.backend.backend() != "tensorflow" and "half precision" in kind:
        pytest.skip("Keras draws it by a QR in half precision, which only TensorFlow has")
    assert ki.audit(SOUND[kind]()).findings == ()


def test_what_initialize_has_set_is_sound():
    for layer, *shapes in [
        (layers.LSTM(32), (None, 3, 32)),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (None, 8, 8, 64)),
        (layers.Conv2DTranspose(32, 4, strides=2), (None, 8, 8, 64)),
        (layers.Conv2D(32, 3, groups=4, strides=2), (None, 8, 8, 64)),
        (layers.MultiHeadAttention(4, 16), (None, 3, 64), (None, 3, 64)),
        (layers.ReversibleEmbedding(100, 16),),
    ]:
        built(layer, *shapes)
        for scheme in ("initkit_he", "initkit_glorot", "initkit_orthogonal", "auto"):
            ki.initialize(layer, scheme, seed=1)
            assert ki.audit(layer).findings == ()


@pytest.mark.parametrize(("change", "numbers"), [(clear_entries, (3, 0)), (copy_entry, (0, 1))])
def test_equal_embeddings_are_a_remark_whose_fix_keeps_the_good_entries(change, numbers):
    model = embedding(change)
    before = model.embeddings.numpy()
    report = ki.audit(model)
    assert report.ok
    (remark,) = report.remarks
    assert (remark.numbers["zero"], remark.numbers["equal"]) == numbers
    exec(remark.remedy, {"model": model})
    after = model.embeddings.numpy()
    changed = (after != before).any(axis=1)
    assert changed.sum() == sum(numbers)
    assert after[changed].std() == pytest.approx(before.std(), rel=0.6)
    assert ki.audit(model).remarks == ()


def test_scale_is_measured_against_the_true_fans():
    (finding,) = ki.audit(FAULTY["scale"]()).findings
    # glorot: sqrt(2 / (576 + 9)) by shape, sqrt(2 / (9 + 9)) in truth
    assert finding.numbers["ratio"] == pytest.approx((18 / 585) ** 0.5, rel=0.1)
    assert "576/9" in finding.evidence


def test_a_scale_of_more_than_10_percent_is_found_and_one_of_5_is_not():
    layer = dense(units=256, inputs=256)
    kernel = layer.kernel.numpy()
    layer.kernel.assign(1.05 * kernel)
    assert ki.audit(layer).findings == ()
    layer.kernel.assign(1.15 * kernel)
    assert [finding.kind for finding in ki.audit(layer).findings] == ["scale"]


def test_a_scheme_of_fixed_scale_is_reported_by_the_order_of_magnitude():
    assert [f.kind for f in ki.audit(dense("initkit_random_large")).findings] == ["scale"]


def test_frozen_weights_are_skipped_and_named():
    layer = dense("zeros")
    layer.trainable = False
    report = ki.audit(layer)
    assert report.findings == ()
    assert len(report.skipped) == 2


@pytest.mark.parametrize(
    ("initializer", "savable"),
    [
        ("he_normal", True),
        (ki.HeInit(), True),
        (ki.GeometricInit("initkit_he", blocks=4), True),
        (Forgetful(), False),
        (lambda shape, dtype=None: keras.ops.ones(shape, dtype), False),
    ],
)
def test_an_initializer_that_will_not_survive_saving_is_found(initializer, savable):
    kinds = [finding.kind for finding in ki.audit(dense(initializer)).findings]
    assert ("not savable" in kinds) == (not savable)


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(ValueError, match="built Keras model"):
        ki.audit(keras.Sequential([layers.Dense(3)]))


def test_reports_are_text_in_jupyter_too(monkeypatch):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="only")])
    for report in (ki.audit(model), ki.initialize(model, "initkit_he")):
        assert "2 weights" in str(report)
    assert "only" in ki.diagnose(model, np.ones((4, 4))).summary()


def stack(*inner, shape=(64,)):
    return keras.Sequential([keras.Input(shape), *inner])


def kinds(found):
    return [finding.kind for finding in found]


@keras.saving.register_keras_serializable("test_audit")
class Repeated(keras.initializers.Initializer):
    """ICNR: each filter of an enlargement four times."""

    def __call__(self, shape, dtype=None):
        filters = keras.initializers.HeNormal(seed=3)((*shape[:-1], shape[-1] // 4))
        return keras.ops.cast(keras.ops.repeat(filters, 4, axis=-1), dtype or "float32")

    def get_config(self):
        return {}


def sine(z):
    return keras.ops.sin(30.0 * z)


def siren(width=64):
    limit = (6 / width) ** 0.5 / 30
    law = keras.initializers.RandomUniform
    return stack(
        layers.Dense(width, sine, kernel_initializer=law(-0.5, 0.5)),
        *(layers.Dense(width, sine, kernel_initializer=law(-limit, limit)) for _ in range(3)),
        layers.Dense(1),
        shape=(2,),
    )


def copied_units(next_kernel):
    model = stack(layers.Dense(32, "tanh"), layers.Dense(8, kernel_initializer=next_kernel))
    kernel = model.layers[0].kernel.numpy()
    copy_unit(kernel)
    model.layers[0].kernel.assign(kernel)
    return model


NO_FAULT = {
    "a head of zeros": lambda: stack(layers.Dense(8, "relu"), layers.Dense(3, "softmax", **ZEROS)),
    "softmax regression from zero": lambda: stack(layers.Dense(3, "softmax", **ZEROS)),
    "bias embeddings of zeros": lambda: stack(
        layers.Embedding(50, 1, embeddings_initializer="zeros"), layers.Flatten(), shape=(3,)
    ),
    "repeated filters before a pixel shuffle": lambda: stack(
        layers.Conv2D(12, 3, padding="same", kernel_initializer=Repeated()),
        layers.Reshape((8, 8, 3, 2, 2)),
        layers.Permute((1, 4, 2, 5, 3)),
        layers.Reshape((16, 16, 3)),
        layers.Conv2D(4, 3),
        shape=(8, 8, 16),
    ),
    "equal units that the next kernel tells apart": lambda: copied_units("glorot_uniform"),
    "Keras's recurrent layers": lambda: stack(
        layers.LSTM(32, return_sequences=True),
        layers.GRU(32, return_sequences=True),
        layers.Bidirectional(layers.LSTM(16)),
        layers.Dense(3),
        shape=(5, 8),
    ),
    "sines of high frequency": siren,
    "a depthwise kernel before a normalization": lambda: stack(
        layers.DepthwiseConv2D(3), layers.BatchNormalization(), layers.ReLU(), shape=(8, 8, 64)
    ),
    "the small input kernel of a recurrence of identity": lambda: stack(
        layers.SimpleRNN(
            100,
            "relu",
            kernel_initializer=keras.initializers.RandomNormal(0, 0.001),
            recurrent_initializer="identity",
        ),
        shape=(100, 1),
    ),
}
ZEROS = {"kernel_initializer": "zeros"}


@pytest.mark.parametrize("kind", NO_FAULT)
def test_what_stands_behind_a_kernel_can_make_it_sound(kind):
    report = ki.audit(NO_FAULT[kind]())
    assert report.ok
    report.assert_ok()
    assert report.remarks == ()


FAULT = {
    "no random kernel": (
        "constant kernel",
        lambda: stack(layers.Dense(8, "tanh", **ZEROS), layers.Dense(3, **ZEROS)),
    ),
    "relu behind zeros": (
        "constant kernel",
        lambda: stack(layers.Dense(8, "relu", **ZEROS), layers.Dense(3)),
    ),
    "a next kernel that treats all alike": (
        "constant kernel",
        lambda: stack(
            layers.Dense(8, "tanh", kernel_initializer=keras.initializers.Constant(0.1)),
            layers.Dense(3, kernel_initializer="ones"),
            layers.Dense(3),
        ),
    ),
    "equal units that the next kernel treats alike": ("equal units", lambda: copied_units("ones")),
    "a depthwise kernel before no normalization": (
        "scale",
        lambda: stack(layers.DepthwiseConv2D(3), layers.ReLU(), shape=(8, 8, 64)),
    ),
    "saturated tanh": (
        "scale",
        lambda: stack(layers.Dense(300, "tanh", kernel_initializer=ki.RandomInit()), shape=(400,)),
    ),
    "a signal that fades": (
        "scale",
        lambda: stack(layers.Dense(300, "tanh", kernel_initializer=ki.RandomInit(0.001))),
    ),
}


@pytest.mark.parametrize("kind", FAULT)
def test_what_stands_behind_a_kernel_can_make_it_a_fault(kind):
    expected, make = FAULT[kind]
    assert expected in kinds(ki.audit(make()).findings)


def test_units_that_are_called_equal_stay_equal_and_others_part():
    """The claim behind `equal units`, against one step of training."""
    x = np.random.default_rng(0).normal(size=(32, 64)).astype("float32")
    for next_kernel, stay in (("ones", True), ("glorot_uniform", False)):
        model = copied_units(next_kernel)
        model.compile("sgd", "mse")
        model.fit(x, x[:, :8].sum(axis=1, keepdims=True) * np.ones((1, 8)), epochs=1, verbose=0)
        kernel = model.layers[0].kernel.numpy()
        assert np.array_equal(kernel[:, 3], kernel[:, 5]) == stay


def test_what_needs_context_is_a_remark_where_a_model_cannot_be_traced():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.head = layers.Dense(8), layers.Dense(3, **ZEROS)

        def call(self, x):
            values = np.tanh(keras.ops.convert_to_numpy(x))
            return self.head(self.hidden(keras.ops.convert_to_tensor(values)))

    (model := Net())(np.ones((1, 4), "float32"))
    report = ki.audit(model)
    assert report.ok
    assert kinds(report.remarks) == ["constant kernel", "not traced"]


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    model = stack(layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(3), shape=(8,))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = rng.normal(size=(256, 8)).astype("float32")
    model.fit(x, rng.integers(0, 3, 256), epochs=40, verbose=0)
    return model


def copy_of(model):
    """The weights without the optimizer."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def test_a_trained_model_is_one_remark(trained):
    for model, evidence in ((trained, "steps"), (copy_of(trained), "biases and scales")):
        report = ki.audit(model)
        assert report.ok
        (remark,) = report.remarks
        assert remark.kind == "trained"
        assert evidence in remark.evidence


def test_moved_statistics_show_training():
    model = stack(layers.Dense(8), layers.BatchNormalization())
    assert ki.audit(model).remarks == ()
    model(np.ones((4, 64), "float32"), training=True)
    assert "moving_mean" in ki.audit(model).remarks[0].evidence


def test_one_bias_set_by_hand_is_no_training():
    model = stack(layers.Dense(8), layers.Dense(3))
    model.layers[1].bias.assign([-1.0, 0.0, 1.0])
    assert ki.audit(model).remarks == ()


def test_values_of_no_law_show_training_and_a_wrong_scale_does_not():
    def biasless(change):
        model = stack(*(layers.Dense(64, use_bias=False) for _ in range(3)))
        for weight in model.weights:
            weight.assign(change(weight.numpy()))
        return ki.audit(model)

    assert kinds(biasless(lambda kernel: kernel**3 * 100).remarks) == ["trained"]
    assert kinds(biasless(lambda kernel: kernel * 3).findings) == ["scale"] * 3


def test_nan_and_dead_units_of_a_trained_model_are_found(trained):
    model = copy_of(trained)
    kernel = model.layers[1].kernel.numpy()
    kernel[:, 7] = 0
    model.layers[1].kernel.assign(kernel)
    (finding,) = ki.audit(model).findings
    assert (finding.kind, finding.numbers["units"]) == ("dead units", 1)
    kernel[0, 0] = np.nan
    model.layers[1].kernel.assign(kernel)
    assert kinds(ki.audit(model).findings) == ["not finite"]


@pytest.mark.parametrize("kept", ["zeros", {"class_name": "Zeros", "config": {}}])
def test_initializers_kept_as_names_are_resolved_and_left_as_they_are(kept):
    layer = dense()
    layer.bias_initializer = kept
    layer.kernel_initializer = "glorot_uniform"
    assert ki.audit(layer).ok
    ki.initialize(layer, "own", seed=1)
    ki.initialize(layer, seed=1)
    assert layer.kernel_initializer == "glorot_uniform"


def test_names_in_reports_are_text():
    layer = layers.Dense(4, name="conv[a]", **ZEROS)
    layer.build((None, 4))
    for report in (ki.audit(layer), ki.initialize(layer, seed=1)):
        assert "conv[a]" in report.summary()
        assert "conv[a]" in report._repr_html_()
