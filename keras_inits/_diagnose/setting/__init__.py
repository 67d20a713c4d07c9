"""The setting of a training: data, targets, the end of the net, loss, optimizer, first steps."""

from keras_inits._diagnose.setting.run import CAUSES, Setting, examine

__all__ = ["CAUSES", "Setting", "examine"]
