"""What `fit_output_bias` set, as plain data and as a table."""

import math
from dataclasses import dataclass

from rich.table import Table

from keras_inits._reporting import Report, plain_text


@dataclass(frozen=True)
class OutputBiasRow:
    """The bias of one output.

    Attributes:
        path: the path of the bias.
        rule: the formula that its values follow.
        before: the values that it had.
        bias: the values that it has.
        loss: the loss of an output that is this constant, which is about the first loss of a net
            whose last kernel gives out little; NaN where the loss has no such formula here.
        note: what is to be said of it.

    >>> import keras, numpy as np
    >>> import keras_inits
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mean_squared_error")
    >>> row = keras_inits.fit_output_bias(model, np.array([1.0, 2.0, 3.0, 6.0])).rows[0]
    >>> float(row.bias[0]), row.loss
    (3.0, 3.5)
    """

    path: str
    rule: str
    before: tuple[float, ...]
    bias: tuple[float, ...]
    loss: float = math.nan
    note: str = ""


@dataclass(frozen=True, eq=False)
class OutputBiasReport(Report):
    """What `fit_output_bias` set.

    Attributes:
        model: the name of the model.
        rows: one for each output.

    >>> import keras, numpy as np
    >>> import keras_inits
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    >>> report = keras_inits.fit_output_bias(model, np.array([0, 0, 0, 1]))
    >>> report.ok, len(report.rows)
    (True, 1)
    """

    model: str
    rows: tuple[OutputBiasRow, ...]

    def heading(self) -> str:
        """Returns the model and how many outputs it has."""
        return f"{self.model}: the bias of {len(self.rows)} output(s) from the targets"

    def table(self) -> Table:
        """Returns the rows as a table that is legible at 80 columns."""
        table = Table(title=plain_text(self.heading()), box=None, pad_edge=False)
        table.add_column("bias", overflow="fold", ratio=2)
        table.add_column("rule")
        table.add_column("before", justify="right")
        table.add_column("set to", justify="right")
        table.add_column("base loss", justify="right")
        table.add_column("", overflow="fold", ratio=2)
        for row in self.rows:
            loss = "-" if math.isnan(row.loss) else f"{row.loss:.4g}"
            table.add_row(
                plain_text(row.path),
                row.rule,
                _span(row.before),
                _span(row.bias),
                loss,
                row.note,
            )
        return table


def _span(values: tuple[float, ...]) -> str:
    """Returns the least and the largest of some values, one number where they are the same."""
    least, largest = f"{min(values):.4g}", f"{max(values):.4g}"
    return least if least == largest else f"{least} to {largest}"
