"""The scale of a table that is looked up: by what it makes, and by what its rows are added to."""

import math
from collections.abc import Callable, Iterator, Set
from typing import NamedTuple

from keras_inits._initialize.aims import HEAD
from keras_inits._initialize.carrying import Carrier
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.kinds import KEEPS_SCALE, KERNELS, Kind
from keras_inits._wiring import Call

# Rows of codes start with this share of the second moment for which all that follows is drawn. Rows
# of 1 are random codes that a net has to see through before they have turned; kernels that made up
# for small ones would let these learn too fast (docs/auto.md, by benchmarks/auto_tables.py).
CODES = 0.01
# What reads codes.
_READING = KERNELS | {Kind.NORMALIZATION, Kind.RECURRENT, Kind.CELL}
# What a table's rows pass: factors, such as the root of the width, and sums with other rows.
_PASSED = KEEPS_SCALE | {Kind.SCALING, Kind.SUM}


class Table(NamedTuple):
    """How a table starts.

    Attributes:
        gain: the root of fan_in times the mean square for which what follows is drawn.
        square: that mean square.
        note: why.
        share: the mean square that its entries start with, of that one.
    """

    gain: float
    square: float
    note: str
    share: float = 1.0


def table_start(
    carrier: Carrier, call: Call, geometry: KernelGeometry, choose: Callable[[Call], None]
) -> Table:
    """Returns how a table starts: with second moment 1, if its rows are all that it makes.

    One that makes the logits too gives these `HEAD`, so that its rows are small. A table whose rows
    are added to such small ones, of positions or segments, has their scale: rows of 1 would hide
    the tokens from all that follows. (BERT and GPT-2 give all their tables about one scale.) Rows
    that kernels or cells alone read start small, for what is drawn as for rows of 1.

    Args:
        carrier: the model, and what comes out of the calls before this one.
        call: the lookup.
        geometry: that of the table.
        choose: chooses what a later call needs, and carries the signal through it.

    Reference:
        Devlin et al. 2019 (N(0, 0.02^2) for all tables). https://arxiv.org/abs/1810.04805
        Press & Wolf 2017 (one table for both). https://arxiv.org/abs/1608.05859
    """
    if (square := _of_tied(carrier, call)) is not None:
        note = f"embedding that makes the logits too: these have second moment {HEAD}"
        return Table(math.sqrt(square * geometry.fan_in), square, note)
    for tied, operand in _tied_beside(carrier, call):
        for later in _on_the_way(carrier, operand, call):
            choose(later)
        known = carrier.signals.get(operand)
        square = known.second_moment if known else _of_tied(carrier, tied)
        if square:
            note = f"embedding added to one that makes the logits too: second moment {square:.3g}"
            return Table(math.sqrt(square), square, note)
    if _are_codes(carrier, call):
        note = f"embedding, codes for a kernel: second moment {CODES}, of 1 for which that is drawn"
        return Table(1.0, 1.0, note, CODES)
    return Table(1.0, 1.0, "embedding: second moment 1")


def _are_codes(carrier: Carrier, call: Call) -> bool:
    """Returns whether kernels and cells alone read the rows, in a sequence or beside others."""
    calls, consumers = carrier.wiring.calls, carrier.wiring.graph.consumers
    open_ = list(consumers.get(call.index, ()))
    read = bool(open_)
    while open_:
        taken = calls[open_.pop()]
        if taken.kind in KEEPS_SCALE | {Kind.CONCATENATION}:
            open_ += consumers.get(taken.index, ())
        elif taken.kind not in _READING:
            return False
    return read


def _of_tied(carrier: Carrier, call: Call) -> float | None:
    """Returns the mean square of a table that makes logits too; None of another one."""
    (_, geometry), *_ = carrier.kernels(call)
    if geometry.fan_in != 1:  # its layer says so
        return HEAD / geometry.fan_in
    return HEAD / geometry.fan_out if carrier.wiring.tied(call) else None  # or an operation does


def _tied_beside(carrier: Carrier, call: Call) -> Iterator[tuple[Call, int]]:
    """Yields lookups in tied tables to whose rows those of a call are added.

    Each with the operand of the sum that it is seen in: the lookup, or what scales it.
    """
    calls, consumers = carrier.wiring.calls, carrier.wiring.graph.consumers
    seen, open_ = {call.index}, [call.index]
    while open_:
        for index in consumers.get(open_.pop(), ()):
            if index in seen or calls[index].kind not in KEEPS_SCALE | {Kind.SUM}:
                continue
            seen.add(index)
            open_.append(index)
            for operand in calls[index].signals if calls[index].kind is Kind.SUM else ():
                yield from ((each, operand) for each in _tied_behind(carrier, operand, seen))


def _on_the_way(carrier: Carrier, operand: int, table: Call) -> Iterator[Call]:
    """Yields the calls up to an operand that were not passed yet, in order.

    Nothing, if the operand depends on `table` itself or on more than rows of tables.
    """
    found: dict[int, Call] = {}
    open_ = [operand]
    while open_:
        if (at := open_.pop()) in carrier.signals or at in found:
            continue
        found[at] = call = carrier.wiring.calls[at]
        if call.kind not in _PASSED | {Kind.EMBEDDING, Kind.POSITION} or call == table:
            return
        open_ += call.signals
    yield from (found[index] for index in sorted(found))


def _tied_behind(carrier: Carrier, operand: int, seen: Set[int]) -> Iterator[Call]:
    """Yields lookups in tied tables whose rows an operand is made of, scaled or added up."""
    open_, passed = [operand], set(seen)
    while open_:
        if (at := open_.pop()) < 0 or at in passed:
            continue
        passed.add(at)
        call = carrier.wiring.calls[at]
        is_table = call.kind is Kind.EMBEDDING and not call.backwards and carrier.kernels(call)
        if is_table and _of_tied(carrier, call) is not None:
            yield call
        elif call.kind in _PASSED:
            open_ += call.signals
