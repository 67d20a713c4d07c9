"""The symbolic run: what it sees, and that it leaves no trace."""

import threading

import keras
import numpy as np
import pytest
from keras import layers, ops
from versions import ON_TORCH

from keras_inits import wiring
from keras_inits._layers.kinds import Kind


class Block(layers.Layer):
    """x + b(a(x)), written with Python's operator."""

    def __init__(self, units, *, after=None, **kwargs):
        super().__init__(**kwargs)
        self.a, self.b = layers.Dense(2 * units, "relu", name="a"), layers.Dense(units, name="b")
        self.after = after

    def build(self, shape):
        self.a.build(shape)
        self.b.build((*shape[:-1], self.a.units))

    def call(self, x):
        x = x + self.b(self.a(x))
        return x if self.after is None else self.after(x)


class Net(keras.Model):
    def __init__(self, blocks=3, after=None):
        super().__init__(name="net")
        self.stem = layers.Dense(8, name="stem")
        self.blocks = [Block(8, after=after, name=f"block_{i}") for i in range(blocks)]
        self.head = layers.Dense(2, "softmax", name="head")

    def call(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def built(model, *shape):
    model(np.zeros((2, *shape), "float32"))
    return model


def paths(calls):
    return [call.path for call in calls]


def test_operations_inside_subclassed_layers_are_seen_in_order():
    found = wiring(built(Net(2, after=ops.relu), 5))
    assert [(call.path, str(call.kind), call.signals) for call in found.calls] == [
        ("stem", "dense", (-1,)),
        ("block_0/a", "dense", (0,)),
        ("block_0/b", "dense", (1,)),
        ("block_0/add", "sum", (0, 2)),
        ("block_0/relu", "activation", (3,)),
        ("block_1/a", "dense", (4,)),
        ("block_1/b", "dense", (5,)),
        ("block_1/add", "sum", (4, 6)),
        ("block_1/relu", "activation", (7,)),
        ("head", "dense", (8,)),
    ]
    assert found.outputs == (9,)


def test_one_net_written_in_three_ways_has_one_wiring():
    def functional():
        x = inputs = keras.Input((8,))
        for i in range(2):
            h = layers.Dense(16, "relu", name=f"a{i}")(x)
            x = layers.Add(name=f"sum{i}")([x, layers.Dense(8, name=f"b{i}")(h)])
        return keras.Model(inputs, x)

    def nested():
        x = inputs = keras.Input((8,))
        for i in range(2):
            inner = keras.Sequential(
                [keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(8)], name=f"branch{i}"
            )
            x = ops.add(x, inner(x))
        return keras.Model(inputs, x)

    def sequential():
        return keras.Sequential([keras.Input((8,)), Block(8), Block(8)])

    shapes = []
    for make in (functional, nested, sequential):
        found = wiring(make())
        shapes.append([(str(c.kind), c.signals, c.activation) for c in found.calls])
        assert [s.stream for s in found.sums] == [0, 0]
    assert shapes[0] == shapes[1] == shapes[2]


def test_a_shared_layer_is_one_call_each_time_with_one_weight():
    shared = layers.Dense(4, name="shared")
    inputs = keras.Input((4,))
    found = wiring(keras.Model(inputs, shared(shared(inputs))))
    assert paths(found.calls) == ["shared", "shared:2"]
    assert found.of(shared) == found.of(shared.kernel) == found.of("shared/kernel") == found.calls


def test_inputs_are_numbered_and_named():
    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    found = wiring(keras.Model([one, two], layers.Dense(2)(layers.Concatenate()([two, one]))))
    assert found.inputs == ("one", "two")
    assert found.calls[0].sources == (-2, -1)


def test_a_dict_of_inputs_and_one_of_outputs():
    one = keras.Input((4,), name="one")
    model = keras.Model({"one": one}, {"a": layers.Dense(2)(one), "b": layers.Dense(3)(one)})
    found = wiring(model)
    assert sorted(found.calls[i].shape[-1] for i in found.outputs) == [2, 3]


def test_time_distributed_and_wrappers_are_looked_through():
    model = keras.Sequential(
        [
            keras.Input((6, 4)),
            layers.TimeDistributed(layers.Dense(3, name="inner"), name="over"),
            layers.SpectralNormalization(layers.Dense(3, name="outer"), name="spectral"),
            layers.Bidirectional(layers.LSTM(2, name="lstm"), name="both"),
        ]
    )
    found = wiring(model)
    assert paths(found.calls)[:2] == ["over/inner", "spectral/outer"]
    assert [call.over_time for call in found.calls[:2]] == [True, False]
    assert found.calls[0].shape == (2, 3)
    recurrent = [call for call in found.calls if call.kind is Kind.RECURRENT]
    assert paths(recurrent) == ["both/forward_lstm", "both/backward_lstm"]
    assert all(len(call.weights) == 3 for call in recurrent)


@pytest.mark.skipif(ON_TORCH, reason="torch runs such a layer on values, and knows what it gives")
def test_a_layer_that_leaves_keras_is_said_to_be_not_understood_and_why():
    class Leaves(layers.Layer):
        def call(self, x):
            return ops.convert_to_tensor(np.asarray(x))

        def compute_output_shape(self, shape):
            return shape

    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(Leaves(name="leaves")(inputs)))
    found = wiring(model)
    assert paths(found.unknown) == ["leaves"]
    assert found.unknown[0].problem
    assert "Not understood: leaves" in found.summary()
    assert not wiring(keras.Sequential([keras.Input((4,)), layers.Dense(2)])).unknown


