"""The same wiring on another backend, in a process of its own: Keras has one backend a process."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

SCRIPT = """
import json, sys
import keras, numpy as np
from keras import layers, ops
import keras_inits
assert keras.backend.backend() == sys.argv[1]

class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention = layers.MultiHeadAttention(2, 4, name="attention")
        self.up, self.down = layers.Dense(16, name="up"), layers.Dense(8, name="down")
    def build(self, shape):
        self.attention.build(shape, shape)
        self.up.build(shape)
        self.down.build((*shape[:-1], 16))
    def call(self, x):
        x = x + self.attention(x, x)
        up = self.up(x)
        return x + self.down(up * ops.sigmoid(up))

class Net(keras.Model):
    def __init__(self):
        super().__init__(name="net")
        self.table, self.block = layers.Embedding(9, 8, name="table"), Block(name="block")
        self.read, self.head = layers.LSTM(4, name="read"), layers.Dense(2, name="head")
    def call(self, x):
        return self.head(self.read(self.block(self.table(x))))

model = Net()
model(np.zeros((2, 5), "int32"))
found = keras_inits.wiring(model)
function = found.activation_function(found.of("block/up")[0])
print(json.dumps({
    "calls": [(c.path, c.kind, c.signals, c.shape) for c in found.calls if c.is_map or c.weights],
    "ends": [found.calls[end].path for each in found.sums for end in each.branch_ends],
    "roles": [found.attention_role(call) for call in found.maps],
    "unknown": [call.path for call in found.unknown],
    "swish": float(ops.convert_to_numpy(function(np.ones(1, "float32")))[0]),
}))
"""
# TensorFlow is the backend of all other tests.
BACKENDS = [name for name in ("jax", "torch") if find_spec(name)]


def on_backend(name):
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, name],
        env={**os.environ, "KERAS_BACKEND": name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_subclassed_transformer_is_wired_alike_on_every_backend(backend):
    found = on_backend(backend)
    assert found["ends"] == ["block/attention/attention_output", "block/down"]
    assert found["roles"] == ["query", "key", "value", "out", "", "", ""]
    assert found["unknown"] == []
    assert found["swish"] == pytest.approx(0.7310586)
    names = [path.split("/")[-1] for path, *_ in found["calls"]]
    assert names == [
        "table", "query", "key", "value", "attention_output", "up", "down", "read", "head"
    ]  # fmt: skip
