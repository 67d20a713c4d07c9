"""The base of all results: one set of methods, one `Finding`, one encoding for JSON."""

import dataclasses
import functools
import io
import json
import math
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits._files import write_whole
from keras_inits._finding_kinds import FindingKind

_Item = TypeVar("_Item")
_Key = TypeVar("_Key", bound=Hashable)

WIDTH = 80  # columns of a report as text

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: what it is, in a word or two.
        where: what has it: paths of weights, names of layer calls, or one of `"input"`,
            `"targets"`, `"output"`, `"loss"` and `"optimizer"`.
        evidence: the proof, with the measured number and the limit that it passed.
        consequence: what comes of it in training.
        remedy: what to change; code that runs, for a model called `model`, where there is such.
        numbers: the numbers of the evidence by name.

    >>> finding = Finding(
    ...     kind="constant kernel", where=("dense/kernel",), evidence="all 64 values are 0.5",
    ...     consequence="all units stay equal", remedy='keras_inits.initialize(model)', numbers={},
    ... )
    >>> finding.where
    ('dense/kernel',)
    """

    kind: FindingKind
    where: tuple[str, ...]
    evidence: str
    consequence: str = ""
    remedy: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = (self.evidence, self.consequence, self.remedy)
        return f"{self.kind}: {', '.join(self.where)}: " + ". ".join(filter(None, parts))


def draw_anew(path: str, scheme: str) -> str:
    """Returns code that draws a weight anew, and no other.

    >>> print(draw_anew("dense/kernel", "initkit_he"))
    keras_inits.initialize(model, overrides={'dense/kernel': "initkit_he", "*": None})
    """
    return f'keras_inits.initialize(model, overrides={{{path!r}: "{scheme}", "*": None}})'


def refill(path: str) -> str:
    """Returns code that draws the entries of a weight that are not finite as the others are.

    >>> print(refill("dense/kernel").splitlines()[-1])
    weight.assign(values)
    """
    return (
        "import keras\n"
        "import numpy as np\n"
        f"weight = next(w for w in model.weights if w.path == {path!r})\n"
        'values = np.array(keras.ops.convert_to_numpy(weight), "float64")\n'
        "kept = np.isfinite(values)\n"
        "values[~kept] = np.random.default_rng(0).normal(\n"
        "    values[kept].mean(), values[kept].std(), values[~kept].shape)\n"
        "weight.assign(values)"
    )


def grouped(items: Iterable[_Item], key: Callable[[_Item], _Key]) -> dict[_Key, list[_Item]]:
    """Returns items, such as findings, by what `key` says of them, in their order."""
    groups: dict[_Key, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def alike(findings: Iterable[Finding]) -> dict[tuple[FindingKind, str], list[Finding]]:
    """Returns findings by kind and consequence: those that are printed and proved together."""
    return grouped(findings, lambda finding: (finding.kind, finding.consequence))


@dataclass(frozen=True, eq=False)
class Report:
    """What all results have in common: text, tables, JSON, and whether anything was found.

    A subclass is a frozen dataclass. It has `table` and, where it judges, `findings`; `parts` where
    there is more to print than the table. Two reports are equal if all their numbers are. Fields
    with `metadata={"json": False}` stay out of JSON and of the comparison.
    """

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self._findings()

    def assert_ok(self) -> None:
        """Does nothing if nothing was found.

        Raises:
            AssertionError: something was; the message holds each finding.
        """
        if not self.ok:
            raise AssertionError("\n".join([self.heading(), *map(str, self._findings())]))

    def heading(self) -> str:
        """Returns one line that says what this is a report of."""
        return type(self).__name__

    def table(self) -> Table:
        """Returns the report as a table that is legible at 80 columns."""
        raise NotImplementedError

    def parts(self) -> Iterator[RenderableType]:
        """Yields what is printed, in order."""
        table = self.table()
        if isinstance(table.title, Text):  # which Rich wraps at the width of the columns
            table.min_width = min(WIDTH, table.title.cell_len)
        yield table

    def summary(self) -> str:
        """Returns the report as text of at most 80 columns."""
        buffer = io.StringIO()
        self._print(Console(file=buffer, width=WIDTH, color_system=None, **_PLAIN))
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain data for strict JSON.

        Numbers that JSON does not have become `"NaN"`, `"Infinity"` and `"-Infinity"`.
        """
        return {f.name: encode(getattr(self, f.name)) for f in _fields(type(self))}

    def to_json(self, path: Path | str | None = None) -> str:
        """Returns `to_dict` as JSON, and writes it to `path`, whole, if that is given."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
        if path is not None:
            write_whole(_checks.path("path", path), text)
        return text

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Returns the report that `to_dict` was called on.

        Raises:
            InputError: a field is missing or holds something else.
        """
        return typing.cast(Self, decode(plain, cls))

    def __str__(self) -> str:
        return self.summary()

    def __rich_console__(self, console: Console, options: Any) -> Iterator[RenderableType]:
        yield from self.parts()

    def _repr_html_(self) -> str:
        console = Console(file=io.StringIO(), width=100, record=True, **_PLAIN)
        self._print(console)
        return console.export_html(inline_styles=True, code_format=_HTML)

    def _findings(self) -> tuple[Finding, ...]:
        return tuple(getattr(self, "findings", ()))

    def _print(self, console: Console) -> None:
        for part in self.parts():
            console.print(part)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.heading())


