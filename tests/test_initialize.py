import hashlib
import json

import keras
import numpy as np
import pytest
from keras import layers
from versions import HANDS_AXES, without_jax

import keras_inits as ki
from keras_inits import KernelGeometry, _gains
from keras_inits._compare.weights import draw
from keras_inits._errors import InputError
from keras_inits._initialize.seeds import run_seed, stable_paths, weight_seed
from keras_inits._initialize.writing import values_for
from keras_inits._layers import OwnedWeight


def small_model():
    """Convolutions, attention, recurrence and a softmax, in a functional model."""
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(16, 3, strides=2, name="first")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2DTranspose(8, 4, strides=2, activation="tanh", name="transposed")(x)
    x = layers.Reshape((-1, 8))(x)
    x = layers.MultiHeadAttention(2, 8, name="attention")(x, x)
    x = layers.Bidirectional(layers.LSTM(6), name="recurrent")(x)
    return keras.Model(inputs, layers.Dense(3, "softmax", name="head")(x))


def equal(one, other):
    return [np.array_equal(a, b) for a, b in zip(one.weights, other.weights, strict=True)]


def test_every_weight_has_a_row_and_the_scale_that_was_meant():
    report = ki.initialize(model := small_model(), seed=3)
    assert [row.path for row in report.rows] == [weight.path for weight in model.weights]
    assert report.left_alone == ()
    for row, weight in zip(report.rows, model.weights, strict=True):
        assert row.shape == tuple(weight.shape)
        assert row.stddev == pytest.approx(np.std(weight), rel=1e-4, abs=1e-7)
        if row.geometry:
            assert row.target_stddev == pytest.approx((2 / row.geometry.fan_in) ** 0.5)
            assert abs(row.stddev / row.target_stddev - 1) < 5 / (2 * np.size(weight)) ** 0.5
    assert ki.InitializationReport.from_dict(json.loads(report.to_json())) == report
    assert report.ok


def test_the_report_prints_every_path_within_its_width():
    text = str(ki.initialize(small_model(), seed=3))
    assert "left alone" in text.splitlines()[0]
    assert "depthwise/kernel" in text
    assert max(map(len, text.splitlines())) <= 80


def test_one_seed_gives_the_same_weights_and_another_others():
    one, other = small_model(), small_model()
    ki.initialize(one, seed=3)
    ki.initialize(other, seed=3)
    assert all(equal(one, other))
    report = ki.initialize(other)
    assert not any(
        np.array_equal(a, b) for a, b in zip(_kernels(one), _kernels(other), strict=True)
    )
    ki.initialize(one, seed=report.seed)
    assert all(equal(one, other))


def _kernels(model):
    return [weight.numpy() for weight in model.weights if "kernel" in weight.name]


def test_a_weight_is_the_same_whatever_else_is_in_the_model():
    def model(*more):
        stack = [layers.Dense(5, name="kept"), *(layers.Dense(7, name=name) for name in more)]
        built = keras.Sequential([keras.Input((4,)), *stack], name="stack")
        ki.initialize(built, seed=1)
        return built.get_layer("kept").kernel.numpy()

    np.testing.assert_array_equal(model(), model("a", "b"))


def test_layers_that_share_an_instance_are_drawn_apart_and_shared_layers_once():
    scheme = ki.HeInit()
    shared = layers.Dense(4, name="shared", kernel_initializer=scheme)
    x = inputs = keras.Input((4,))
    x = layers.Dense(4, name="own", kernel_initializer=scheme)(shared(shared(x)))
    model = keras.Model(inputs, x)
    report = ki.initialize(model, scheme)
    assert [row.path for row in report.rows] == [
        "shared/kernel", "shared/bias", "own/kernel", "own/bias"
    ]  # fmt: skip
    assert np.all(model.get_layer("own").kernel.numpy() != shared.kernel.numpy())
    assert shared.kernel_initializer is not model.get_layer("own").kernel_initializer
    assert shared.kernel_initializer == scheme


def test_query_key_and_value_differ():
    layer = layers.MultiHeadAttention(2, 4, kernel_initializer=ki.HeInit(seed=1))
    layer.build((None, 3, 8), (None, 3, 8))
    query, key, value, _ = _kernels(layer)
    assert np.array_equal(query, key)
    ki.initialize(layer, seed=1)
    query, key, value, _ = _kernels(layer)
    assert not np.array_equal(query, key)
    assert not np.array_equal(key, value)


