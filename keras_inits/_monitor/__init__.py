"""`SignalMonitor`, a Keras callback that diagnoses a model while it is trained."""

from keras_inits._monitor.monitor import SignalMonitor

__all__ = ["SignalMonitor"]
