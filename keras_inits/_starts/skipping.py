"""`skip_initialization`: models whose weights come from a file are built without random draws."""

import contextvars
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops
from rich.console import RenderableType
from rich.table import Table

from keras_inits._errors import InputError
from keras_inits._initialize.seeds import root_seed, weight_seed
from keras_inits._keras_internals import calls_through, holding
from keras_inits._reporting import Finding, Report, plain_text
from keras_inits._schemes.geometric import with_seed

_CONSTANT = (keras.initializers.Zeros, keras.initializers.Ones, keras.initializers.Constant)


@dataclass(frozen=True, eq=False)
class SkipReport(Report):
    """What became of the weights that were not drawn.

    Attributes:
        skipped: how many weights were not drawn.
        numbers: how many numbers they hold.
        unset: the paths of those that nothing has set since: they are 0.

    >>> net = lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> trained = net()
    >>> with skip_initialization() as skipped:
    ...     net().set_weights(trained.get_weights())
    >>> report = skipped.report()
    >>> report.skipped, report.numbers, report.unset
    (1, 6, ())
    """

    skipped: int
    numbers: int
    unset: tuple[str, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """One finding, if weights were left unset."""
        if not self.unset:
            return ()
        return (
            Finding(
                kind="weight not set",
                where=self.unset,
                evidence=(
                    f"{len(self.unset)} of {self.skipped} weights were neither drawn nor loaded"
                ),
                consequence="they are 0",
                remedy=(
                    "skipped.draw(seed=...), of `with skip_initialization() as skipped`, draws them"
                ),
            ),
        )

    def heading(self) -> str:
        """Returns how much was skipped."""
        return f"{self.skipped} weights of {self.numbers:,} numbers were not drawn"

    def table(self) -> Table:
        """Returns the weights that nothing has set."""
        table = Table(title=plain_text(self.heading()), box=None, pad_edge=False)
        table.add_column("not set", overflow="fold")
        for path in self.unset:
            table.add_row(plain_text(path))
        return table

    def parts(self) -> Iterator[RenderableType]:
        """Yields the heading, over the table where weights were left unset."""
        if self.unset:
            yield from super().parts()
        else:
            yield plain_text(self.heading())


@dataclass(eq=False)
class Skipped:
    """The weights that were not drawn, and whether something has set them since.

    >>> with skip_initialization() as skipped:
    ...     model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    ...     seed = skipped.draw(seed=7)
    >>> seed, skipped.unset
    (7, ())
    """

    _waiting: dict[int, tuple[Any, Any]] = field(default_factory=dict)  # variable, initializer
    _skipped: int = 0
    _numbers: int = 0

    def add(self, variable: Any, initializer: Any) -> None:
        """Notes a weight that was not drawn."""
        self._waiting[id(variable)] = (variable, initializer)
        self._skipped += 1
        numbers = 1
        for size in variable.shape:
            numbers *= int(size)
        self._numbers += numbers

    def set(self, variable: Any) -> None:
        """Notes that a weight was assigned."""
        self._waiting.pop(id(variable), None)

    @property
    def unset(self) -> tuple[str, ...]:
        """The paths of the weights that nothing has set, in the order in which they were made."""
        self._forget_what_is_set()
        return tuple(variable.path for variable, _ in self._waiting.values())

    def _forget_what_is_set(self) -> None:
        """Looks for values that came in without an `assign`, as a `tf.train.Checkpoint` sets them.

        A weight is skipped as zeros of negative sign, and no file holds only those: the zeros of
        one that was trained from a start of zeros are not taken for them.
        """
        for key, (variable, _) in list(self._waiting.items()):
            value = variable.value
            if bool(ops.any((value != 0) | ~ops.signbit(value))):
                del self._waiting[key]

    def report(self) -> SkipReport:
        """Returns what became of the weights so far."""
        return SkipReport(self._skipped, self._numbers, self.unset)

    def draw(self, seed: int | None = None) -> int:
        """Draws the weights that nothing has set by their own initializers; returns the root seed.

        Args:
            seed: root of the seeds; None takes a new one.
        """
        root = root_seed(seed)
        self._forget_what_is_set()
        for index, (variable, initializer) in enumerate(list(self._waiting.values())):
            own = weight_seed(root, f"{variable.path}#{index}") % 2**31
            drawn = with_seed(initializer, own)(variable.shape, dtype=variable.dtype)
            variable.assign(drawn)
        self._waiting.clear()
        return root


_active: contextvars.ContextVar[Skipped | None] = contextvars.ContextVar("skipped", default=None)


@contextmanager
def skip_initialization() -> Iterator[Skipped]:
    """Lets models be built or loaded inside without drawing a random number.

    Loading a checkpoint overwrites what building a model draws. Inside, weights with a random
    initializer start as zeros, which cost next to nothing; constant ones (biases, scales) are as
    ever. The initializers of the layers stay, for clones.

    A weight that was neither drawn nor set when the block ends is named in a warning and in the
    report, and `draw` draws it. Weights of layers that make variables on their own, without
    `add_weight`, are drawn as ever.

    Raises:
        InputError: inside another such block.

    Yields:
        What was skipped: `unset` are the paths of the weights that nothing has set yet, `report()`
        is all of it, and `draw(seed=...)` draws the unset ones by their own initializers.

    >>> net = lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> trained = net()
    >>> with skip_initialization() as skipped:
    ...     model = net()
    ...     model.set_weights(trained.get_weights())
    >>> skipped.report().ok, skipped.report().skipped
    (True, 1)
    """
    if _active.get() is not None:
        raise InputError("`skip_initialization` is active already: one block inside another.")
    skipped = Skipped()
    with (
        holding(_active, skipped),
        calls_through(keras.layers.Layer, "add_weight", _add_weight),
        calls_through(keras.Variable, "assign", _assign),
    ):
        yield skipped
    if unset := skipped.unset:
        names = ", ".join(unset[:3]) + (", ..." if len(unset) > 3 else "")
        warnings.warn(
            f"{len(unset)} weights were neither drawn nor loaded inside "
            f"`skip_initialization` and are 0: {names}. `.draw()` of what it yields draws them.",
            stacklevel=3,
        )


def _add_weight(plain: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
    skipped = _active.get()
    given = kwargs.get("initializer", args[1] if len(args) > 1 else None)
    dtype = keras.backend.standardize_dtype(kwargs.get("dtype") or layer.variable_dtype)
    if skipped is None or not keras.backend.is_float_dtype(dtype):
        return plain(layer, *args, **kwargs)
    initializer = keras.initializers.get("glorot_uniform" if given is None else given)
    if isinstance(initializer, _CONSTANT) or not callable(initializer):
        return plain(layer, *args, **kwargs)
    if len(args) > 1:
        args = (args[0], _negative_zeros, *args[2:])
    else:
        kwargs["initializer"] = _negative_zeros
    variable = plain(layer, *args, **kwargs)
    skipped.add(variable, initializer)
    return variable


def _negative_zeros(shape: Any, dtype: Any = None, **_: Any) -> Any:
    # TensorFlow keeps Python's numbers and takes -0.0 for the 0.0 that it has. On torch
    # `broadcast_to` has one number for all places, which cannot be assigned to.
    return ops.full(shape, ops.negative(ops.zeros((), dtype=dtype)), dtype=dtype)


def _assign(plain: Any, variable: Any, *args: Any, **kwargs: Any) -> Any:
    if (skipped := _active.get()) is not None:
        skipped.set(variable)
    return plain(variable, *args, **kwargs)
