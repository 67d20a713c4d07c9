"""A comparison said in tables and sentences."""

import io
from collections.abc import Callable, Iterator

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keras_inits._compare.comparison import Comparison
from keras_inits._compare.statistics import CONFIDENCE, Difference, Interval, median_epoch

WIDTH = 80
LEVEL = 1 - CONFIDENCE


def summary(result: Comparison) -> str:
    """Returns tables and sentences within 80 columns."""
    buffer = io.StringIO()
    console = Console(
        force_jupyter=False, file=buffer, width=WIDTH, color_system=None, highlight=False
    )
    count = len(result.seeds)
    console.print(
        f"{result.metric} of {len(result.schemes)} schemes over {count} "
        f"seed{'s' if count > 1 else ''}, {result.epochs} epochs ({result.trainer})"
    )
    console.print(_schemes_table(result))
    if len(result.schemes) > 1 and count > 1:
        console.print(_differences_table(result))
    for sentence in conclusions(result):
        console.print(Text(sentence))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def conclusions(result: Comparison) -> Iterator[str]:
    """Yields what the data support, what they don't, and what a reader must know."""
    count = len(result.seeds)
    if count == 1:
        yield "One seed supports no conclusion: another one may turn the order round."
    elif len(result.schemes) > 1:
        differences = result.differences()
        pairs = len(differences)
        if (smallest := pairs * 2.0 ** (1 - count)) > LEVEL:
            yield (
                f"{count} seeds are too few to tell {len(result.schemes)} schemes apart at 5 %: "
                f"the smallest p that all {pairs} pair{'s' * (pairs > 1)} could have together is "
                f"{min(1.0, smallest):.2g}."
            )
        else:
            for difference in differences:
                yield difference_sentence(difference, higher_is_better=result.higher_is_better())
    yield from _failures(result)
    if count > 1 and result.settings.get("batches") == "shared":
        yield (
            "All seeds saw the same batches: the intervals speak of the initial weights alone "
            "(batches='own' adds the order of the samples)."
        )
    yield from result.notes


def difference_sentence(difference: Difference, *, higher_is_better: bool) -> str:
    """Returns what a paired difference supports, as a sentence."""
    a, b, interval = difference.a, difference.b, difference.interval
    if not np.isfinite(interval.low):
        return f"{a} and {b} cannot be compared: too few runs of both have a finite value."
    if difference.p_holm < LEVEL and interval.mean < 0:  # told from the larger side
        a, b = b, a
        interval = Interval(-interval.mean, -interval.high, -interval.low, interval.count)
    gap = f"(95 % {_number(interval.low)} to {_number(interval.high)}, {_p(difference.p_holm)})"
    if interval.low == interval.high == 0:
        return f"{a} and {b} ended equal in every seed."
    if difference.p_holm < LEVEL:
        better, worse = (a, b) if higher_is_better else (b, a)
        return f"{better} beats {worse} by {_number(interval.mean)} {gap}."
    return f"Not told apart: {a} and {b}, difference {_number(interval.mean)} {gap}."


def _failures(result: Comparison) -> Iterator[str]:
    count = len(result.seeds)
    diverged, stuck = result.diverged().sum(axis=1), result.stuck()
    for scheme, number in zip(result.schemes, diverged, strict=True):
        if number:
            yield (
                f"{scheme}: {number} of {count} runs diverged (a loss that is not finite); means "
                "leave out their values where those are not finite."
            )
    if stuck is not None:
        for scheme, number in zip(result.schemes, stuck.sum(axis=1), strict=True):
            if number:
                yield f"{scheme}: {number} of {count} runs never left chance."


def _schemes_table(result: Comparison) -> Table:
    target = result.common_target()
    epochs = result.epochs_to(target)
    sign = "≥" if result.higher_is_better() else "≤"
    failed = result.failed()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("scheme", overflow="fold")
    for name in ("final, 95 % interval", "best", f"epochs to\n{sign} {_number(target)}", "failed"):
        table.add_column(name, justify="right", no_wrap="interval" in name)
    finals, bests = result.intervals(), result.intervals(best=True)
    for i, scheme in enumerate(result.schemes):
        table.add_row(
            scheme,
            _interval(finals[scheme]),
            _number(bests[scheme].mean),
            _epochs(epochs[i], result.epochs),
            f"{int(failed[i].sum())} of {len(result.seeds)}",
        )
    return table


def _differences_table(result: Comparison) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("paired difference", overflow="fold")
    table.add_column("mean, 95 % interval", justify="right")
    table.add_column("pairs", justify="right")
    table.add_column("p (Holm)", justify="right")
    for difference in result.differences():
        table.add_row(
            f"{difference.a} - {difference.b}",
            _interval(difference.interval),
            str(difference.interval.count),
            _p(difference.p_holm).removeprefix("p = ").removeprefix("p "),
        )
    return table


def _epochs(epochs: np.ndarray, last: int) -> str:
    """The median, and how many runs are censored."""
    middle = median_epoch(epochs)
    text = f"{middle:g}" if np.isfinite(middle) else f"> {last}"
    censored = int(np.isinf(epochs).sum())
    return f"{text} ({censored} not yet)" if censored else text


def _interval(interval: Interval) -> str:
    return interval_text(interval, _number)


def interval_text(interval: Interval, number: Callable[[float], str]) -> str:
    """Returns the mean with both ends in brackets, or alone where there is no interval."""
    if not np.isfinite(interval.low):
        return number(interval.mean)
    return f"{number(interval.mean)} [{number(interval.low)}, {number(interval.high)}]"


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "none"
    if 0 < abs(value) < 5e-5:
        return f"{value:.0e}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"


def _p(p: float) -> str:
    if not np.isfinite(p):
        return "p unknown"
    return "p < 0.001" if p < 1e-3 else f"p = {p:.3f}"
