"""The same schemes on another backend, in a process of its own: Keras has one backend a process."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import keras
import pytest

import keras_inits

# One weight of more than a piece, in which NumPy draws, and one in half precision.
INITIALIZED = """
import hashlib
def initialized():
    made = [keras.layers.Dense(1100), keras.layers.Dense(60, dtype="bfloat16")]
    model, found = keras.Sequential([keras.Input((1000,)), *made]), {}
    for distribution in ("normal", "uniform", "truncated_normal"):
        scheme = keras_inits.HeInit(distribution=distribution)
        keras_inits.initialize(model, scheme, seed=2**70 + 1)
        kernels = [keras.ops.cast(weight, "float32") for weight in model.weights[::2]]
        kernels = map(keras.ops.convert_to_numpy, kernels)
        found[distribution] = [hashlib.sha256(k.tobytes()).hexdigest() for k in kernels]
    return found
"""
SHAPES = {"initkit_identity": (300, 200), "initkit_chrono": (40_000,)}  # no kernels of convolutions
SCRIPT = """
import json, sys
import keras, numpy as np
import keras_inits
assert keras.backend.backend() == sys.argv[1]
found = {}
for name in keras_inits.names():
    cls = type(keras_inits.get(name))
    shape = json.loads(sys.argv[2]).get(name, (3, 3, 20, 120))
    try:
        scheme = cls(seed=5)
    except TypeError:
        scheme = cls()
    draw = lambda dtype="float32": keras.ops.convert_to_numpy(
        keras.ops.cast(scheme(shape, dtype), "float32")
    )
    kernel = draw()
    largest = max(1e-9, np.abs(kernel).max())
    found[name] = {
        "finite": bool(np.isfinite(kernel).all()),
        "repeats": bool((kernel == draw()).all()),
        "bfloat16": float(np.abs(kernel - draw("bfloat16")).max() / largest),
        "std": float(kernel.std()),
    }
layer = keras.layers.MultiHeadAttention(4, 16, kernel_initializer="initkit_orthogonal")
layer.build((None, 10, 64), (None, 10, 64))
q = keras.ops.convert_to_numpy(layer.query_dense.kernel).reshape(64, 64)
tall = keras.ops.convert_to_numpy(keras_inits.OrthogonalInit(seed=1)((900, 800)))
cut = keras_inits.HeInit(distribution="truncated_normal", seed=1)((512, 512))
cut = keras.ops.convert_to_numpy(cut)
far = keras_inits.TruncatedNormalInit(stddev=0.02, minval=-2, maxval=2, seed=1)((2048, 2048))
far = keras.ops.convert_to_numpy(far)
bounded = keras_inits.TruncatedNormalInit(2.79, 0.491, minval=2.7125, maxval=3.6078, seed=0)
bounded = keras.ops.convert_to_numpy(bounded((1000, 1000))).astype("float64")
seeds = [1, 2**31 - 2, 2**31 - 1, 2**31, 2**32 + 1, 2**64 + 1, 2**128 - 1]
streams = [keras.ops.convert_to_numpy(keras_inits.HeInit(seed=s)((3, 4))).tobytes() for s in seeds]
edges = [
    keras_inits.critical_sigma_w(activation, sigma_b=0.05)
    for activation in ("tanh", lambda x: keras.ops.tanh(x))
]
print(json.dumps({
    "initialized": initialized(),
    "far": float(np.abs(far).max() / 0.02),
    "bounds": [float(bounded.min()), float(bounded.max())],
    "streams": len({*streams}) == len(seeds),
    "edge": edges,
    "schemes": found,
    "attention": float(np.abs(q.T @ q - np.eye(64)).max()),
    "orthogonal": float(np.abs(tall.T @ tall - np.eye(800)).max()),
    "gains": {name: keras_inits.gain(name) for name in ("tanh", "gelu", "relu")},
    "slope": keras_inits.gaussian_moments("gelu").derivative_second_moment,
    "cut": float(np.abs(cut).max() / cut.std()),
}))
"""


# What compiled code is worth is not the question here: each operation is compiled for one call.
QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}
# jax comes with the dev extra; torch, which is large, is tested where somebody has it
BACKENDS = [backend for backend in ("jax", "torch") if find_spec(backend)]


@pytest.fixture(scope="module", params=BACKENDS)
def on_backend(request):
    process = subprocess.run(
        [sys.executable, "-c", INITIALIZED + SCRIPT, request.param, json.dumps(SHAPES)],
        env=os.environ | QUICK | {"KERAS_BACKEND": request.param},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_initialize_gives_the_same_bits(on_backend):
    names = {"keras": keras, "keras_inits": keras_inits}
    exec(INITIALIZED, names)
    here = names["initialized"]()
    assert on_backend["initialized"] == here
    assert len({kernel for kernels in here.values() for kernel in kernels}) == 6


@pytest.mark.parametrize("name", keras_inits.names())
def test_every_scheme_draws_the_same_law(on_backend, name):
    here = on_backend["schemes"][name]
    assert here["finite"]
    assert here["repeats"]
    assert here["bfloat16"] < 2**-8
    ours = keras_inits.get(name)(SHAPES.get(name, (3, 3, 20, 120)))
    assert here["std"] == pytest.approx(float(ours.numpy().std()), rel=0.04, abs=1e-6)


def test_gains_are_the_same(on_backend):
    for name, value in on_backend["gains"].items():
        assert value == pytest.approx(keras_inits.gain(name), rel=1e-6)
    slope = keras_inits.gaussian_moments("gelu").derivative_second_moment
    assert on_backend["slope"] == pytest.approx(slope, rel=1e-6)


def test_structured_kernels_keep_their_identities(on_backend):
    assert on_backend["orthogonal"] < 5e-6
    assert on_backend["attention"] < 5e-6
    # two standard deviations of the uncut normal are 2 / 0.8796 of the cut one
    assert 2.2 < on_backend["cut"] < 2 / 0.8796 * 1.02


def test_truncated_draws_keep_to_their_law(on_backend):
    assert 4.7 < on_backend["far"] < 6  # of 2^22 values
    low, high = on_backend["bounds"]
    assert low >= 2.7125
    assert high <= 3.6078


def test_integers_of_any_size_have_streams_of_their_own(on_backend):
    assert on_backend["streams"]


def test_the_edge_of_chaos_is_the_same(on_backend):
    expected = keras_inits.critical_sigma_w("tanh", sigma_b=0.05)
    known, callable_ = on_backend["edge"]
    assert known == pytest.approx(expected, abs=1e-9)
    assert callable_ == pytest.approx(expected, abs=2e-6)  # in float32 on JAX
