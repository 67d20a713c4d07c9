"""Products of two signals, summed over an axis, attention among them."""

import math

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._layers.kinds import Kind
from keras_inits._moments.place import Place
from keras_inits._moments.pooling import mean_of_places
from keras_inits._moments.seen import positions_seen
from keras_inits._moments.signal import Signal, normal
from keras_inits._wiring.graph import PASSED, Call, Graph
from keras_inits._wiring.picture import Wiring

# A mean is chance of the sample if it makes up less of a second moment.
_NO_MEAN = 1e-3


def contracted(place: Place) -> Signal | None:
    """Returns the sum of products of two signals; of attention, a mean of the values.

    Attention weights that come from scores of variance s are as uneven as the exponentials of
    normal variables: their mean square is e^s times that of equal ones, so that n tokens average
    out as n / e^s equal ones would. Where a mask hides what comes later, the first positions
    average over few, and the moment is the mean over all positions. Where what a mask hides is not
    clear, the number is the geometric mean of that with a causal mask and that without.
    """
    call, shapes = place.call, place.wiring.shapes_into(place.call)
    if call.kind is Kind.ATTENTION:
        if len(place.given) < 3 or len(shapes) < 3:
            return None
        query, key, value = place.given[:3]
        uneven = math.exp(min(query.second_moment * key.second_moment, 10.0))
        return mean_of_places(value, _averaged(place, call, shapes[1][1], uneven), call.index)
    if len(place.given) != 2 or len(shapes) != 2:
        return None
    for mine, other in ((0, 1), (1, 0)):
        if softmax := softmax_behind(place.wiring.graph, call.signals[mine]):
            weights, value = place.given[mine], place.given[other]
            uneven = weights.second_moment / weights.mean**2 if weights.mean else 1.0
            return mean_of_places(
                value, _averaged(place, softmax, softmax.shape[-1], uneven), call.index
            )
    count = summed_count(place.wiring, call)
    if count is None:
        return None
    if (matrix := matrix_that_comes_in(place.wiring, call)) is not None:
        return place.given[1 - matrix]
    one, two = place.given
    if getattr(place.subject, "normalize", False):
        # A cosine: of two examples that one tower has seen, what these have in common.
        same = _maker(place, call.signals[0]) == _maker(place, call.signals[1])
        shared = one.common * two.common if same else 0.0
        square = 1 / count + (1 - 1 / count) * shared
        return normal(square, one.alike * two.alike, call.index, place.reason)
    return _sum_of_products(place, count)


def _sum_of_products(place: Place, count: int) -> Signal:
    """Returns the sum of so many products of independent values.

    Two products are as alike as what they see: two features by the square of their mean, two
    places by what places have in common too.
    """
    one, two = place.given
    square = count * one.second_moment * two.second_moment
    square += count * (count - 1) * math.prod(_alike_along(place, i) for i in (0, 1))
    mean, alike = count * one.mean * two.mean, one.alike * two.alike
    variance = square - mean**2
    if not mean**2 > _NO_MEAN * square or not variance > 0:
        return normal(square, alike, place.call.index, place.reason)
    alike = max(0.0, alike * square - mean**2) / variance
    made = normal(variance, alike, place.call.index, place.reason)
    return made.with_values(mean + made.values)


def _alike_along(place: Place, operand: int) -> float:
    """Returns the mean product of two of the values of an operand that a product sums over."""
    signal, source = place.given[operand], place.call.signals[operand]
    shape = place.wiring.shapes_into(place.call)[operand]
    if _sums_places(place, operand) and _are_places(place.wiring, source, shape):
        return signal.second_moment * signal.alike
    return signal.mean**2


def _sums_places(place: Place, operand: int) -> bool:
    """Returns whether a product sums over another axis of an operand than its last."""
    name, _, equation = place.call.type.partition(" ")
    if "->" in equation:
        operands, made = equation.replace(" ", "").split("->")
        return operands.split(",")[operand][-1] in made
    return name == "matmul" and operand == 1


