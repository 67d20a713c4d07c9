"""Signals put together: sums, products, concatenations."""

import itertools
import math

import numpy as np

from keras_inits._diagnose.seen.sites import products
from keras_inits._diagnose.theory import spread
from keras_inits._diagnose.theory.given import Given
from keras_inits._diagnose.theory.laws import Moments
from keras_inits._diagnose.theory.nodes import Net, Node
from keras_inits._layers.kinds import class_name

_SIGNS: dict[str, tuple[float, float]] = {  # of all but the first operand; a power of their number
    "Add": (1.0, 0.0), "Subtract": (-1.0, 0.0), "Average": (1.0, -2.0),
}  # fmt: skip


def summed(given: Given) -> Moments | None:
    """Returns the law of a sum of signals whose entries have nothing to do with each other."""
    laws, node = given.moments, given.node
    name = class_name(node.subject)
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
    made = Moments(
        total, float(means.sum()), gaussian, total, (parts + variance) / total / total, known
    )
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


def multiplied(given: Given) -> Moments | None:
    """Returns the law of the product of two such signals."""
    laws, node, net = given.moments, given.node, given.net
    plain = class_name(node.subject) == "Multiply"
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


def concatenated(given: Given) -> Moments | None:
    """Returns the law of signals side by side."""
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
    return Moments(total, mean, gaussian, total, float(variance / total / total), known)
