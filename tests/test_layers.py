"""The schemes inside Keras: in layers, under dtype policies, in compiled and distributed code."""

import itertools
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from saved_models import make
from test_saving import fresh_process
from versions import HANDS_AXES, needs_axes, of_tensorflow, without_jax

import keras_inits
from keras_inits import KernelGeometry

LAYERS = {  # how to make the layer, and the shapes that it is built for
    "Dense": (lambda s: layers.Dense(6, kernel_initializer=s), [(None, 4)]),
    "Conv1D": (lambda s: layers.Conv1D(6, 3, kernel_initializer=s), [(None, 5, 4)]),
    "Conv2D": (lambda s: layers.Conv2D(6, 3, kernel_initializer=s), [(None, 5, 5, 4)]),
    "Conv2D to fewer": (lambda s: layers.Conv2D(2, 3, kernel_initializer=s), [(None, 5, 5, 4)]),
    "Conv3D": (lambda s: layers.Conv3D(6, 2, kernel_initializer=s), [(None, 4, 4, 4, 4)]),
    "EinsumDense": (
        lambda s: layers.EinsumDense("abc,cde->abde", (None, 2, 3), kernel_initializer=s, name="e"),
        [(None, 5, 4)],
    ),
    "MultiHeadAttention": (
        lambda s: layers.MultiHeadAttention(2, 3, kernel_initializer=s),
        [(None, 5, 4)] * 3,
    ),
    "GroupQueryAttention": (
        lambda s: layers.GroupQueryAttention(4, 4, 2, kernel_initializer=s),
        [(None, 5, 4)] * 3,
    ),
    "LSTM": (
        lambda s: layers.LSTM(6, kernel_initializer=s, recurrent_initializer=s),
        [(None, 5, 4)],
    ),
    "Embedding": (lambda s: layers.Embedding(9, 4, embeddings_initializer=s), [(None, 5)]),
}
# The same kinds with kernels of at least 2^16 values, on 256 features.
WIDE = {
    "MultiHeadAttention": (
        lambda s: layers.MultiHeadAttention(8, 32, kernel_initializer=s),
        [(None, 5, 256)] * 3,
    ),
    "GroupQueryAttention": (
        lambda s: layers.GroupQueryAttention(64, 8, 4, kernel_initializer=s),
        [(None, 5, 256)] * 3,
    ),
    "EinsumDense": (
        lambda s: layers.EinsumDense("abc,cde->abde", (None, 8, 32), kernel_initializer=s),
        [(None, 5, 256)],
    ),
    "EinsumDense of experts": (
        lambda s: layers.EinsumDense("ebd,edf->ebf", (None, 128), kernel_initializer=s),
        [(4, 5, 256)],
    ),
}
# Input and output axes of the kernels whose shape does not tell them, by the layer that holds them.
AXES = {
    **dict.fromkeys(("e", "query", "key", "value"), ((0,), (1, 2))),
    "attention_output": ((0, 1), (2,)),
}

every_scheme = pytest.mark.parametrize("name", keras_inits.names())
RANDOM = [n for n in keras_inits.names() if "seed" in make.with_arguments(n).get_config()]
random_schemes = pytest.mark.parametrize("name", RANDOM)


def kernels(making, spec):
    """Builds a layer whose kernels `spec` fills; returns them by (holder, weight)."""
    make_layer, shapes = making
    layer = make_layer(spec)
    layer.build(*shapes)
    found = {
        tuple(weight.path.split("/")[-2:]): weight
        for weight in layer.weights
        if weight.name in {"kernel", "recurrent_kernel", "embeddings"}
    }
    assert found
    return found


