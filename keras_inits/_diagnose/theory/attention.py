r"""Attention at the start: a mean of the values, by weights that hardly depend on what they weigh.

Scores $s_j$ of a query are normal of variance $\sigma^2$ over the keys; the weights $a = \mathrm{
softmax}(s)$ have $A = E \sum_j a_j^2$, which is $1/T$ at $\sigma = 0$. Of values of which two
tokens have the share $c$ in common the mean has the second moment $q_v (c + (1 - c) A)$. Backwards
the same holds of the gradient $g$ at the mean, of which two tokens have $c_g$ in common. To the
scores comes $a_j (u_j - \sum_k a_k u_k)$ with $u_j = g \cdot v_j$, to the queries the sum of the
keys weighted by it, to the keys that of the queries.

Masks other than a causal one are not followed.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_inits._diagnose.theory import spread
from keras_inits._diagnose.theory.laws import Back, Moments
from keras_inits._diagnose.theory.nodes import Net, Node
from keras_inits._layers.kinds import KEEPS_SCALE, KERNELS, Kind
from keras_inits._wiring.steps import Step

_DRAWS = 2048  # of scores; A is good to about 1 % at sigma = 1
_MOST = 512  # tokens; of more the scores are drawn from fewer, and A is in proportion to 1 / T


@dataclass(frozen=True, eq=False)
class Tokens:
    """One attention.

    Attributes:
        net: all nodes.
        query, key, value: the nodes that make them.
        products: the node that multiplies queries and keys.
        mixes: the node that mixes the values.
        count: of the keys.
        width: of a query.
        squared_scale: what a fused operation multiplies squared scores by; 1 of separate ones.
        causal: whether a token sees only those before it.
    """

    net: Net
    query: int
    key: int
    value: int
    products: int
    mixes: int
    count: int
    width: int
    squared_scale: float
    causal: bool

    @staticmethod
    def of(net: Net, node: Node, step: Step | None) -> "Tokens | None":
        """Returns the attention whose values `node` mixes; None if it is not one that is known."""
        if step is None or None in node.sources:
            return None
        if node.kind is Kind.ATTENTION:
            return _fused(net, node, step)
        return _separate(net, node)

    def likeness(self, source: int) -> float:
        """Returns the share that two tokens have in common, where a layer made them."""
        made = _recorded(self.net, source)
        return math.nan if made is None or made.call is None else made.call.structure.places

    @property
    def projection(self) -> Node | None:
        """The recorded call that takes the mixed values."""
        at = self.mixes
        while len(takers := self.net.consumers.get(at, ())) == 1:
            node = takers[0][0]
            if node.call is not None:
                return node if node.kind in KERNELS else None
            if node.kind not in KEEPS_SCALE:
                return None
            at = node.index
        return None

    def scores(self, laws: Mapping[int, Moments]) -> float | None:
        """Returns the variance of a query's scores over the keys."""
        query, key, alike = laws.get(self.query), laws.get(self.key), self.likeness(self.key)
        if query is None or key is None or math.isnan(alike):
            return None
        variance = self.width * query.second_moment * key.second_moment * self.squared_scale
        return variance * max(0.0, 1 - alike)

    def unevenness(self, variance: float) -> float:
        """Returns A, the mean sum of the squared weights."""
        return squared_weights(self.count, float(f"{variance:.2e}"), self.causal)


def mixed(tokens: Tokens, value: Moments, scores: float) -> Moments | None:
    """Returns the law of the mixed values."""
    alike, out = tokens.likeness(tokens.value), tokens.projection
    if math.isnan(alike) or out is None or out.call is None or not 0 <= scores < math.inf:
        return None
    alike = max(0.0, alike)
    factor = alike + (1 - alike) * tokens.unevenness(scores)
    # What is left differs little from token to token: fewer vectors to average over than values.
    sites = spread.sites_of(out.call)
    own = 2 * spread.of_a_square(sites.given, sites.count, sites.inputs)
    width = math.prod(tokens.net.nodes[tokens.value].shape[2:])
    own *= sites.inputs / max(1, width)
    moment = value.second_moment * factor
    return Moments(moment, 0.0, gaussian=True, before=moment, variance=value.variance + own)


def back_of(
    tokens: Tokens, gradient: Back, source: int, laws: Mapping[int, Moments]
) -> Back | None:
    """Returns the gradient at the queries, keys or values, given that at the mixed values.

    Args:
        tokens: the attention.
        gradient: at the mixed values.
        source: the node of the queries, keys or values.
        laws: of the nodes.
    """
    scores, out = tokens.scores(laws), tokens.projection
    if scores is None or out is None or out.call is None:
        return None
    uneven, back_alike = tokens.unevenness(scores), out.call.structure.back_places
    value_alike = tokens.likeness(tokens.value)
    if math.isnan(back_alike) or math.isnan(value_alike):
        return None
    back_alike, value_alike = max(0.0, back_alike), max(0.0, value_alike)
    if source == tokens.value:
        factor = back_alike + (1 - back_alike) * uneven
        return Back(gradient.second_moment * factor, gradient.variance)
    query, key, value = (laws[i] for i in (tokens.query, tokens.key, tokens.value))
    # Squared gradient at the scores, summed over the keys of one query.
    at_scores = uneven * tokens.width * gradient.second_moment * value.second_moment
    at_scores *= (1 - value_alike) * (1 - 1 / tokens.count) * tokens.squared_scale
    if source == tokens.query:
        size = at_scores * key.second_moment * (1 - max(0.0, tokens.likeness(tokens.key)))
    else:
        alike = back_alike * max(0.0, tokens.likeness(tokens.query))
        size = at_scores * query.second_moment * (1 + (tokens.count - 1) * alike)
    variance = gradient.variance + query.variance + key.variance + value.variance
    return Back(size, variance)