def test_a_weight_that_an_operation_reads_is_a_map():
    class Own(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], 3), name="w")
            self.c = self.add_weight(shape=(3,), name="c")

        def call(self, x):
            return ops.matmul(x, self.w) + self.c

    layer = Own(name="own")
    found = wiring(keras.Sequential([keras.Input((4,)), layer]))
    assert [call.kind for call in found.calls] == [Kind.MAP, Kind.SHIFT]
    assert found.maps[0].weights == (layer.w.path,)
    assert found.of(layer.w) == found.maps


@pytest.mark.parametrize(
    ("function", "kind"),
    [(lambda w, x: w * x, "scaling"), (lambda w, x: w + x, "shift"), (lambda w, x: w - x, "shift"),
     (lambda w, x: ops.exp(w) * x, "scaling"), (lambda w, x: w / x, "elementwise")],
    ids=["product", "sum", "difference", "tensor first", "quotient"],
)  # fmt: skip
def test_arithmetic_that_begins_with_a_weight_is_seen(function, kind):
    class Weighted(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1],), initializer="ones")

        def call(self, x):
            return function(self.w, x)

    inputs = keras.Input((4,))
    found = wiring(keras.Model(inputs, Weighted(name="own")(inputs)))
    assert not found.unknown
    assert kind in [call.kind for call in found.calls]


def test_gradient_cuts_are_found():
    inputs = keras.Input((4,))
    hidden = layers.Dense(4)(inputs)
    rounded = ops.round(hidden)
    stopped = ops.stop_gradient(layers.Dense(4)(hidden))
    found = wiring(keras.Model(inputs, [layers.Dense(2)(rounded), stopped, ops.argmax(hidden)]))
    assert sorted(call.type for call in found.cuts) == ["argmax", "round", "stop_gradient"]
    after = next(call for call in found.calls if call.sources and call.kind is Kind.DENSE
                 and found.calls[call.sources[0]].type == "round")  # fmt: skip
    assert after.signals == ()


def snapshot(model):
    seen = [(layer, layer._inbound_nodes[:], layer._outbound_nodes[:], layer.losses)
            for layer in model._flatten_layers()]  # fmt: skip
    return seen, [weight.numpy() for weight in model.weights]


def test_the_model_and_keras_are_left_as_they_were():
    class Counts(layers.Layer):
        def build(self, shape):
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            self.count.assign_add(1.0)
            self.add_loss(ops.sum(x))
            return x

    inputs = keras.Input((4,))
    x = layers.BatchNormalization()(Counts()(layers.Dense(4)(inputs)))
    model = keras.Model(inputs, ops.relu(x))
    before = (keras.layers.Layer.__call__, keras.Operation.symbolic_call, layers.Layer.add_loss)
    nodes, weights = snapshot(model)
    assert len(wiring(model).calls) == 4
    after, same = snapshot(model)
    assert after == nodes
    assert all(np.array_equal(a, b) for a, b in zip(weights, same, strict=True))
    assert before == (
        keras.layers.Layer.__call__, keras.Operation.symbolic_call, layers.Layer.add_loss
    )  # fmt: skip