def fills(scheme, shape, holder=None):
    """Returns whether the scheme can fill a kernel of that shape in that layer."""
    handed = HANDS_AXES and isinstance(scheme, keras.initializers.VarianceScaling)
    kernel = KernelGeometry.from_shape(shape, *AXES.get(holder, ()) if handed else ())
    if isinstance(scheme, keras_inits.IdentityInit):
        return len(shape) == 2
    if isinstance(scheme, keras_inits.DiracInit):
        return 3 <= len(shape) <= 5
    if isinstance(scheme, keras_inits.DeltaOrthogonalInit):
        _, fan_in, outputs = kernel.matrix_shape
        return bool(kernel.tap_axes) and fan_in <= outputs * kernel.taps
    if isinstance(scheme, keras_inits.IcnrInit):
        copies = scheme.factor ** len(kernel.tap_axes)
        return bool(kernel.tap_axes) and len(kernel.output_axes) == 1 and shape[-1] % copies == 0
    if isinstance(scheme, keras_inits.ChronoInit):
        of_gru = len(shape) == 2 and shape[0] == 2 and shape[1] % 3 == 0
        return of_gru or (len(shape) == 1 and shape[0] % 4 == 0)
    if isinstance(
        scheme,
        keras_inits.BalancedInit
        | keras_inits.BiasUniformInit
        | keras_inits.OrthogonalInit
        | keras_inits.SparseInit
        | keras_inits.SpectralInit,
    ):
        return len(shape) >= 2
    return True


def kernel_of_one(name, spec, dtype=None):
    """The weight of a layer that the scheme fills."""
    layer, *_ = make.layers(name, spec, "one")
    layer.dtype_policy = dtype
    layer.build((None, 3, 3, 4))
    return make.filled_weight(name, layer)


@every_scheme
@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_is_filled_or_the_scheme_says_why_not(name, kind):
    scheme = keras_inits.get(name)
    asked = kernels(LAYERS[kind], "zeros")
    if not all(fills(scheme, kernel.shape, holder) for (holder, _), kernel in asked.items()):
        with pytest.raises(ValueError, match=rf"{type(scheme).__name__}(?s:.*)Received: .*shape="):
            kernels(LAYERS[kind], name)
        return
    for kernel in kernels(LAYERS[kind], name).values():
        assert np.all(np.isfinite(kernel.numpy()))
        assert np.any(kernel.numpy()) == (name != "initkit_zeros")


@every_scheme
@pytest.mark.parametrize("shape", [(), (5,), (0,), (0, 4), (3, 0, 2)])
def test_a_small_or_empty_shape_is_filled_or_refused(name, shape):
    scheme = keras_inits.get(name)
    if fills(scheme, shape):
        assert scheme(shape).shape == shape
    else:
        with pytest.raises(ValueError, match=r"Received: shape="):
            scheme(shape)


def has_he_scale(values, fan_in):
    """Returns whether the standard deviation is He's within 5 standard errors."""
    stddev = math.sqrt(2 / fan_in)
    return abs(np.std(values) - stddev) <= 5 * stddev / math.sqrt(2 * np.size(values))


@needs_axes
@pytest.mark.parametrize("kind", WIDE)
def test_einsum_and_attention_kernels_have_the_fans_of_the_maps(kind):
    spec = {"class_name": "initkit_he", "config": {"seed": 1}}
    for (holder, _), kernel in kernels(WIDE[kind], spec).items():
        heads_and_depth = math.prod(kernel.shape[:2])
        fan_in = heads_and_depth if holder == "attention_output" else 256
        assert has_he_scale(kernel.numpy(), fan_in)
        # controls: 5 % off, and what the bare shape would say where that is another fan
        assert not has_he_scale(1.05 * kernel.numpy(), fan_in)
        by_shape = keras.initializers.RandomNormal(stddev=math.sqrt(2 / heads_and_depth), seed=1)
        assert has_he_scale(ops.convert_to_numpy(by_shape(kernel.shape)), fan_in) == (
            heads_and_depth == fan_in
        )


def is_orthogonal(matrix):
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return np.allclose(tall.T @ tall, np.eye(tall.shape[1]), atol=1e-5)


@needs_axes
@pytest.mark.parametrize("kind", ["MultiHeadAttention", "GroupQueryAttention", "EinsumDense"])
def test_orthogonal_attention_is_orthogonal_as_a_map(kind):
    for (holder, _), kernel in kernels(WIDE[kind], "initkit_orthogonal").items():
        as_matrix = (-1, 256) if holder == "attention_output" else (256, -1)
        assert is_orthogonal(kernel.numpy().reshape(as_matrix))
        # control: Keras's own takes the bare shape, which is right for joining heads alone
        builtin = keras.initializers.Orthogonal(seed=1)(kernel.shape)
        builtin = ops.convert_to_numpy(builtin).reshape(as_matrix)
        assert is_orthogonal(builtin) == (holder == "attention_output")


