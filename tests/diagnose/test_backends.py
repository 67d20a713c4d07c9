"""The same figures and verdicts on another backend, in a process of its own."""

import importlib.util
import json
import math
import os
import re
import subprocess
import sys

import nets_by_layer
import nets_on_backends
import pytest

# The first diagnosis on JAX compiles each operation; what comes of it is not the question here.
QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}
# Sizes, whose smallest values count; of other figures what is below 1e-5 is rounding.
SIZES = ("second_moment", "std", "norm", "gradient_norm", "loss", "largest_singular_value")
SMALLEST = 1e-9  # of a gradient that is 0 but for rounding, such as that of a bias of keys


def different(here, there, key="", rel=1e-4, smallest=SMALLEST):
    """Yields what differs between two reports: figures by more than `rel`, and words."""
    if isinstance(here, dict) and isinstance(there, dict):
        if key in ("first_steps", "monitored", "calibrated", "judged"):
            rel = max(rel, 1e-3)  # behind steps of an optimizer
        for name in {*here, *there} - {"histogram", "edges", "seed"}:
            yield from different(here.get(name), there.get(name), name, rel, smallest)
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for a, b in zip(here, there, strict=True):
            yield from different(a, b, key, rel, smallest)
    elif isinstance(here, float) and isinstance(there, float):
        rel = 0.1 if key == "ahead" else rel  # from the difference of two losses of nine digits
        if not math.isclose(here, there, rel_tol=rel, abs_tol=smallest if key in SIZES else 1e-5):
            yield key, here, there
    elif isinstance(here, str) and isinstance(there, str):
        a, b = (
            re.sub(r"[-+]?\d[\d.e+-]*", "#", text) for text in (here, there)
        )  # shown to two digits
        if a != b:
            yield key, here, there
    elif here != there:
        yield key, here, there


NAMES = (*nets_on_backends.NETS, "monitored", "calibrated", "judged")
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


def found_on(backend, folder, *names):
    """Returns what a process on another backend finds of nets, with the weights in a folder."""
    done = subprocess.run(
        [sys.executable, nets_on_backends.__file__, backend, str(folder), *names],
        env=os.environ | QUICK | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("backend", [on("jax"), on("torch")])
def test_figures_and_findings_are_those_of_tensorflow(backend, tmp_path):
    here = json.loads(json.dumps(nets_on_backends.found(tmp_path, *NAMES)))
    for name in {*VERDICTS} & {*NAMES}:
        assert here[name]["verdict"] == VERDICTS[name]
    for kind, found in here["judged"].items():
        assert found["kinds"] == ([kind] if kind else [])
    there = found_on(backend, tmp_path, *NAMES)
    assert there.keys() == here.keys() == {*NAMES}
    if backend == "torch":  # it gives 0 where others give none
        assert there.pop("cut_off")["verdict"] == here.pop("cut_off")["verdict"]
    assert not [*different(here, there)]


WRONG = {
    "dense": "learning rate too low",
    "spectral": "learning rate too low",
    "multiplied": "learning rate too high",
    "dead units": "dying",
    "saturated": "saturated",
}
PARTS = 4  # each in a process of its own: JAX keeps what it compiled
# Keras itself computes something else: on JAX a gradient goes back through the normalization of the
# kernel, which other backends assign, and torch cannot take one of what was assigned. A sigmoid of
# less than the smallest normal number is 0 on TensorFlow and JAX, and not on torch; the alignment
# of gradients behind such is rounding (0.00531 on TensorFlow, 0.00536 on JAX).
OTHERWISE = {(backend, net) for backend in ("jax", "torch") for net in ("spectral", "saturated")}
HALF = 0.02  # half floats have three digits, and the first steps add up what differs
ROUNDING = 1e-6  # of the largest gradient of a net: a smaller one may be 0 but for rounding


def without_decades(report):
    """Returns a report without the rates that are decades, where a hair decides."""
    steps = report["first_steps"] or {}
    kept = {name: value for name, value in steps.items() if name not in ("lowest", "highest")}
    return report | {"first_steps": kept}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("backend", [on("jax"), on("torch")])
def test_figures_of_every_kind_of_layer_are_those_of_tensorflow(backend, part, tmp_path):
    names = [*nets_by_layer.NETS][part::PARTS]
    here = json.loads(json.dumps(nets_on_backends.found(tmp_path, *names)))
    assert {name: report["verdict"] for name, report in here.items()} == {
        name: WRONG.get(name, "healthy") for name in names
    }
    there = found_on(backend, tmp_path, *names)
    for name, report in here.items():
        other = there[name]
        assert other["verdict"] == report["verdict"], name
        if (backend, name) in OTHERWISE:
            continue
        largest = max(w["gradient_norm"] for row in report["layers"] for w in row["weights"])
        rel = HALF if name == "half precision" else 1e-4
        smallest = max(SMALLEST, ROUNDING * largest)
        pair = map(without_decades, (report, other))
        assert not [*different(*pair, rel=rel, smallest=smallest)], name


def test_the_comparison_sees_a_thousandth_and_another_word():
    report = {"layers": [{"second_moment": 0.5, "kind": "Dense", "mean": 1e-7}]}
    assert not [*different(report, {"layers": [{**report["layers"][0], "mean": 2e-7}]})]
    for name, value in {"second_moment": 0.5005, "kind": "Conv2D", "mean": 1e-3}.items():
        changed = {"layers": [{**report["layers"][0], name: value}]}
        assert [key for key, *_ in different(report, changed)] == [name]