def test_other_threads_call_layers_meanwhile_and_two_wirings_run_at_once():
    before, model, results, errors = keras.layers.Layer.__call__, built(Net(), 5), [], []

    def look():
        try:
            for _ in range(5):
                results.append(wiring(model))
                model(np.zeros((1, 5), "float32"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(results) == 15
    assert all(found == results[0] for found in results)
    assert keras.layers.Layer.__call__ is before


def test_keras_is_restored_after_a_model_that_fails():
    class Fails(keras.Model):
        def call(self, x):
            raise RuntimeError("no")

    before, model = keras.layers.Layer.__call__, Fails()
    model.built = True
    with pytest.raises(ValueError, match="does not run on symbolic tensors: no"):
        wiring(model, (None, 3))
    assert keras.layers.Layer.__call__ is before


@pytest.mark.parametrize("thing", [Net(), "a model", None])
def test_what_is_not_a_built_model_is_refused(thing):
    with pytest.raises(ValueError, match=r"built Keras model.*Received: model="):
        wiring(thing)


def test_the_shapes_can_be_given():
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.table, self.dense = layers.Embedding(9, 4), layers.Dense(2)

        def call(self, tokens, *, extra):
            return self.dense(self.table(tokens) + extra)

    model = Pair()
    tokens, extra = np.zeros((2, 3), "int32"), np.zeros((2, 3, 4), "float32")
    model(tokens, extra=extra)
    expected = wiring(model, {"tokens": tokens, "extra": extra})
    assert [c.type for c in expected.calls] == ["Embedding", "add", "Dense"]
    assert expected.inputs == ("extra", "tokens")
    shapes = {"tokens": keras.KerasTensor((None, 3), "int32"), "extra": (None, 3, 4)}
    assert wiring(model, shapes).calls[0].sources == (-2,)
    assert [c.signals for c in wiring(model, shapes).calls] == [(), (0, -1), (1,)]


def test_open_sizes_are_tried_until_the_model_runs():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 41)(inputs)  # wider than the first size
    assert wiring(keras.Model(inputs, x)).calls[0].shape[-1] == 4


def test_a_wiring_goes_to_json_and_back():
    found = wiring(built(Net(), 5))
    again = type(found).from_dict(found.to_dict())
    assert found.of(found.subjects[0])
    assert again.of(found.subjects[0]) == ()  # it knows paths alone
    assert again == found
    assert again.heads == found.heads
    assert {type(call.kind) for call in again.calls} == {Kind}
    assert again.summary() == found.summary()
    assert [again.activation_after(c) for c in again.maps] == [
        found.activation_after(c) for c in found.maps
    ]


def test_a_nested_model_is_entered_in_whatever_structure_it_is_called():
    inner_input = keras.Input((4,))
    inner = keras.Model([inner_input], layers.Dense(4, name="inner")(inner_input), name="nested")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, inner(inputs))
    # Called on a tensor for its list of one, Keras would warn, and a warning be an error here.
    assert paths(wiring(model).calls) == ["nested/inner"]


def test_a_layer_that_holds_others_has_their_calls():
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    spread = layers.TimeDistributed(layers.Dense(3, name="inner"), name="over")
    inputs = keras.Input((5, 8))
    found = wiring(keras.Model(inputs, spread(attention(inputs, inputs))))
    inside = [call for call in found.calls if call.path.startswith("attention/")]
    assert {c.path.split("/")[1] for c in inside} >= {"query", "key", "value"}
    assert found.of(attention) == found.of("attention") == tuple(inside)
    assert paths(found.of(spread)) == paths(found.of(spread.layer)) == ["over/inner"]


def own_code(function):
    """A layer whose code takes no symbolic tensor, as a backend's own functions take none."""

    class Own(layers.Layer):
        def call(self, x):
            if isinstance(x, keras.KerasTensor):
                raise TypeError("no symbolic tensors here")
            return function(x)

    return Own(name="own")


@pytest.mark.parametrize(
    ("function", "known"),
    [(ops.relu, True), (lambda x: x * ops.sigmoid(x), True), (lambda x: 1.0 * x, True),
     (lambda x: ops.cumsum(x, axis=1), False), (ops.softmax, False),
     (lambda x: ops.flip(x, axis=1), False), (lambda x: x[:, :2], False),
     (lambda x: x - ops.mean(x), False)],
)  # fmt: skip
def test_code_that_takes_no_symbolic_tensors_is_known_where_it_treats_each_value_alone(
    function, known
):
    inputs = keras.Input((8,))
    x = own_code(function)(layers.Dense(8, name="first")(inputs))
    found = wiring(keras.Model(inputs, layers.Dense(3)(x)))
    assert [call.path for call in found.unknown] == ([] if known else ["own"])
    following = found.activation_after(found.maps[0])
    assert bool(following.activation) == known
