"""The same figures and verdicts on another backend, in a process of its own."""

import importlib.util
import json
import math
import os
import re
import subprocess
import sys

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
        if key in ("first_steps", "monitored", "calibrated", "judged"):
            rel = 1e-3  # behind steps of an optimizer
        for name in {*here, *there} - {"histogram", "edges", "seed"}:
            yield from different(here.get(name), there.get(name), name, rel)
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for a, b in zip(here, there, strict=True):
            yield from different(a, b, key, rel)
    elif isinstance(here, float) and isinstance(there, float):
        rel = 0.1 if key == "ahead" else rel  # from the difference of two losses of nine digits
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


NAMES = (*(net.__name__ for net in nets_on_backends.NETS), "monitored", "calibrated", "judged")
VERDICTS = {
    "vanishing": "vanishing",
    "normalized": "healthy",
    "residual": "healthy",
    "lstm": "healthy",
    "transformer": "healthy",
    "dead": "dying",
    "cut_off": "no gradient",
    "wrong_end": "output activation",
    "large_target": "target scale",
}


def on(backend):
    missing = pytest.mark.skipif(not importlib.util.find_spec(backend), reason=f"no {backend}")
    return pytest.param(backend, marks=missing)


@pytest.mark.slow
@pytest.mark.parametrize("backend", [on("jax"), on("torch")])
def test_figures_and_findings_are_those_of_tensorflow(backend, tmp_path):
    here = json.loads(json.dumps(nets_on_backends.found(tmp_path, *NAMES)))
    for name in {*VERDICTS} & {*NAMES}:
        assert here[name]["verdict"] == VERDICTS[name]
    for kind, found in here["judged"].items():
        assert found["kinds"] == ([kind] if kind else [])
    done = subprocess.run(
        [sys.executable, nets_on_backends.__file__, backend, str(tmp_path), *NAMES],
        env=os.environ | QUICK | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout.splitlines()[-1])
    assert there.keys() == here.keys() == {*NAMES}
    if backend == "torch":  # it gives 0 where others give none
        assert there.pop("cut_off")["verdict"] == here.pop("cut_off")["verdict"]
    assert not [*different(here, there)]


def test_the_comparison_sees_a_thousandth_and_another_word():
    report = {"layers": [{"second_moment": 0.5, "kind": "Dense", "mean": 1e-7}]}
    assert not [*different(report, {"layers": [{**report["layers"][0], "mean": 2e-7}]})]
    for name, value in {"second_moment": 0.5005, "kind": "Conv2D", "mean": 1e-3}.items():
        changed = {"layers": [{**report["layers"][0], name: value}]}
        assert [key for key, *_ in different(report, changed)] == [name]
