"""Ten layers deep: what becomes of the signal, and of its gradient, from five starts."""

from keras_inits.experiments.depth.result import DepthConfig, DepthResult, DepthRun
from keras_inits.experiments.depth.running import run
from keras_inits.experiments.depth.views import page

__all__ = ["DepthConfig", "DepthResult", "DepthRun", "page", "run"]
