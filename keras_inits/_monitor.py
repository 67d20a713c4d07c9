"""A Keras callback that watches a training: faults that come with it, and where they arise."""

import dataclasses
import importlib.util
import itertools
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits import _checks
from keras_inits._diagnose import (
    SignalReport,
    TensorStatistics,
    Thresholds,
    loss_of_guess,
    signal_report,
)
from keras_inits._finding_kinds import SignalKind
from keras_inits._optional import require
from keras_inits._reporting import Finding

# Weights are kept before every step of models up to this size; before every second step of models
# of twice as many, and so on: a copy of 5e6 float32 takes a few milliseconds.
_KEPT_EACH_STEP = 5_000_000
# The loss is judged over this many epochs: fewer go up and down by the order of their batches.
_EPOCHS = 6
_LOUD, _FLAT = 0.2, 0.01  # a rise that is no noise; a whole range that is nothing
# Shares of the loss of a guess: below the first something has been learned, below the second nearly
# all, and what is lost by then in the net was not needed.
_TAUGHT, _SOLVED = 0.9, 0.1
_GONE = 0.01  # of the loss of the first epoch: below it, it goes up and down by rounding at last
_GROWN = 100.0  # times the largest output of before the training: its steps have blown it up
# What comes in a training, of all that a diagnosis finds.
_COMING: tuple[SignalKind, ...] = (
    "not finite",
    "dying",
    "saturated",
    "no gradient",
    "vanishing",
)
_LOOK_AT_DATA = (
    "all(np.isfinite(a).all() for a in (x, y)), and look at the smallest and largest values of each"
)
_SLOWER = "model.optimizer.learning_rate = 0.1 * float(model.optimizer.learning_rate)"