def _are_places(wiring: Wiring, source: int, shape: tuple[int, ...]) -> bool:
    """Returns whether the axes of a signal before its last are places, as they came out of a map.

    The axes of a matrix that is a vector in another shape, or of one that is transposed, are not.
    """
    while source >= 0:
        call = wiring.calls[source]
        if call.shape[-1] != shape[-1] or call.type in ("transpose", "swapaxes", "Permute"):
            return False
        if call.is_map or call.kind in (Kind.EMBEDDING, Kind.RECURRENT):
            return len(call.shape) > 2
        if not call.signals:
            return False
        source = call.signals[0]
    return len(shape) > 2


def matrix_that_comes_in(wiring: Wiring, call: Call) -> int | None:
    """Returns which operand of a product is a square matrix that the data bring; None if none is.

    Such as which nodes of a graph are neighbours, or a rotation. Those of data keep the size of a
    signal, more or less: rows of neighbours are divided by their number. As n values of second
    moment 1 they would multiply it by n.
    """
    shapes = wiring.shapes_into(call)
    if len(call.signals) != 2 or len(shapes) != 2 or softmax_behind(wiring.graph, call.signals[1]):
        return None
    count = summed_count(wiring, call)
    for mine, (source, shape) in enumerate(zip(call.signals, shapes, strict=True)):
        while source >= 0 and wiring.calls[source].kind is Kind.IDENTITY:
            (source, *_) = wiring.calls[source].signals
        if source < 0 and len(shape) > 2 and shape[-1] == shape[-2] == count:
            return mine
    return None


def _averaged(place: Place, softmax: Call, tokens: int, uneven: float) -> float:
    """Returns how many equal weights average as much out, on average over the positions."""
    seen = positions_seen(place.wiring, softmax, tokens)
    if seen is not None:
        return _equal_weights(seen, uneven)
    causal = _equal_weights(np.arange(1.0, tokens + 1), uneven)
    return math.sqrt(causal * _equal_weights(np.array([float(tokens)]), uneven))


def _equal_weights(seen: NDArray[np.float64], uneven: float) -> float:
    return 1 / float(np.mean(np.minimum(1.0, uneven / seen)))


def softmax_behind(graph: Graph, source: int) -> Call | None:
    """Returns the softmax that made a signal, through noise and the like."""
    while source >= 0:
        call = graph.calls[source]
        if call.kind is Kind.ACTIVATION:
            return call if call.activation.lower() == "softmax" else None
        if call.kind not in PASSED or len(call.signals) != 1:
            return None
        (source,) = call.signals
    return None


def _maker(place: Place, source: int) -> tuple[str, ...]:
    """Returns the weights of the last call that has any and makes a signal."""
    calls = place.wiring.calls
    while source >= 0 and not calls[source].weights and len(calls[source].signals) == 1:
        (source,) = calls[source].signals
    return calls[source].weights if source >= 0 else (str(source),)


def summed_count(wiring: Wiring, call: Call) -> int | None:
    """Returns over how many values a product is summed; None where that is not clear."""
    shapes, subject = wiring.shapes_into(call), wiring.subjects[call.index]
    if len(shapes) != 2:
        return None
    if isinstance(subject, keras.layers.Dot):
        axes = subject.axes[0] if isinstance(subject.axes, tuple | list) else subject.axes
        return shapes[0][axes]
    name, _, equation = call.type.partition(" ")
    if "->" in equation:
        operands, result = equation.replace(" ", "").replace("...", "").split("->")
        one, two = operands.split(",")
        sizes = {**dict(zip(one[::-1], shapes[0][::-1], strict=False)),
                 **dict(zip(two[::-1], shapes[1][::-1], strict=False))}  # fmt: skip
        return math.prod(sizes.get(label, 1) for label in sizes if label not in result)
    if name == "tensordot":
        axes = subject.axes
        first = range(-axes, 0) if isinstance(axes, int) else np.ravel(axes[0])
        return math.prod(shapes[0][axis] for axis in first)
    return shapes[0][-1] if name in ("matmul", "dot", "inner") else None
