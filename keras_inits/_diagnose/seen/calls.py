"""What was seen of one call of one layer."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose.seen.statistics import TensorStatistics
from keras_inits._gains import Activation

INPUT = -1  # as a source: the model's own input
UNKNOWN = -2  # as a source: something computed outside of any layer


@dataclass(eq=False)
class Structure:
    """How a call's signal and gradient are spread over sites: all but their sizes.

    Each is None, or NaN, where it was not looked at.

    Attributes:
        given: mean products of what its kernel sees at two sites, `(maps, sites, sites)`.
        back: the same of the gradient at its output.
        inside: share of a convolution's windows that is signal, not padding.
        slopes: of a batch normalization the squared slopes, channel by channel.
        rows: of a normalization by sites some sites of its input, `(sites, units)`.
        places: share of its output's second moment that two places of a sample have in common.
        back_places: that of the gradient at its output.
        given_steps: of a recurrent layer the mean products of its input at two steps.
        back_steps: the same of the gradient at its output.
        gain: by what its kernel multiplies a second moment, once it was asked for.
    """

    given: NDArray[np.float64] | None = None
    back: NDArray[np.float64] | None = None
    inside: float | None = None
    slopes: NDArray[np.float64] | None = None
    rows: NDArray[np.floating] | None = None
    places: float = math.nan
    back_places: float = math.nan
    given_steps: NDArray[np.float64] | None = None
    back_steps: NDArray[np.float64] | None = None
    gain: tuple[float | None] | None = None


@dataclass(frozen=True)
class Squashed:
    """An activation that ran as an operation, not as a layer's `activation`.

    Attributes:
        operation: TensorFlow's name of it, such as `"Tanh"`.
        saturated: share of entries near a bound; NaN without bounds.
        dead_units: share of units that are 0 on the whole batch (and in all steps); NaN where
            the operation is never exactly 0.
    """

    operation: str
    saturated: float
    dead_units: float


@dataclass(frozen=True)
class Cut:
    """An operation that hands no gradient back.

    Attributes:
        operation: TensorFlow's name of it, such as `"Round"`.
        layer: the name of the layer that ran it; empty outside of any layer.
        origins: the calls that its input was computed from.
    """

    operation: str
    layer: str
    origins: frozenset[int]


@dataclass(eq=False)
class Call:
    """One call of one layer.

    Attributes:
        name: the layer's path in the model, numbered if it is called again.
        layer: the layer.
        sources: for each of its tensors in, the index of the call that made it, or `INPUT` or
            `UNKNOWN`.
        origins: for each of its tensors in, the calls that it was computed from by operations.
        inside: which entry of `Recorder.given` belongs to the layer that called it.
        composite: whether other recorded layers ran inside.
        activation: the elementwise activation that its output went through, if it is known.
        inputs: statistics of its first floating tensor in; None if it has none.
        output: statistics of its first floating tensor out.
        gradient: those of the gradient there; None if nothing came back.
        made_from: the calls that its output was computed from: its sources, or layers inside it.
        columns: a part of its output, `(rows, units)`, and `gradient_columns` of its gradient.
        gradient_columns: see `columns`.
        structure: how alike what it sees at several sites is; what theory takes from the
            measurement.
        squashed: the activations that ran as operations, in it or right behind it.
        steps: of a recurrent layer that returns its last step: root mean square of the gradient at
            its input, in the order of its steps.
        given_anew: whether the size of its first input does not follow from that of the calls
            before it: codes of a codebook, signs, a straight-through estimate.
        made_anew: whether that is so of its output, by what it does inside.
        is_learned: whether its output was seen to be computed from nothing that it was given, as
            that of a class token.
        adds_loss: whether it adds a loss of its own to the model's.
    """

    name: str
    layer: Any
    sources: tuple[int, ...]
    origins: tuple[frozenset[int], ...]
    inside: int
    composite: bool
    activation: Activation | None
    inputs: TensorStatistics | None
    output: TensorStatistics
    gradient: TensorStatistics | None = None
    made_from: frozenset[int] = frozenset()
    columns: NDArray[np.floating] | None = None
    gradient_columns: NDArray[np.floating] | None = None
    structure: Structure = field(default_factory=Structure)
    squashed: list[Squashed] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    given_anew: bool = False
    made_anew: bool = False
    is_learned: bool = False
    adds_loss: bool = False

    @property
    def before(self) -> tuple[int, ...]:
        """The calls that this one takes its input from, directly or through operations."""
        direct = {s for s in self.sources if s >= 0}
        return tuple(sorted(direct.union(*self.origins) - {INPUT, UNKNOWN}))
