"""What comes out of a node, given what theory knows of its inputs: a table from kinds to rules."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import keras

from keras_inits._diagnose.theory import spread
from keras_inits._diagnose.theory.attention import Tokens, mixed
from keras_inits._diagnose.theory.factors import scaled, shifted
from keras_inits._diagnose.theory.given import Given, known, mean_square
from keras_inits._diagnose.theory.laws import Moments, through
from keras_inits._diagnose.theory.maps import map_gain
from keras_inits._diagnose.theory.merging import concatenated, multiplied, summed
from keras_inits._diagnose.theory.nodes import Net, Node
from keras_inits._diagnose.theory.normalization import normalized
from keras_inits._diagnose.theory.recurrence import recurrent_moments
from keras_inits._errors import InputError
from keras_inits._gains import Activation, resolve
from keras_inits._layers.activations import activation_of_operation
from keras_inits._layers.kinds import KERNELS, Kind
from keras_inits._layers.pooling import statistic


def forward(net: Net) -> dict[int, Moments]:
    """Returns what theory expects of each node of which it knows something."""
    laws: dict[int, Moments] = {}
    for node in net.nodes:
        found = laws.get(node.index) or _of(net, node, laws)
        if found is not None:
            laws[node.index] = found
            _ahead(net, node, laws)
    return laws


def _of(net: Net, node: Node, laws: Mapping[int, Moments]) -> Moments | None:
    rule = _RULES.get(node.kind)
    given = known(net, node, laws)
    if rule is None or not given or None in given:
        return None
    # What is no kernel and starts from measured values has nothing to predict.
    moments = tuple(law for law in given if law is not None)
    if node.kind not in _STARTS and all(law.measured for law in moments):
        return None
    try:
        made = rule(Given(net, node, moments, laws))
    except InputError:  # of an activation that has no finite moments at this size: exp(1000)
        return None
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
        made = _activated(resolve(function), law, net.sites(node), known=1)
    except (TypeError, ValueError):
        return
    laws.setdefault(last, made)


def _activated(activation: Activation, law: Moments, sites: spread.Sites, *, known: int) -> Moments:
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
    linear, added = gain * law.second_moment, mean_square(getattr(node.subject, "bias", None))
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
    averages = statistic(given.node.subject) == "mean"  # a sum of normal entries is normal
    return Moments(moment, mean, law.gaussian and averages, moment, law.variance)


def _upsampling(given: Given) -> Moments | None:
    plain = getattr(given.node.subject, "interpolation", "nearest") == "nearest"
    is_layer = isinstance(given.node.subject, keras.layers.Layer)
    return given.moments[0] if plain and is_layer else _as_measured(given)


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


_STARTS = KERNELS | {Kind.NORMALIZATION, Kind.RECURRENT}
_RULES: dict[Kind, Callable[[Given], Moments | None]] = {
    **dict.fromkeys(KERNELS - {Kind.MAP}, _kernel),
    Kind.ACTIVATION: _activation,
    Kind.NORMALIZATION: normalized,
    Kind.RESHAPING: _reshaping,
    **dict.fromkeys((Kind.NOISE, Kind.IDENTITY, Kind.ROTATION), _same),
    **dict.fromkeys((Kind.POOLING, Kind.PADDING), _as_measured),
    Kind.UPSAMPLING: _upsampling,
    Kind.SCALING: scaled,
    Kind.SHIFT: shifted,
    Kind.SUM: summed,
    Kind.PRODUCT: multiplied,
    Kind.CONCATENATION: concatenated,
    Kind.RECURRENT: _recurrent,
    Kind.ATTENTION: _contraction,
    Kind.CONTRACTION: _contraction,
}
