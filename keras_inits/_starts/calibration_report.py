"""What `calibrate` did to each kernel."""

import math
from dataclasses import dataclass

from rich.table import Table

from keras_inits._reporting import Finding, Report, plain_text


@dataclass(frozen=True)
class CalibrationRow:
    """One kernel of a model.

    Attributes:
        path: the path of the variable.
        before: the root mean square of the layer's output before the activation and before the
            correction; NaN where it was not measured.
        after: the same with the corrected kernel.
        factors: what each of the maps in the kernel was multiplied by: one number, or one for each
            gate, group, head or expert.
        left_alone: why the kernel was not scaled; empty where it was.
        meant: whether that was to be expected: a frozen weight, a tied table, a recurrent kernel.
        note: what else is to be said of it.

    >>> import keras, numpy as np
    >>> import keras_inits
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu")])
    >>> report = keras_inits.calibrate(model, np.ones((4, 8), "float32"), target=2.0, seed=0)
    >>> round(report.rows[0].after, 3)
    2.0
    """

    path: str
    before: float = math.nan
    after: float = math.nan
    factors: tuple[float, ...] = ()
    left_alone: str = ""
    meant: bool = False
    note: str = ""


@dataclass(frozen=True, eq=False)
class CalibrationReport(Report):
    """What `calibrate` did to each kernel.

    It is `ok` if every kernel was scaled but those that are meant to keep their scale.

    Attributes:
        model: the name of the model.
        seed: the root seed of the weights.
        scheme: what drew them; empty where they were kept.
        target: the root mean square that was asked for.
        examples: how many the pass took.
        rows: one for each kernel, in the model's order.

    >>> import keras, numpy as np
    >>> import keras_inits
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu")])
    >>> report = keras_inits.calibrate(model, np.ones((4, 8), "float32"), target=2.0, seed=0)
    >>> report.ok, report.seed, len(report.rows)
    (True, 0, 1)
    """

    model: str
    seed: int
    scheme: str
    target: float
    examples: int
    rows: tuple[CalibrationRow, ...]

    @property
    def passes(self) -> float:
        """How often data went forward through the model."""
        return 1.0

    @property
    def findings(self) -> tuple[Finding, ...]:
        """A finding for each kernel that should have been scaled and was not."""
        return tuple(
            Finding(
                kind="not calibrated",
                where=(row.path,),
                evidence=row.left_alone,
                consequence="the kernel has the scale that its scheme gave it",
            )
            for row in self.rows
            if row.left_alone and not row.meant
        )

    def heading(self) -> str:
        """Returns the model, the target, and how many kernels have it."""
        scaled = sum(not row.left_alone for row in self.rows)
        return (
            f"{self.model}: {scaled} of {len(self.rows)} kernels scaled to a root mean square of "
            f"{self.target:g} over {self.examples} examples, seed {self.seed}"
        )

    def table(self) -> Table:
        """Returns the rows as a table that is legible at 80 columns."""
        table = Table(title=plain_text(self.heading()), box=None, pad_edge=False)
        table.add_column("kernel", overflow="fold", ratio=3)
        table.add_column("before", justify="right")
        table.add_column("after", justify="right")
        table.add_column("factor", justify="right", overflow="fold")
        table.add_column("", overflow="fold", ratio=3)
        for row in self.rows:
            table.add_row(
                plain_text(row.path),
                _number(row.before),
                _number(row.after),
                _range(row.factors),
                plain_text(row.left_alone or row.note),
                style="dim" if row.left_alone else None,
            )
        return table


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"


def _range(factors: tuple[float, ...]) -> str:
    ends = dict.fromkeys(f"{f:.3g}" for f in (min(factors), max(factors))) if factors else {}
    return " to ".join(ends) or "-"
