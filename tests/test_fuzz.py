"""Arguments of every kind, right and wrong: a result, or a documented error."""

import collections
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from keras_inits import InputError

SCRIPT = Path(__file__).parents[1] / "scripts" / "fuzz.py"


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_call_returns_or_raises_an_input_error(fuzz):
    found = list(fuzz.run(300, seed=1))
    assert [f"{number}: {name}: {what}" for number, name, what in found if "fault" in what] == []
    counts = collections.Counter(what for _, _, what in found)
    assert counts["returned"] > 60  # enough arguments are right
    assert counts["InputError"] + counts["InputTypeError"] > 60


def test_what_is_no_documented_error_is_a_fault(fuzz):
    def raising(error):
        def call(random):
            raise error

        return fuzz.outcome(call, np.random.default_rng(0))

    assert raising(ValueError("x")).startswith("fault: ValueError at")
    assert raising(InputError("x")) == "InputError"
    assert raising(InputError("")).startswith("fault")
    assert fuzz.outcome(lambda random: float("nan"), None).startswith("fault")
    assert fuzz.outcome(lambda random: np.zeros(3), None) == "returned"
