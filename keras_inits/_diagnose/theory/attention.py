r"""Attention at the start: a mean of the values, by weights that hardly depend on what they weigh.

Scores $s_j$ of a query are normal of variance $\sigma^2$ over the keys; the weights $a = \mathrm{
softmax}(s)$ have $A = E \sum_j a_j^2$, which is $1/T$ at $\sigma = 0$, and is larger where heads
are narrow: $\sigma$ then differs from query to query, and uneven weights make the mean. Of values
of which two tokens have the share $c$ in common the mean has the second moment
$q_v (c + (1 - c) A)$. Where keys and values are made from the same tokens of n units, the weights
lean towards one of n directions of these, in which the mean is $B = E (\sum_j a_j s_j / \sigma)^2$
in place of A: together $A + (B - A) / n$, which in narrow nets, or with many tokens, is much more.

Backwards the same holds of the gradient $g$ at the mean, of which two tokens have $c_g$ in common.
To the scores comes $a_j (u_j - \sum_k a_k u_k)$ with $u_j = g \cdot v_j$, whose squares sum up to
$S = E \sum_j a_j^2 (1 - 2 a_j + \sum_k a_k^2)$ times the variance of $u$. To the queries comes the
sum of the keys weighted by it, of mean square $S + (1 - A)^2 / n$ as keys and values have the
token's direction in common, to the keys the sum of the queries.

Masks other than a causal one are not followed.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose.theory import spread
from keras_inits._diagnose.theory.laws import Back, Moments
from keras_inits._diagnose.theory.nodes import Net, Node
from keras_inits._diagnose.theory.softmax import Weights, of_weights
from keras_inits._layers.kinds import KEEPS_SCALE, KERNELS, Kind
from keras_inits._wiring.steps import Step


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

    @functools.cached_property
    def dimension(self) -> float:
        """How many directions of a query its scores come from; infinite if that is not known.

        Of x with independent entries of variance 1 the scores' variance over the keys, x' M M' x
        with M = Wq Wk', has 2 / d of its squared mean as its variance, and d = tr(M M')^2 /
        tr(M M' M M').
        """
        query, key = (self._heads(source) for source in (self.query, self.key))
        if query is None or key is None or query.shape[1] % key.shape[1]:
            return math.inf
        key = np.repeat(key, query.shape[1] // key.shape[1], axis=1)
        both = np.einsum("nhi,nhj,mhj,mhk->hik", query, query, key, key, optimize=True)
        total = np.trace(both, axis1=1, axis2=2)
        if not np.all(total > 0):  # queries or keys of zeros
            return math.inf
        return 1 / float(np.mean(np.trace(both @ both, axis1=1, axis2=2) / total**2))

    def _heads(self, source: int) -> NDArray[np.float64] | None:
        """Returns a kernel that makes queries or keys, `(inputs, heads, width)`."""
        made = _recorded(self.net, source)
        kernel = None if made is None else getattr(made.subject, "kernel", None)
        if kernel is None or math.prod(kernel.shape[1:]) % self.width:
            return None
        values = np.asarray(keras.ops.convert_to_numpy(kernel), np.float64)
        return values.reshape(values.shape[0], -1, self.width)

    @functools.cached_property
    def directions(self) -> float:
        """How many units tokens have that keys and values are both made from; else infinite."""
        key, value = (_recorded(self.net, source) for source in (self.key, self.value))
        if key is None or value is None or key.sources != value.sources or not key.shapes:
            return math.inf
        return float(key.shapes[0][-1])

    @property
    def _normalized(self) -> float:
        """How many units tokens have that a normalization gives one length; else infinite."""
        at = _recorded(self.net, self.key)
        while at is not None and len(at.sources) == 1 and (at.sources[0] or -1) >= 0:
            at = self.net.nodes[at.sources[0] or 0]
            if at.kind is Kind.NORMALIZATION:
                return float(at.shape[-1])
            at = at if at.kind in KEEPS_SCALE else None
        return math.inf

    def weights(self, variance: float) -> Weights:
        """Returns what the weights do that scores of this variance make."""
        rounded = float(f"{variance:.2e}"), float(f"{self.dimension:.1e}")
        return of_weights(self.count, *rounded, self._normalized, self.causal)


def mixed(tokens: Tokens, value: Moments, scores: float) -> Moments | None:
    """Returns the law of the mixed values."""
    alike, out = tokens.likeness(tokens.value), tokens.projection
    if math.isnan(alike) or out is None or out.call is None or not 0 <= scores < math.inf:
        return None
    alike = max(0.0, alike)
    factor = alike + (1 - alike) * tokens.weights(scores).of_values(tokens.directions)
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
    weights, back_alike = tokens.weights(scores), out.call.structure.back_places
    value_alike = tokens.likeness(tokens.value)
    if math.isnan(back_alike) or math.isnan(value_alike):
        return None
    back_alike, value_alike = max(0.0, back_alike), max(0.0, value_alike)
    if source == tokens.value:
        factor = back_alike + (1 - back_alike) * weights.squares
        return Back(gradient.second_moment * factor, gradient.variance)
    query, key, value = (laws[i] for i in (tokens.query, tokens.key, tokens.value))
    # Of u, the gradient at the weights, times the squared scale of the scores.
    at_weights = tokens.width * tokens.squared_scale * (1 - value_alike)
    at_weights *= gradient.second_moment * value.second_moment
    if source == tokens.query:
        size = at_weights * weights.of_keys(tokens.directions)
        size *= key.second_moment * (1 - max(0.0, tokens.likeness(tokens.key)))
    else:
        alike = back_alike * max(0.0, tokens.likeness(tokens.query))
        size = at_weights * weights.slopes
        size *= query.second_moment * (1 + (tokens.count - 1) * alike)
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
