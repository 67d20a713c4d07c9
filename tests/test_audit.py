import json

import keras
import numpy as np
import pytest
from keras import layers

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
    "not orthogonal": lambda: built(layers.LSTM(32), (None, 3, 32)),
    "dead embeddings": lambda: embedding(clear_entries),
    "not savable": lambda: dense(Forgetful()),
}


def shared_instance():
    scheme = keras.initializers.HeNormal(seed=1)
    sizes = [(64, 32), (32, 16)]
    return keras.Sequential(
        [keras.Input((64,)), *(dense(scheme, units, inputs) for inputs, units in sizes)]
    )


@pytest.mark.parametrize("kind", FAULTY)
def test_a_fault_is_found_told_and_mended(kind):
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
    # the line that mends it does
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
def test_embeddings_tell_how_many_entries_are_dead(change, numbers):
    (finding,) = ki.audit(embedding(change)).findings
    assert (finding.numbers["zero"], finding.numbers["equal"]) == numbers


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


def test_a_law_without_fans_is_told_off_by_the_order_of_magnitude():
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


def test_reports_are_text_in_jupyter_too(monkeypatch, capsys):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="only")])
    for report in (ki.audit(model), ki.initialize(model, "initkit_he")):
        assert "2 weights" in str(report)
    ki.diagnose(model, np.ones((4, 4))).summary()
    assert "only" in capsys.readouterr().out
