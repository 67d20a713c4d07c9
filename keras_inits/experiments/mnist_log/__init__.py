"""MNIST, random against Xavier: the 20-epoch log of the first article, re-run.

The article does not say which network it trained. It is softmax regression: `Dense(10)` on 784
pixels scaled to [0, 1], biases from N(0, 1), plain SGD with learning rate 0.01 on batches of 100.
That recipe gives all 80 of its numbers.
"""

from keras_inits.experiments.mnist_log.result import MnistLogConfig, MnistLogResult, TrainingRun
from keras_inits.experiments.mnist_log.training import run
from keras_inits.experiments.mnist_log.views import log_text, page

__all__ = ["MnistLogConfig", "MnistLogResult", "TrainingRun", "log_text", "page", "run"]
