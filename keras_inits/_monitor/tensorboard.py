"""Diagnoses in files for TensorBoard, which TensorFlow writes, whichever backend Keras has."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_inits._diagnose import SignalReport, TensorStatistics


class Board:
    """Scalars and histograms per layer, and the figure of `plots.depth_figure`.

    Args:
        folder: where the files are written.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def write(self, report: SignalReport, epoch: int) -> None:
        """Writes what a diagnosis after so many epochs found."""
        import tensorflow as tf  # here, since only this needs it

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self._folder))
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

    def close(self) -> None:
        """Closes the file; another training begins a new one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _values(statistics: TensorStatistics) -> NDArray[np.float64]:
    """Returns the middle of each bin as often as it was counted."""
    middles = (statistics.edges[1:] + statistics.edges[:-1]) / 2
    return np.repeat(middles, statistics.histogram)
