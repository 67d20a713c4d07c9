"""What each kind of call makes of a signal: one table from kinds to rules.

A rule takes a `Place` and returns a `Signal`. The offsets of normalizations are taken to start at
0, noise to be on, as in training, and interpolation to repeat values.
"""

import math
from collections.abc import Callable

import numpy as np

from keras_inits._layers.kinds import KERNELS, Kind
from keras_inits._moments.activating import of_activation, of_elementwise, through_activation
from keras_inits._moments.contracting import contracted
from keras_inits._moments.drawn import biased, of_kernel, of_table
from keras_inits._moments.merging import concatenated, merged, product
from keras_inits._moments.noise import noisy, padded
from keras_inits._moments.normalizing import normalized
from keras_inits._moments.passing import (
    ONE_HOT,
    cut_off,
    of_operation,
    preprocessed,
    reshaped,
    same,
    scaled,
)
from keras_inits._moments.place import Place
from keras_inits._moments.pooling import pooled
from keras_inits._moments.recurrence import recurrent, stepped
from keras_inits._moments.signal import Signal, unknown

_FEW = 1000  # one in so many values
# Where 1 was assumed of what was not understood, no signal is so much larger or smaller, as behind
# the loop of a delta rule, whose state no rule follows.
_TRUSTED = 1e6


def carried(place: Place) -> Signal:
    """Returns what comes out of a call."""
    call = place.call
    if math.isnan(place.power):
        return place.not_understood()
    if call.is_map:
        return through_activation(place, biased(place, of_kernel(place)))
    rule = _RULES.get(call.kind)
    starts = call.kind in _STARTS or call.type == ONE_HOT
    if rule is None or call.problem or not (place.given or starts):
        return place.not_understood()
    with np.errstate(all="ignore"):
        made = rule(place)
    if made is None or not np.isfinite(made.second_moment):
        return place.not_understood()
    if call.kind is Kind.ELEMENTWISE and _is_of_few(made):
        return place.not_understood()
    if made.reason and not 1 / _TRUSTED < made.second_moment < _TRUSTED:
        return unknown(made.reason, call.index)
    return made


def _is_of_few(signal: Signal) -> bool:
    """Returns whether few values make the second moment: reciprocals of what comes near 0, say.

    What a sample says of it is chance.
    """
    squares = np.sort(signal.values.ravel() ** 2)
    few = squares[-max(1, squares.size // _FEW) :]
    return 4 * float(few.sum()) > float(squares.sum()) > 0


_STARTS = frozenset({Kind.EMBEDDING, Kind.POSITION})
_RULES: dict[Kind, Callable[[Place], Signal | None]] = {
    **dict.fromkeys(KERNELS, of_kernel),
    Kind.EMBEDDING: of_table,
    Kind.POSITION: of_table,
    Kind.RECURRENT: recurrent,
    Kind.CELL: stepped,
    Kind.ACTIVATION: of_activation,
    Kind.ELEMENTWISE: of_elementwise,
    Kind.NORMALIZATION: normalized,
    Kind.NOISE: noisy,
    Kind.RESHAPING: reshaped,
    Kind.PADDING: padded,
    Kind.UPSAMPLING: same,
    Kind.IDENTITY: same,
    Kind.INPUT: same,
    Kind.ROTATION: same,
    Kind.POOLING: pooled,
    Kind.SCALING: scaled,
    Kind.SHIFT: of_operation,
    Kind.CUT: cut_off,
    Kind.SUM: merged,
    Kind.PRODUCT: product,
    Kind.CONTRACTION: contracted,
    Kind.ATTENTION: contracted,
    Kind.CONCATENATION: concatenated,
    Kind.PREPROCESSING: preprocessed,
}
