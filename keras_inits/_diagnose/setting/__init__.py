"""The setting of a training: data, targets, the end of the net, loss, optimizer, first steps."""

from keras_inits._diagnose.setting.order import Setting, with_signal
from keras_inits._diagnose.setting.run import best_guess, examine

__all__ = ["Setting", "best_guess", "examine", "with_signal"]
