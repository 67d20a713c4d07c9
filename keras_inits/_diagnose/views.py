"""A diagnosis as a table and text."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from keras_inits._reporting import Finding, alike, plain_text, shortened

if TYPE_CHECKING:
    from keras_inits._diagnose.report import SignalReport


_FORMS = 3  # different remedies that a group of findings shows
# What leads from a model to one of its layers, inside of others too; the group is the last name.
_CHAIN = re.compile(r'\bmodel(?:\.get_layer\("[^"]+"\))*\.get_layer\(("[^"]+")\)')


def heading(report: "SignalReport") -> str:
    """Returns one line: the model, the samples, the loss and the verdict."""
    loss = "a random cotangent" if report.loss is None else f"loss {report.loss:.4g}"
    return f"{report.model}, {report.batch} samples, {loss}: {report.verdict}"


def layer_table(report: "SignalReport") -> Table:
    """Returns one row for each layer, legible at 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("layer", no_wrap=True, overflow="ellipsis", max_width=20)
    for head in ("std", "rms", "theory", "grad rms", "theory"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for layer in report.layers:
        back = math.nan if layer.gradient is None else layer.gradient.second_moment
        table.add_row(
            plain_text(shortened(layer.name, 20)),
            _short(layer.output.std),
            _short(_root(layer.output.second_moment)),
            _banded(layer.predicted_second_moment, layer.predicted_deviation),
            _short(_root(back)),
            _banded(layer.predicted_gradient, layer.predicted_gradient_deviation),
            plain_text(layer.verdict, _style(layer.verdict)),
        )
    return table


def parts(report: "SignalReport") -> Iterator[RenderableType]:
    """Yields the table, the verdict, notes, and the findings, alike ones together."""
    yield layer_table(report)
    yield Text()
    yield plain_text(heading(report), _style(report.verdict))
    if (jacobian := report.jacobian) is not None:
        yield Text(
            f"Jacobian: mean squared singular value {jacobian.mean_squared_singular_value:.3g}, "
            f"largest {jacobian.largest_singular_value:.3g}"
        )
    if (steps := report.first_steps) is not None:
        guess = "" if steps.guess is None else f"; a constant guess has {steps.guess:.3g}"
        yield Text(
            f"First steps at learning rate {steps.rate:.3g}, on a copy: loss {steps.start:.3g} to "
            f"{steps.after:.3g}{guess} ({steps.steps} steps tried in all)"
            + _span(steps.lowest, steps.highest)
        )
    for note in report.notes:
        yield plain_text(note)
    for group in alike(report.findings).values():
        finding, *others = group
        yield Text()
        places = {name for other in others for name in other.where}.difference(finding.where)
        more = f" and {len(places)} more" if places else ""
        yield Text.assemble(
            plain_text(", ".join(finding.where) + more, "bold"),
            ": ",
            plain_text(finding.kind, _style(finding.kind)),
            plain_text(f", {finding.evidence}."),
        )
        if finding.consequence:
            yield plain_text(f"  {finding.consequence}.")
        if finding.remedy:
            yield plain_text(f"  {_remedies(group)}")


def _span(low: float, high: float) -> str:
    if math.isnan(low):
        return ""
    if low == high:
        return f"; of five rates, a decade apart, {low:.3g} alone makes half of the best fall"
    return f"; of five rates, a decade apart, {low:.3g} to {high:.3g} make half of the best fall"


def _remedies(group: Sequence[Finding]) -> str:
    """Returns the first remedy for all layers of a group, and up to two others of its findings."""
    forms: dict[str, dict[str, None]] = {}
    for finding in group:
        form, layer = _of_a_layer(finding.remedy)
        if layer or finding is group[0]:
            forms.setdefault(form, {})[layer] = None
    return "\n".join(_looped(form, list(layers)) for form, layers in list(forms.items())[:_FORMS])


def _looped(form: str, layers: list[str]) -> str:
    if len(layers) > 1:
        return f"for name in ({', '.join(layers)}):\n    {form}"
    return form.replace("get_layer(name)", f"get_layer({layers[0]})") if layers[0] else form


def _of_a_layer(remedy: str) -> tuple[str, str]:
    """Returns code with `name` in the place of the one layer it gets, and that layer's literal.

    >>> _of_a_layer('f(model.get_layer("block").get_layer("d1"))')
    ('f(model.get_layer("block").get_layer(name))', '"d1"')
    """
    chains = list(_CHAIN.finditer(remedy))
    if len(chains) != 1 or "\n" in remedy:
        return remedy, ""
    start, end = chains[0].span(1)
    return f"{remedy[:start]}name{remedy[end:]}", remedy[start:end]


def _root(value: float | None) -> float:
    return math.nan if value is None else math.sqrt(value) if value >= 0 else math.nan


def _short(value: float) -> str:
    """Returns a number in at most 8 characters, or a dot where there is none."""
    if math.isnan(value):
        return "·"
    return f"{value:.3f}" if 1e-3 <= value < 1e3 else f"{value:.0e}" if value else "0"


def _banded(second_moment: float | None, deviation: float | None) -> str:
    """Returns a predicted root mean square with its standard deviation in per cent."""
    shown = _short(_root(second_moment))
    if not deviation or shown in ("·", "0"):
        return shown
    per_cent = 50 * deviation  # of the root
    return f"{shown} ±{per_cent:.0f}%" if 0.5 <= per_cent < 1000 else shown


def _style(verdict: str) -> str:
    return "green" if verdict == "healthy" else "bold red"
