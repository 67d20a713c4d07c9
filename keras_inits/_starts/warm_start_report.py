"""What a warm start reports: for each weight what was taken, cut, widened and drawn."""

from dataclasses import dataclass

from rich.table import Table

from keras_inits._reporting import Report, plain_text


@dataclass(frozen=True)
class WarmStartRow:
    """One weight of the new model.

    Attributes:
        path: the path of the variable.
        shape: its shape.
        how: `taken` as it is, `cut`, `widened`, `identity`, `drawn` or `left alone`.
        source: the path of the weight that it comes from; empty for none.
        source_shape: the shape of that.
        reason: why it was drawn or left alone.

    >>> import keras
    >>> import keras_inits
    >>> net = lambda units: keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
    >>> report = keras_inits.warm_start(net(4), net(4), seed=0)
    >>> report.rows[0].how, report.rows[0].shape
    ('taken', (3, 4))
    """

    path: str
    shape: tuple[int, ...]
    how: str
    source: str = ""
    source_shape: tuple[int, ...] = ()
    reason: str = ""


@dataclass(frozen=True, eq=False)
class WarmStartReport(Report):
    """What `warm_start` took, cut, widened and drew.

    Attributes:
        model: the name of the model.
        source: the name of the trained one.
        seed: the root seed of what was drawn.
        preserves: whether the model computes what the source does, by a run of both on random
            inputs; None where they could not be run.
        unused: paths of the weights of the source that nothing was made of.
        rows: one for each weight, in the model's order.

    >>> import keras
    >>> import keras_inits
    >>> net = lambda units: keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
    >>> report = keras_inits.warm_start(net(4), net(4), seed=0)
    >>> report.preserves, report.unused
    (True, ())
    """

    model: str
    source: str
    seed: int
    preserves: bool | None
    unused: tuple[str, ...]
    rows: tuple[WarmStartRow, ...]

    def heading(self) -> str:
        """Returns the models and how many weights came how."""
        ways = [row.how for row in self.rows]
        counts = ", ".join(f"{ways.count(how)} {how}" for how in dict.fromkeys(ways))
        same = ""
        if self.preserves is not None:
            does = "computes" if self.preserves else "does not compute"
            same = f"; {does} what the source does"
        return f"{self.model} from {self.source}: {counts}, seed {self.seed}{same}"

    def table(self) -> Table:
        """Returns the rows as a table that is legible at 80 columns."""
        table = Table(title=plain_text(self.heading()), box=None, pad_edge=False)
        table.add_column("weight", overflow="fold", ratio=3)
        table.add_column("shape", overflow="fold")
        table.add_column("how")
        table.add_column("from", overflow="fold", ratio=3)
        for row in self.rows:
            origin = f"{row.source} {'x'.join(map(str, row.source_shape))}" if row.source else ""
            table.add_row(
                plain_text(row.path),
                "x".join(map(str, row.shape)),
                row.how,
                plain_text(row.reason or origin),
            )
        return table
