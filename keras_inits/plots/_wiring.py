"""A wiring drawn with matplotlib: the streams, and the branches that are added to them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_inits import _checks
from keras_inits._wiring import Call, Sum, Wiring
from keras_inits._wiring.views import SHOWN
from keras_inits.plots._given import axes_for
from keras_inits.plots._training import COLORS

_ROWS = 40  # in one column; longer nets go on in the next
_BOX = 2.7  # inches for one box
_ROW = 0.36  # inches for one row
_LONGEST = 12  # lines of a block that is looked for again right behind it
_NAME = 34  # letters that fit a box
_LEGEND = (
    "circle: sum, with its place in the stream    box: kernel → activation    thick: end of a "
    "branch    dotted: shortcut\nbar: a normalization undoes the scale    orange: attention, "
    "whose inputs are side by side    × 3: three equal blocks"
)


@dataclass(frozen=True)
class _Row:
    """One line of the picture: a kernel on the stream, or a sum with what it adds.

    Attributes:
        at: the call that it stands for.
        calls: the kernels in its boxes.
        added: the sum, if it is one.
        times: how many equal blocks in a row it is drawn for.
        of: how many lines such a block has.
        place: which of them it is, from 0.
    """

    at: int
    calls: tuple[Call, ...]
    added: Sum | None
    times: int = 1
    of: int = 1
    place: int = 0


def wiring_figure(wiring: Wiring, *, fold: bool = True) -> Figure:
    """Returns a figure of a size that fits `plot_wiring`.

    Args:
        wiring: what `keras_inits.wiring` returns.
        fold: whether equal blocks in a row are drawn once.

    Returns:
        A new figure, not shown: `figure.savefig(path)` writes it.

    Raises:
        InputTypeError: no wiring.

    >>> import keras
    >>> import keras_inits
    >>> from keras_inits import plots
    >>> x = inputs = keras.Input((8,))
    >>> x = x + keras.layers.Dense(8)(keras.layers.Dense(16, "relu")(x))
    >>> net = keras.Model(inputs, x, name="block")
    >>> figure = plots.wiring_figure(keras_inits.wiring(net))
    >>> len(figure.axes)
    1
    """
    _checks.instance("wiring", wiring, Wiring, "what `keras_inits.wiring` returns")
    rows = _rows(wiring, fold)
    columns = math.ceil(len(rows) / _ROWS) or 1
    width = max((len(row.calls) for row in rows), default=1) + 1.2
    size = (columns * width * _BOX + 0.6, min(len(rows), _ROWS) * _ROW + 1.3)
    figure = Figure(size, layout="constrained")
    plot_wiring(wiring, figure.subplots(), fold=fold)
    return figure


def plot_wiring(wiring: Wiring, ax: Axes | None = None, *, fold: bool = True) -> Axes:
    """Draws a model: its stream from top to bottom, and what each sum adds, in its row.

    A box is a kernel, with the activation that follows it; a thick edge marks the end of a branch,
    a bar at the right a normalization that undoes the kernel's scale. A circle is a sum, with how
    many its stream has passed. The line changes color where a normalization starts a new stream.
    Blocks in a row that have the same kernels, activations and sums are drawn once, as the first of
    them, with how many there are.

    Args:
        wiring: what `keras_inits.wiring` returns.
        ax: where to draw; new axes in a figure of a fitting size if None.
        fold: whether equal blocks are drawn once.

    Returns:
        The axes.

    Raises:
        InputTypeError: no wiring.

    >>> import keras
    >>> import keras_inits
    >>> from keras_inits import plots
    >>> x = inputs = keras.Input((8,))
    >>> x = x + keras.layers.Dense(8)(keras.layers.Dense(16, "relu")(x))
    >>> net = keras.Model(inputs, x, name="block")
    >>> ax = plots.plot_wiring(keras_inits.wiring(net))
    >>> ax.get_title(loc="left")
    'Wiring of block: 2 kernels, 1 sum, 1 stream'
    """
    _checks.instance("wiring", wiring, Wiring, "what `keras_inits.wiring` returns")
    if ax is None:
        return wiring_figure(wiring, fold=fold).axes[0]
    ax = axes_for(ax)
    rows = _rows(wiring, fold)
    width = max((len(row.calls) for row in rows), default=1) + 1.2
    for number, row in enumerate(rows):
        column, line = divmod(number, _ROWS)
        last = number + 1 == len(rows) or line + 1 == _ROWS
        _draw(wiring, ax, row, column * width, -line, last=last)
    ax.set_title(wiring.heading(), loc="left", fontsize=10)
    scoped = any(row.times > 1 or (row.added and _scope(row.calls)) for row in rows)
    margin = 0.9 if scoped else 0.35
    ax.text(0, -min(len(rows), _ROWS) + 0.4, _LEGEND, fontsize=6.5, color="0.35", va="top")
    ax.set_xlim(-margin, max(1, math.ceil(len(rows) / _ROWS)) * width)
    ax.set_ylim(-min(len(rows), _ROWS) - 0.5, 0.8)
    ax.set_axis_off()
    return ax


def _rows(wiring: Wiring, fold: bool) -> list[_Row]:
    inside: dict[int, list[Call]] = {each.call: [] for each in wiring.sums}
    rows = []
    for call in wiring.calls:
        if not (call.is_map or call.kind in SHOWN):
            continue
        found = wiring.sum_of(call)
        if found is not None:
            inside[found.call].append(call)
        else:
            rows.append(_Row(call.index, (call,), None))
    rows += [_Row(each.call, tuple(inside[each.call]), each) for each in wiring.sums]
    rows = sorted(rows, key=lambda row: row.at)
    return _folded(wiring, rows) if _checks.boolean("fold", fold) else rows


def _folded(wiring: Wiring, rows: list[_Row]) -> list[_Row]:
    """Returns the rows with equal blocks in a row drawn once."""
    looks = [_look(wiring, row) for row in rows]
    folded: list[_Row] = []
    start = 0
    while start < len(rows):
        length, times = _repeated(looks, start)
        block = rows[start : start + length]
        if times > 1:
            block = [
                replace(row, times=times, of=length, place=place) for place, row in enumerate(block)
            ]
        folded += block
        start += length * times
    return folded


def _repeated(looks: Sequence[Any], start: int) -> tuple[int, int]:
    """Returns the length of the block that begins at a row, and how often it comes there.

    Of several lengths it is the one that saves most rows, and of these the shortest.
    """
    best, saved = (1, 1), 0
    for length in range(1, min(_LONGEST, (len(looks) - start) // 2) + 1):
        block, times = looks[start : start + length], 1
        while looks[start + times * length : start + (times + 1) * length] == block:
            times += 1
        if length * (times - 1) > saved:
            best, saved = (length, times), length * (times - 1)
    return best


def _look(wiring: Wiring, row: _Row) -> tuple[Any, ...]:
    """Returns what a row shows, without names and places: equal for equal blocks."""
    stream = wiring.stream_of(wiring.calls[row.at])
    boxes = tuple(
        (
            call.type,
            call.shape,
            wiring.attention_role(call),
            wiring.activation_after(call).activation,
            bool(wiring.normalized_after(call)),
            _is_end(call, row.added),
            _is_shortcut(call, row.added),
        )
        for call in row.calls
    )
    return row.added is None, stream and stream.start, boxes


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
        if row.times == 1 and (scope := _scope(row.calls)):
            ax.text(x - 0.1, y, scope, ha="right", va="center", fontsize=6, color="0.45")
    if row.times > 1:
        above, below = (0.5 if joined else 0.35 for joined in (row.place, row.of - 1 - row.place))
        ax.plot([x - 0.25] * 2, [y + above, y - below], color="0.45", lw=1, zorder=1)
        if not row.place:
            middle = y - (row.of - 1) / 2
            text = f"× {row.times}"
            ax.text(x - 0.3, middle, text, ha="right", va="center", fontsize=9, color="0.2")
    names = _short([c.path for c in row.calls])
    for place, (inner, name) in enumerate(zip(row.calls, names, strict=True)):
        _box(wiring, ax, inner, name, row.added, x + 0.2 + place, y)


def _box(
    wiring: Wiring, ax: Axes, call: Call, name: str, added: Sum | None, x: float, y: float
) -> None:
    role = wiring.attention_role(call)
    face = "#fde3c3" if role else "#e3e3e3" if call.kind in SHOWN else "#dbe9f6"
    shortcut, end = _is_shortcut(call, added), _is_end(call, added)
    style = {
        "boxstyle": "round,pad=0.25",
        "facecolor": "white" if shortcut else face,
        "edgecolor": "0.2" if end else "0.4" if shortcut else "0.65",
        "linewidth": 1.8 if end else 1.1 if shortcut else 0.6,
        "linestyle": ":" if shortcut else "-",
    }
    following = wiring.activation_after(call).activation
    shown = following if following not in ("", "linear") and len(following) < _NAME else ""
    label = role or name
    space = _NAME + 2 - len(shown)
    label = _cut(label, space)
    text = f"{label} → {shown}" if shown else label
    ax.text(x, y, text, fontsize=6.5, ha="left", va="center", bbox=style, zorder=3)
    if wiring.normalized_after(call):
        ax.plot([x, x + 0.9], [y, y], color="0.6", lw=1, zorder=1)
        ax.plot([x + 0.9] * 2, [y - 0.28, y + 0.28], color="#2a7f3f", lw=2, zorder=2)


def _is_shortcut(call: Call, added: Sum | None) -> bool:
    return added is not None and call.index in added.shortcut.calls


def _is_end(call: Call, added: Sum | None) -> bool:
    ends = [branch for branch in added.branches if branch.end is not None] if added else []
    return any(call.index in (branch.end, branch.kernel) for branch in ends)


def _cut(name: str, space: int) -> str:
    """Returns a name without as many words at its beginning as do not fit.

    >>> _cut("feedforward_intermediate_dense", 22), _cut("dense", 22)
    ('…intermediate_dense', 'dense')
    """
    words, shown = name.split("_"), name
    while len(shown) > space and len(words) > 1:
        words = words[1:]
        shown = "…" + "_".join(words)
    return shown if len(shown) <= space else shown[: space - 1] + "…"


def _scope(calls: Sequence[Call]) -> str:
    """Returns the first layer that all calls lie in; empty if they lie in none."""
    outer = {call.path.split("/")[0] for call in calls if "/" in call.path}
    return outer.pop() if len(outer) == 1 else ""


def _short(paths: Sequence[str]) -> list[str]:
    """Returns the last parts of paths."""
    return [path.split("/")[-1] for path in paths]
