"""What `initialize` did, as plain data and as a table."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from keras_inits._kernel_geometry import KernelGeometry


@dataclass(frozen=True)
class WeightRow:
    """One weight of a model.

    Attributes:
        path: the path of the variable.
        shape: its shape.
        geometry: that of a kernel; None for every other weight.
        scheme: the initializer that drew it; empty where it was left alone.
        target_stddev: the standard deviation that the scheme means; None where that is not known.
        stddev: the standard deviation of the values.
        left_alone: why the weight keeps its values; empty where it was set.
        note: how the scheme was chosen, where that needs saying.
    """

    path: str
    shape: tuple[int, ...]
    geometry: KernelGeometry | None = None
    scheme: str = ""
    target_stddev: float | None = None
    stddev: float | None = None
    left_alone: str = ""
    note: str = ""


@dataclass(frozen=True)
class InitializationReport:
    """What `initialize` did to each weight.

    Attributes:
        model: the name of the model.
        seed: the root seed; with it, `initialize` gives the same weights again.
        rows: one for each weight, in the model's order.
    """

    model: str
    seed: int
    rows: tuple[WeightRow, ...]

    @property
    def left_alone(self) -> tuple[WeightRow, ...]:
        """The rows of the weights that keep their values."""
        return tuple(row for row in self.rows if row.left_alone)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as values that JSON can hold."""
        return dataclasses.asdict(self)

    def table(self) -> Table:
        """Returns the rows as a table that is legible at 80 columns."""
        title = f"{self.model}: {len(self.rows)} weights, {len(self.left_alone)} left alone"
        table = Table(title=f"{title}, seed {self.seed}", box=None, pad_edge=False)
        table.add_column("weight", overflow="fold", ratio=3)
        table.add_column("shape", overflow="fold")
        table.add_column("fans", justify="right")
        table.add_column("scheme", overflow="fold", ratio=3)
        table.add_column("target", justify="right")
        table.add_column("std", justify="right")
        for row in self.rows:
            told = f"left alone: {row.left_alone}" if row.left_alone else row.scheme
            table.add_row(
                row.path,
                "x".join(map(str, row.shape)),
                fans(row.geometry),
                f"{told} ({row.note})" if row.note else told,
                number(row.target_stddev),
                number(row.stddev),
                style="dim" if row.left_alone else None,
            )
        return table

    def __rich__(self) -> Table:
        return self.table()

    def __str__(self) -> str:
        console = Console(force_jupyter=False, width=100, color_system=None)
        with console.capture() as capture:
            console.print(self.table())
        return capture.get().rstrip("\n")


def fans(geometry: KernelGeometry | None) -> str:
    """Returns the maps and fans of a geometry as a short text, such as `4x 32/64`."""
    if geometry is None:
        return ""
    maps, _, _ = geometry.matrix_shape
    several = f"{maps}x " if maps > 1 else ""
    return f"{several}{geometry.fan_in:g}/{geometry.fan_out:g}"


def number(value: float | None) -> str:
    """Returns a number with three digits, or a dash for None."""
    return "-" if value is None else f"{value:.3g}"
