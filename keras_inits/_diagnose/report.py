"""What a diagnosis finds, as plain data."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from keras_inits._checks import instance
from keras_inits._diagnose import views
from keras_inits._diagnose.seen.statistics import JacobianReport, TensorStatistics, WeightReport
from keras_inits._diagnose.setting.order import FirstSteps
from keras_inits._diagnose.signal.severity import SEVERITY, Verdict
from keras_inits._reporting import Finding, Report


@dataclass(frozen=True)
class LayerReport:
    """One call of one layer.

    Attributes:
        name: the layer's path in the model; numbered from its second call on.
        kind: the name of its class.
        output: statistics of its output.
        gradient: of the gradient at its output (at the logits, where the loss takes those); None
            if none came back.
        predicted_second_moment: what theory expects of its output; None where it says nothing.
        predicted_gradient: the second moment that theory expects of the gradient there.
        weights: its trainable weights, reported at its first call.
        verdict: the worst that was found of it, or `"healthy"`.
        predicted_deviation: standard deviation of the natural logarithm of the second moment, over
            nets of this width (half of it is that of the root mean square); None without a
            prediction.
        predicted_gradient_deviation: the same of the gradient.
        findings: those of the report that name it; in JSON they are the report's alone.

    >>> import keras, numpy as np
    >>> import keras_inits
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu")])
    >>> x = np.eye(8, dtype="float32")
    >>> layer = keras_inits.diagnose(model, x, jacobian_samples=0).layers[0]
    >>> layer.kind, layer.verdict, layer.output.second_moment > 0
    ('Dense', 'healthy', True)
    """

    name: str
    kind: str
    output: TensorStatistics
    gradient: TensorStatistics | None
    predicted_second_moment: float | None
    predicted_gradient: float | None
    weights: tuple[WeightReport, ...]
    verdict: Verdict
    predicted_deviation: float | None = None
    predicted_gradient_deviation: float | None = None
    findings: tuple[Finding, ...] = field(default=(), metadata={"json": False})


@dataclass(frozen=True, eq=False)
class SignalReport(Report):
    """What each layer of a model does to a signal and to its gradient.

    Attributes:
        model: the model's name.
        batch: how many samples were looked at.
        loss: the loss, or None if a random cotangent was sent back instead.
        layers: in the order in which they were called.
        jacobian: of outputs by inputs; None where there is none.
        findings: all that is wrong: first with the setting of the training, in the order in which
            to change it, where `where` is `"input"`, `"targets"`, `"output"`, `"loss"`,
            `"optimizer"` or names of layers; then with the signal, the worst first, where it names
            the calls of layers.
        notes: what was done or could not be done, and why.
        first_steps: what the first steps do to the loss; None if none were tried.

    >>> import keras, numpy as np
    >>> import keras_inits
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "relu")])
    >>> report = keras_inits.diagnose(model, np.eye(8, dtype="float32"), jacobian_samples=0)
    >>> report.verdict, report.batch, len(report.layers)
    ('healthy', 8, 1)
    """

    model: str
    batch: int
    loss: float | None
    layers: tuple[LayerReport, ...]
    jacobian: JacobianReport | None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    first_steps: FirstSteps | None = None

    @property
    def verdict(self) -> Verdict:
        """The kind of the worst finding in the signal, else of the first; or `"healthy"`."""
        kinds: list[Verdict] = [finding.kind for finding in self.findings] or ["healthy"]
        return next((kind for kind in kinds if kind in SEVERITY), kinds[0])

    def findings_of(self, name: str) -> tuple[Finding, ...]:
        """Returns the findings about the layer of that name, the worst first."""
        instance("name", name, str, "the name of a layer")
        return tuple(finding for finding in self.findings if name in finding.where)

    def __getitem__(self, name: str) -> LayerReport:
        """Returns the report of the layer of that name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"No layer {name!r} was called; there are {[la.name for la in self.layers]}")

    def heading(self) -> str:
        """Returns one line: the model, the samples, the loss and the verdict."""
        return views.heading(self)

    def table(self) -> Table:
        """Returns one row for each layer."""
        return views.layer_table(self)

    def parts(self) -> Iterator[RenderableType]:
        """Yields the table, the verdict, notes, and the findings, alike ones together."""
        return views.parts(self)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report, with its verdict, as plain values for strict JSON."""
        return {"verdict": self.verdict, **super().to_dict()}
