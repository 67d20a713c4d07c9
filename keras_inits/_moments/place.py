"""A call of a model, and what reaches it: what every rule takes."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import keras

from keras_inits._moments.reach import WHOLE, Reach, reach
from keras_inits._moments.signal import Array, Signal, unknown
from keras_inits._wiring.graph import Call
from keras_inits._wiring.picture import Wiring
from keras_inits._wiring.steps import Step

Taps = Literal["independent", "balanced", "positive"]


@dataclass(frozen=True)
class Place:
    """A call, and what reaches it.

    Attributes:
        wiring: the model.
        call: the call.
        given: a signal for each of `call.signals`.
        power: what the weights of the call do to a second moment: of a kernel the factor, fan_in
            times its variance; of a table the second moment of its entries; of a learned scale its
            mean square; NaN if that is not known, as of a quantized layer.
        sized: whether the call's sizes are those that the model will meet; else padding is taken to
            be far away.
        taps: how those of each channel of a depthwise kernel are drawn: of one length and sum, as
            `BalancedInit` draws them, and whether with positive sums.
        shift: what the bias of a kernel starts with; None if that is 0.
        cut: what reaches an operation besides, from calls that no gradient comes through.
        inner: what `power` is, for the input kernels of cells that are stacked on the first.
    """

    wiring: Wiring
    call: Call
    given: tuple[Signal, ...]
    power: float = 1.0
    sized: bool = False
    taps: Taps = "independent"
    shift: Array | None = None
    inner: tuple[float, ...] = ()
    cut: Mapping[int, Signal] = field(default_factory=dict)

    @property
    def subject(self) -> Any:
        """The layer or operation."""
        return self.wiring.subjects[self.call.index]

    @property
    def step(self) -> Step:
        """The call with its arguments."""
        return self.wiring.step(self.call)

    @functools.cached_property
    def reach(self) -> Reach:
        """What padding leaves of a kernel's taps."""
        shapes = self.wiring.shapes_into(self.call)
        if not (self.sized and shapes):
            return WHOLE
        return reach(self.subject, self._window, shapes[0], self.call.shape)

    @property
    def _window(self) -> tuple[int, ...]:
        """The sizes of a convolution's window: a layer's, or those of an operation's kernel."""
        if isinstance(self.subject, keras.layers.Layer):
            return tuple(getattr(self.subject, "kernel_size", ()))
        kernel = next(
            (v for v in keras.tree.flatten(self.step.arguments) if isinstance(v, keras.Variable)),
            None,
        )
        return () if kernel is None else tuple(kernel.shape[:-2])

    @property
    def second_moment(self) -> float:
        """The second moment that the first signal typically has, over its channels."""
        shapes = self.wiring.shapes_into(self.call)
        return self.given[0].typical(shapes[0][-1]) if shapes else self.given[0].second_moment

    def not_understood(self) -> Signal:
        """Returns the signal behind a call that has no rule."""
        call = self.call
        return unknown(f"{call.type} {call.path!r} is not understood", call.index)

    @property
    def reason(self) -> str:
        """Why nothing is known of what comes in; empty if all is known."""
        return next((signal.reason for signal in self.given if signal.reason), "")