@pytest.mark.parametrize(
    "scheme", ["initkit_he", "initkit_orthogonal", "he_normal", "orthogonal", "initkit_glorot"]
)
def test_clones_and_loaded_models_draw_by_the_same_law(scheme, tmp_path):
    model = small_model()
    report = ki.initialize(model, scheme, seed=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert all(equal(model, loaded))
    for again in (keras.models.clone_model(model), keras.models.clone_model(loaded)):
        for row, weight, drawn in zip(report.rows, again.weights, model.weights, strict=True):
            # Keras < 3.15 makes attention's clones from the bare shape, whatever it is told.
            if row.geometry and (HANDS_AXES or not row.path.startswith("attention/")):
                assert np.std(weight) == pytest.approx(
                    row.target_stddev, rel=5 / (2 * np.size(weight)) ** 0.5
                )
                assert not np.array_equal(weight, drawn)
    if "orthogonal" in scheme:  # gates of the clone too
        cell = again.get_layer("recurrent").forward_layer.cell
        for gate in np.split(cell.recurrent_kernel.numpy(), 4, axis=1):
            np.testing.assert_allclose(gate.T @ gate, np.eye(6), atol=1e-5)


def test_a_keras_scheme_draws_its_own_law_in_the_true_geometry():
    layer = layers.Conv2DTranspose(32, 4, strides=2)
    layer.build((None, 8, 8, 64))
    report = ki.initialize(layer, keras.initializers.GlorotUniform(), seed=1)
    limit = (6 / (256 + 512)) ** 0.5
    assert np.abs(layer.kernel).max() == pytest.approx(limit, rel=1e-3)
    assert report.rows[0].target_stddev == pytest.approx(limit / 3**0.5)
    kept = layer.kernel_initializer
    assert isinstance(kept, ki.GeometricInit)
    assert isinstance(kept.scheme, keras.initializers.GlorotUniform)
    assert eval(repr(ki.GeometricInit("initkit_he", blocks=4)), dict(vars(ki))).blocks == 4


def test_biases_and_normalizations_go_to_what_their_layer_says():
    model = keras.Sequential([
        keras.Input((4,)),
        layers.Dense(6, bias_initializer=keras.initializers.Constant(-2.0)),
        layers.BatchNormalization(gamma_initializer="zeros"),
        layers.LayerNormalization(),
        layers.RMSNormalization(),
        layers.PReLU(alpha_initializer=keras.initializers.Constant(0.25)),
        layers.Reshape((2, 3)),
        layers.LSTM(2),
    ])  # fmt: skip
    expected = [w.numpy() for w in model.weights if "kernel" not in w.name]
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 7.0))
    assert ki.initialize(model).left_alone == ()
    found = [w.numpy() for w in model.weights if "kernel" not in w.name]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_compiled_state_stays():
    model = small_model()
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = np.ones((4, 8, 8, 3)), np.zeros(4)
    model.fit(x, y, verbose=0)
    steps = int(model.optimizer.iterations)
    ki.initialize(model, seed=1)
    assert int(model.optimizer.iterations) == steps
    assert model.compiled
    model.fit(x, y, verbose=0)


def test_auto_takes_what_follows_each_kernel_and_what_reaches_it():
    report = ki.initialize(small_model(), "auto", seed=1)
    notes = {row.path: row.note for row in report.rows}
    gain = {row.path: row.target_stddev for row in report.rows if row.geometry}
    fan = {row.path: row.geometry.fan_in for row in report.rows if row.geometry}
    square = {path: gain[path] ** 2 * fan[path] for path in gain}
    assert square["first/kernel"] == pytest.approx(1)  # a normalization takes its scale away
    # A ReLU halves what the normalization gives it; its epsilon is 0.001.
    assert square["depthwise/kernel"] == pytest.approx(2, rel=0.01)
    assert square["transposed/kernel"] == pytest.approx(1)
    assert square["attention/query/kernel"] == pytest.approx(_gains.gain("tanh") ** 2, rel=0.01)
    assert {n for path, n in notes.items() if "recurrent_kernel" in path} == {"recurrent: gain 1"}
    assert notes["attention/query/kernel"].startswith("linear: second moment 1 from 0.39")
    assert notes["head/kernel"].startswith("head, for the loss of a guess: second moment 0.3")


def test_overrides_choose_by_path_and_the_first_that_fits_counts():
    model = small_model()
    report = ki.initialize(
        model,
        overrides={
            "*recurrent_kernel": "initkit_orthogonal",
            "head/bias": "initkit_constant",
            "head/*": None,
        },
        seed=1,
    )
    rows = {row.path: row for row in report.rows}
    cell = model.get_layer("recurrent").forward_layer.cell
    for gate in np.split(cell.recurrent_kernel.numpy(), 4, axis=1):
        np.testing.assert_allclose(gate.T @ gate, np.eye(6), atol=1e-5)
    assert np.all(model.get_layer("head").bias.numpy() == np.float32(0.01))
    assert rows["head/kernel"].left_alone == "the override 'head/*' says so"


