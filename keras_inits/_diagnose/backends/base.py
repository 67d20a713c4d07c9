"""The face of a backend, and reductions in NumPy for those that have none of their own."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

See = Callable[[str, Sequence[Any], Sequence[Any]], None]
Measured = Callable[[Any], None]

# Summed in float32, of which the largest error is 1e-6 for so many values, and read from memory
# once for both sums: a quarter of a megabyte stays near the processor.
_PIECE = 1 << 16
_ALIKE = 1e-3  # of the mean square: below it float32 leaves less than three digits of a variance


def _sums(flat: NDArray[Any], dtype: type[np.floating] = np.float32) -> tuple[float, float]:
    total, squares, ones = 0.0, 0.0, np.ones(min(flat.size, _PIECE), dtype)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, _PIECE):
            piece = flat[start : start + _PIECE].astype(dtype, copy=False)
            total += float(piece @ ones[: piece.size])
            squares += float(piece @ piece)
    return total, squares


class Tape(ABC):
    """Marks tensors of one pass whose gradients are to be seen."""

    @abstractmethod
    def identity(self, tensor: Any, measured: Measured) -> Any:
        """Returns `tensor`; `measured` is called with its gradient when that comes by."""

    @abstractmethod
    def marked(self, tensor: Any, measured: Measured, at_logits: Measured) -> Any:
        """Returns a layer's output, with its mask, whose gradient is to be seen.

        Args:
            tensor: the output.
            measured: called with its gradient.
            at_logits: called with the gradient of the logits behind a softmax or sigmoid, where
                cross-entropy is computed from them: on TensorFlow nothing comes back to the output
                itself then, and elsewhere that is not looked at.
        """

    def logits(self) -> AbstractContextManager[None]:
        """Takes note of the logits behind softmax and sigmoid in what runs meanwhile."""
        return nullcontext()

    def apart(self) -> AbstractContextManager[None]:
        """Keeps what is run to measure out of these notes."""
        return nullcontext()


class Backend(ABC):
    """What a diagnosis asks of a backend.

    What `read` returns goes into the reductions: a NumPy array, which shares its memory with a
    tensor on a processor; on TensorFlow's accelerators a tensor.

    Attributes:
        errors: what operations raise that cannot be done.
    """

    errors: tuple[type[Exception], ...] = (ValueError,)

    # --- tensors -------------------------------------------------------------------------------

    @abstractmethod
    def is_tensor(self, value: Any) -> bool:
        """Returns whether a value is a dense tensor of this backend."""

    @abstractmethod
    def is_floating(self, tensor: Any) -> bool:
        """Returns whether a tensor holds real floating numbers."""

    @abstractmethod
    def is_concrete(self, tensors: Sequence[Any]) -> bool:
        """Returns whether code runs on values, not on stand-ins of a compiler or of shapes."""

    @abstractmethod
    def read(self, tensor: Any) -> Any:
        """Returns the values of a tensor, from which no gradient goes back."""

    @abstractmethod
    def held(self, variable: keras.Variable) -> Any:
        """Returns what was read of a variable, which later assignments do not change."""

    def current(self, variable: keras.Variable) -> Any:
        """Returns what was read of a variable, until it is assigned to."""
        return self.held(variable)

    def random_state(self) -> Any:
        """Returns the state of a generator of the library's own that layers draw from, if any."""
        return None

    def set_random_state(self, state: Any) -> None:  # noqa: B027 (nothing to do is the default)
        """Puts back what `random_state` returned."""

    def text(self, array: NDArray[Any]) -> Any:
        """Returns a tensor of strings.

        Raises:
            TypeError: this backend has none.
        """
        raise TypeError(
            "this backend has no tensors of text; labels become numbers by "
            "np.unique(labels, return_inverse=True)[1]"
        )

    # --- a pass --------------------------------------------------------------------------------

    @abstractmethod
    def pulled_back(
        self, variables: Sequence[keras.Variable], forward: Callable[[Tape], tuple[Any, Any]]
    ) -> list[Any]:
        """Returns the gradients of variables, None where nothing comes back.

        Args:
            variables: trained ones.
            forward: runs the model and returns the tensors that gradients go back from, and their
                cotangents, None for ones. What it assigns to variables may be lost.
        """

    @abstractmethod
    def foreign_tape(self) -> Tape:
        """Returns what marks tensors of a pass whose gradients are computed by other code."""

    @contextmanager
    def operations(self, see: See) -> Iterator[bool]:
        """Calls `see(name, inputs, outputs)` for each operation, by the names of TensorFlow.

        Yields:
            Whether operations can be seen.
        """
        yield False

    def inside(self) -> AbstractContextManager[None]:
        """Around the outermost call of a layer, while operations are seen."""
        return nullcontext()

    @abstractmethod
    def jacobian(
        self, run: Callable[[Any], list[Any]], given: Any
    ) -> tuple[list[Any], Callable[[list[Any]], list[Any]]]:
        """Returns what a function makes of nested tensors, and what takes vectors back through it.

        Args:
            run: returns a list of tensors.
            given: nested floating tensors. Of each the other function returns a gradient, zeros
                where nothing comes back.
        """

    @abstractmethod
    def with_logits(self, run: Callable[[], Any]) -> list[Any]:
        """Returns the floating outputs of a function, the logits of those that have some."""

    # --- steps of training ---------------------------------------------------------------------

    @abstractmethod
    def gradients(
        self, function: Callable[[list[Any]], tuple[Any, Any]], values: list[Any]
    ) -> tuple[Any, list[Any], Any]:
        """Returns a loss, its gradients (zeros where nothing comes back), and what comes with it.

        Args:
            function: returns the loss of values, and more.
            values: tensors.
        """

    @abstractmethod
    def compiled(
        self,
        function: Callable[..., Any],
        variables: Callable[[], list[keras.Variable]],
        *,
        eagerly: bool,
    ) -> Callable[..., Any]:
        """Returns a function as `fit` would compile it, which may assign to variables.

        Args:
            function: takes nested tensors, and returns some.
            variables: returns all that it assigns to.
            eagerly: whether the model asks for that.
        """

    def dense(self, gradient: Any) -> Any:
        """Returns a gradient as a tensor, that of a table, of which some rows are given, too."""
        return keras.ops.convert_to_tensor(gradient)

    def own_step(self, model: keras.Model, data: Any) -> Any:
        """Runs a model's own `train_step`, and returns its logs."""
        return model.train_step(data)

    # --- reductions of what was read -----------------------------------------------------------

    def float32(self, x: Any) -> Any:
        """Returns values in float32."""
        return np.asarray(x, np.float32)

    def array(self, x: Any) -> NDArray[Any]:
        """Returns an array."""
        return np.asarray(x)

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        """Returns values in another shape."""
        return np.reshape(x, shape)

    def moveaxis(self, x: Any, source: int, target: int) -> Any:
        """Returns values with an axis elsewhere."""
        return np.moveaxis(x, source, target)

    def take(self, x: Any, index: NDArray[Any], axis: int = 0) -> Any:
        """Returns some entries along an axis."""
        return np.take(x, index, axis)

    def mean(self, x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
        """Returns means of float32 values."""
        with np.errstate(all="ignore"):
            return np.asarray(np.mean(x, axis, dtype=np.float64), np.float32)

    def sums(self, x: Any) -> tuple[float, float]:
        """Returns the sum of float32 values, and that of their squares."""
        flat = np.ravel(x)
        total, squares = _sums(flat)
        # Of values that hardly differ the variance is a small difference of both.
        if squares < math.inf and total**2 > (1 - _ALIKE) * squares * flat.size:
            return _sums(flat, np.float64)
        return total, squares

    def length(self, x: Any) -> float:
        """Returns the square root of the sum of the squares of float32 values."""
        return math.sqrt(self.sums(x)[1])

    def largest(self, x: Any) -> float:
        """Returns the largest absolute value; NaN if one is."""
        return float(np.max(np.abs(x)))

    def lowest(self, x: Any) -> float:
        """Returns the smallest value; NaN if one is."""
        return float(np.min(x))

    def variances(self, x: Any) -> NDArray[np.float64]:
        """Returns the variances of the columns of `(rows, columns)`."""
        found: NDArray[np.float64] = np.var(x, axis=0, dtype=np.float64)
        return found

    def differs(self, x: Any, number: float, axes: list[int]) -> NDArray[np.bool_]:
        """Returns, over some axes, whether any entry differs from `number`."""
        return np.asarray(np.any(np.not_equal(x, number), axis=tuple(axes)))

    def share(self, x: Any) -> float:
        """Returns the share of booleans that are true."""
        return float(np.mean(x))

    def products(self, x: Any) -> NDArray[Any]:
        """Returns the sums over samples and units of products of `(batch, steps, units)`."""
        with np.errstate(all="ignore"):
            return np.asarray(np.einsum("bsu,btu->st", x, x, optimize=True))