_PLAIN: Any = {"force_jupyter": False, "highlight": False}
_HTML = '<pre style="font-family:Menlo,Consolas,monospace;line-height:1.3">{code}</pre>'


def plain_text(text: str, style: str = "") -> Text:
    r"""Returns `text` for a table or console: brackets are no markup, control characters visible.

    >>> plain_text("conv[a]\x1b[31m").plain
    'conv[a]\\x1b[31m'
    """
    visible = (
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )
    return Text("".join(visible), style)


def shortened(name: str, length: int) -> str:
    """Returns the end of a name, which tells layers apart where the whole is too long.

    >>> shortened("encoder/block_3/dense", 10)
    '…k_3/dense'
    """
    return name if len(name) <= length else "…" + name[1 - length :]


def encode(value: Any) -> Any:
    """Returns `value` as plain data for strict JSON.

    Dataclasses become dicts, arrays and tuples lists, paths strings, and numbers that JSON does
    not have `"NaN"`, `"Infinity"` or `"-Infinity"`.

    >>> encode({"cost": [1.0, float("inf")], "out": Path("runs")})
    {'cost': [1.0, 'Infinity'], 'out': 'runs'}
    """
    if isinstance(value, Report):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in _fields(type(value))}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): encode(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [encode(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value) if isinstance(value, Path) else value


def decode(plain: Any, kind: Any) -> Any:
    """Returns the value of type `kind` that `encode` made `plain` of.

    Args:
        plain: what `encode` returned, or JSON gave back.
        kind: a type: a dataclass, array, tuple, list, mapping, union, number or string.

    Raises:
        InputError: `plain` is no such value.
    """
    try:
        return _decoded(plain, kind)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        name = getattr(kind, "__name__", kind)
        raise InputError(f"This is no {name} as `to_dict` gives it: {error}") from error


def _decoded(plain: Any, kind: Any) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        known = [f for f in _fields(kind) if f.init]
        if missing := [f.name for f in known if f.name not in plain and _required(f)]:
            raise ValueError(f"{', '.join(missing)} missing")
        return kind(
            **{f.name: _decoded(plain[f.name], hints[f.name]) for f in known if f.name in plain}
        )
    if origin in (typing.Union, types.UnionType):
        if plain is None and type(None) in arguments:
            return None
        return _decoded(plain, next(a for a in arguments if a is not type(None)))
    if kind is np.ndarray or origin is np.ndarray:
        dtype = typing.get_args(arguments[1])[0] if len(arguments) > 1 else None
        return np.array(_numbers(plain), dtype)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_decoded(entry, arguments[0]) for entry in plain)
        return tuple(_decoded(e, a) for e, a in zip(plain, arguments, strict=True))
    if origin is list:
        return [_decoded(entry, arguments[0]) for entry in plain]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        key, entry = arguments
        return {_decoded(k, key): _decoded(v, entry) for k, v in plain.items()}
    if kind is float:
        return _NOT_FINITE[plain] if isinstance(plain, str) else float(plain)
    return kind(plain) if kind in (int, str, bool, Path) else plain


def _numbers(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_numbers(entry) for entry in plain]
    return _NOT_FINITE[plain] if isinstance(plain, str) else plain


def _fields(kind: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return tuple(f for f in dataclasses.fields(kind) if f.metadata.get("json", True))


def _required(f: dataclasses.Field[Any]) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


@functools.cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(kind)