def test_frozen_quantized_and_lora_layers_keep_their_values():
    def dense(name):
        return layers.Dense(4, name=name)

    model = keras.Sequential([keras.Input((4,)), *map(dense, ["free", "frozen", "lora", "int8"])])
    model.get_layer("frozen").trainable = False
    model.get_layer("lora").enable_lora(2)
    model.get_layer("int8").quantize("int8")
    before = model.get_weights()
    report = ki.initialize(model, seed=1, overrides={"*": "initkit_he"})
    reasons = {row.path.partition("/")[2]: row.left_alone for row in report.rows}
    assert "frozen" in reasons["frozen/kernel"]
    assert "LoRA" in reasons["lora/lora_kernel_a"]
    assert "quantized" in reasons["int8/kernel"]
    for row, one, other in zip(report.rows, before, model.get_weights(), strict=True):
        # A bias of zeros is set to zeros.
        unchanged = bool(row.left_alone) or row.scheme == "Zeros"
        assert np.array_equal(one, other) == unchanged, row.path
    assert not reasons["free/kernel"]


class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = [layers.Dense(4), layers.Dense(4)]

    def call(self, x):
        return self.inner[1](self.inner[0](x))


def test_layers_inside_subclassed_layers_and_wrappers_are_found():
    model = keras.Sequential([
        keras.Input((3, 4)), Block(), layers.TimeDistributed(layers.Dense(4)),
        layers.SpectralNormalization(layers.Dense(4)),
    ])  # fmt: skip
    report = ki.initialize(model, seed=1)
    assert sum(row.scheme == "HeInit()" for row in report.rows) == 4
    assert [row.path.split("/")[-1] for row in report.left_alone] == ["vector_u"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"scheme": ki.HeInit(seed=1)}, "`seed` to `initialize`(?s:.*)seed=1"),
        ({"scheme": "initkit_hee"}, "initkit_he"),
        ({"scheme": None}, "scheme=None"),
        ({"overrides": {"*/kernels": "initkit_he"}}, r"fits no weight(?s:.*)kernel"),
        ({"seed": -1}, "seed=-1"),
        ({"scheme": "initkit_delta_orthogonal"}, r"head/kernel(?s:.*)of Dense"),
    ],
)
def test_a_mistake_is_reported_with_what_came_and_what_to_do(arguments, says):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="head")])
    with pytest.raises(ValueError, match=says):
        ki.initialize(model, **arguments)


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(ValueError, match="built Keras model"):
        ki.initialize(keras.Sequential([layers.Dense(3)]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", without_jax("float64")])
def test_weights_of_other_types_have_the_same_law(dtype):
    layer = layers.Dense(128, dtype=dtype)
    layer.build((None, 256))
    row = ki.initialize(layer, seed=1).rows[0]
    assert row.stddev == pytest.approx(row.target_stddev, rel=0.02)
    assert layer.kernel.dtype == dtype


class Broken(keras.initializers.Initializer):
    """Draws once and then fails."""

    draws = 0

    def __call__(self, shape, dtype=None):
        Broken.draws += 1
        if Broken.draws == 2:
            raise self.error
        return keras.ops.ones(shape, dtype)


@pytest.mark.parametrize("error", [ValueError("out of luck"), KeyboardInterrupt()])
def test_a_failure_half_way_puts_everything_back(error):
    stack = (layers.Dense(4, name=f"d{i}") for i in range(4))
    model = keras.Sequential([keras.Input((4,)), *stack])
    before = [w.numpy().copy() for w in model.weights]
    kept = [layer.kernel_initializer for layer in model.layers]
    Broken.draws, Broken.error = 0, error
    with pytest.raises(type(error)):
        ki.initialize(model, overrides={"*d1/kernel": "initkit_he", "*/kernel": Broken()})
    assert Broken.draws == 2
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)
    assert [layer.kernel_initializer for layer in model.layers] == kept


def test_a_scheme_that_fits_one_weight_only_changes_none():
    model = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(4, 3), layers.Dense(3)])
    before = [w.numpy().copy() for w in model.weights]
    with pytest.raises(InputError, match=r"dense(?s:.*)of Dense(?s:.*)overrides"):
        ki.initialize(model, "initkit_delta_orthogonal")
    assert all(np.array_equal(w, old) for w, old in zip(model.weights, before, strict=True))


