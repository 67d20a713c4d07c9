"""What `initialize` did, as plain data and as a table."""

import re
from dataclasses import dataclass

from rich.table import Table

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._reporting import Finding, Report, draw_anew, plain_text


@dataclass(frozen=True)
class WeightRow:
    """One weight of a model.

    Attributes:
        path: the path of the variable.
        shape: its shape.
        geometry: that of a kernel; None for every other weight.
        scheme: the initializer that drew it; empty where it was left alone.
        target_stddev: the standard deviation of the scheme's law; None where that is not known.
        stddev: the standard deviation of the values.
        left_alone: why the weight keeps its values; empty where it was set.
        unknown: whether it keeps them because the library does not know what it is.
        note: how the scheme was chosen, where that needs saying.
        second_moment: what `"auto"` expects of the layer's output before its activation; None for
            other schemes and for weights that are no kernels.

    >>> import keras
    >>> import keras_inits
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu")])
    >>> row = keras_inits.initialize(model, "initkit_he", seed=1).rows[0]
    >>> row.scheme, row.target_stddev
    ('HeInit()', 0.5)
    """

    path: str
    shape: tuple[int, ...]
    geometry: KernelGeometry | None = None
    scheme: str = ""
    target_stddev: float | None = None
    stddev: float | None = None
    left_alone: str = ""
    unknown: bool = False
    note: str = ""
    second_moment: float | None = None


@dataclass(frozen=True, eq=False)
class InitializationReport(Report):
    """What `initialize` did to each weight.

    It is `ok` if no weight was left alone for not being known: the frozen, the quantized and those
    that an override excludes were meant to be.

    Attributes:
        model: the name of the model.
        seed: the root seed; with it, `initialize` gives the same weights again.
        rows: one for each weight, in the model's order.

    >>> import keras
    >>> import keras_inits
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu")])
    >>> report = keras_inits.initialize(model, "initkit_he", seed=1)
    >>> report.ok, report.seed, len(report.rows)
    (True, 1, 2)
    """

    model: str
    seed: int
    rows: tuple[WeightRow, ...]

    @property
    def left_alone(self) -> tuple[WeightRow, ...]:
        """The rows of the weights that keep their values."""
        return tuple(row for row in self.rows if row.left_alone)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """A finding for each weight that was left alone because it is not known."""
        return tuple(
            Finding(
                kind="unknown weight",
                where=(row.path,),
                evidence=row.left_alone,
                consequence="the weight keeps the values that it had",
                remedy=draw_anew(row.path, "initkit_he"),
            )
            for row in self.rows
            if row.unknown
        )

    def heading(self) -> str:
        """Returns the model, how many weights it has and how many were left alone."""
        counts = f"{len(self.rows)} weights, {len(self.left_alone)} left alone"
        return f"{self.model}: {counts}, seed {self.seed}"

    def table(self) -> Table:
        """Returns the rows as a table that is legible at 80 columns."""
        table = Table(title=plain_text(self.heading()), box=None, pad_edge=False)
        table.add_column("weight", overflow="fold", ratio=3)
        table.add_column("shape", overflow="fold")
        table.add_column("fans", justify="right")
        table.add_column("scheme", overflow="fold", ratio=3)
        table.add_column("target", justify="right")
        table.add_column("std", justify="right")
        for row in self.rows:
            scheme = f"left alone: {row.left_alone}" if row.left_alone else shortened(row.scheme)
            table.add_row(
                plain_text(row.path),
                "x".join(map(str, row.shape)),
                fans(row.geometry),
                plain_text(f"{scheme} ({row.note})" if row.note else scheme),
                number(row.target_stddev),
                number(row.stddev),
                style="dim" if row.left_alone else None,
            )
        return table


def fans(geometry: KernelGeometry | None) -> str:
    """Returns the maps and fans of a geometry as a short text, such as `4x 32/64`."""
    if geometry is None:
        return ""
    maps, _, _ = geometry.matrix_shape
    several = f"{maps}x " if maps > 1 else ""
    return f"{several}{geometry.fan_in:g}/{geometry.fan_out:g}"


def shortened(text: str) -> str:
    """Returns a text with its long numbers cut to four digits.

    >>> shortened("XavierInit(gain=2.2521780175586824)")
    'XavierInit(gain=2.252)'
    """
    return re.sub(r"\d+\.\d{5,}", lambda found: f"{float(found.group()):.4g}", text)


def number(value: float | None) -> str:
    """Returns a number with three digits, or a dash for None."""
    return "-" if value is None else f"{value:.3g}"
