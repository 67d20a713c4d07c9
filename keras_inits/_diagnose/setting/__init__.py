"""The setting of a training: data, targets, the end of the net, loss, optimizer, first steps."""

from keras_inits._diagnose.setting.run import Setting, examine

__all__ = ["Setting", "examine"]
