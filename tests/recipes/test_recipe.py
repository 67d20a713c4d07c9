"""Recipes: one's own, their errors, their report, and what they draw."""

import math

import keras
import numpy as np
import pytest
from keras import layers

import keras_inits
from keras_inits import CutNormalInit, InputError, RandomInit
from keras_inits._cli.schemes import list_schemes
from keras_inits._compare.starts import labelled
from keras_inits._compare.weights import draw
from keras_inits._layers import owned_weights
from keras_inits._recipes.recipe import _recipes
from keras_inits._recipes.roles import places


def block(x, width, inner, *, gated=False):
    h = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(2, width // 2)(h, h)
    h = layers.LayerNormalization()(x)
    up = layers.Dense(inner, name=None)(h)
    if gated:
        gate = layers.Dense(inner)(h)
        up = up * gate * keras.ops.sigmoid(gate)
    else:
        up = layers.ReLU()(up)
    return x + layers.Dense(width)(up)


def transformer(blocks=3, width=64, inner=96, *, gated=False):
    keras.utils.clear_session(free_memory=False)
    tokens = keras.Input((7,), dtype="int32")
    x = layers.Embedding(40, width, name="table")(tokens)
    for _ in range(blocks):
        x = block(x, width, inner, gated=gated)
    head = layers.Dense(40, name="zig")
    return keras.Model(tokens, head(layers.LayerNormalization()(x)))


def names_of(model):
    return {path: place.names for path, place in places(model, owned_weights(model)).items()}


@pytest.fixture
def registry():
    before = dict(_recipes)
    yield
    _recipes.clear()
    _recipes.update(before)


# --- roles --------------------------------------------------------------------------------------


def test_roles_come_from_the_wiring_and_not_from_names():
    found = names_of(transformer(1))
    assert found["table/embeddings"] == ("embedding",)
    assert found["multi_head_attention/query/kernel"][:2] == ("query", "attention_in")
    assert found["multi_head_attention/attention_output/kernel"][:2] == (
        "attention_out",
        "branch_end",
    )
    assert found["dense/kernel"] == ("ffn_in", "branch", "kernel")
    assert found["dense_1/kernel"] == ("ffn_out", "branch_end", "branch", "kernel")
    assert found["dense_1/bias"] == ("ffn_bias", "bias")
    assert found["zig/kernel"] == ("head", "kernel")
    assert found["zig/bias"] == ("head_bias", "bias")


def test_the_gate_is_the_kernel_that_is_bent():
    found = names_of(transformer(1, gated=True))
    assert found["dense/kernel"][0] == "ffn_up"
    assert found["dense_1/kernel"][0] == "ffn_gate"
    assert found["dense_2/kernel"][0] == "ffn_out"


def test_blocks_are_counted_through_a_normalization_on_the_stream():
    x = inputs = keras.Input((7, 16))
    for _ in range(4):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(16)(layers.Dense(24, "relu")(x)))
    model = keras.Model(inputs, x)
    ends = [p for p in places(model, owned_weights(model)).values() if "branch_end" in p.names]
    assert [(p.block, p.blocks, p.branch, p.branches) for p in ends] == [
        (i // 2, 4, i, 8) for i in range(8)
    ]


def test_only_the_narrowest_line_counts():
    model = transformer(1)
    table = {"kernel": "ones", "branch": "zeros", "ffn_out": RandomInit(3.0)}
    rows = keras_inits.initialize(model, keras_inits.recipe(table), seed=1).rows
    said = {row.path: (row.scheme, row.note) for row in rows}
    assert said["dense_1/kernel"] == ("RandomInit(stddev=3.0)", "table: ffn_out")
    assert said["dense/kernel"] == ("Zeros", "table: branch")
    assert said["zig/kernel"] == ("Ones", "table: kernel")
    assert said["table/embeddings"][1] == "table: no line for it; its layer's own"


class Holder(keras.Model):
    """Has a layer that it does not call."""

    def __init__(self):
        super().__init__()
        self.called = layers.Dense(4, use_bias=False, name="called")
        self.hidden = layers.Dense(4, use_bias=False, name="hidden")

    def build(self, shape):
        self.called.build(shape)
        self.hidden.build(shape)

    def call(self, x):
        return self.called(x)


def test_a_weight_that_the_wiring_does_not_show_is_not_guessed():
    model = Holder()
    model.build((None, 4))
    table = keras_inits.recipe({"kernel": "ones"})
    rows = {r.path.split("/")[-2]: r for r in keras_inits.initialize(model, table, seed=1).rows}
    assert rows["called"].note == "table: kernel"
    assert rows["hidden"].note == "table: not seen in the wiring; its layer's own"
    assert rows["hidden"].stddev > 0


# --- one's own ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("registry")
def test_a_function_becomes_a_recipe_by_its_name():
    @keras_inits.recipe(needs=["branch_end"])
    def mine(stddev=0.5):
        """All alike."""
        return {
            "kernel": RandomInit(stddev),
            "branch_end": lambda place: RandomInit(stddev / place.branches),
        }

    assert keras_inits.recipes()["mine"].summary == "All alike."
    model = transformer(2)
    for spec, stddev in (("mine", 0.5), (mine(stddev=2.0), 2.0)):
        rows = {r.path: r for r in keras_inits.initialize(model, spec, seed=1).rows}
        assert rows["dense/kernel"].target_stddev == stddev
        assert rows["dense_1/kernel"].target_stddev == stddev / 4


def test_a_line_of_none_leaves_a_weight_alone():
    model = transformer(1)
    before = np.array(model.get_layer("zig").get_weights()[0])
    report = keras_inits.initialize(model, keras_inits.recipe({"head": None}), seed=1)
    (row,) = [row for row in report.rows if row.path == "zig/kernel"]
    assert row.left_alone == "table: left alone by the line head"
    assert np.array_equal(model.get_layer("zig").get_weights()[0], before)


@pytest.mark.parametrize("name", ["gpt2", "mitchell", "neox"])
def test_audit_does_not_blame_what_a_recipe_set(name):
    model = transformer(4)
    keras_inits.initialize(model, name, seed=1)
    assert keras_inits.audit(model).findings == ()


def test_overrides_come_last():
    report = keras_inits.initialize(transformer(1), "gpt2", overrides={"zig/*": "ones"}, seed=1)
    rows = {row.path: row for row in report.rows}
    assert rows["zig/kernel"].scheme == "Ones"
    assert rows["dense/kernel"].note == "gpt2: kernel"


def test_an_override_may_be_a_recipe():
    recipe = keras_inits.recipe("gpt2", stddev=0.5)
    overrides = {"dense*": recipe, "zig/kernel": {"class_name": "Ones", "config": {}}}
    report = keras_inits.initialize(transformer(2), "he", overrides=overrides, seed=1)
    rows = {row.path: row for row in report.rows}
    assert rows["dense/kernel"].target_stddev == 0.5
    assert rows["dense_1/kernel"].target_stddev == pytest.approx(0.25)  # one of four branches
    assert rows["dense_1/kernel"].note == "gpt2: branch_end"
    assert rows["multi_head_attention/query/kernel"].scheme == "HeInit()"
    assert rows["zig/kernel"].scheme == "Ones"
    with pytest.raises(InputError, match=r"'vit' is for models with.*no patch"):
        keras_inits.initialize(transformer(1), "he", overrides={"dense*": "vit"})


@pytest.mark.usefixtures("registry")
def test_one_s_own_recipe_stands_in_the_list(capsys):
    @keras_inits.recipe(needs=["branch_end"])
    def mine():
        """Ones everywhere."""
        return {"kernel": "ones"}

    list_schemes("markdown")
    assert "| `mine` | Ones everywhere. | branch_end |" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"'mine' is for models with branch_end \(last kernel"):
        keras_inits.initialize(dense_net(), "mine")


