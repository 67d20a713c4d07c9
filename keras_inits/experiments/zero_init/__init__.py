"""MNIST with everything zero, or everything alike: why a net with hidden units does not learn."""

from keras_inits.experiments.zero_init.result import ZeroInitConfig, ZeroInitResult, ZeroInitRun
from keras_inits.experiments.zero_init.training import run
from keras_inits.experiments.zero_init.views import page

__all__ = ["ZeroInitConfig", "ZeroInitResult", "ZeroInitRun", "page", "run"]
