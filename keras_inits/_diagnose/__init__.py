"""Where the signal is lost: what each layer of a model does forward and back, and what is expected.

What a diagnosis asks of Keras's backend is in `backends`, which `diagnose` loads when it is called.
"""

from keras_inits._diagnose.report import LayerReport, SignalReport
from keras_inits._diagnose.run import diagnose, loss_of_guess, signal_report
from keras_inits._diagnose.seen.statistics import JacobianReport, TensorStatistics, WeightReport
from keras_inits._diagnose.signal.thresholds import Thresholds
from keras_inits._diagnose.standard_input import StandardInput, draw_input, standard_input

__all__ = [
    "JacobianReport",
    "LayerReport",
    "SignalReport",
    "StandardInput",
    "TensorStatistics",
    "Thresholds",
    "WeightReport",
    "diagnose",
    "draw_input",
    "loss_of_guess",
    "signal_report",
    "standard_input",
]
