"""A wiring drawn with matplotlib: the streams, and the branches that are added to them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_inits._layers.kinds import Kind
from keras_inits._wiring import Call, Sum, Wiring
from keras_inits.plots._training import COLORS

_ROWS = 40  # in one column; longer nets go on in the next
_SHOWN = (Kind.EMBEDDING, Kind.POSITION, Kind.RECURRENT)
_BOX = 2.1  # inches for one box
_ROW = 0.36  # inches for one row
_NAME = 24  # letters that fit a box
_LEGEND = (
    "circle: sum, with its place in the stream    box: kernel → activation    "
    "thick: end of a branch    dotted: shortcut    bar: a normalization undoes the scale"
)


@dataclass(frozen=True)
class _Row:
    """One line of the picture: a kernel on the stream, or a sum with what it adds."""

    at: int
    calls: tuple[Call, ...]
    added: Sum | None


def wiring_figure(wiring: Wiring) -> Figure:
    """Returns a figure of a size that fits `plot_wiring`."""
    rows = _rows(wiring)
    columns = math.ceil(len(rows) / _ROWS) or 1
    width = max((len(row.calls) for row in rows), default=1) + 1.2
    size = (columns * width * _BOX + 0.6, min(len(rows), _ROWS) * _ROW + 1.3)
    figure = Figure(size, layout="constrained")
    plot_wiring(wiring, figure.subplots())
    return figure


def plot_wiring(wiring: Wiring, ax: Axes | None = None) -> Axes:
    """Draws a model: its stream from top to bottom, and what each sum adds, in its row.

    A box is a kernel, with the activation that follows it; a thick edge marks the end of a branch,
    a bar at the right a normalization that undoes the kernel's scale. A circle is a sum, with how
    many its stream has passed. The line changes color where a normalization starts a new stream.

    Args:
        wiring: what `keras_inits.wiring` returns.
        ax: where to draw; new axes in a figure of a fitting size if None.

    Returns:
        The axes.
    """
    if ax is None:
        return wiring_figure(wiring).axes[0]
    rows = _rows(wiring)
    width = max((len(row.calls) for row in rows), default=1) + 1.2
    for number, row in enumerate(rows):
        column, line = divmod(number, _ROWS)
        last = number + 1 == len(rows) or line + 1 == _ROWS
        _draw(wiring, ax, row, column * width, -line, last=last)
    ax.set_title(wiring.heading(), loc="left", fontsize=10)
    margin = 0.9 if any(row.added and _scope(row.calls) for row in rows) else 0.35
    ax.text(0, -min(len(rows), _ROWS) + 0.4, _LEGEND, fontsize=6.5, color="0.35", va="top")
    ax.set_xlim(-margin, max(1, math.ceil(len(rows) / _ROWS)) * width)
    ax.set_ylim(-min(len(rows), _ROWS) - 0.3, 0.8)
    ax.set_axis_off()
    return ax


def _rows(wiring: Wiring) -> list[_Row]:
    inside: dict[int, list[Call]] = {each.call: [] for each in wiring.sums}
    rows = []
    for call in wiring.calls:
        if not (call.is_map or call.kind in _SHOWN):
            continue
        found = wiring.sum_of(call)
        if found is not None:
            inside[found.call].append(call)
        else:
            rows.append(_Row(call.index, (call,), None))
    rows += [_Row(each.call, tuple(inside[each.call]), each) for each in wiring.sums]
    return sorted(rows, key=lambda row: row.at)


def _draw(wiring: Wiring, ax: Axes, row: _Row, x: float, y: float, *, last: bool) -> None:
    call = wiring.calls[row.at]
    stream = wiring.stream_of(call)
    color = COLORS[wiring.streams.index(stream) % len(COLORS)] if stream else "0.6"
    if not last:
        ax.plot([x, x], [y, y - 1], color=color, lw=2.5, zorder=1, solid_capstyle="round")
    if row.added is None:
        ax.plot([x, x + 0.2], [y, y], color=color, lw=1, zorder=1)
    else:
        end = x + len(row.calls) - 0.8
        ax.plot([x, end], [y, y], color="0.6", lw=1, zorder=1)
        ax.plot(x, y, "o", ms=14, mfc="white", mec=color, mew=1.5, zorder=2)
        text = f"{row.added.place + 1}"
        ax.text(x, y, text, ha="center", va="center", fontsize=7, zorder=3)
        if scope := _scope(row.calls):
            ax.text(x - 0.1, y, scope, ha="right", va="center", fontsize=6, color="0.45")
    names = _short([c.path for c in row.calls])
    for place, (inner, name) in enumerate(zip(row.calls, names, strict=True)):
        _box(wiring, ax, inner, name, row.added, x + 0.2 + place, y)


def _box(
    wiring: Wiring, ax: Axes, call: Call, name: str, added: Sum | None, x: float, y: float
) -> None:
    role = wiring.attention_role(call)
    face = "#fde3c3" if role else "#e3e3e3" if call.kind in _SHOWN else "#dbe9f6"
    shortcut = added is not None and call.index in added.shortcut.calls
    ends = [branch for branch in added.branches if branch.end is not None] if added else []
    end = any(call.index in (branch.end, branch.kernel) for branch in ends)
    style = {
        "boxstyle": "round,pad=0.25",
        "facecolor": "white" if shortcut else face,
        "edgecolor": "0.2" if end else "0.65",
        "linewidth": 1.8 if end else 0.6,
        "linestyle": ":" if shortcut else "-",
    }
    following = wiring.activation_after(call).activation
    shown = following if following not in ("", "linear") and len(following) < _NAME else ""
    label = role or name
    space = _NAME + 2 - len(shown)
    label = label if len(label) <= space else "…" + label[1 - space :]
    text = f"{label} → {shown}" if shown else label
    ax.text(x, y, text, fontsize=6.5, ha="left", va="center", bbox=style, zorder=3)
    if wiring.normalized_after(call):
        ax.plot([x, x + 0.9], [y, y], color="0.6", lw=1, zorder=1)
        ax.plot([x + 0.9] * 2, [y - 0.28, y + 0.28], color="#2a7f3f", lw=2, zorder=2)


def _scope(calls: Sequence[Call]) -> str:
    """Returns the first layer that all calls lie in; empty if they lie in none."""
    outer = {call.path.split("/")[0] for call in calls if "/" in call.path}
    return outer.pop() if len(outer) == 1 else ""


def _short(paths: Sequence[str]) -> list[str]:
    """Returns the last parts of paths."""
    return [path.split("/")[-1] for path in paths]
