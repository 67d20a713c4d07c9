"""What `pretrain` did to each layer."""

import math
from dataclasses import dataclass

from rich.table import Table

from keras_inits._reporting import Finding, Report, plain_text


@dataclass(frozen=True)
class PretrainRow:
    """One layer with a kernel.

    Attributes:
        layer: its path in the model.
        decoder: the activation of the decoder; empty where the layer was left alone.
        loss: what the reconstruction was compared by.
        error_before: mean squared error of the reconstruction of clean inputs, before training.
        error: the same after it.
        error_noisy: the same after it, of inputs with noise: what training makes small.
        seconds: how long it took; 0 for a layer that was read from `out`.
        left_alone: why the layer was not trained.
        meant: whether that was to be expected: a head, a frozen layer.

    >>> row = PretrainRow(
    ...     "dense", decoder="sigmoid", loss="cross-entropy", error_before=0.2, error=0.05,
    ...     error_noisy=0.08, seconds=3.0, left_alone="", meant=False,
    ... )
    >>> row.error < row.error_before
    True
    """

    layer: str
    decoder: str = ""
    loss: str = ""
    error_before: float = math.nan
    error: float = math.nan
    error_noisy: float = math.nan
    seconds: float = 0.0
    left_alone: str = ""
    meant: bool = False


@dataclass(frozen=True, eq=False)
class PretrainReport(Report):
    """What `pretrain` did to each layer.

    It is `ok` if every layer was trained but the head and the frozen ones.

    Attributes:
        model: the name of the model.
        seed: the root seed of noise and order.
        examples: how many there were.
        epochs: how often each layer saw them.
        noise: the noise, with its level.
        rows: one for each layer with a kernel, in the order of the model.

    >>> PretrainReport("net", seed=0, examples=100, epochs=8, noise="masking 0.25", rows=()).ok
    True
    """

    model: str
    seed: int
    examples: int
    epochs: int
    noise: str
    rows: tuple[PretrainRow, ...]

    @property
    def passes(self) -> float:
        """How often all examples went forward: each epoch of a layer, and to see what it gets."""
        return float(sum(self.epochs + 1 for row in self.rows if not row.left_alone))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """A finding for each layer that could not be trained."""
        return tuple(
            Finding(
                kind="not pre-trained",
                where=(row.layer,),
                evidence=row.left_alone,
                consequence="it keeps the weights it had",
            )
            for row in self.rows
            if row.left_alone and not row.meant
        )

    def heading(self) -> str:
        """Returns the model, the effort and how many layers were trained."""
        done = sum(not row.left_alone for row in self.rows)
        seconds = sum(row.seconds for row in self.rows)
        return (
            f"{self.model}: {done} of {len(self.rows)} layers pre-trained, {self.epochs} epochs of "
            f"{self.examples} examples, {self.noise}, {seconds:.1f} s, seed {self.seed}"
        )

    def table(self) -> Table:
        """Returns the rows as a table that is legible at 80 columns."""
        table = Table(title=plain_text(self.heading()), box=None, pad_edge=False)
        table.add_column("layer", overflow="fold", ratio=2)
        table.add_column("decoder, loss", overflow="fold", ratio=3)
        table.add_column("error before", justify="right")
        table.add_column("after", justify="right")
        for row in self.rows:
            if row.left_alone:
                cells = f"left alone: {row.left_alone}", "-", "-"
            else:
                cells = f"{row.decoder}, {row.loss}", f"{row.error_before:.3g}", f"{row.error:.3g}"
            style = "dim" if row.left_alone else None
            table.add_row(plain_text(row.layer), *map(plain_text, cells), style=style)
        return table
