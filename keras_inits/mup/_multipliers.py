"""The multipliers that a model has to bring by itself, for its logits."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from keras_inits._errors import InputError
from keras_inits._layers.kinds import Kind
from keras_inits._wiring import Call, Wiring, wiring


@dataclass(frozen=True)
class Multiplier:
    """A factor that a model has to bring.

    Attributes:
        where: the call of the layer or operation; empty for all that could not be seen.
        factor: what its output has to be multiplied by, next to that of the base.
        reason: what it is, and what to do.
    """

    where: str
    factor: float
    reason: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.where, self.reason)))


def multipliers(model: keras.Model, base: keras.Model) -> tuple[Multiplier, ...]:
    """Returns what a wide model has to multiply its logits by, which no start or rate can do.

    Of a model as wide as its base the factor is 1, and is not said.

    Args:
        model: the wide model, built.
        base: its narrow sibling, built.
    """
    try:
        found, narrow = wiring(model), wiring(base)
    except InputError as error:
        problem = str(error).split(". ")[0].rstrip(".")
        reason = f"attention and tied tables were not looked for, since {problem}"
        return (Multiplier("", 1.0, reason),)
    return (*_of_attentions(found, narrow), *_of_tables(found, narrow))


def _of_attentions(found: Wiring, narrow: Wiring) -> Iterator[Multiplier]:
    if len(found.attentions) != len(narrow.attentions):
        return
    for ours, theirs in zip(found.attentions, narrow.attentions, strict=True):
        call = found.calls[ours.call]
        heads = [_head_size(w, w.calls[a.call]) for w, a in ((found, ours), (narrow, theirs))]
        if None in heads or heads[0] == heads[1]:
            continue
        wide, base = (float(size or 0) for size in heads)
        yield Multiplier(
            call.path,
            math.sqrt(base / wide),
            f"its heads widen from {base:g} to {wide:g}: logits are to be query · key / {wide:g} "
            f"times a constant, such as {math.sqrt(base):.3g}, not / sqrt({wide:g}). Or keep the "
            "size of the heads and widen by their number: then nothing is to be done",
        )


def _head_size(found: Wiring, call: Call) -> int | None:
    """Returns over how many numbers the product of a query with a key sums."""
    if call.kind is not Kind.ATTENTION:
        graph = found.graph
        behind = graph.behind(call.signals[0], lambda c: c.kind is Kind.CONTRACTION or c.is_map)
        products = [i for i in behind if graph.calls[i].kind is Kind.CONTRACTION]
        if not products:
            return None
        call = graph.calls[products[-1]]
    query = call.sources[0]
    return None if query < 0 else int(found.calls[query].shape[-1])


def _of_tables(found: Wiring, narrow: Wiring) -> Iterator[Multiplier]:
    ours, theirs = (
        [c for c in each.calls if c.kind is Kind.EMBEDDING and c.backwards]
        for each in (found, narrow)
    )
    if len(ours) != len(theirs):
        return
    for wide, base in zip(ours, theirs, strict=True):
        widths = [_width(w, c) for w, c in ((found, wide), (narrow, base))]
        lookups = any(
            c.kind is Kind.EMBEDDING and not c.backwards and set(c.weights) & set(wide.weights)
            for c in found.calls
        )
        if None in widths or widths[0] == widths[1] or not lookups:
            continue
        factor = float(widths[1] or 0) / float(widths[0] or 1)
        yield Multiplier(
            wide.path,
            factor,
            f"its table is embedding and head: its logits are to be multiplied by {factor:.3g}, "
            "one over the width against the base",
        )


def _width(found: Wiring, call: Call) -> int | None:
    shapes = found.shapes_into(call)
    return int(shapes[0][-1]) if shapes and shapes[0] else None
