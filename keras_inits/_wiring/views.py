"""A wiring as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table

from keras_inits._layers.kinds import Kind
from keras_inits._reporting import plain_text

if TYPE_CHECKING:
    from keras_inits._wiring.graph import Call
    from keras_inits._wiring.picture import Wiring
    from keras_inits._wiring.streams import Stream

# Shown as kernels are.
SHOWN = (Kind.EMBEDDING, Kind.POSITION, Kind.RECURRENT)


def heading(wiring: Wiring) -> str:
    """Returns one line: the model and how much of what it has."""
    counted = {
        "kernel": len(wiring.maps),
        "sum": len(wiring.sums),
        "stream": len(wiring.streams),
        "attention": len(wiring.attentions),
    }
    parts = [f"{n} {name}{'' if n == 1 else 's'}" for name, n in counted.items() if n]
    missing = f", {len(wiring.unknown)} not understood" if wiring.unknown else ""
    return f"Wiring of {wiring.model}: {', '.join(parts) or 'no kernels'}{missing}"


def name_of(wiring: Wiring, source: int) -> str:
    """Returns the path of a call, or the name of an input."""
    return wiring.calls[source].path if source >= 0 else f"input {wiring.inputs[-1 - source]}"


def table(wiring: Wiring) -> Table:
    """Returns a row for each kernel and each sum of branches."""
    result = Table(title=plain_text(heading(wiring)), title_justify="left", box=None)
    result.add_column("#", justify="right", no_wrap=True)
    result.add_column("call", ratio=3, overflow="fold")
    result.add_column("is", ratio=2, overflow="fold")
    result.add_column("then", ratio=3, overflow="fold")
    result.add_column("sums", justify="right", no_wrap=True)
    sums = {each.call: each for each in wiring.sums}
    heads = {call.index for call in wiring.heads}
    for call in wiring.calls:
        if call.index in sums:
            found = sums[call.index]
            ends = [f"#{end} {wiring.calls[end].path.split('/')[-1]}" for end in found.branch_ends]
            what, then = "sum", f"ends: {', '.join(ends) or 'not understood'}"
            place = str(found.place + 1)
        elif call.is_map or call.kind in SHOWN:
            what, then = _what(wiring, call, call.index in heads), _then(wiring, call)
            place = str(wiring.passed(call)) if wiring.stream_of(call) else ""
        else:
            continue
        result.add_row(
            str(call.index), plain_text(call.path), plain_text(what), plain_text(then), place
        )
    return result


def _what(wiring: Wiring, call: Call, head: bool) -> str:
    role = wiring.attention_role(call)
    words = [f"attention {role}" if role else str(call.kind)]
    words += ["tied"] * (call.kind is Kind.EMBEDDING and wiring.tied(call))
    words += ["over time"] * call.over_time + ["head"] * head
    return ", ".join(words)


def _then(wiring: Wiring, call: Call) -> str:
    following = wiring.activation_after(call)
    kinds = dict.fromkeys(str(wiring.calls[i].kind) for i in following.between)
    return ", ".join([*kinds, following.activation or following.met])


def parts(wiring: Wiring) -> Iterator[RenderableType]:
    """Yields the table, the streams, and what is not understood."""
    yield table(wiring)
    for stream in wiring.streams:
        yield plain_text(_stream(wiring, stream))
    for call in wiring.unknown:
        reason = call.problem or f"{call.type} is not known"
        yield plain_text(f"Not understood: {call.path}: {reason}")
    for call in wiring.cuts:
        yield plain_text(f"No gradient comes back through {call.path} ({call.type}).")


def _stream(wiring: Wiring, stream: Stream) -> str:
    count, branches = len(stream.sums), stream.branches
    more = "" if branches == count else f" of {branches} branches"
    return (
        f"Stream from {name_of(wiring, stream.start)}: {count} sum{'' if count == 1 else 's'}"
        f"{more}, to {name_of(wiring, stream.sums[-1])}"
    )