class SignalMonitor(keras.callbacks.Callback):
    """Watches a model while `fit` runs, and diagnoses it every `every` epochs on one fixed batch.

    Watched at every step is whether the loss is finite (all that `fit` logs with "loss" in its
    name): when it ceases to be, the weights of before are looked at, and `findings` says where it
    first arose. Watched at each diagnosis: units that died and gradients that vanished since the
    training began, as long as more than a tenth of the loss of a guess is left. Watched at each
    epoch: a loss that oscillates, or has never moved and is no lower than that of a guess.

    A diagnosis costs about two steps of training on that batch (benchmarks/diagnose.py); training
    itself goes on as it would have: weights, statistics, seeds and compiled functions are as they
    were.

    Args:
        x: the fixed batch, as `diagnose` takes it; some dozens of samples are enough.
        y: its targets; a random cotangent goes back if None.
        every: how many epochs from one diagnosis to the next.
        stop: whether to end the training at the first finding that came with it.
        log_dir: a folder for TensorBoard: scalars and histograms per layer, and the figure of
            `plots.depth_figure` (if matplotlib is installed). None writes nothing. TensorFlow
            and TensorBoard write the files, whichever backend Keras has.
        thresholds: as in `diagnose`.

    Attributes:
        history: pairs of how many epochs had passed and the report.
        findings: what came with the training, in order; `numbers["epoch"]` says when.
        report: the diagnosis that goes with the last finding, or else the last one.

    Raises:
        InputError: `every` is no positive number of epochs.
        MissingPackageError: `log_dir` without TensorFlow and TensorBoard, which write the files.

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> x, y = np.ones((8, 4)), np.ones((8, 1))
    >>> monitor = SignalMonitor(x, y, stop=True)
    >>> _ = model.fit(x, y, epochs=2, verbose=0, callbacks=[monitor])
    >>> [epoch for epoch, _ in monitor.history], monitor.findings
    ([0, 1, 2], [])
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        every: int = 1,
        stop: bool = False,
        log_dir: str | Path | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        super().__init__()
        if thresholds is not None:
            expected = "a keras_inits.Thresholds, or None"
            _checks.instance("thresholds", thresholds, Thresholds, expected)
        if log_dir is not None:
            require("SignalMonitor(log_dir=...)", "tensorflow", "tensorboard")
            _checks.path("log_dir", log_dir)
        self.x, self.y, self.thresholds = x, y, thresholds
        self.every = _checks.integer("every", every, minimum=1)
        self.stop = _checks.boolean("stop", stop)
        self.log_dir = log_dir
        self.history: list[tuple[int, SignalReport]] = []
        self.findings: list[Finding] = []
        self.report: SignalReport | None = None
        self._writer: Any = None
        self._start()

    def _start(self) -> None:
        self.history, self.findings, self.report = [], [], None
        self._losses: list[float] = []
        self._kept: list[NDArray[Any]] = []
        self._spoilt: list[keras.Variable] = []
        self._kept_at: tuple[int, int] | None = None
        self._guess: float | None = None
        self._epoch, self._every_step, self._broken = 0, 1, False

    def on_train_begin(self, logs: Any = None) -> None:
        """Forgets an earlier training."""
        self._start()
        self._every_step = 1 + self.model.count_params() // _KEPT_EACH_STEP

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Takes note of the epoch; diagnoses the model before its first step."""
        self._epoch = epoch + 1
        if not self.history:
            self._diagnose(epoch)
            self._guess = loss_of_guess(self.model, self.x, self.y)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Keeps the weights that the step starts from."""
        if not self._broken and batch % self._every_step == 0:
            self._keep(batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks where a loss that is not finite comes from."""
        losses = {name: value for name, value in (logs or {}).items() if "loss" in name}
        lost = [name for name, value in losses.items() if not np.isfinite(value).all()]
        # A ReLU may make 0 of NaN, and a loss of finite size of weights that are lost.
        if (lost or self._spoilt) and not self._broken:
            self._broken = True
            self._add(self._not_finite(f"the {lost[0]} is" if lost else "weights are", batch))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Looks at the loss, and diagnoses the model if it is time."""
        loss = (logs or {}).get("loss")
        if loss is not None and math.isfinite(float(loss)):
            self._losses.append(float(loss))
            self._add(_course(self._losses, self._epoch, self._guess))
        if (epoch + 1) % self.every == 0:
            self._diagnose(epoch + 1)
            if not self._broken and not self._solved():
                for finding in _came(self.history[0][1], self.history[-1][1], self._epoch):
                    self._add(finding)

    def on_train_end(self, logs: Any = None) -> None:
        """Closes TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._kept = []

    def _add(self, finding: Finding | None) -> None:
        """Takes note of a finding, once for each kind and place, and stops if that is asked."""
        if finding is None:
            return
        if any((f.kind, f.where) == (finding.kind, finding.where) for f in self.findings):
            return
        self.findings.append(finding)
        if self.stop:
            self.model.stop_training = True

    def _current(self) -> list[keras.Variable]:
        """Returns the floating variables, which hold what the last step left."""
        # On JAX `fit` keeps the state of a training to itself until a callback asks for it.
        if (sync := getattr(self.model, "jax_state_sync", None)) is not None:
            sync()
        return [v for v in self.model.variables if _is_float(v)]

    def _keep(self, batch: int) -> None:
        variables = self._current()
        values = [v.numpy() for v in variables]
        lost = [not np.isfinite(float(np.sum(v, dtype=np.float64))) for v in values]
        if any(lost):
            self._spoilt = self._spoilt or list(itertools.compress(variables, lost))
        else:
            self._kept, self._kept_at = values, (self._epoch, batch)

    def _solved(self) -> bool:
        """Returns whether hardly anything is left of the loss."""
        loss, most = self.history[-1][1].loss, self._guess or self.history[0][1].loss
        return loss is not None and most is not None and 0 <= loss < _SOLVED * most

    def _not_finite(self, what: str, batch: int) -> Finding:
        """Returns where a loss that is not finite arose, from the last weights that were finite."""
        variables = self._current()
        now = [v.numpy() for v in variables]
        bad = [v.path for v, n in zip(variables, now, strict=True) if not np.isfinite(n).all()]
        for variable, value in zip(variables, self._kept, strict=True):
            variable.assign(value)
        try:
            self.report = signal_report(self.model, self.x, self.y, self.thresholds)
        finally:
            for variable, value in zip(variables, now, strict=True):
                variable.assign(value)
        place = f"at step {batch + 1} of epoch {self._epoch} {what} not finite"
        seen, where, remedy = self._cause(
            self.report, at_this_step=self._kept_at == (self._epoch, batch)
        )
        spoilt = f", {len(bad)} of {len(now)} variables hold NaN since" if bad else ""
        return Finding(
            kind="not finite",
            where=where,
            evidence=place + spoilt + seen,
            consequence="Every weight that the step reached is lost",
            remedy=remedy,
            numbers={"epoch": self._epoch, "step": batch + 1},
        )

    def _cause(
        self, report: SignalReport, *, at_this_step: bool
    ) -> tuple[str, tuple[str, ...], str]:
        """Returns what the last finite weights make of the fixed batch, the culprit and a remedy.

        Args:
            report: of these weights.
            at_this_step: whether the step that failed started from them.
        """
        cause = next((f for f in report.findings if f.kind in ("not finite", "exploding")), None)
        if cause is not None:
            seen = f"; with the last finite weights: {cause.kind}, {cause.evidence}"
            return seen, cause.where, cause.remedy
        name, size = _largest(report)
        seen = (
            "; with the last finite weights all is finite on the fixed batch, the largest output, "
            f"of root mean square {size:.3g}, that of {name}"
        )
        if at_this_step and size <= _GROWN * _largest(self.history[0][1])[1]:
            seen += ": it arises from the samples of this batch"
            return seen, ("input",), _LOOK_AT_DATA
        if 0 < len(self._spoilt) < len(self.model.trainable_variables):  # no step made them so
            paths = tuple(v.path for v in self._spoilt)
            return f"; NaN stood in {paths[0]} before that step", paths, ""
        return seen, (name,), "" if getattr(self.model, "optimizer", None) is None else _SLOWER

    def _diagnose(self, epoch: int) -> None:
        self._current()
        report = signal_report(self.model, self.x, self.y, self.thresholds)
        self.history.append((epoch, report))
        if not self._broken:  # else the report of before says more
            self.report = report
        if self.log_dir is not None:
            self._log(report, epoch)

    def _log(self, report: SignalReport, epoch: int) -> None:
        import tensorflow as tf  # here, since only this needs it

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.log_dir))
        with self._writer.as_default():
            for layer in report.layers:
                tf.summary.scalar(f"signal/{layer.name}/std", layer.output.std, epoch)
                tf.summary.scalar(f"signal/{layer.name}/zeros", layer.output.zeros, epoch)
                if layer.gradient is not None:
                    tf.summary.scalar(f"gradient/{layer.name}/std", layer.gradient.std, epoch)
                for weight in layer.weights:
                    tf.summary.scalar(f"gradient over weight/{weight.path}", weight.ratio, epoch)
                tf.summary.histogram(f"signal/{layer.name}", _values(layer.output), epoch)
            if importlib.util.find_spec("matplotlib") is not None:
                from keras_inits import plots  # an optional dependency, and a heavy one

                png = plots.figure_bytes(plots.depth_figure(report), dpi=100)
                tf.summary.image("depth", tf.image.decode_png(png)[None], epoch)
        self._writer.flush()