@pytest.mark.parametrize("kind", ["MultiHeadAttention", "GroupQueryAttention"])
@pytest.mark.parametrize("name", [n for n in RANDOM if fills(keras_inits.get(n), (4, 2, 3), "key")])
def test_a_name_gives_query_key_and_value_kernels_of_their_own(name, kind):
    drawn = kernels(LAYERS[kind], name)
    heads = [drawn[holder, "kernel"].numpy()[:, 0] for holder in ("query", "key", "value")]
    for one, other in itertools.combinations(heads, 2):
        assert np.any(one != other)


@every_scheme
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", without_jax("float64")])
def test_a_layer_of_that_dtype_holds_a_kernel_of_it(name, dtype):
    kernel = kernel_of_one(name, make.with_arguments(name), dtype)
    assert kernel.dtype == dtype
    assert bool(ops.all(ops.isfinite(kernel)))


@every_scheme
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_mixed_policy_leaves_the_kernel_in_float32(name, policy):
    scheme = make.with_arguments(name)
    kernel = kernel_of_one(name, scheme, policy)
    assert kernel.dtype == "float32"
    np.testing.assert_array_equal(kernel.numpy(), kernel_of_one(name, scheme).numpy())


@random_schemes
def test_layers_that_share_an_instance_start_equal_unless_it_has_a_generator(name):
    for seed, equal in [(7, True), (None, True), (keras.random.SeedGenerator(7), False)]:
        scheme = make.with_arguments(name, seed=seed)
        one, other = (kernel_of_one(name, scheme).numpy() for _ in range(2))
        assert np.array_equal(one, other) == equal


@random_schemes
def test_a_clone_by_config_repeats_what_has_a_seed(name):
    shape = make.fitting_shape(name)
    for seed, equal in [(7, True), (None, False), (keras.random.SeedGenerator(7), True)]:
        scheme = make.with_arguments(name, seed=seed)
        clone = type(scheme).from_config(scheme.get_config())
        assert clone == scheme
        assert np.array_equal(scheme(shape), clone(shape)) == equal


needs_tensorflow = of_tensorflow("a tf.function")


@needs_tensorflow
@every_scheme
def test_a_graph_draws_what_eager_code_draws(name):
    scheme, shape = make.with_arguments(name), make.fitting_shape(name)
    graph = tf.function(lambda: scheme(shape))
    np.testing.assert_allclose(graph(), scheme(shape), atol=1e-6)


@needs_tensorflow
@random_schemes
def test_a_generator_advances_at_each_call_of_a_graph(name):
    scheme, eager = (
        make.with_arguments(name, seed=keras.random.SeedGenerator(7)) for _ in range(2)
    )
    shape = make.fitting_shape(name)
    graph = tf.function(lambda: scheme(shape))
    first, second = graph().numpy(), graph().numpy()
    assert np.any(first != second)
    np.testing.assert_allclose(first, eager(shape), atol=1e-6)
    np.testing.assert_allclose(second, eager(shape), atol=1e-6)


@needs_tensorflow
@every_scheme
def test_xla_compiles_the_draw(name):
    scheme, shape = make.with_arguments(name), make.fitting_shape(name)
    value = tf.function(lambda: scheme(shape), jit_compile=True)()
    assert value.shape == shape
    # XLA draws other numbers of the same law
    assert np.all(np.isfinite(value))
    assert np.any(value) == (name != "initkit_zeros")


# TensorFlow divides a processor into devices before it starts, and so in a process of its own.
ON_TWO_DEVICES = """
import json
import tensorflow as tf

processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)

import numpy as np
import keras_inits
from saved_models import make

strategy, equal = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), {}
for name in keras_inits.names():
    with strategy.scope():
        model = make.chain(*(made := make.layers(name, name, "mirrored")))
    replicas = [weight.value.values for weight in model.weights]
    scheme, shape = keras_inits.get(name), tuple(make.filled_weight(name, made[0]).shape)
    replicas.append(strategy.run(lambda: scheme(shape)).values)
    equal[name] = [len(two) == 2 and bool(np.array_equal(*two)) for two in replicas]
print(json.dumps(equal))
"""


@pytest.fixture(scope="module")
def replicas_are_equal():
    return fresh_process(ON_TWO_DEVICES, directory=Path(__file__).parent)


@needs_tensorflow
@every_scheme
def test_mirrored_replicas_start_equal(replicas_are_equal, name):
    assert len(replicas_are_equal[name]) > 1
    assert all(replicas_are_equal[name])
