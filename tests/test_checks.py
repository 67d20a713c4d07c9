"""What is checked in one place for every part of the library."""

import decimal

import numpy as np
import pytest

import keras_inits as ki
from keras_inits import _checks
from keras_inits._errors import InputError, InputTypeError


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_integers_of_every_kind_are_one(value):
    assert type(_checks.integer("n", value)) is int
    assert _checks.integer("n", value) == 3


@pytest.mark.parametrize("value", [True, np.True_, 3.0, "3", None, np.array([3]), 1j])
def test_what_is_no_integer_is_of_the_wrong_type(value):
    with pytest.raises(InputTypeError, match=r"`n` must be an integer.*Received: n="):
        _checks.integer("n", value)


def test_an_integer_has_a_least_value_and_no_most():
    assert _checks.integer("n", 2**200) == 2**200
    assert _checks.integer("n", -1, minimum=None) == -1
    with pytest.raises(InputError, match="`n` must be at least 0"):
        _checks.integer("n", -1)


@pytest.mark.parametrize("value", [1, np.float16(1), np.int64(1), np.array(1.0)])
def test_numbers_of_every_kind_are_one(value):
    assert type(_checks.real("x", value)) is float


@pytest.mark.parametrize(
    ("value", "bounds", "says"),
    [
        ("1", {}, "must be a real number"),
        (decimal.Decimal(1), {}, "must be a real number"),
        (float("nan"), {}, "must be finite"),
        (10**400, {}, "must be finite"),
        (0, {"above": 0}, "must be positive"),
        (1, {"above": 1}, "must be above 1"),
        (-1, {"minimum": 0}, "must be at least 0"),
        (2, {"maximum": 1}, "must be at most 1"),
        (2, {"minimum": 0, "maximum": 1}, "must be from 0 to 1"),
    ],
)
def test_a_number_out_of_bounds_is_named(value, bounds, says):
    with pytest.raises(InputError, match=f"`x` {says}.*Received: x="):
        _checks.real("x", value, **bounds)


@pytest.mark.parametrize("value", ["34", 3, None, np.array(3), (3, 1.5), (3, None), {3: 4}])
def test_what_is_no_shape_is_of_the_wrong_type(value):
    with pytest.raises(InputTypeError, match="`shape` must be a sequence"):
        _checks.shape(value)
    with pytest.raises(InputTypeError, match="`shape` must be a sequence"):
        ki.KernelGeometry.from_shape(value)


@pytest.mark.parametrize("function", [ki.initialize, ki.audit])
def test_a_model_of_keras_2_is_named(function):
    class Sequential:
        weights, built = (), True

    with pytest.raises(InputTypeError, match="must be a built Keras model") as other:
        function(Sequential())
    assert "Keras 2" not in str(other.value)
    Sequential.__module__ = "tf_keras.src.engine.sequential"
    with pytest.raises(InputTypeError, match=r"which is Keras 2.*TF_USE_LEGACY_KERAS"):
        function(Sequential())
