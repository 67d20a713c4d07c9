"""A Keras callback that runs `diagnose` every N epochs."""

import importlib.util
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose import SignalReport, TensorStatistics, Thresholds, diagnose
from keras_inits._errors import InputError


class SignalMonitor(keras.callbacks.Callback):
    """Diagnoses the model on one fixed batch, before training and then every `every` epochs.

    Each diagnosis costs about two steps of training on that batch (benchmarks/diagnose.py);
    training itself goes on as it would have: weights, statistics, seeds and compiled functions are
    as they were.

    Args:
        x: the fixed batch, as `diagnose` takes it; some dozens of samples are enough.
        y: its targets; a random cotangent goes back if None.
        every: how many epochs from one diagnosis to the next.
        log_dir: a folder for TensorBoard: scalars and histograms per layer, and the figure of
            `plots.depth_figure` (if matplotlib is installed). None writes nothing.
        thresholds: as in `diagnose`.

    Attributes:
        history: pairs of how many epochs had passed and the report.

    Raises:
        InputError: `every` is no positive number of epochs.

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> x, y = np.ones((8, 4)), np.ones((8, 1))
    >>> monitor = SignalMonitor(x, y)
    >>> _ = model.fit(x, y, epochs=2, verbose=0, callbacks=[monitor])
    >>> [epoch for epoch, _ in monitor.history]
    [0, 1, 2]
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        every: int = 1,
        log_dir: str | Path | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        super().__init__()
        if isinstance(every, bool) or not isinstance(every, int | np.integer) or every < 1:
            raise InputError(
                f"`every` must be a number of epochs, 1 or more. Received: every={every!r}"
            )
        self.x, self.y, self.every, self.thresholds = x, y, every, thresholds
        self.log_dir = log_dir
        self.history: list[tuple[int, SignalReport]] = []
        self._writer: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Diagnoses the model before its first step."""
        self.history = []
        self._diagnose(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Diagnoses the model if it is time."""
        if (epoch + 1) % self.every == 0:
            self._diagnose(epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        """Closes TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _diagnose(self, epoch: int) -> None:
        report = diagnose(
            self.model, self.x, self.y, thresholds=self.thresholds, jacobian_samples=0
        )
        self.history.append((epoch, report))
        if self.log_dir is not None:
            self._log(report, epoch)

    def _log(self, report: SignalReport, epoch: int) -> None:
        import tensorflow as tf  # so that this module loads without it

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


def _values(statistics: TensorStatistics) -> NDArray[np.float64]:
    """Returns the middle of each bin as often as it was counted."""
    middles = (statistics.edges[1:] + statistics.edges[:-1]) / 2
    return np.repeat(middles, statistics.histogram)