def test_a_seed_means_the_same_weights():
    drawn = []
    for seed in (1, 1, 2):
        model = transformer(1)
        keras_inits.initialize(model, "mitchell", seed=seed)
        drawn.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_a_clone_draws_by_the_law_of_the_recipe():
    model = transformer(3)
    keras_inits.initialize(model, "gpt2", seed=1)
    clone = keras.models.clone_model(model)
    end = clone.get_layer("dense_1").kernel
    assert np.std(end) == pytest.approx(0.02 / math.sqrt(6), rel=0.1)


def test_compare_trains_from_what_initialize_sets():
    inputs = np.random.default_rng(0).normal(size=(32, 16)).astype("float32")

    def net():
        x = entry = keras.Input((16,))
        x = x + layers.Dense(16)(layers.Dense(24, "relu")(x))
        return keras.Model(entry, layers.Dense(3, "softmax")(x))

    model = net()
    drawn = draw(model, labelled({"depth": "fixup"})["depth"], 7, 0)
    keras_inits.initialize(model, "fixup", seed=7)
    for ours, theirs in zip(drawn, model.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    result = keras_inits.compare(
        net, {"he": "he", "depth": "fixup"}, (inputs, np.arange(32) % 3),
        optimizer="sgd", loss="sparse_categorical_crossentropy", epochs=1, seeds=2,
    )  # fmt: skip
    assert "depth" in result.summary()


# --- mistakes -----------------------------------------------------------------------------------


def dense_net():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3)])


