"""The same schemes on another backend, in a process of its own: Keras has one backend a process."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

import keras_inits

SCRIPT = """
import json, sys
import keras, numpy as np
import keras_inits
assert keras.backend.backend() == sys.argv[1]
found = {}
for name in keras_inits.names():
    cls = type(keras_inits.get(name))
    shape = (300, 200) if name == "initkit_identity" else (3, 3, 20, 120)
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
print(json.dumps({
    "schemes": found,
    "attention": float(np.abs(q.T @ q - np.eye(64)).max()),
    "orthogonal": float(np.abs(tall.T @ tall - np.eye(800)).max()),
    "cut": float(np.abs(cut).max() / cut.std()),
}))
"""


# jax comes with the dev extra; torch, which is large, is tested where somebody has it
BACKENDS = [backend for backend in ("jax", "torch") if find_spec(backend)]


@pytest.fixture(scope="module", params=BACKENDS)
def on_backend(request):
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, request.param],
        env=os.environ | {"KERAS_BACKEND": request.param},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.parametrize("name", keras_inits.names())
def test_every_scheme_draws_the_same_law(on_backend, name):
    here = on_backend["schemes"][name]
    assert here["finite"]
    assert here["repeats"]
    assert here["bfloat16"] < 2**-8
    shape = (300, 200) if name == "initkit_identity" else (3, 3, 20, 120)
    ours = keras_inits.get(name)(shape)
    assert here["std"] == pytest.approx(float(ours.numpy().std()), rel=0.04, abs=1e-6)


def test_structured_kernels_keep_their_identities(on_backend):
    assert on_backend["orthogonal"] < 5e-6
    assert on_backend["attention"] < 5e-6
    # two standard deviations of the uncut normal are 2 / 0.8796 of the cut one
    assert 2.2 < on_backend["cut"] < 2 / 0.8796 * 1.02
