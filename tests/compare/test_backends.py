"""The population on another backend has the numbers of `fit` there, and of TensorFlow's here."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from compare.other_backends import CHANGES, NETS, numbers, trained

SCRIPT = Path(__file__).with_name("other_backends.py")
# Compiling small nets takes longer than training them.
QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}
# jax comes with the dev extra; torch, which is large, is tested where somebody has it
BACKENDS = [backend for backend in ("jax", "torch") if find_spec(backend)]

BOTH = ("dense", "wide")  # whose numbers are compared with TensorFlow's in the default run
IN_TURN = ("convolution", "frames")  # with TensorFlow's, too
ALONE = ("dropout", "sequence")  # only with those of `fit`
# `torch.func.vmap` has no rule for what Keras's convolutions and draws do there
REFUSED = {("torch", "convolution"), ("torch", "frames"), ("torch", "dropout")}


def on_backend(backend, *nets):
    """Returns what a process on another backend finds of these nets."""
    process = subprocess.run(
        [sys.executable, SCRIPT, *nets],
        env=os.environ | QUICK | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout.splitlines()[-1])
    assert found["backend"] == backend
    return found


@pytest.fixture(scope="module", params=BACKENDS)
def there(request):
    return on_backend(request.param, *BOTH)


@pytest.fixture(scope="module", params=BACKENDS)
def there_alone(request):
    return on_backend(request.param, *ALONE, *IN_TURN)


def differ(ours, theirs):
    """Returns the largest differences of losses and of accuracies over runs and epochs."""
    assert list(ours) == list(theirs)
    found = {m: np.abs(np.subtract(ours[m], theirs[m])).max() for m in ours}
    return max(found["loss"], found["test_loss"]), found["test_accuracy"]


def agree(ours, theirs):
    losses, accuracies = differ(ours, theirs)
    return losses < 1e-4 and accuracies < 0.05  # rounding may move a few samples of 70


@pytest.mark.parametrize("net", BOTH)
def test_a_population_has_the_numbers_of_fit_on_its_backend(there, net):
    assert agree(there["population"][net], there["fit"][net])


def test_large_dense_nets_are_computed_apart_on_jax_alone(there):
    assert there["at once"] == {"dense": 2, "wide": 1 if there["backend"] == "jax" else 2}


@pytest.mark.slow
@pytest.mark.parametrize("net", ALONE)
def test_other_populations_have_the_numbers_of_fit_on_their_backend(there_alone, net):
    there = there_alone
    if (there["backend"], net) in REFUSED:
        assert "RuntimeError while vectorizing: " in there["population"][net]
        assert len(there["population"][net].splitlines()) == 1
    else:
        assert agree(there["population"][net], there["fit"][net])


def check_against_tensorflow(there, net):
    here = numbers(trained(NETS[net], "population", **CHANGES[net]))
    trainer = "fit" if (there["backend"], net) in REFUSED else "population"
    assert agree(there[trainer][net], here)
    losses = np.array(here["loss"])
    assert len(np.unique(losses)) == losses.size  # or the runs would be the same


@pytest.mark.parametrize("net", BOTH)
def test_a_population_has_the_numbers_of_tensorflow(there, net):
    check_against_tensorflow(there, net)


@pytest.mark.slow
@pytest.mark.parametrize("net", IN_TURN)
def test_a_population_of_convolutions_has_the_numbers_of_tensorflow(there_alone, net):
    check_against_tensorflow(there_alone, net)


def test_other_batches_would_not_agree(there):
    """Negative control: a population that orders its batches otherwise must be seen."""
    shared = {**CHANGES["dense"], "batches": "shared"}
    here = numbers(trained(NETS["dense"], "fit", **shared))
    assert differ(there["fit"]["dense"], here)[0] > 1e-3


def test_what_cannot_be_vectorized_is_refused_in_one_sentence(there):
    reasons = {"jax": "since a call in training assigns to ", "torch": "while vectorizing: vmap"}
    assert reasons[there["backend"]] in there["refused"]
    assert len(there["refused"].splitlines()) == 1