@pytest.mark.parametrize("name", keras_inits.recipes())
def test_a_model_that_lacks_what_a_recipe_needs_is_told_what(name):
    needs = keras_inits.recipes()[name].needs
    with pytest.raises(InputError, match=f"{name}.* is for models with {needs[0]}"):
        keras_inits.initialize(dense_net(), name)


def test_gates_are_not_for_irnn():
    model = keras.Sequential([keras.Input((5, 3)), layers.LSTM(4)])
    with pytest.raises(InputError, match="no simple_recurrent"):
        keras_inits.initialize(model, "irnn")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: keras_inits.recipe("gpt3"), "gpt2"),
        (lambda: keras_inits.recipe("gpt2", sigma=1), "options stddev, position_stddev"),
        (lambda: keras_inits.recipe(3), "a table of roles"),
        (lambda: keras_inits.initialize(dense_net(), keras_inits.recipe({"kernal": "ones"})),
         "'kernal', which is no role.*kernel"),
        (lambda: keras_inits.initialize(dense_net(), keras_inits.recipe({"kernel": "onse"})),
         "onse"),
        (lambda: keras_inits.initialize(
            dense_net(), keras_inits.recipe({"kernel": RandomInit(seed=3)})),
         "'kernel'.*a seed of its own"),
    ],
)  # fmt: skip
def test_mistakes_are_named(make, says):
    with pytest.raises(InputError, match=says):
        make()


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("name", ["he", "auto", "gpt2"])
def test_a_name_that_means_something_is_not_taken(name):
    function = eval(f"lambda: {{}}")  # noqa: F541
    function.__name__ = name
    with pytest.raises(InputError, match=name):
        keras_inits.recipe(function)


def test_a_mistyped_recipe_is_guessed():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(keras_inits.InputError, match="Of the recipes 'gpt2' is nearest"):
        keras_inits.initialize(model, "gtp2")


def test_a_model_is_as_it_was_after_a_mistake():
    model = transformer(1)
    before = model.get_weights()
    with pytest.raises(InputError):
        keras_inits.initialize(model, "torchtitan")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


# --- what is drawn ------------------------------------------------------------------------------


def standard_errors(row, factor=1.0):
    """How many standard errors the measured scale of a weight is from its law."""
    values = math.prod(row.shape)
    return abs(row.stddev / (factor * row.target_stddev) - 1) * math.sqrt(2 * values)


@pytest.mark.parametrize("name", ["gpt2", "megatron", "neox", "mitchell", "deepnorm"])
def test_what_is_drawn_has_the_law(name):
    rows = keras_inits.initialize(transformer(2), name, seed=1).rows
    drawn = [row for row in rows if row.geometry and row.target_stddev]
    assert len(drawn) == 2 * 6 + 2
    assert max(standard_errors(row) for row in drawn) < 5
    large = [row for row in drawn if math.prod(row.shape) > 6000]
    assert len(large) == 4
    assert min(standard_errors(row, 1.05) for row in large) > 2  # the control


def test_cut_normal_values():
    values = np.asarray(CutNormalInit(0.5, 1.5, seed=1)((2**17,)))
    assert np.abs(values).max() <= 0.75 + 1e-6
    law = CutNormalInit(0.5, 1.5).expected_stddev(None)
    error = law / math.sqrt(2 * values.size)
    assert abs(values.std() - law) < 5 * error
    assert abs(values.std() - 0.5) > 50 * error  # the control: that before the cut
    assert abs(values.mean()) < 5 * law / math.sqrt(values.size)


def test_cut_normal_is_kept_by_a_saved_model(tmp_path):
    model = transformer(1)
    keras_inits.initialize(model, "mitchell", seed=1)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("zig").kernel_initializer == CutNormalInit(64**-0.5)
