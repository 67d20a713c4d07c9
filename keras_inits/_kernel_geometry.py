"""What a kernel is: a stack of matrices.

Every weight of a network is one or more linear maps stored as one array. `KernelGeometry` says
which axes of that array are the inputs of a map, which its outputs, which are taps (the receptive
field that a convolution slides over) and which count independent maps (experts), and how many maps
lie side by side along the outputs (gates, groups). The fans of a scheme, and the matrices of an
orthogonal or sparse one, are read off it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from keras import ops

from keras_inits import _checks
from keras_inits._errors import InputError

Axes = int | Sequence[int] | None


def standardize_axes(name: str, axes: Axes) -> tuple[int, ...] | None:
    """Returns `axes` as a tuple of integers, or None where nothing was given.

    Raises:
        ValueError: an axis that is not an integer, or named twice.
    """
    if axes is None:
        return None
    given = (axes,) if isinstance(axes, Integral) else axes
    if (
        isinstance(given, str)
        or not isinstance(given, Sequence | np.ndarray)
        or (isinstance(given, np.ndarray) and given.ndim != 1)
    ):
        raise InputError(
            f"`{name}` must be an axis or a sequence of axes, such as -2 or (0, 1). "
            f"Received: {name}={axes!r}"
        )
    if not all(isinstance(axis, Integral) and not isinstance(axis, bool) for axis in given):
        raise InputError(f"`{name}` must hold integers only. Received: {name}={axes!r}")
    if len(set(given)) < len(given):
        raise InputError(f"`{name}` must name each axis once. Received: {name}={axes!r}")
    return tuple(map(int, given))


@dataclass(frozen=True)
class KernelGeometry:
    """The axes of one kernel by what they do, all of them counted from 0.

    An axis that is in none of the three tuples is a tap: it counts in both fans, as in
    `jax.nn.initializers`.

    Attributes:
        shape: the kernel's shape.
        input_axes: the axes that a map sums over.
        output_axes: the axes that a map makes.
        batch_axes: the axes that count independent maps; they count in no fan.
        blocks: how many independent maps lie side by side along the first output axis: the gates
            of a recurrent layer, the groups of a convolution.
        input_stride: how far a transposed convolution lays its inputs apart, as the product over
            its axes: only 1 in `input_stride` taps meets an input.
        output_stride: how far a convolution lays its outputs apart, as the product over its axes:
            only 1 in `output_stride` taps of an input makes an output.

    Raises:
        InputError: an axis that the shape does not have, outputs that do not fall into `blocks`, a
            number below 1.

    >>> depthwise = KernelGeometry((3, 3, 64, 1), input_axes=(), output_axes=(3,), batch_axes=(2,))
    >>> depthwise.fan_in, depthwise.fan_out
    (9, 9)
    """

    shape: tuple[int, ...]
    input_axes: tuple[int, ...]
    output_axes: tuple[int, ...]
    batch_axes: tuple[int, ...] = ()
    blocks: int = 1
    input_stride: int = 1
    output_stride: int = 1

    def __post_init__(self) -> None:
        shape = _checks.shape(self.shape)
        object.__setattr__(self, "shape", shape)
        for name in ("input_axes", "output_axes", "batch_axes"):
            axes = _existing_axes(shape, name, getattr(self, name))
            if axes is None:
                raise InputError(f"`{name}` must be axes, () for none. Received: {name}=None")
            object.__setattr__(self, name, axes)
        for name in ("blocks", "input_stride", "output_stride"):
            value = _checks.integer(name, getattr(self, name), minimum=1)
            object.__setattr__(self, name, value)
        outputs = self.output_axes
        if self.blocks > 1 and (not outputs or shape[outputs[0]] % self.blocks):
            raise InputError(
                "The first output axis must fall into `blocks` equal parts. "
                f"Received: blocks={self.blocks} for output_axes={outputs} of shape {shape}"
            )

    @classmethod
    def from_shape(
        cls,
        shape: Sequence[int],
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
        *,
        blocks: int = 1,
        input_stride: int = 1,
        output_stride: int = 1,
    ) -> "KernelGeometry":
        """Returns the geometry of a kernel of `shape`.

        Without `input_axes` and `output_axes` the axes that `batch_axes` leaves are read by Keras's
        convention: `(..., inputs, outputs)`, everything before the last two a tap. A vector then
        has its length as both fans, as in Keras, and a scalar 1.

        Args:
            shape: the kernel's shape.
            input_axes: axis or axes that are summed over; given together with `output_axes`.
            output_axes: axis or axes of the result.
            batch_axes: axis or axes of independent maps.
            blocks: independent maps side by side along the first output axis.
            input_stride: product of the strides of a transposed convolution.
            output_stride: product of the strides of a convolution.

        Raises:
            ValueError: an axis that does not exist or has two roles, only one of `input_axes` and
                `output_axes`, outputs that do not fall into `blocks`, a number below 1.

        >>> KernelGeometry.from_shape((3, 3, 16, 32)).fan_in
        144
        >>> KernelGeometry.from_shape((4, 64, 128), batch_axes=0).fan_out
        128
        >>> KernelGeometry.from_shape((32, 256), blocks=4).matrix_shape  # the gates of an LSTM
        (4, 32, 64)
        """
        shape = _checks.shape(shape)
        batch = _existing_axes(shape, "batch_axes", batch_axes) or ()
        inputs = _existing_axes(shape, "input_axes", input_axes)
        outputs = _existing_axes(shape, "output_axes", output_axes)
        if (inputs is None) != (outputs is None):
            raise InputError(
                "`input_axes` and `output_axes` must be given together, or neither. "
                f"Received: input_axes={input_axes!r}, output_axes={output_axes!r}"
            )
        if inputs is None or outputs is None:
            rest = tuple(axis for axis in range(len(shape)) if axis not in batch)
            inputs, outputs = (rest[-2:-1] or rest), rest[-1:]
        elif len({*inputs, *outputs, *batch}) < len(inputs) + len(outputs) + len(batch):
            raise InputError(
                "Each axis has one role: `input_axes`, `output_axes` and `batch_axes` must not "
                f"overlap. Received: input_axes={input_axes!r}, output_axes={output_axes!r}, "
                f"batch_axes={batch_axes!r} for shape {shape}. (EinsumDense counts a batch axis "
                "as an output: there, give all three.)"
            )
        return cls(shape, inputs, outputs, batch, blocks, input_stride, output_stride)

    @property
    def tap_axes(self) -> tuple[int, ...]:
        """The axes of the receptive field."""
        named = {*self.input_axes, *self.output_axes, *self.batch_axes}
        return tuple(axis for axis in range(len(self.shape)) if axis not in named)

    @property
    def taps(self) -> int:
        """The size of the receptive field."""
        return self._size(self.tap_axes)

    @property
    def center_tap(self) -> int:
        """The flat index of the tap that `padding="same"` lays over the output's position.

        Keras pads more at the end than at the start, so that of an even number of taps it is the
        earlier one in the middle. (torch's `dirac_` takes the later one, to fit torch's padding.)
        """
        sizes = [self.shape[axis] for axis in self.tap_axes]
        return int(np.ravel_multi_index([(size - 1) // 2 for size in sizes], sizes))

    @property
    def fan_in(self) -> float:
        """How many inputs are summed into one output, on average."""
        return _share(self._size(self.input_axes) * self.taps, self.input_stride)

    @property
    def fan_out(self) -> float:
        """How many outputs one input reaches, on average."""
        outputs = self._size(self.output_axes) // self.blocks
        return _share(outputs * self.taps, self.output_stride)

    @property
    def matrix_shape(self) -> tuple[int, int, int]:
        """The kernel seen as matrices: `(maps, taps x inputs, outputs)`."""
        return (
            self._size(self.batch_axes) * self.blocks,
            self.taps * self._size(self.input_axes),
            self._size(self.output_axes) // self.blocks,
        )

    def has_maps_of(self, other: "KernelGeometry") -> bool:
        """Whether the kernel is the same stack of matrices in both geometries."""
        _checks.instance("other", other, KernelGeometry, "a KernelGeometry")
        return self == replace(
            other, input_stride=self.input_stride, output_stride=self.output_stride
        )

    def from_matrices(self, matrices: Any) -> Any:
        """Returns the kernel, of shape `self.shape`, whose maps are `matrices`.

        Args:
            matrices: tensor or array of shape `self.matrix_shape`; the rows run over the taps
                first, then over the inputs, as in a flattened Keras convolution kernel.

        Raises:
            ValueError: matrices of another shape, or the kernel is no matrix: a scalar, or a
                vector by its shape alone.
        """
        view, order = self._matrix_view()
        _check_shape("matrices", matrices, self.matrix_shape)
        xp: Any = np if isinstance(matrices, np.ndarray) else ops
        kernel = xp.reshape(matrices, [view[axis] for axis in order])
        if order != tuple(range(len(order))):
            kernel = xp.transpose(kernel, sorted(range(len(order)), key=order.__getitem__))
        return kernel if view == self.shape else xp.reshape(kernel, self.shape)

    def to_matrices(self, kernel: Any) -> Any:
        """Returns the maps of `kernel` as a tensor of shape `self.matrix_shape`.

        The inverse of `from_matrices`.

        Args:
            kernel: tensor or array of shape `self.shape`; of an array it is a view where it can be.

        Raises:
            ValueError: as `from_matrices`.
        """
        view, order = self._matrix_view()
        _check_shape("kernel", kernel, self.shape)
        if isinstance(kernel, np.ndarray):
            return kernel.reshape(view).transpose(order).reshape(self.matrix_shape)
        return ops.reshape(ops.transpose(ops.reshape(kernel, view), order), self.matrix_shape)

    def _matrix_view(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Returns `shape` with an axis for the blocks, and its axes in the order of a matrix."""
        named = (*self.batch_axes, *self.input_axes, *self.output_axes)
        if len(set(named)) < len(named) or not named:
            raise InputError(
                "A matrix needs at least one input axis, output axis or batch axis, each in one "
                "role. "
                f"Received: shape={self.shape} with input_axes={self.input_axes}, "
                f"output_axes={self.output_axes}, batch_axes={self.batch_axes}"
            )
        if self.blocks == 1:
            order = (*self.batch_axes, *self.tap_axes, *self.input_axes, *self.output_axes)
            return self.shape, order
        # The axis of the blocks goes right before the first output axis, and shifts what follows.
        split = self.output_axes[0]
        outputs = self.shape[split] // self.blocks
        view = (*self.shape[:split], self.blocks, outputs, *self.shape[split + 1 :])
        batch, taps, inputs, out = (
            tuple(axis + (axis >= split) for axis in axes)
            for axes in (self.batch_axes, self.tap_axes, self.input_axes, self.output_axes)
        )
        return view, (*batch, split, *taps, *inputs, *out)

    def _size(self, axes: tuple[int, ...]) -> int:
        return math.prod(self.shape[axis] for axis in axes)


def _share(count: int, stride: int) -> float:
    return count if stride == 1 else count / stride


def _check_shape(name: str, array: Any, expected: tuple[int, ...]) -> None:
    if not hasattr(array, "shape") or tuple(array.shape) != expected:
        received = f"shape {array.shape}" if hasattr(array, "shape") else repr(array)
        raise InputError(
            f"`{name}` must be an array or tensor of shape {expected}. Received: {received}"
        )


def _existing_axes(shape: tuple[int, ...], name: str, axes: Axes) -> tuple[int, ...] | None:
    """Returns `axes` counted from 0, after checking that `shape` has each of them, once."""
    given = standardize_axes(name, axes)
    if given is None:
        return None
    rank = len(shape)
    if not all(-rank <= axis < rank for axis in given):
        raise InputError(
            f"`{name}` must be axes of the kernel, from {-rank} to {rank - 1} for shape {shape}. "
            f"Received: {name}={axes!r}"
        )
    counted = tuple(axis % rank for axis in given)
    if len(set(counted)) < len(counted):
        raise InputError(
            f"`{name}` must name each axis of shape {shape} once. Received: {name}={axes!r}"
        )
    return counted
