"""What can be wrong between kernels: one seed used twice."""

import hashlib
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from keras_inits._audit.kernel import Judgement, Kernel, Kernels, remedy
from keras_inits._layers.kinds import Kind
from keras_inits._reporting import Finding
from keras_inits._wiring import Call, Wiring

_T = TypeVar("_T")

_MOST_BLOCKS = 256  # a kernel of more maps, such as an embedding, is compared as a whole
_LEADING = 64  # leading values by which a random stream is known
_ALIKE = 0.2  # correlation of two kernels, unit by unit, of which a net takes notice


def equal_kernels(kernels: Sequence[Kernel], wiring: Wiring | None) -> Iterator[Judgement]:
    """Yields what there is to say of each set of kernels that hold equal blocks.

    It is a remark where something tells them apart from the first step on: see `_parting`.

    Args:
        kernels: those that are not constant.
        wiring: that of the model, if it is known.
    """
    holders: dict[bytes, set[str]] = defaultdict(set)
    for kernel in kernels:
        blocks = kernel.matrices
        if len(blocks) > _MOST_BLOCKS:
            blocks = blocks.reshape(1, len(blocks), -1)
        for block in blocks:
            if block.size > 1:
                content = repr(block.shape).encode() + block.tobytes()
                holders[hashlib.blake2b(content, digest_size=16).digest()].add(kernel.path)
    shared: dict[tuple[str, ...], int] = defaultdict(int)
    for paths in holders.values():
        if len(paths) > 1:
            shared[tuple(sorted(paths))] += 1
    known = Kernels(tuple(kernels))
    for together, count in shared.items():
        parting = _parting(wiring, known, together)
        finding = Finding(
            kind="equal weights",
            where=together,
            evidence=f"{count} block{'s' * (count > 1)} equal in all {len(together)} weights",
            consequence=parting
            or "layers that start equal are not independent: Q = K makes attention symmetric, "
            "equal branches learn the same",
            remedy=remedy(*known.at(together[1:])),
            numbers={"blocks": count, "weights": len(together)},
        )
        yield Judgement(finding, not parting)


def _parting(wiring: Wiring | None, kernels: Kernels, paths: Sequence[str]) -> str:
    """Returns what tells equal kernels apart at the first step; empty if nothing is known to.

    That are their places in one attention, unless queries and keys are both among them: keys that
    equal values, say, get other gradients than these, and no score depends on it, but with Q = K
    each token attends to itself. Or other kernels that their cells have. Or what they read, if none
    of them reads what another has made: the towers of a recommender, say. In one line equal
    kernels act together, as those of a tied net do, unless each is a selection of its inputs.
    """
    if all(_differs_elsewhere(kernels, one, other) for one, other in _pairs(kernels.at(paths))):
        return "the other kernels of their cells differ and part them at the first step"
    selects = all(map(_is_selection, kernels.at(paths)))
    if wiring is None:
        # An identity is chosen, not drawn; a seed that was used twice shows in what is drawn.
        return "each hands its inputs on; whether they read other signals is not known" * selects
    if _places_part(wiring, paths):
        return "their places in the attention part them at the first step"
    calls = [
        (a, b) for one, other in _pairs(paths) for a in wiring.of(one) for b in wiring.of(other)
    ]
    if calls and all(_read_apart(wiring, a, b, selects) for a, b in calls):
        return "they read other signals, which part them at the first step"
    return ""


def _pairs(items: Sequence[_T]) -> Iterator[tuple[_T, _T]]:
    return itertools.combinations(items, 2)


def _differs_elsewhere(kernels: Kernels, one: Kernel, other: Kernel) -> bool:
    """Returns whether two kernels are of cells whose other kernels are not equal."""
    if not (one.cell and one.cell == other.cell and one.layer != other.layer):
        return False
    rest = [[k for k in kernels.by_layer[each.layer] if k is not each] for each in (one, other)]
    pairs = list(zip(*rest, strict=False))
    return bool(pairs) and not all(np.array_equal(a.values, b.values) for a, b in pairs)


def _is_selection(kernel: Kernel) -> bool:
    """Returns whether each output is one input times a number, another one for each."""
    nonzero = kernel.matrices != 0
    return bool((nonzero.sum(axis=1) <= 1).all() and (nonzero.sum(axis=2) <= 1).all())


def _read_apart(wiring: Wiring, one: Call, other: Call, selects: bool) -> bool:
    """Returns whether two calls read other signals, of which none is made of the other's units."""
    if set(one.signals) & set(other.signals):
        return False
    graph, pairs = wiring.graph, ((one, other), (other, one))
    return selects or not any(graph.descends(s, a.index) for a, b in pairs for s in b.signals)


