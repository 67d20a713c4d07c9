"""What each layer is, and what is seen through on the way to an activation."""

import inspect

import keras
import numpy as np
import pytest
from keras import layers
from versions import ON_TORCH

import keras_inits as ki
from keras_inits._layers.activations import activation_of_operation
from keras_inits._layers.kinds import KEEPS_SCALE, KERNELS, Kind, class_name, is_a, kind
from keras_inits._layers.pooling import statistic

# Names in `keras.layers` that are no layer, or none with a behavior of its own.
NO_KIND = {"InputSpec", "Layer"}


def every_class():
    found = {name: getattr(layers, name) for name in dir(layers)}
    return {name: each for name, each in found.items() if inspect.isclass(each)}


def kind_of_class(layer_type):
    return kind(object.__new__(layer_type))


@pytest.mark.parametrize("name", every_class())
def test_every_layer_of_keras_has_a_kind_or_is_a_named_exception(name):
    assert (kind_of_class(every_class()[name]) is Kind.UNKNOWN) == (name in NO_KIND)


def test_of_every_pooling_of_keras_it_is_known_what_it_takes():
    pools = {name: each for name, each in every_class().items() if "Pool" in name}
    found = {name: statistic(object.__new__(each)) for name, each in pools.items()}
    assert len(found) >= 12
    assert found == {name: "max" if "Max" in name else "mean" for name in pools}
    assert statistic(type("Mine", (layers.MaxPooling1D,), {})()) == "max"
    assert statistic(layers.Flatten()) == ""


def test_a_layer_with_a_kernel_argument_is_a_kind_that_has_kernels():
    with_kernels = KERNELS | {Kind.ATTENTION, Kind.RECURRENT, Kind.CELL}
    checked = 0
    for layer_type in every_class().values():
        arguments = inspect.signature(layer_type.__init__).parameters
        if {"kernel_initializer", "depthwise_initializer"} & set(arguments):
            assert kind_of_class(layer_type) in with_kernels, layer_type
            checked += 1
    assert checked > 25


@pytest.mark.parametrize("base", [layers.Dense, layers.LayerNormalization, layers.LSTM, layers.Add])
def test_a_subclass_is_what_its_base_is(base):
    assert kind_of_class(type("Mine", (base,), {})) is kind_of_class(base)


def test_a_subclass_can_be_registered_as_something_else():
    mine = type("Mine", (layers.Dense,), {})
    kind.register(mine, lambda layer: Kind.NORMALIZATION)
    assert is_a(mine(3), Kind.NORMALIZATION)
    assert is_a(layers.Dense(3), Kind.DENSE)


def test_an_unknown_layer_is_said_to_be_unknown():
    assert kind(type("Mine", (layers.Layer,), {})()) is Kind.UNKNOWN


def test_private_layers_of_keras_are_known_by_name():
    model = keras.applications.ConvNeXtTiny(weights=None, input_shape=(32, 32, 3), classes=2)
    kinds = {type(layer).__name__: kind(layer) for layer in model._flatten_layers()}
    assert kinds["LayerScale"] is Kind.SCALING


# One layer of each class that keeps a signal's scale, or sets it; and the rank of what it takes.
SEEN_THROUGH = [
    *[(layers.Identity(), 1), (layers.ActivityRegularization(l2=0.1), 1), (layers.Masking(), 2)],
    *[(layers.Dropout(0.5), 1), (layers.AlphaDropout(0.1), 1), (layers.GaussianDropout(0.1), 1)],
    *[(layers.GaussianNoise(0.1), 1), (layers.Flatten(), 2), (layers.Reshape((-1, 2)), 2)],
    *[(layers.Permute((2, 1)), 2), (layers.RepeatVector(3), 1), (layers.Activation("linear"), 1)],
    *[(layers.BatchNormalization(), 1), (layers.LayerNormalization(), 1)],
    *[(layers.GroupNormalization(2), 2), (layers.RMSNormalization(), 1)],
    *[(layers.UnitNormalization(), 1)],
    *[(getattr(layers, f"SpatialDropout{rank}D")(0.1), rank + 1) for rank in (1, 2, 3)],
    *[(getattr(layers, f"ZeroPadding{rank}D")(1), rank + 1) for rank in (1, 2, 3)],
    *[(getattr(layers, f"Cropping{rank}D")(1), rank + 1) for rank in (1, 2, 3)],
    *[(getattr(layers, f"UpSampling{rank}D")(2), rank + 1) for rank in (1, 2, 3)],
]


def name_of(value):
    return type(value).__name__ if isinstance(value, layers.Layer) else None


def first_row(*after, rank=1):
    inputs = keras.Input((4,) * rank)
    outputs = layers.Dense(8)(inputs)
    for layer in after:
        outputs = layer(outputs)
    return ki.initialize(keras.Model(inputs, outputs), "auto", seed=1).rows[0]


def test_the_table_of_what_is_seen_through_is_complete():
    tried = {type(layer) for layer, _ in SEEN_THROUGH}
    for layer_type in every_class().values():
        if kind_of_class(layer_type) in KEEPS_SCALE | {Kind.NORMALIZATION}:
            assert layer_type in tried


@pytest.mark.parametrize(("between", "rank"), SEEN_THROUGH, ids=name_of)
def test_the_relu_is_seen_through_a_layer_that_keeps_the_scale(between, rank):
    row = first_row(type(between).from_config(between.get_config()), layers.ReLU(), rank=rank)
    assert row.note.lower().startswith(("relu", "re_lu"))
    squared_gain = 1 if kind_of_class(type(between)) is Kind.NORMALIZATION else 2
    assert row.target_stddev == pytest.approx((squared_gain / 4) ** 0.5)


