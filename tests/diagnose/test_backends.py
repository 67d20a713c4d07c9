"""The same figures and verdicts on another backend, in a process of its own."""

import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import nets_on_backends
import pytest

# The first diagnosis on JAX compiles each operation; what comes of it is not the question here.
QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}
# Sizes, whose smallest values count; of other figures what is below 1e-5 is rounding.
SIZES = ("second_moment", "std", "norm", "gradient_norm", "loss", "largest_singular_value")
SMALLEST = 1e-9  # of a gradient that is 0 but for rounding, such as that of a bias of keys


def different(here, there, key="", rel=1e-4):
    """Yields what differs between two reports: figures by more than 1e-4, and words."""
    if isinstance(here, dict) and isinstance(there, dict):
        rel = (
            1e-3 if key in ("first_steps", "monitored", "calibrated") else rel
        )  # behind steps of an optimizer
        for name in {*here, *there} - {"histogram", "edges", "seed"}:
            yield from different(here.get(name), there.get(name), name, rel)
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for a, b in zip(here, there, strict=True):
            yield from different(a, b, key, rel)
    elif isinstance(here, float) and isinstance(there, float):
        if not math.isclose(here, there, rel_tol=rel, abs_tol=SMALLEST if key in SIZES else 1e-5):
            yield key, here, there
    elif isinstance(here, str) and isinstance(there, str):
        a, b = (
            re.sub(r"[-+]?\d[\d.e+-]*", "#", text) for text in (here, there)
        )  # shown to two digits
        if a != b:
            yield key, here, there
    elif here != there:
        yield key, here, there


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return folder, json.loads(json.dumps(nets_on_backends.found(folder)))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            name, marks=pytest.mark.skipif(not importlib.util.find_spec(name), reason=name)
        )
        for name in ("jax", "torch")
    ],
)
def there(request, here):
    done = subprocess.run(
        [sys.executable, nets_on_backends.__file__, request.param, here[0]],
        env=os.environ | QUICK | {"KERAS_BACKEND": request.param, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return request.param, json.loads(done.stdout.splitlines()[-1])


def test_figures_and_findings_are_the_same(here, there):
    backend, found = there
    assert found.keys() == here[1].keys()
    for name, report in found.items():
        if (backend, name) == ("torch", "cut_off"):  # torch gives 0 where others give none
            assert report["verdict"] == here[1][name]["verdict"] == "no gradient"
            continue
        assert not [*different({name: here[1][name]}, {name: report})], name


def test_the_faults_are_found(here):
    verdicts = {name: found["verdict"] for name, found in here[1].items() if "verdict" in found}
    assert verdicts == {
        "vanishing": "vanishing",
        "residual": "healthy",
        "lstm": "healthy",
        "transformer": "healthy",
        "dead": "dying",
        "cut_off": "no gradient",
        "wrong_end": "output activation",
    }


def test_the_comparison_sees_a_thousandth_and_another_word(here):
    report = here[1]["vanishing"]
    changed = json.loads(json.dumps(report))
    changed["layers"][0]["gradient"]["second_moment"] *= 1.001
    assert [key for key, *_ in different(report, changed)] == ["second_moment"]
    changed = json.loads(json.dumps(report))
    changed["findings"][0]["kind"] = "exploding"
    assert [key for key, *_ in different(report, changed)] == ["kind"]