def _largest(report: SignalReport) -> tuple[str, float]:
    """Returns the layer with the largest output, and its root mean square."""
    largest = max(report.layers, key=lambda layer: layer.output.second_moment)
    return largest.name, largest.output.second_moment**0.5


def _came(first: SignalReport, now: SignalReport, epoch: int) -> list[Finding]:
    """Returns what is wrong now and was not before the training: dead units, lost gradients."""
    before = {layer.name: layer for layer in first.layers}
    known = {(f.kind, f.where) for f in first.findings}
    found = []
    for finding in now.findings:
        at_layer = bool(finding.where) and finding.where[0] in before
        if finding.kind not in _COMING or not at_layer or (finding.kind, finding.where) in known:
            continue
        old, remedy = before[finding.where[0]], finding.remedy
        was = f"; before the training it was {old.verdict}"
        if finding.kind == "dying":
            was += f" ({old.output.dead_units:.0%} of its units 0)"
            remedy = f"{remedy}; {_SLOWER}" if remedy else _SLOWER
        found.append(
            dataclasses.replace(
                finding,
                evidence=f"after epoch {epoch}: {finding.evidence}{was}",
                remedy=remedy,
                numbers={**finding.numbers, "epoch": epoch},
            )
        )
    return found


def _course(losses: list[float], epoch: int, guess: float | None = None) -> Finding | None:
    """Returns what is wrong with the course of the loss over the last epochs.

    Args:
        losses: of each epoch.
        epoch: the last one.
        guess: the loss of the best constant guess; None where it is not known.
    """
    last = losses[-_EPOCHS:]
    if len(last) < _EPOCHS:
        return None
    size = max(map(abs, last))
    rises = sum(b - a > _LOUD * size for a, b in itertools.pairwise(last))
    numbers = {"epoch": epoch, "first": last[0], "last": last[-1]}
    loud = rises >= 2 and size > _GONE * abs(losses[0])
    if loud and min(last[_EPOCHS // 2 :]) > 0.9 * min(last[: _EPOCHS // 2]):
        return Finding(
            kind="oscillating",
            where=("loss",),
            evidence=(
                f"over the last {_EPOCHS} epochs the loss rose {rises} times by more than "
                f"{_LOUD:.0%} of its largest value and its lowest did not fall: "
                + ", ".join(f"{value:.3g}" for value in last)
            ),
            consequence="Steps go past the minimum instead of into it",
            remedy=_SLOWER,
            numbers=numbers,
        )
    taught = guess is not None and last[-1] < _TAUGHT * guess
    still = max(last) - min(last) <= _FLAT * size and min(losses) > (1 - 2 * _FLAT) * losses[0]
    if still and not taught:
        return Finding(
            kind="stalled",
            where=("loss",),
            evidence=(
                f"over the last {_EPOCHS} epochs the loss stayed within {_FLAT:.0%} of "
                f"{last[-1]:.3g}, and it never was lower by more than {2 * _FLAT:.0%} than after "
                "the first epoch"
            ),
            consequence="Nothing is learned",
            remedy="model.optimizer.learning_rate = 10 * float(model.optimizer.learning_rate)",
            numbers=numbers,
        )
    return None


def _is_float(variable: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(variable.dtype)


def _values(statistics: TensorStatistics) -> NDArray[np.float64]:
    """Returns the middle of each bin as often as it was counted."""
    middles = (statistics.edges[1:] + statistics.edges[:-1]) / 2
    return np.repeat(middles, statistics.histogram)