@pytest.mark.parametrize(
    ("met", "rank"),
    [
        (layers.MaxPooling1D(2), 2),
        (layers.AveragePooling2D(2), 3),
        (layers.Lambda(lambda x: x), 1),
    ],
    ids=name_of,
)
def test_the_relu_is_seen_through_pooling_and_functions_that_do_nothing(met, rank):
    row = first_row(met, layers.ReLU(), rank=rank)
    assert row.target_stddev == pytest.approx((2 / 4) ** 0.5)


def test_any_function_of_single_values_is_followed():
    inputs = keras.Input((4,))
    squared = keras.ops.square(layers.Dense(8)(inputs))
    row = ki.initialize(keras.Model(inputs, layers.Dense(3)(squared)), "auto", seed=1)
    assert row.rows[0].note.startswith("square: second moment 1 from 1")
    assert "from 3," in row.rows[2].note  # E[x^4] = 3


@pytest.mark.skipif(ON_TORCH, reason="torch runs such a layer on values, and knows what it gives")
def test_what_is_not_understood_is_named_and_not_called_linear():
    class Strange(layers.Layer):
        def call(self, x):
            return keras.ops.convert_to_tensor(keras.ops.convert_to_numpy(x) ** 2)

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    inputs = keras.Input((4,))
    strange = Strange(name="strange")(layers.Dense(8)(inputs))
    report = ki.initialize(keras.Model(inputs, layers.Dense(3)(strange)), "auto", seed=1)
    before, after = report.rows[0].note, report.rows[2].note
    assert before.startswith("not understood: Strange 'strange' follows")
    assert "not understood: Strange 'strange'" in after
    assert "linear" not in before


def test_a_kernel_that_meets_the_next_kernel_is_linear():
    assert first_row(layers.Dropout(0.5), layers.Dense(3)).note.startswith("linear: ")


def test_two_activations_are_both_named():
    inputs = keras.Input((4,))
    hidden = layers.Dense(8)(inputs)
    outputs = [layers.ReLU()(hidden), keras.ops.tanh(hidden)]
    row = ki.initialize(keras.Model(inputs, outputs), "auto", seed=1).rows[0]
    assert row.note.startswith("tanh (activation) and ReLU (activation) follow: second moment 1")


ACTIVATIONS = sorted(
    name
    for name in dir(keras.activations)
    if hasattr(keras.ops, name) and not name.startswith("_") and name not in {"glu", "threshold"}
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_operation_is_the_activation_of_its_name(name):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, getattr(keras.ops, name)(inputs))
    found = activation_of_operation(model.operations[-1])
    # Of gelu the operation approximates by default, the activation does not.
    assert (found is getattr(keras.activations, name)) == (name != "gelu")


def test_an_operation_with_other_arguments_is_not_the_default_activation():
    inputs = keras.Input((4,))
    outputs = keras.ops.leaky_relu(layers.Dense(8)(inputs), negative_slope=0.5)
    model = keras.Model(inputs, outputs)
    assert activation_of_operation(model.operations[-1]) is model.operations[-1]
    row = ki.initialize(model, "auto", seed=1).rows[0]
    assert row.target_stddev == pytest.approx((2 / 1.25 / 4) ** 0.5)


@pytest.mark.skipif(not hasattr(layers, "TernaryDense"), reason="new in Keras 3.16")
def test_a_ternary_kernel_has_the_fans_of_a_dense_one_and_no_law_of_its_own():
    model = keras.Sequential([keras.Input((64,)), layers.TernaryDense(256, name="ternary")])
    row = ki.initialize(model, "initkit_he", seed=1).rows[0]
    assert (row.geometry.fan_in, row.geometry.fan_out) == (64, 256)
    assert row.stddev == pytest.approx((2 / 64) ** 0.5, rel=0.05)
    x = np.random.default_rng(0).standard_normal((64, 64), dtype="float32")
    (layer,) = ki.diagnose(model, x, jacobian_samples=0).layers
    assert layer.name == "ternary"
    assert layer.predicted_second_moment is None  # of the stored kernel it would be 2.3 times that
    model.quantize("ternary")
    assert "quantized" in ki.initialize(model, "initkit_he", seed=1).rows[0].left_alone


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        *((each, (2,)) for each in (layers.MaxPooling2D, layers.AveragePooling2D)),
        *((each, ()) for each in (layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.Softmax)),
        *((each, ()) for each in (layers.Add, layers.Average, layers.Multiply)),
    ],
)
def test_a_class_derived_from_one_of_keras_starts_a_net_as_that_does(cls, arguments):
    def rows(layer):
        x = inputs = keras.Input((8, 8, 4))
        x = layers.Conv2D(16, 3, padding="same", name="first")(x)
        merges = isinstance(layer, (layers.Add, layers.Average, layers.Multiply))
        x = layer([x, layers.Conv2D(16, 1, name="other")(x)] if merges else x)
        x = layers.Conv2D(16, 3, activation="relu", name="second")(x)
        model = keras.Model(inputs, layers.Dense(5, name="last")(layers.Flatten()(x)))
        found = ki.initialize(model, "auto", seed=0).rows
        return [(row.path, row.target_stddev, row.note) for row in found]

    derived = type("Mine", (cls,), {})
    named = {"name": "between"}
    assert rows(derived(*arguments, **named)) == rows(cls(*arguments, **named))


def test_a_derived_class_that_computes_something_else_keeps_its_name():
    class Doubled(layers.ReLU):
        def call(self, inputs):
            return 2 * super().call(inputs)

    assert class_name(Doubled()) == "Doubled"
