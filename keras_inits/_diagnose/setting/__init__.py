"""The setting of a training: data, targets, the end of the net, loss, optimizer, first steps."""

from keras_inits._diagnose.setting.order import Setting, with_signal
from keras_inits._diagnose.setting.run import examine

__all__ = ["Setting", "examine", "with_signal"]