def _fused(net: Net, node: Node, step: Step) -> Tokens | None:
    query, key, value = (*node.sources, None, None, None)[:3]
    if len(node.sources) != 3 or query is None or key is None or value is None:
        return None
    arguments = _named(step)
    if arguments.get("mask") is not None or arguments.get("bias") is not None:
        return None
    width, count = node.shapes[0][-1], node.shapes[1][1]
    scale = getattr(node.subject, "scale", None)
    squared = 1 / width if scale is None else float(scale) ** 2
    causal = bool(getattr(node.subject, "is_causal", False) or arguments.get("is_causal"))
    return Tokens(net, query, key, value, node.index, node.index, count, width, squared, causal)


def _named(step: Step) -> Mapping[str, Any]:
    """Returns the arguments of an operation other than queries, keys and values."""
    args, kwargs = step.arguments
    return {**dict(zip(("bias", "mask"), args[3:], strict=False)), **kwargs}


def _separate(net: Net, node: Node) -> Tokens | None:
    if len(node.sources) != 2:
        return None
    for mine, other in ((0, 1), (1, 0)):
        weights, value = node.sources[mine], node.sources[other]
        softmax = _softmax(net, weights)
        if softmax is None or value is None:
            continue
        product = _product(net, softmax.sources[0])
        if product is None or len(product.sources) != 2 or _is_masked(net, softmax):
            return None
        first, second = product.sources
        if first is None or second is None or min(first, second, value) < 0:
            return None
        width = _summed(product)
        count = softmax.shape[-1]
        # Which of both is the query does not matter to the scores; that it is the softmax's last
        # axis that the keys lie on does.
        key = _keys(product, first, second)
        query = second if key == first else first
        if width is None:
            return None
        return Tokens(net, query, key, value, product.index, node.index, count, width, 1.0, False)
    return None


def _is_masked(net: Net, softmax: Node) -> bool:
    step = None if net.wiring is None or softmax.place is None else net.wiring.step(softmax.place)
    if step is None:
        return True
    args, kwargs = step.arguments
    return any(value is not None for value in (*args[1:], kwargs.get("mask")))


def _softmax(net: Net, source: int | None) -> Node | None:
    while source is not None and source >= 0:
        node = net.nodes[source]
        if node.kind is Kind.ACTIVATION:
            place = node.place
            is_softmax = place is not None and place.activation.lower() == "softmax"
            return node if is_softmax and len(node.sources) == 1 else None
        if node.kind not in KEEPS_SCALE or len(node.sources) != 1:
            return None
        (source,) = node.sources
    return None


def _product(net: Net, source: int | None) -> Node | None:
    """Returns the product of queries and keys; scaling behind it would have to be followed."""
    while source is not None and source >= 0:
        node = net.nodes[source]
        if node.kind is Kind.CONTRACTION:
            return node
        if node.kind is not Kind.IDENTITY or len(node.sources) != 1:
            return None
        (source,) = node.sources
    return None


def _keys(product: Node, first: int, second: int) -> int:
    equation = "" if product.place is None else product.place.type.partition(" ")[2]
    if "->" not in equation:
        return second
    operands, result = equation.replace(" ", "").split("->")
    return first if result[-1] in operands.split(",")[0] else second


def _summed(product: Node) -> int | None:
    """Returns the width of a query: over what the product sums."""
    equation = "" if product.place is None else product.place.type.partition(" ")[2]
    if "->" not in equation:
        return product.shapes[0][-1] if product.shapes else None
    operands, result = equation.replace(" ", "").replace("...", "").split("->")
    one = operands.split(",")[0]
    sizes = dict(zip(one[::-1], product.shapes[0][::-1], strict=False))
    return math.prod(size for label, size in sizes.items() if label not in result)


def _recorded(net: Net, source: int) -> Node | None:
    """Returns the recorded call behind operations that keep each value."""
    at = source
    while at >= 0:
        node = net.nodes[at]
        if node.call is not None and node.kind in KERNELS:
            return node
        if node.kind not in KEEPS_SCALE | {Kind.SCALING} or len(node.sources) != 1:
            return None
        (before,) = node.sources
        if before is None:
            return None
        at = before
    return None


@functools.lru_cache(maxsize=256)
def squared_weights(count: int, variance: float, causal: bool = False) -> float:
    """Returns the mean sum of squared softmax weights over `count` normal scores.

    Args:
        count: of keys.
        variance: of the scores.
        causal: whether a token sees those before it alone; the mean is then over tokens.
    """
    if causal:
        seen = np.unique(np.geomspace(1, count, 24).astype(int))
        each = [squared_weights(int(n), variance) for n in seen]
        return float(np.mean(np.interp(np.arange(1, count + 1), seen, each)))
    some = min(count, _MOST)
    if variance == 0:
        return 1 / count
    scores = np.random.default_rng(0).standard_normal((_DRAWS, some)) * math.sqrt(variance)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return float(np.mean(np.sum(weights**2, axis=1))) * some / count
