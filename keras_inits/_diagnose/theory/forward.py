"""What comes out of a node, given what theory knows of its inputs: a table from kinds to rules."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.sites import products
from keras_inits._diagnose.theory import spread
from keras_inits._diagnose.theory.attention import Tokens, mixed
from keras_inits._diagnose.theory.laws import Moments, through
from keras_inits._diagnose.theory.maps import map_gain
from keras_inits._diagnose.theory.nodes import Net, Node
from keras_inits._diagnose.theory.recurrence import recurrent_moments
from keras_inits._gains import Activation, resolve
from keras_inits._layers.activations import activation_of_operation
from keras_inits._layers.kinds import KERNELS, Kind
from keras_inits._wiring.tracing import Step


@dataclass(frozen=True)
class Given:
    """A node and what reaches it.

    Attributes:
        net: all nodes.
        node: this one.
        moments: of its signals.
        laws: of all nodes so far.
    """

    net: Net
    node: Node
    moments: tuple[Moments, ...]
    laws: Mapping[int, Moments]

    @property
    def step(self) -> Step | None:
        """The call with its arguments; None in a net of recorded calls alone."""
        wiring, place = self.net.wiring, self.node.place
        return None if wiring is None or place is None else wiring.step(place)


def forward(net: Net) -> dict[int, Moments]:
    """Returns what theory expects of each node of which it knows something."""
    laws: dict[int, Moments] = {}
    for node in net.nodes:
        found = laws.get(node.index) or _of(net, node, laws)
        if found is not None:
            laws[node.index] = found
            _ahead(net, node, laws)
    return laws


def known(net: Net, node: Node, laws: Mapping[int, Moments]) -> tuple[Moments | None, ...]:
    """Returns what is known of each signal of a node: by theory, or else by measurement."""
    found: list[Moments | None] = []
    for place, source in enumerate(node.sources):
        law = laws.get(source) if source is not None else None
        if law is None and source is not None and source >= 0:
            call = net.nodes[source].call
            law = None if call is None else _measured(call.output)
        if law is None and place == 0 and node.call is not None and node.call.inputs is not None:
            law = _measured(node.call.inputs)
        found.append(law)
    return tuple(found)


def _measured(statistics: Any) -> Moments | None:
    moment = statistics.second_moment
    if not math.isfinite(moment):
        return None
    return Moments(moment, statistics.mean, gaussian=False, before=moment, measured=True)


def _of(net: Net, node: Node, laws: Mapping[int, Moments]) -> Moments | None:
    rule = _RULES.get(node.kind)
    given = known(net, node, laws)
    if rule is None or not given or None in given:
        return None
    # What is no kernel and starts from measured values has nothing to predict.
    moments = tuple(law for law in given if law is not None)
    if node.kind not in _STARTS and all(law.measured for law in moments):
        return None
    made = rule(Given(net, node, moments, laws))
    if made is None or not math.isfinite(made.second_moment):
        return None
    return replace(made, measured=False)


def _ahead(net: Net, node: Node, laws: dict[int, Moments]) -> None:
    """Follows an activation that several operations make together, such as x * sigmoid(x)."""
    wiring, place, law = net.wiring, node.place, laws[node.index]
    if wiring is None or place is None or node.kind not in KERNELS or not law.gaussian:
        return
    following = wiring.activation_after(place)
    if len(following.calls) < 2 or following.between:
        return
    last = following.calls[-1]
    function = wiring.activation_function(place)
    try:
        activation = resolve(function)
    except (TypeError, ValueError):
        return
    if last not in laws:
        laws[last] = _activated(activation, law, net.sites(node), known=1)


def _activated(
    activation: Activation, law: Moments, sites: spread.Sites, *, known: int
) -> Moments:
    q = law.second_moment
    mean, moment, _ = through(activation, q, sites.sizes)
    variance = law.variance * spread.sensitivity(activation, q) ** 2
    variance += spread.of_units(activation, q, sites, known=known)
    linear = activation.slopes == (1.0, 1.0)
    return Moments(moment, mean, gaussian=linear, before=q, variance=variance)


def _kernel(given: Given) -> Moments | None:
    node, (law, *_) = given.node, given.moments
    call = node.call
    gain = None if call is None else map_gain(node.subject, call)
    if call is None or gain is None or call.activation is None:
        return None
    linear, added = gain * law.second_moment, _mean_square(getattr(node.subject, "bias", None))
    q, activation, sites = linear + added, call.activation, given.net.sites(node)
    mean, moment, _ = through(activation, linear, sites.sizes, added)
    share = linear / q if q > 0 else 1.0
    variance = law.variance * (share * spread.sensitivity(activation, q)) ** 2
    variance += share**2 * spread.of_units(activation, q, sites)
    if node.kind is Kind.SEPARABLE:  # its first kernel, one for each channel
        line, depthwise = resolve(None), replace(sites, units=sites.inputs)
        variance += share**2 * spread.of_units(line, q, depthwise)
    return Moments(moment, mean, activation.slopes == (1.0, 1.0), q, variance)


def _activation(given: Given) -> Moments | None:
    node, (law, *_) = given.node, given.moments
    activation = activation_of(node)
    if activation is None:
        return None
    if activation.slopes is not None and activation.slopes[0] == activation.slopes[1]:
        return law.times(activation.slopes[0] ** 2)
    if not law.gaussian:
        return None
    return _activated(activation, law, given.net.sites(node), known=max(1, law.known))


def activation_of(node: Node) -> Activation | None:
    """Returns the function of single values that a node is; None if it is none."""
    if node.call is not None:
        return node.call.activation
    function = node.subject
    if not isinstance(function, keras.layers.Layer):
        function = activation_of_operation(function)
    try:
        return resolve(function)
    except (TypeError, ValueError):
        return None


def _same(given: Given) -> Moments:
    return given.moments[0]


def _reshaping(given: Given) -> Moments | None:
    (law, *_), node = given.moments, given.node
    if not node.shapes or math.prod(node.shape) >= math.prod(node.shapes[0]):
        return law
    # A part of a tensor: units of one kernel are alike, places and samples need not be.
    of_units = len(node.shape) == len(node.shapes[0]) and node.shape[1:-1] == node.shapes[0][1:-1]
    return law if of_units and law.gaussian else None


def _as_measured(given: Given) -> Moments | None:
    """Returns what an operation without weights leaves of a signal: as much as was seen.

    Pooling and padding make twice as much of twice the signal. What share of it they keep depends
    on how alike neighbours are, which is the data's doing.
    """
    call, (law, *_) = given.node.call, given.moments
    if call is None or call.inputs is None or not call.inputs.second_moment > 0:
        return None
    part = law.second_moment / call.inputs.second_moment
    moment, mean = call.output.second_moment * part, call.output.mean * math.sqrt(part)
    averages = "Average" in type(given.node.subject).__name__  # a sum of normal entries is normal
    return Moments(moment, mean, law.gaussian and averages, moment, law.variance)


def _upsampling(given: Given) -> Moments | None:
    plain = getattr(given.node.subject, "interpolation", "nearest") == "nearest"
    is_layer = isinstance(given.node.subject, keras.layers.Layer)
    return given.moments[0] if plain and is_layer else _as_measured(given)


_SIGNS: dict[str, tuple[float, float]] = {  # of all but the first operand; a power of their number
    "Add": (1.0, 0.0), "Subtract": (-1.0, 0.0), "Average": (1.0, -2.0),
}  # fmt: skip


def _sum(given: Given) -> Moments | None:
    laws, node = given.moments, given.node
    name = type(node.subject).__name__
    if name not in _SIGNS or len(laws) < 2 or not given.net.are_independent(node.sources):
        return None
    if any(shape[1:] != node.shape[1:] for shape in node.shapes):  # broadcast
        return None
    sign, power = _SIGNS[name]
    moments = np.array([law.second_moment for law in laws])
    means = np.array([0.0 if law.gaussian else law.mean for law in laws])
    means[1:] *= sign
    if np.isnan(means).sum() > 0 and np.count_nonzero(means) > 1:
        return None
    means = np.nan_to_num(means)
    total = float(moments.sum() + means.sum() ** 2 - (means**2).sum())
    if not total > 0:
        return Moments(total, 0.0, gaussian=False, before=total)
    parts = sum(m**2 * law.variance for m, law in zip(moments, laws, strict=True))
    variance = _crossed(given, moments)
    gaussian = all(law.gaussian for law in laws)
    known = min(1, *(law.known for law in laws))
    made = Moments(total, float(means.sum()), gaussian, total, (parts + variance) / total**2, known)
    return made.times(len(laws) ** power)


def _crossed(given: Given, moments: np.ndarray) -> float:
    """Returns the variance of the products of the parts of a sum, which are 0 on average."""
    net, node = given.net, given.node
    sites = net.sites(node)
    seen = [seen_at(net, source) for source in node.sources]
    crossed = 0.0
    for i, j in itertools.combinations(range(len(moments)), 2):
        one, other = (sites.given if s is None else s for s in (seen[i], seen[j]))
        part = spread.of_a_product(one, other, sites.count, sites.units)
        crossed += 4 * float(moments[i] * moments[j]) * part
    return crossed


def seen_at(net: Net, source: int | None) -> np.ndarray | None:
    """Returns the mean products of a signal at two sites, where a layer made it."""
    call = net.nodes[source].call if source is not None and source >= 0 else None
    return None if call is None or call.columns is None else products(call.columns)


def _product(given: Given) -> Moments | None:
    laws, node, net = given.moments, given.node, given.net
    plain = type(node.subject).__name__ == "Multiply"
    if not plain or len(laws) != 2 or not net.are_independent(node.sources):
        return None
    together = sizes_together(net, node)
    if together is None:
        return None
    moment = laws[0].second_moment * laws[1].second_moment * together
    mean = 0.0 if any(law.gaussian for law in laws) else laws[0].mean * laws[1].mean
    # Of two normal factors the square has a relative variance of 9 - 1.
    sites = net.sites(node)
    variance = sum(law.variance for law in laws)
    variance += 8 * spread.of_a_square(sites.given, sites.count, sites.units)
    return Moments(moment, mean, gaussian=False, before=moment, variance=variance)


def sizes_together(net: Net, node: Node) -> float | None:
    """Returns the mean product of the relative sizes of two signals at the same sites.

    None where it is not known and one of them is broadcast.
    """
    if any(shape[1:] != node.shape[1:] for shape in node.shapes):
        return None
    rows = []
    for source in node.sources:
        call = net.nodes[source].call if source is not None and source >= 0 else None
        if call is None or call.columns is None:
            return 1.0
        sizes = np.mean(call.columns.astype(np.float64) ** 2, axis=-1)
        rows.append(sizes / sizes.mean() if sizes.mean() > 0 else np.ones_like(sizes))
    return float(np.mean(rows[0] * rows[1])) if len(rows[0]) == len(rows[1]) else 1.0


def _concatenation(given: Given) -> Moments | None:
    laws, node = given.moments, given.node
    if len(node.shapes) != len(laws):
        return None
    widths = np.array([math.prod(shape[1:]) for shape in node.shapes], float)
    shares = widths / widths.sum()
    moments = np.array([law.second_moment for law in laws])
    total = float(shares @ moments)
    if not total > 0:
        return None
    variance = sum(
        (w * law.second_moment) ** 2 * law.variance for w, law in zip(shares, laws, strict=True)
    )
    alike = np.ptp(moments) <= 1e-6 * total
    gaussian = bool(alike) and all(law.gaussian for law in laws)
    mean = float(shares @ [law.mean for law in laws])
    known = min(law.known for law in laws)
    return Moments(total, mean, gaussian, total, float(variance / total**2), known)


def _normalization(given: Given) -> Moments | None:
    layer, (law, *_), call = given.node.subject, given.moments, given.node.call
    if call is None or call.inputs is None:
        return None
    if is_frozen(layer, training=given.net.training):
        return _frozen(layer, law)
    known = 2 if isinstance(layer, _CENTRING) else 1
    shares = _shares(given, law)
    if shares is None:
        return None
    share = float(np.mean(shares))
    relative = float(np.var(shares)) / share**2 / len(shares) if share > 0 else 0.0
    gamma, beta = (getattr(layer, name, None) for name in ("gamma", "beta"))
    scale = getattr(layer, "scale", None) if gamma is None else gamma
    square = share * (_mean_square(scale) if hasattr(scale, "numpy") else 1.0)
    shift = _mean_square(beta)
    mean = 0.0 if beta is None else float(np.mean(beta.numpy()))
    plain = law.gaussian and shift == 0
    return Moments(square + shift, mean, plain, square + shift, relative, known)


def _shares(given: Given, law: Moments) -> np.ndarray | None:
    """Returns size / (size + epsilon) of what is normalized together: 1 but for epsilon."""
    layer, call = given.node.subject, given.node.call
    epsilon = float(getattr(layer, "epsilon", 0.0))
    assert call is not None and call.inputs is not None
    if isinstance(layer, keras.layers.RMSNormalization):
        sizes = np.array([law.second_moment])
    elif call.structure.slopes is not None:  # gamma^2 / (size + epsilon)
        scale = 1.0 if layer.gamma is None else keras.ops.convert_to_numpy(layer.gamma) ** 2
        sizes = np.maximum(0.0, scale / call.structure.slopes - epsilon)
    elif isinstance(layer, _CENTRING):
        # The mean that is taken away is known where there is none.
        sizes = np.array([law.second_moment if law.gaussian else call.inputs.std**2])
    else:
        return None
    return sizes / (sizes + epsilon) if np.all(sizes + epsilon > 0) else np.zeros(1)


_CENTRING = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
)


def is_frozen(layer: Any, *, training: bool) -> bool:
    """Says whether a batch normalization runs with its stored statistics."""
    batch = isinstance(layer, keras.layers.BatchNormalization)
    return batch and not (training and layer.trainable)


def _frozen(layer: Any, law: Moments) -> Moments | None:
    if _mean_square(layer.moving_mean) > 0:
        return None
    square, shift = law.second_moment * frozen_slope(layer), _mean_square(layer.beta)
    plain = law.gaussian and shift == 0
    return Moments(square + shift, math.nan, plain, square + shift, law.variance)


def frozen_slope(layer: Any) -> float:
    """Returns the mean squared slope of a batch normalization with stored statistics."""
    variance = layer.moving_variance.numpy().astype(np.float64) + layer.epsilon
    gamma = 1.0 if layer.gamma is None else layer.gamma.numpy().astype(np.float64)
    return float(np.mean(gamma**2 / variance))


def _scaling(given: Given) -> Moments | None:
    factor = squared_factor(given.step, given.node)
    return None if factor is None else given.moments[0].times(factor)


def squared_factor(step: Step | None, node: Node) -> float | None:
    """Returns the mean square of what a node multiplies its signal by; None if not known."""
    subject = node.subject
    if isinstance(subject, keras.layers.Layer):
        weights = subject.weights
        if len(weights) == 1 and type(subject).__name__.startswith(("LayerScale", "DINO")):
            return _mean_square(weights[0])
        return None
    name = type(subject).__name__
    if name == "Negative":
        return 1.0
    if step is None or name not in ("Multiply", "Divide", "TrueDivide"):
        return None
    values = _constants(step)
    if len(values) != 1 or not np.all(np.isfinite(values[0])):
        return None
    inverse = name != "Multiply"
    if inverse and np.any(values[0] == 0):
        return None
    return float(np.mean(values[0] ** (-2.0 if inverse else 2.0)))


def _constants(step: Step) -> list[np.ndarray]:
    """Returns the numbers, arrays and variables that an operation is called on."""
    found = []
    for leaf in keras.tree.flatten(step.arguments):
        if isinstance(leaf, keras.KerasTensor) or leaf is None or isinstance(leaf, bool | str):
            continue
        try:
            found.append(np.asarray(keras.ops.convert_to_numpy(leaf), np.float64))
        except Exception:  # a mask, a shape, a function: no operand of single values
            return []
    return found


def _shift(given: Given) -> Moments | None:
    step, (law, *_) = given.step, given.moments
    name = type(given.node.subject).__name__
    values = [] if step is None else _constants(step)
    if name not in ("Add", "Subtract") or len(values) != 1 or not np.all(np.isfinite(values[0])):
        return None
    added = float(np.mean(values[0])) * (1 if name == "Add" else -1)
    square = float(np.mean(values[0] ** 2))
    if square == 0:
        return law
    mean = 0.0 if law.gaussian else law.mean
    total = law.second_moment + square + 2 * mean * added
    share = law.second_moment / total if total > 0 else 0.0
    return Moments(total, mean + added, False, total, law.variance * share**2)


def _recurrent(given: Given) -> Moments | None:
    call, (law, *_) = given.node.call, given.moments
    return None if call is None else recurrent_moments(given.node.subject, law, call)


def _contraction(given: Given) -> Moments | None:
    tokens = Tokens.of(given.net, given.node, given.step)
    if tokens is None:
        return None
    value = given.laws.get(tokens.value)
    scores = tokens.scores(given.laws)
    return None if value is None or scores is None else mixed(tokens, value, scores)


def _mean_square(weight: Any) -> float:
    if weight is None:
        return 0.0
    return float(np.mean(np.square(keras.ops.convert_to_numpy(weight).astype(np.float64))))


_STARTS = KERNELS | {Kind.NORMALIZATION, Kind.RECURRENT}
_RULES: dict[Kind, Callable[[Given], Moments | None]] = {
    **dict.fromkeys(KERNELS - {Kind.MAP}, _kernel),
    Kind.ACTIVATION: _activation,
    Kind.NORMALIZATION: _normalization,
    Kind.RESHAPING: _reshaping,
    **dict.fromkeys((Kind.NOISE, Kind.IDENTITY, Kind.ROTATION), _same),
    **dict.fromkeys((Kind.POOLING, Kind.PADDING), _as_measured),
    Kind.UPSAMPLING: _upsampling,
    Kind.SCALING: _scaling,
    Kind.SHIFT: _shift,
    Kind.SUM: _sum,
    Kind.PRODUCT: _product,
    Kind.CONCATENATION: _concatenation,
    Kind.RECURRENT: _recurrent,
    Kind.ATTENTION: _contraction,
    Kind.CONTRACTION: _contraction,
}
