"""Weights that lie on several devices: eight virtual ones of JAX, in a process of its own."""

import json
import os
import socket
import subprocess
import sys

import pytest

pytest.importorskip("jax")

SCRIPT = """
import hashlib, json, os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
import jax, keras, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
import keras_inits
from keras_inits import _sharding
from keras_inits._schemes.base import _Draw

devices = keras.distribution.list_devices()
initialized, placed, stddevs = {}, {}, {}

def digest(values):
    return hashlib.sha256(np.asarray(values).tobytes()).hexdigest()

def small(name):
    made = [
        keras.layers.Dense(64, "relu", kernel_initializer="zeros"),
        keras.layers.Dense(8, kernel_initializer="zeros", dtype="bfloat16"),
        keras.layers.Dense(8, kernel_initializer="zeros"),
    ]
    model = keras.Sequential([keras.Input((32,)), *made], name="model")
    report = keras_inits.initialize(
        model, "initkit_he", overrides={"*/dense_2/kernel": "initkit_orthogonal"}, seed=1
    )
    initialized[name] = [digest(weight) for weight in model.weights]
    placed[name] = [[s.data.shape for s in w.value.addressable_shards] for w in model.weights]
    stddevs[name] = [row.stddev for row in report.rows]

def parallel(count, axes):
    mesh = keras.distribution.DeviceMesh((count,), ["model"], devices[:count])
    layout = keras.distribution.LayoutMap(mesh)
    layout[".*kernel"] = axes
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="model")

small("none")
rows, columns = ("model", None), (None, "model")
for count, axes in ((1, rows), (2, columns), (4, columns), (8, rows), (8, columns)):
    keras.utils.clear_session(free_memory=False)
    with parallel(count, axes).scope():
        small(f"{count} {axes}")
keras.utils.clear_session(free_memory=False)
with keras.distribution.DataParallel(devices=devices).scope():
    small("data")
keras.utils.clear_session(free_memory=False)

# the protocol of Keras: a layer that is built, and a call with a layout
scheme, shape = keras_inits.HeUniformInit(seed=3), (1024, 512)
drawn = {"eager": digest(scheme(shape))}
distribution = parallel(8, columns)
with distribution.scope():
    layer = keras.layers.Dense(512, kernel_initializer=scheme)
    layer.build((None, 1024))
kernel = layer.kernel.value
drawn["layer"] = digest(kernel)
wanted = distribution.get_variable_layout(layer.kernel)
equivalent = kernel.sharding.is_equivalent_to(wanted.backend_layout, 2)
drawn["layout"] = digest(scheme(shape, layout=wanted))
mesh = jax.make_mesh((2,), ("x",), devices=jax.devices()[:2])
two = scheme(shape, "float32", NamedSharding(mesh, PartitionSpec("x", None)))
drawn["two"] = digest(two)
orthogonal = keras_inits.OrthogonalInit(seed=3)
sharded = orthogonal((16, 16), layout=NamedSharding(mesh, PartitionSpec("x", None)))
structured = [digest(orthogonal((16, 16))), digest(sharded), str(sharded.sharding.spec)]
class Centred(keras_inits.HeUniformInit):  # overrides `sample`: no longer independent
    def sample(self, geometry, dtype, seed):
        values = super().sample(geometry, dtype, seed)
        return values - keras.ops.mean(values)

class CentredSpectral(keras_inits.SpectralInit):
    def sample(self, geometry, dtype, seed):
        values = super().sample(geometry, dtype, seed)
        return values - keras.ops.mean(values)

centred = []
for own in (Centred(seed=3), CentredSpectral(distribution="normal", seed=3)):
    parts = own((16, 16), layout=NamedSharding(mesh, PartitionSpec("x", None)))
    centred.append([digest(own((16, 16))), digest(parts), own.independent])
generator = keras_inits.HeUniformInit(seed=keras.random.SeedGenerator(1))
across = NamedSharding(mesh, PartitionSpec("x", None))
moving = [digest(generator(shape, layout=where)) for where in (wanted, wanted, across, wanted)]
generator = keras_inits.HeUniformInit(seed=keras.random.SeedGenerator(1))
moving_plainly = [digest(generator(shape)) for _ in range(4)]

def next_number(between):
    keras.utils.set_random_seed(3)
    between()
    return float(keras.random.normal(()))

constant = keras_inits.ZerosInit()
streams = [next_number(list), next_number(lambda: constant(shape, layout=wanted))]

# numbers of bytes on each device beyond the seed, of the compiled draw
draw = _Draw(scheme, scheme.geometry(shape), "float32")
def memory(sharding):
    with jax.set_mesh(sharding.mesh):
        lowered = _sharding._compiled(draw, sharding).lower(np.zeros(2, "uint32"))
    analysis = lowered.compile().memory_analysis()
    return analysis.output_size_in_bytes, analysis.temp_size_in_bytes
print(json.dumps({
    "initialized": initialized, "placed": placed, "stddevs": stddevs, "drawn": drawn,
    "equivalent": bool(equivalent), "shards": [s.data.shape for s in kernel.addressable_shards],
    "structured": structured, "centred": centred, "moving": [moving, moving_plainly],
    "streams": streams,
    "sharded": memory(_sharding.to_sharding(wanted)[1]),
}))
"""


