"""Loops and choices of `keras.ops`, which call functions, and the same written out in Python."""

import keras
import pytest
from keras import layers, ops

import keras_inits as ki

STEPS = 5


class Repeated(layers.Layer):
    """Applies two kernels again and again, in one of several ways."""

    def __init__(self, way, **kwargs):
        super().__init__(**kwargs)
        self.way = way
        self.up, self.down = layers.Dense(32, "relu", name="up"), layers.Dense(16, name="down")

    def build(self, shape):
        self.up.build((None, 16))
        self.down.build((None, 32))

    def branch(self, x):
        return x + self.down(self.up(x))

    def call(self, x):
        return WAYS[self.way](self.branch, x)


def written_out(branch, x):
    for _ in range(STEPS):
        x = branch(x)
    return x


def while_loop(branch, x):
    return ops.while_loop(lambda k, x: k < STEPS, lambda k, x: (k + 1, branch(x)), (0, x))[1]


def while_data_says(branch, x):
    more, step = (lambda x: ops.sum(x) > 0), (lambda x: (branch(x),))
    return ops.while_loop(more, step, (x,), maximum_iterations=STEPS)[0]


def scan(branch, x):
    return ops.scan(lambda x, _: (branch(x), x), x, length=STEPS)[0]


WAYS = {
    "written out": written_out,
    "fori_loop": lambda branch, x: ops.fori_loop(0, STEPS, lambda _, x: branch(x), x),
    "while_loop": while_loop,
    "while data says": while_data_says,
    "scan": scan,
}


def repeated(way):
    inputs = keras.Input((16,))
    return keras.Model(inputs, layers.Dense(3, name="head")(Repeated(way, name="loop")(inputs)))


@pytest.mark.parametrize("way", WAYS)
def test_a_loop_is_run_out(way):
    found = ki.wiring(repeated(way))
    assert not found.unknown
    assert [len(stream.sums) for stream in found.streams] == [STEPS]
    assert len(found.of("loop/up/kernel")) == STEPS


@pytest.mark.parametrize("way", list(WAYS)[1:])
def test_auto_sets_a_loop_as_it_sets_the_same_written_out(way):
    def chosen(way):
        rows = ki.initialize(repeated(way), "auto", seed=0).rows
        return {row.path: row.target_stddev for row in rows if row.geometry}

    assert chosen(way) == pytest.approx(chosen("written out"), rel=0.02)


class Called(layers.Layer):
    """Calls one or two kernels by an operation."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function
        self.one, self.two = layers.Dense(16, "relu", name="one"), layers.Dense(16, name="two")

    def build(self, shape):
        self.one.build((None, 16))
        self.two.build((None, 16))

    def call(self, x):
        return self.function(self, x)

    def compute_output_shape(self, shape):
        return shape


CHOICES = {
    "cond": lambda self, x: ops.cond(ops.mean(x) > 0, lambda: self.one(x), lambda: self.two(x)),
    "switch": lambda self, x: ops.switch(
        ops.cast(ops.mean(x) > 0, "int32"), [self.one, self.two], x
    ),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_both_branches_of_a_choice_are_seen(choice):
    inputs = keras.Input((16,))
    x = Called(CHOICES[choice], name="choice")(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="head")(x))
    found = ki.wiring(model)
    assert not found.unknown
    assert len(found.of("choice/one/kernel")) == len(found.of("choice/two/kernel")) == 1
    notes = {row.path: row.note for row in ki.initialize(model, "auto", seed=0).rows}
    assert "not understood" not in notes["head/kernel"]


def running(self, x):
    made = ops.associative_scan(lambda a, b: a + b, self.one(x), axis=1)
    return ops.map(self.two, made)


def test_a_scan_over_places_and_a_map_call_what_they_are_given():
    inputs = keras.Input((6, 16))
    model = keras.Model(inputs, layers.Dense(3, name="head")(Called(running)(inputs)))
    found = ki.wiring(model)
    assert not found.unknown
    assert sum(call.type == "add" for call in found.calls) == 5


def test_a_loop_whose_length_the_data_decide_is_not_understood():
    def open_(branch, x):
        return ops.while_loop(lambda x: ops.sum(x) > 0, lambda x: (branch(x),), (x,))[0]

    inputs = keras.Input((16,))
    layer = Called(lambda self, x: open_(self.two, x), name="open")
    found = ki.wiring(keras.Model(inputs, layers.Dense(3, name="head")(layer(inputs))))
    assert [call.type for call in found.unknown] == ["while_loop"]
