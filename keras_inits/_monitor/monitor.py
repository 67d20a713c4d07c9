"""A Keras callback that watches a training: faults that come with it, and where they arise."""

import itertools
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits import _checks
from keras_inits._diagnose import SignalReport, Thresholds, loss_of_guess, signal_report
from keras_inits._monitor import course
from keras_inits._monitor.tensorboard import Board
from keras_inits._optional import require
from keras_inits._reporting import Finding

# Weights are kept before every step of models up to this size; before every second step of models
# of twice as many, and so on: a copy of 5e6 float32 takes a few milliseconds.
_KEPT_EACH_STEP = 5_000_000
# Of the loss of a guess: below it nearly all has been learned, and what is lost by then in the net
# was not needed.
_SOLVED = 0.1
_GROWN = 100.0  # times the largest output of before the training: its steps have blown it up
_LOOK_AT_DATA = (
    "all(np.isfinite(a).all() for a in (x, y)), and look at the smallest and largest values of each"
)


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
        self._board = None if log_dir is None else Board(log_dir)
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
            self._add(course.of_loss(self._losses, self._epoch, self._guess))
        if (epoch + 1) % self.every == 0:
            self._diagnose(epoch + 1)
            if not self._broken and not self._solved():
                for finding in course.newly_found(
                    self.history[0][1], self.history[-1][1], self._epoch
                ):
                    self._add(finding)

    def on_train_end(self, logs: Any = None) -> None:
        """Closes TensorBoard's file."""
        if self._board is not None:
            self._board.close()
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
        return (
            seen,
            (name,),
            "" if getattr(self.model, "optimizer", None) is None else course.SLOWER,
        )

    def _diagnose(self, epoch: int) -> None:
        self._current()
        report = signal_report(self.model, self.x, self.y, self.thresholds)
        self.history.append((epoch, report))
        if not self._broken:  # else the report of before says more
            self.report = report
        if self._board is not None:
            self._board.write(report, epoch)


def _largest(report: SignalReport) -> tuple[str, float]:
    """Returns the layer with the largest output, and its root mean square."""
    largest = max(report.layers, key=lambda layer: layer.output.second_moment)
    return largest.name, largest.output.second_moment**0.5


def _is_float(variable: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(variable.dtype)