@pytest.fixture(scope="module")
def on_devices():
    pytest.importorskip("jax")
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-4000:]
    return json.loads(process.stdout.splitlines()[-1])


def test_initialize_gives_the_same_bits_on_any_number_of_devices(on_devices):
    found = on_devices["initialized"]
    assert len(found) == 7
    assert all(hashes == found["none"] for hashes in found.values())
    kernels = found["none"][::2]
    assert len({*kernels}) == 3  # control: other weights have other hashes
    for stddevs in on_devices["stddevs"].values():
        assert stddevs == pytest.approx(on_devices["stddevs"]["none"], rel=1e-5, abs=1e-6)


def test_each_device_holds_its_part(on_devices):
    placed = on_devices["placed"]
    assert placed["8 ('model', None)"][0] == [[4, 64]] * 8
    assert placed["4 (None, 'model')"][0] == [[32, 16]] * 4
    assert placed["data"][0] == [[32, 64]] * 8
    assert on_devices["shards"] == [[1024, 64]] * 8


def test_schemes_honour_the_layout_and_draw_the_same_bits(on_devices):
    drawn = on_devices["drawn"]
    assert len({*drawn.values()}) == 1, drawn
    assert on_devices["equivalent"]


def test_a_seed_generator_moves_on_alike_under_any_mesh(on_devices):
    sharded, plain = on_devices["moving"]
    assert sharded == plain
    assert len({*plain}) == 4


def test_a_constant_takes_no_number_of_the_global_stream(on_devices):
    plain, after_constant = on_devices["streams"]
    assert after_constant == plain


def test_a_subclass_that_overrides_sample_is_drawn_whole(on_devices):
    for eager, sharded, independent in on_devices["centred"]:
        assert eager == sharded
        assert not independent


def test_a_matrix_that_is_drawn_whole_is_placed_by_its_layout(on_devices):
    eager, sharded, spec = on_devices["structured"]
    assert eager == sharded
    assert "'x'" in spec


def test_no_device_computes_more_than_a_few_of_its_parts(on_devices):
    part = 1024 * 64 * 4
    output, temporary = on_devices["sharded"]
    assert output == part
    assert temporary < 4 * part + 2**16  # the whole are 8 parts; threefry's counters are 3


PROCESSES = """
import hashlib, json, os, sys
count, number, port = (int(word) for word in sys.argv[1:])
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={4 // count}"
import jax
if count > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", count, number)
import keras, numpy as np
import keras_inits
from keras_inits import _sharding
from keras_inits._initialize.statistics import mean_square

mesh = keras.distribution.DeviceMesh((4,), ["model"], keras.distribution.list_devices())
layout = keras.distribution.LayoutMap(mesh)
layout[".*kernel"] = ("model", None)
keras.distribution.set_distribution(keras.distribution.ModelParallel(layout_map=layout))
keras.utils.set_random_seed(0)
hidden = [keras.layers.Dense(64, "relu", name=name) for name in ("frozen", "middle", "last")]
model = keras.Sequential([keras.Input((32,)), *hidden])
kernel = hidden[0].kernel
larger_below = np.linspace(0.1, 3, 32)[:, None] * np.random.default_rng(0).normal(size=(32, 64))
kernel.assign(_sharding.place_whole(larger_below.astype("float32"), kernel.value.sharding))
hidden[0].trainable = False
report = keras_inits.initialize(model, "auto", seed=1)
print(json.dumps({
    "mean square": mean_square(kernel),
    "own share": mean_square(np.concatenate([*_sharding.local_parts(kernel)])),
    "aims": [row.second_moment for row in report.rows],
    "shards": [
        hashlib.sha256(np.asarray(shard.data).tobytes()).hexdigest()
        for layer in hidden[1:]
        for shard in sorted(layer.kernel.value.addressable_shards, key=lambda s: s.device.id)
    ],
}))
"""


def _started(*arguments):
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROCESSES, *map(str, arguments)],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _printed(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-4000:]
    return json.loads(output.splitlines()[-1])


@pytest.mark.slow
def test_two_processes_draw_what_one_does_around_a_frozen_weight_that_is_cut_over_them():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = [_started(2, number, port) for number in range(2)]
    first, second = map(_printed, both)
    one = _printed(_started(1, 0, 0))
    assert first["aims"] == second["aims"] == one["aims"]
    assert first["mean square"] == second["mean square"] == one["mean square"]
    # control: the shares of the processes are of different size
    assert first["own share"] < 0.5 * second["own share"]
    shards = [part for pair in (0, 2) for p in (first, second) for part in p["shards"][pair:][:2]]
    assert shards == one["shards"]