def test_own_draws_every_weight_anew_by_its_layers_own_law():
    model = keras.Sequential([
        keras.Input((8, 8, 4)),
        layers.Conv2D(64, 3, kernel_initializer=keras.initializers.HeNormal(seed=1)),
        layers.Conv2D(64, 3, kernel_initializer=keras.initializers.HeNormal(seed=1)),
        layers.DepthwiseConv2D(3, depthwise_initializer="glorot_uniform"),
        layers.BatchNormalization(),
        layers.Dense(64, kernel_initializer=keras.initializers.RandomNormal(stddev=0.3)),
        layers.Dense(3, bias_initializer="ones"),
    ])  # fmt: skip
    fresh = [w.numpy().copy() for w in model.weights]
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 7.0))
    kept = [getattr(layer, "kernel_initializer", None) for layer in model.layers]
    report = ki.initialize(model, "own", seed=3)
    assert report.ok
    for row, old, weight in zip(report.rows, fresh, model.weights, strict=True):
        if row.geometry:  # as building the model draws: Keras reads the fans off the shape
            assert np.std(weight) == pytest.approx(np.std(old), rel=0.25), row.path
            assert not np.array_equal(weight, old)
            assert row.stddev == pytest.approx(row.target_stddev, rel=0.25)
        else:
            np.testing.assert_array_equal(weight, old)
    assert [getattr(layer, "kernel_initializer", None) for layer in model.layers] == kept
    again = keras.models.clone_model(model)
    ki.initialize(again, "own", seed=3)
    assert all(equal(model, again))


def test_own_says_which_weights_have_no_initializer():
    layer = layers.AdditiveAttention()
    layer.build([(None, 3, 8), (None, 3, 8)])
    report = ki.initialize(layer, "own", seed=1)
    assert not report.ok
    with pytest.raises(AssertionError, match="scale"):
        report.assert_ok()


def test_own_may_stand_in_an_override():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(3, name="head")])
    report = ki.initialize(model, overrides={"*head/kernel": "own"}, seed=1)
    assert [row.scheme for row in report.rows if row.geometry] == ["HeInit()", "GlorotUniform"]


def test_a_report_is_not_ok_if_a_weight_is_not_known():
    class Mixer(layers.Layer):
        def build(self, shape):
            self.mixer = self.add_weight(shape=(4, 4), name="mixer")

    (layer := Mixer()).build((None, 4))
    report = ki.initialize(layer, seed=1)
    assert not report.ok
    (finding,) = report.findings
    exec(finding.remedy, {"keras_inits": ki, "model": layer})
    assert np.std(layer.mixer) > 0
    layer.trainable = False
    assert ki.initialize(layer, seed=1).ok  # frozen, as asked


@pytest.mark.parametrize("seed", [np.int64(7), np.uint8(7), 7])
def test_integers_of_numpy_are_seeds(seed):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    report = ki.initialize(model, seed=seed)
    assert type(report.seed) is int
    assert report.seed == 7


@pytest.mark.parametrize("seed", [True, 1.0, "1", np.float64(1), -1, np.int64(-1)])
def test_what_is_no_seed_is_refused(seed):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(InputError, match=r"`seed` must be (an integer, and )?at least 0"):
        ki.initialize(model, seed=seed)


def test_no_two_weights_of_a_model_meet():
    paths = [f"net/dense_{i}/kernel" for i in range(400)]
    narrow = {
        int.from_bytes(hashlib.blake2b(f"11422/{path}".encode(), digest_size=4).digest()) >> 1
        for path in paths
    }
    assert len(narrow) == 399  # by seeds of 31 bits two of these kernels are equal
    layer = layers.Dense(1, name="any")
    stable = stable_paths([OwnedWeight(path, None, layer, ()) for path in paths])
    seeds = [weight_seed(11422, path) for path in stable]
    assert len(set(seeds)) == 400
    assert max(seeds) > 2**120
    geometry = KernelGeometry.from_shape((1, 2))
    for scheme in (ki.HeInit(), ki.OrthogonalInit(), keras.initializers.RandomNormal()):
        kernels = [values_for(scheme, geometry, "float32", seed) for seed in seeds]
        assert len({keras.ops.convert_to_numpy(kernel).tobytes() for kernel in kernels}) == 400


@pytest.mark.parametrize("scheme", ["he", "orthogonal", "sparse", "random_normal", "he_uniform"])
def test_initialize_and_run_0_of_a_comparison_start_equal(scheme):
    model, other = (
        keras.Sequential([
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3),
            layers.DepthwiseConv2D(3),
            layers.Reshape((16, 4)),
            layers.LSTM(5),
            layers.Dense(3, bias_initializer=keras.initializers.RandomNormal()),
        ])
        for _ in range(2)
    )  # fmt: skip
    for run in (0, 3):
        drawn = draw(model, ki.get(scheme), 5, run)
        ki.initialize(other, scheme, seed=run_seed(5, run))
        for one, variable in zip(drawn, other.trainable_variables, strict=True):
            np.testing.assert_array_equal(one, variable)
    assert run_seed(5, 0) == 5
    assert len({run_seed(5, run) for run in range(100)}) == 100


def test_a_draw_repeats_and_follows_the_scheme_that_is_given():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4)])
    one, two = (draw(model, ki.HeInit(), 0, 0)[0] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert np.all(draw(model, ki.ZerosInit(), 0, 0)[0] == 0)
