import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_inits import KernelGeometry


@pytest.mark.parametrize(
    ("shape", "axes", "fans"),
    [
        ((784, 100), {}, (784, 100)),
        ((3, 3, 16, 32), {}, (144, 288)),
        ((5, 4, 8), {}, (20, 40)),
        ((7,), {}, (7, 7)),
        ((), {}, (1, 1)),
        ((0, 4), {}, (0, 4)),
        # EinsumDense and attention, by the axes that Keras hands over
        ((64, 8, 16), {"input_axes": 0, "output_axes": (1, 2)}, (64, 128)),
        ((8, 16, 64), {"input_axes": [0, 1], "output_axes": [-1]}, (128, 64)),
        # experts, with and without the role of the last two axes being said
        ((4, 64, 128), {"batch_axes": 0}, (64, 128)),
        ((4, 64, 128), {"input_axes": 1, "output_axes": 2, "batch_axes": 0}, (64, 128)),
        ((64, 4, 128), {"batch_axes": -2}, (64, 128)),
        # an axis without a role is a tap, as in jax.nn.initializers
        ((3, 3, 16, 32), {"input_axes": 3, "output_axes": 2}, (288, 144)),
        # gates and groups lie side by side along the outputs
        ((32, 256), {"blocks": 4}, (32, 64)),
        ((3, 3, 16, 128), {"blocks": 4}, (144, 288)),
        # a stride thins out the taps: in a transposed convolution those of an output
        ((3, 3, 64, 128), {"output_stride": 4}, (576, 288)),
        (
            (4, 4, 32, 64),
            {"input_axes": 3, "output_axes": 2, "input_stride": 4},
            (256, 512),
        ),
        ((3, 8, 8), {"output_stride": 2}, (24, 12)),
        # a lookup sums over nothing
        ((10000, 64), {"input_axes": (), "output_axes": 1, "batch_axes": 0}, (1, 64)),
        # depthwise: each channel is its own map
        ((3, 3, 64, 1), {"input_axes": (), "output_axes": 3, "batch_axes": 2}, (9, 9)),
    ],
)
def test_fans_follow_the_axes(shape, axes, fans):
    geometry = KernelGeometry.from_shape(shape, **axes)
    assert (geometry.fan_in, geometry.fan_out) == fans


@pytest.mark.parametrize(
    ("shape", "axes", "says"),
    [
        ((3, 4), {"input_axes": 0}, "together"),
        ((3, 4), {"input_axes": 0, "output_axes": 0}, "overlap"),
        ((3, 4), {"input_axes": -2, "output_axes": 0}, "overlap"),
        ((3, 4), {"input_axes": 0, "output_axes": 1, "batch_axes": 1}, "overlap"),
        ((3, 4), {"input_axes": 0, "output_axes": 2}, "from -2 to 1"),
        ((3, 4), {"batch_axes": (0, -2)}, "once"),
        ((3, 4), {"batch_axes": (0, 0)}, "once"),
        ((3, 4), {"batch_axes": 1.0}, "axis or a sequence of axes"),
        ((3, 4), {"batch_axes": "0"}, "axis or a sequence of axes"),
        ((3, 4), {"batch_axes": (True,)}, "integers"),
        ((), {"batch_axes": 0}, "from 0 to -1"),
        ((3, 4), {"blocks": 3}, "equal parts"),
        ((3, 4), {"input_axes": (0, 1), "output_axes": (), "blocks": 2}, "equal parts"),
        ((3, 4), {"blocks": 0}, "`blocks` must be at least 1"),
        ((3, 4), {"output_stride": 1.5}, "`output_stride` must be an integer"),
    ],
)
def test_wrong_axes_are_told_with_what_was_received(shape, axes, says):
    with pytest.raises(ValueError, match=says) as error:
        KernelGeometry.from_shape(shape, **axes)
    assert "Received" in str(error.value)


@settings(deadline=None)  # machines may be busy
@given(st.permutations(range(5)), st.lists(st.integers(1, 3), min_size=5, max_size=5))
def test_a_kernel_from_matrices_applies_those_matrices(order, shape):
    batch, tap, *inputs, output = order
    geometry = KernelGeometry.from_shape(shape, inputs, output, batch)
    matrices = np.arange(np.prod(shape), dtype="float32").reshape(geometry.matrix_shape)
    kernel = np.asarray(geometry.from_matrices(matrices))
    assert kernel.shape == tuple(shape)
    seen = np.transpose(kernel, [batch, tap, *inputs, output]).reshape(geometry.matrix_shape)
    np.testing.assert_array_equal(seen, matrices)


@settings(deadline=None)  # machines may be busy
@given(st.permutations(range(4)), st.lists(st.integers(1, 3), min_size=4, max_size=4))
def test_blocks_are_slices_of_the_first_output_axis(order, sizes):
    batch, _, inputs, output = order
    sizes[output] *= 3
    geometry = KernelGeometry.from_shape(sizes, inputs, output, batch, blocks=3)
    kernel = np.arange(np.prod(sizes), dtype="float32").reshape(sizes)
    matrices = np.asarray(geometry.to_matrices(kernel))
    np.testing.assert_array_equal(geometry.from_matrices(matrices), kernel)
    one = KernelGeometry.from_shape(
        [size // 3 if axis == output else size for axis, size in enumerate(sizes)],
        inputs,
        output,
        batch,
    )
    for index, block in enumerate(np.split(kernel, 3, axis=output)):
        np.testing.assert_array_equal(one.to_matrices(block), matrices[index::3])


@pytest.mark.parametrize("shape", [(), (5,)])
def test_a_kernel_without_inputs_and_outputs_is_no_matrix(shape):
    with pytest.raises(ValueError, match="at least one input axis"):
        KernelGeometry.from_shape(shape).from_matrices(np.zeros(shape))


def test_a_kernel_of_taps_alone_is_a_column_for_each_map():
    # (channels, taps): the filters of a gated delta net
    geometry = KernelGeometry.from_shape((32, 4), (), (), 0)
    assert geometry.matrix_shape == (32, 4, 1)
    kernel = np.arange(128.0).reshape(32, 4)
    columns = np.asarray(geometry.to_matrices(kernel))
    np.testing.assert_array_equal(columns[..., 0], kernel)
    np.testing.assert_array_equal(geometry.from_matrices(columns), kernel)


@pytest.mark.parametrize(("shape", "tap"), [((3, 3, 1, 1), 4), ((4, 1, 1), 1), ((2, 5, 1, 1), 2)])
def test_center_tap_is_the_earlier_of_two(shape, tap):
    assert KernelGeometry.from_shape(shape).center_tap == tap


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint8])
def test_integers_of_numpy_are_integers(kind):
    geometry = KernelGeometry.from_shape(
        kind([3, 8, 16]), kind(1), np.array([2], kind), (kind(0),), blocks=kind(4)
    )
    plain = KernelGeometry.from_shape((3, 8, 16), 1, 2, 0, blocks=4)
    assert geometry == plain
    numbers = (*geometry.shape, *geometry.input_axes, *geometry.output_axes, geometry.blocks)
    assert {type(number) for number in numbers} == {int}
    with pytest.raises(ValueError, match="integers"):
        KernelGeometry.from_shape((3, 4), batch_axes=np.array([0.5]))
