"""What a diagnosis finds, as plain data."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from keras_inits._diagnose.statistics import TensorStatistics

# From the worst: what is broken, what learns nothing, what learns badly.
Verdict = Literal[
    "not finite",
    "symmetric",
    "dying",
    "saturated",
    "exploding",
    "vanishing",
    "rank-collapsed",
    "healthy",
]
SEVERITY: tuple[Verdict, ...] = (
    "not finite",
    "symmetric",
    "dying",
    "saturated",
    "exploding",
    "vanishing",
    "rank-collapsed",
    "healthy",
)


_NOT_FINITE = ("nan", "inf", "-inf")  # JSON has no numbers for these


@dataclass(frozen=True)
class Finding:
    """One thing wrong with one layer.

    Attributes:
        verdict: what is wrong.
        evidence: the numbers that say so, with the threshold they passed.
        remedy: the change that would help.
    """

    verdict: Verdict
    evidence: str
    remedy: str


@dataclass(frozen=True)
class WeightReport:
    """One trainable weight and its gradient.

    Attributes:
        path: Keras's path of the weight.
        norm: its Euclidean norm.
        gradient_norm: that of its gradient; NaN if the loss does not depend on it.
        ratio: `gradient_norm / norm`; infinite for a weight of zeros that has a gradient.
    """

    path: str
    norm: float
    gradient_norm: float
    ratio: float


@dataclass(frozen=True)
class LayerReport:
    """One call of one layer.

    Attributes:
        name: the layer's path in the model; numbered from its second call on.
        kind: the name of its class.
        output: statistics of its output.
        gradient: of the gradient at its output; None if none came back.
        predicted_second_moment: what theory expects of its output; None where it has no word.
        predicted_gradient: the second moment that theory expects of the gradient there.
        weights: its trainable weights, told at its first call.
        findings: what is wrong with it, the worst first.
    """

    name: str
    kind: str
    output: TensorStatistics
    gradient: TensorStatistics | None
    predicted_second_moment: float | None
    predicted_gradient: float | None
    weights: tuple[WeightReport, ...]
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst finding, or `"healthy"`."""
        return self.findings[0].verdict if self.findings else "healthy"


@dataclass(frozen=True)
class JacobianReport:
    """The Jacobian of a model's outputs by its floating inputs, on a few samples.

    Attributes:
        mean_squared_singular_value: the sum of the squared singular values over the smaller of
            both sizes, estimated without bias.
        largest_singular_value: the largest that power iteration found, from below.
        samples: how many samples were looked at.
    """

    mean_squared_singular_value: float
    largest_singular_value: float
    samples: int


@dataclass(frozen=True, eq=False)
class SignalReport:
    """What each layer of a model does to a signal and to its gradient.

    Two reports are equal if all their numbers are.

    Attributes:
        model: the model's name.
        batch: how many samples were looked at.
        loss: the loss, or None if a random cotangent was sent back instead.
        layers: in the order in which they were called.
        jacobian: of outputs by inputs; None where there is none.
        notes: what could not be done, and why.
    """

    model: str
    batch: int
    loss: float | None
    layers: tuple[LayerReport, ...]
    jacobian: JacobianReport | None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of any layer."""
        return min((layer.verdict for layer in self.layers), key=SEVERITY.index, default="healthy")

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return self.verdict == "healthy"

    def __getitem__(self, name: str) -> LayerReport:
        """Returns the report of the layer of that name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"No layer {name!r} was called; there are {[la.name for la in self.layers]}")

    def assert_healthy(self) -> None:
        """Does nothing if the model is healthy.

        Raises:
            AssertionError: it is not; the message names each layer with evidence and remedy.
        """
        if not self.healthy:
            lines = [
                f"{layer.name} is {finding.verdict}: {finding.evidence}. {finding.remedy}"
                for layer in self.layers
                for finding in layer.findings
            ]
            raise AssertionError("\n".join([f"{self.model} is {self.verdict}.", *lines]))

    def summary(self, *, file: Any = None) -> None:
        """Prints the report as a table of at most 80 columns.

        Args:
            file: where to; standard output if None.
        """
        # Here, since views import this module for its types.
        from keras_inits._diagnose.views import print_summary

        print_summary(self, file)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, ready for strict JSON.

        What is not finite becomes `"nan"`, `"inf"` or `"-inf"`.
        """
        plain = _plain(
            {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        )
        return {"verdict": self.verdict, **plain}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SignalReport":
        """Returns the report that `to_dict` was called on."""
        jacobian = values["jacobian"]
        return cls(
            model=values["model"],
            batch=values["batch"],
            loss=_number(values["loss"]),
            layers=tuple(_layer(layer) for layer in values["layers"]),
            jacobian=jacobian and JacobianReport(**{k: _number(v) for k, v in jacobian.items()}),
            notes=tuple(values["notes"]),
        )

    def to_json(self) -> str:
        """Returns `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SignalReport):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.model, self.batch, len(self.layers)))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and value in _NOT_FINITE else value


def _statistics(values: Mapping[str, Any] | None) -> TensorStatistics | None:
    if values is None:
        return None
    restored: dict[str, Any] = {key: _number(value) for key, value in values.items()}
    restored["shape"] = tuple(values["shape"])
    restored["histogram"] = np.array(values["histogram"], np.int64)
    restored["edges"] = np.array(values["edges"], np.float64)
    return TensorStatistics(**restored)


def _layer(values: Mapping[str, Any]) -> LayerReport:
    output = _statistics(values["output"])
    assert output is not None
    return LayerReport(
        name=values["name"],
        kind=values["kind"],
        output=output,
        gradient=_statistics(values["gradient"]),
        predicted_second_moment=_number(values["predicted_second_moment"]),
        predicted_gradient=_number(values["predicted_gradient"]),
        weights=tuple(
            WeightReport(**{key: _number(value) for key, value in weight.items()})
            for weight in values["weights"]
        ),
        findings=tuple(Finding(**finding) for finding in values["findings"]),
    )