def _places_part(wiring: Wiring, paths: Sequence[str]) -> bool:
    """Returns whether each of some kernels has a place of its own in one attention."""
    calls = [wiring.of(path) for path in paths]
    if not all(len(each) == 1 for each in calls):
        return False
    indices = [each[0].index for each in calls]
    for attention in wiring.attentions:
        places = (attention.query, attention.key, attention.value, attention.out)
        if all(places.count(index) == 1 for index in indices):
            return not {attention.query, attention.key}.issubset(indices)
    return False


def one_stream(kernels: Sequence[Kernel], wiring: Wiring | None) -> Iterator[Judgement]:
    """Yields what there is to say of kernels of different shapes that one seed drew.

    It is a fault where their matrices hold the same numbers at the same places, as those of as many
    outputs do, and they read one signal or one reads the other's units. Else the numbers meet other
    inputs and other outputs, so that what comes out is as independent as that of two seeds: a
    remark.

    Args:
        kernels: those that are not constant.
        wiring: that of the model, if it is known.
    """
    random = [k for k in kernels if k.values.size >= _LEADING and k.values.std() > 0]
    leading = np.array([kernel.values.reshape(-1)[:_LEADING] for kernel in random], "float64")
    if len(random) < 2:
        return
    leading -= leading.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(leading, axis=1, keepdims=True)
    leading /= np.where(norms > 0, norms, 1.0)
    alike = leading @ leading.T > 0.999
    grouped: set[int] = set()
    for row in range(len(random)):
        group = [
            int(other)
            for other in np.flatnonzero(alike[row])
            if other >= row and other not in grouped
        ]
        shapes = {random[other].values.shape for other in group}
        if len(shapes) > 1:
            grouped.update(group)
            paths = tuple(random[other].path for other in group)
            members = [random[other] for other in group]
            aligned = any(
                _is_aligned(one, other) and (wiring is None or _meet(wiring, one, other))
                for one, other in itertools.combinations(members, 2)
            )
            yield Judgement(
                Finding(
                    kind="one seed",
                    where=paths,
                    evidence=f"their first {_LEADING} values are the same numbers but for scale",
                    consequence=(
                        "one seeded initializer in several layers makes their units alike"
                        if aligned
                        else "one seeded initializer drew them, but no two units are alike"
                    ),
                    remedy=remedy(*(random[other] for other in group[1:])),
                    numbers={"weights": len(paths), "values": _LEADING},
                ),
                aligned,
            )


def _is_aligned(one: Kernel, other: Kernel) -> bool:
    """Returns whether two kernels of different shapes have the same numbers at the same places.

    Where one has more taps than the other, a corner of it repeats the other, at another place.
    """
    if other.values.shape == one.values.shape or _taps(one) != _taps(other):
        return False
    sizes = zip(one.geometry.matrix_shape, other.geometry.matrix_shape, strict=True)
    common = tuple(slice(min(pair)) for pair in sizes)
    mine, theirs = (k.matrices[common].reshape(-1).astype("float64") for k in (one, other))
    if mine.size < 2 or not (mine.std() > 0 and theirs.std() > 0):
        return False
    # 4 standard errors of the correlation of independent numbers, at least; of the smaller kernel
    # as a whole: one row of a table is none of the units of a map.
    chance = max(_ALIKE, 4 / math.sqrt(mine.size))
    share = mine.size / min(one.values.size, other.values.size)
    return bool(np.corrcoef(mine, theirs)[0, 1] * share > chance)


def _taps(kernel: Kernel) -> list[int]:
    """Returns the sizes of the axes that are neither inputs nor outputs, nor count maps."""
    geometry = kernel.geometry
    others = {*geometry.input_axes, *geometry.output_axes, *geometry.batch_axes}
    return [n for axis, n in enumerate(geometry.shape) if axis not in others]


def _meet(wiring: Wiring, one: Kernel, other: Kernel) -> bool:
    """Returns whether two kernels read one signal, or one the other's units.

    Of one attention the places part them, as in `equal_kernels`.
    """
    if _places_part(wiring, (one.path, other.path)):
        return False
    pairs = [(a, b) for a in wiring.of(one.path) for b in wiring.of(other.path)]
    return not pairs or any(
        set(a.signals) & set(b.signals) or _feeds(wiring, a, b) or _feeds(wiring, b, a)
        for a, b in pairs
    )


def _feeds(wiring: Wiring, one: Call, other: Call) -> bool:
    """Returns whether a kernel reads the units of another, and nothing that was added to them."""
    return any(
        wiring.graph.behind(source, lambda c: c.is_map or c.kind is Kind.SUM) == (one.index,)
        for source in other.signals
    )
