"""The gradient at a node's input, given that at its output: a table from kinds to rules.

It is followed back from where it was measured last: at the outputs, and where a rule is missing.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.theory import spread
from keras_inits._diagnose.theory.attention import Tokens, back_of
from keras_inits._diagnose.theory.factors import squared_factor
from keras_inits._diagnose.theory.forward import activation_of
from keras_inits._diagnose.theory.given import known
from keras_inits._diagnose.theory.laws import Back, Moments, slope_at, through
from keras_inits._diagnose.theory.maps import edge_gain
from keras_inits._diagnose.theory.nodes import Net, Node, entries
from keras_inits._diagnose.theory.normalization import (
    frozen_slope,
    is_frozen,
    slope_of_normalization,
)
from keras_inits._diagnose.theory.recurrence import recurrent_back
from keras_inits._gains import Activation, resolve
from keras_inits._layers.kinds import KEEPS_SCALE, KERNELS, Kind, class_name
from keras_inits._layers.pooling import statistic


@dataclass(frozen=True)
class Taken:
    """A node that takes a signal, and the gradient at its output.

    Attributes:
        net: all nodes.
        node: the one that takes it.
        gradient: at its output.
        laws: of all nodes, forward.
        backs: of the nodes behind it.
        place: of the signal among those that it takes.
    """

    net: Net
    node: Node
    gradient: Back
    laws: Mapping[int, Moments]
    backs: Mapping[int, Back]
    place: int

    @property
    def reached(self) -> float:
        """How many values come out for one that goes in."""
        node = self.node
        given = node.shapes[self.place] if self.place < len(node.shapes) else ()
        return entries(node.shape) / entries(given)

    @property
    def is_broadcast(self) -> bool:
        """Whether the signal is repeated, over samples too, so that its gradients add up."""
        node = self.node
        shape = node.shape if node.place is None else node.place.shape
        return self.place >= len(node.shapes) or tuple(node.shapes[self.place]) != tuple(shape)


def backward(net: Net, laws: Mapping[int, Moments]) -> dict[int, Back]:
    """Returns what theory expects of the gradient at each node of which it knows something."""
    backs: dict[int, Back] = {}  # measured ones too, from which others follow
    predicted: dict[int, Back] = {}
    attentions = _attentions(net)
    for node in reversed(net.nodes):
        found = None
        if node.index not in net.ends and node.index >= net.hidden:
            found = _at(net, node, laws, backs, attentions)
        if found is not None and math.isfinite(found.second_moment):
            backs[node.index] = predicted[node.index] = found
        elif node.call is not None and node.call.gradient is not None:
            backs[node.index] = Back(node.call.gradient.second_moment)
    return predicted


def _attentions(net: Net) -> dict[int, Tokens]:
    """Returns the attentions, by the nodes that take their queries and keys, and their values."""
    found: dict[int, Tokens] = {}
    for node in net.nodes:
        if node.kind in (Kind.ATTENTION, Kind.CONTRACTION) and net.wiring is not None:
            step = None if node.place is None else net.wiring.step(node.place)
            tokens = Tokens.of(net, node, step)
            if tokens is not None:
                found[tokens.products] = found[tokens.mixes] = tokens
    return found


def _at(
    net: Net,
    node: Node,
    laws: Mapping[int, Moments],
    backs: Mapping[int, Back],
    attentions: Mapping[int, Tokens],
) -> Back | None:
    """Returns the gradient at the output of a node: the sum of what its takers hand back."""
    takers = net.consumers.get(node.index, ())
    parts: list[Back] = []
    for taker, place in takers:
        if taker.index in attentions:
            tokens = attentions[taker.index]
            gradient = backs.get(tokens.mixes)
            part = None if gradient is None else back_of(tokens, gradient, node.index, laws)
        else:
            gradient, rule = backs.get(taker.index), _RULES.get(taker.kind)
            if gradient is None or rule is None:
                return None
            part = rule(Taken(net, taker, gradient, laws, backs, place))
        if part is None or not math.isfinite(part.second_moment):
            return None
        parts.append(part)
    if not parts:
        return None
    total = sum(part.second_moment for part in parts)
    if not total > 0:
        return Back(total)
    weighted = sum(part.second_moment**2 * part.variance for part in parts)
    if len(parts) > 1:
        # The product of two of them has mean 0, and this variance over the units.
        sites = net.sites(node)
        crossed = 2 * (total**2 - sum(part.second_moment**2 for part in parts))
        weighted += crossed * spread.of_a_square(sites.back, sites.count, sites.units)
    return Back(total, weighted / total / total)  # the square is 0 below 1e-162


def _kernel(taken: Taken) -> Back | None:
    node, call = taken.node, taken.node.call
    if call is None or call.activation is None or call.inputs is None:
        return None
    gain, before = edge_gain(node.subject, call), _before(taken)
    if gain is None or before is None:
        return None
    found = _slope(taken, call.activation, before)
    if found is None:
        return None
    slope, variance = found
    sites = taken.net.sites(node)
    variance += taken.gradient.variance + spread.of_inputs(call.activation, before, sites)
    if node.kind is Kind.SEPARABLE:  # two kernels
        variance += spread.of_inputs(resolve(None), before, sites)
    # The sum of a map's squared entries, once by outputs and once by inputs.
    return Back(taken.gradient.second_moment * slope * gain * taken.reached, variance)


def _before(taken: Taken) -> float | None:
    law = taken.laws.get(taken.node.index)
    return law.before if law is not None and law.before > 0 else None


def _slope(taken: Taken, activation: Activation, before: float) -> tuple[float, float] | None:
    """Returns the mean squared slope where the gradient comes back, and the variance it adds.

    None where it comes back to picked values and it is not known which these are.
    """
    net, node = taken.net, taken.node
    if activation.slopes is not None and activation.slopes[0] ** 2 == activation.slopes[1] ** 2:
        return activation.slopes[0] ** 2, 0.0
    sites = net.sites(node)
    if is_picked(net, node):
        values = _picked(net, node)
        return None if values is None else slope_at(activation, values)
    _, _, slope = through(activation, before, sites.sizes)
    return float(slope), spread.of_slopes(activation, before, sites)


def is_picked(net: Net, node: Node) -> bool:
    """Returns whether maximum pooling picks the values of a node to which a gradient comes back."""
    for taker, _ in net.consumers.get(node.index, ()):
        if taker.kind is Kind.POOLING and statistic(taker.subject) == "max":
            return True
        if taker.kind not in _MIXING and is_picked(net, taker):
            return True
    return False


# Behind these a gradient has nothing to do with single values.
_MIXING = KERNELS | {Kind.RECURRENT, Kind.ATTENTION, Kind.CONTRACTION}


def _picked(net: Net, node: Node) -> np.ndarray | None:
    """Returns the values that maximum pooling picks, if nothing but it takes them."""
    takers = net.consumers.get(node.index, ())
    while len(takers) == 1:
        taker = takers[0][0]
        if taker.kind is Kind.POOLING:
            columns = None if taker.call is None else taker.call.columns
            return None if columns is None else columns.astype(np.float64)
        if taker.kind not in KEEPS_SCALE:
            return None
        takers = net.consumers.get(taker.index, ())
    return None


def _activation(taken: Taken) -> Back | None:
    activation, before = activation_of(taken.node), _before(taken)
    if activation is None or before is None:
        return None
    found = _slope(taken, activation, before)
    if found is None:
        return None
    slope, variance = found
    return Back(taken.gradient.second_moment * slope, taken.gradient.variance + variance)


def _same(taken: Taken) -> Back:
    return taken.gradient


def _spread_out(taken: Taken) -> Back:
    """Returns the gradient of a part: as large there, and 0 elsewhere."""
    reached = min(1.0, taken.reached)
    return Back(taken.gradient.second_moment * reached, taken.gradient.variance)


def _part(taken: Taken) -> Back | None:
    """Returns the gradient of one part of a concatenation: its share of what came back to all."""
    node, call = taken.node, taken.node.call
    axis = getattr(node.subject, "axis", -1)
    rank = len(node.shape)
    last = isinstance(axis, int) and axis % rank == rank - 1 and len(node.shapes) > taken.place
    if not last or call is None or call.gradient_columns is None:
        return taken.gradient
    columns = call.gradient_columns.astype(np.float64)
    start = sum(shape[-1] for shape in node.shapes[: taken.place])
    mine, mean = columns[:, start : start + node.shapes[taken.place][-1]], np.mean(columns**2)
    if not mean > 0:
        return None
    share = float(np.mean(mine**2) / mean)
    # From some sites of all.
    each = np.mean(mine**2, axis=1) / mean
    error = float(np.var(each)) / len(each)
    return Back(taken.gradient.second_moment * share, taken.gradient.variance + error)


def _pooling(taken: Taken) -> Back | None:
    layer = taken.node.subject
    if not isinstance(layer, keras.layers.Layer) or not _is_disjoint(layer):
        return None  # where windows overlap it matters how alike neighbouring gradients are
    size, reached = taken.gradient.second_moment, taken.reached
    if statistic(layer) == "max":  # one of each window gets all of it
        return Back(size * reached, taken.gradient.variance)
    window = _window(layer) or 1 / reached
    return Back(size * reached / window, taken.gradient.variance)


def _is_disjoint(layer: Any) -> bool:
    pool, strides = getattr(layer, "pool_size", None), getattr(layer, "strides", None)
    if pool is None:
        return "Global" in class_name(layer)
    return bool(pool == strides and layer.padding == "valid")


def _window(layer: Any) -> int | None:
    pool = getattr(layer, "pool_size", None)
    return None if pool is None else math.prod(pool)


def _sum(taken: Taken) -> Back | None:
    name = class_name(taken.node.subject)
    if name not in ("Add", "Subtract", "Average") or taken.is_broadcast:
        return None
    share = len(taken.node.sources) ** -2.0 if name == "Average" else 1.0
    return Back(taken.gradient.second_moment * share, taken.gradient.variance)


def _product(taken: Taken) -> Back | None:
    node, net = taken.node, taken.net
    if taken.laws.get(node.index) is None or len(node.sources) != 2 or is_picked(net, node):
        return None
    if taken.is_broadcast:
        return None
    other = known(net, node, taken.laws)[1 - taken.place]
    if other is None:
        return None
    return Back(
        taken.gradient.second_moment * other.second_moment,
        taken.gradient.variance + other.variance,
    )


def _normalization(taken: Taken) -> Back | None:
    layer, call = taken.node.subject, taken.node.call
    if call is None or call.inputs is None or not call.inputs.std > 0:
        return None
    if is_frozen(layer, training=taken.net.training):
        found: Back | None = Back(frozen_slope(layer))
    else:
        found = slope_of_normalization(layer, call, _columns_into(taken))
    if found is None:
        return None
    gradient = taken.gradient
    return Back(gradient.second_moment * found.second_moment, gradient.variance + found.variance)


def _columns_into(taken: Taken) -> np.ndarray | None:
    mine = None if taken.node.call is None else taken.node.call.structure.rows
    if mine is not None:
        return mine.astype(np.float64)
    source = taken.node.sources[0]
    call = taken.net.nodes[source].call if source is not None and source >= 0 else None
    return None if call is None or call.columns is None else call.columns.astype(np.float64)


def _scaling(taken: Taken) -> Back | None:
    wiring, place = taken.net.wiring, taken.node.place
    step = None if wiring is None or place is None else wiring.step(place)
    factor = squared_factor(step, taken.node)
    if factor is None:
        return None
    return Back(taken.gradient.second_moment * factor, taken.gradient.variance)


def _recurrent(taken: Taken) -> Back | None:
    node, call = taken.node, taken.node.call
    law = known(taken.net, node, taken.laws)[0]
    if call is None or law is None:
        return None
    return recurrent_back(node.subject, law, call, taken.gradient)


_RULES: dict[Kind, Callable[[Taken], Back | None]] = {
    **dict.fromkeys(KERNELS - {Kind.MAP}, _kernel),
    Kind.ACTIVATION: _activation,
    Kind.NORMALIZATION: _normalization,
    **dict.fromkeys((Kind.NOISE, Kind.IDENTITY, Kind.ROTATION, Kind.SHIFT), _same),
    Kind.CONCATENATION: _part,
    **dict.fromkeys((Kind.RESHAPING, Kind.PADDING), _spread_out),
    Kind.POOLING: _pooling,
    Kind.SUM: _sum,
    Kind.PRODUCT: _product,
    Kind.SCALING: _scaling,
    Kind.RECURRENT: _recurrent,
}
