"""The classic experiments: a configuration, a run and a result each.

>>> [experiment.name for experiment in EXPERIMENTS][:4]
['mnist-log', 'zero-init', 'circles', 'depth']
"""

from keras_inits.experiments import (
    atlas,
    circles,
    depth,
    he_depth,
    mnist_log,
    mup_transfer,
    pretraining,
    trainability,
    zero_init,
)
from keras_inits.experiments._config import MnistConfig, SeededConfig
from keras_inits.experiments._everything import EverythingConfig, run_all
from keras_inits.experiments._experiment import Experiment, ExperimentResult, MnistResult
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import Article, TrainingLog
from keras_inits.experiments.atlas import AtlasConfig, AtlasResult
from keras_inits.experiments.circles import CirclesConfig, CirclesResult
from keras_inits.experiments.depth import DepthConfig, DepthResult
from keras_inits.experiments.he_depth import HeDepthConfig, HeDepthResult
from keras_inits.experiments.mnist_log import MnistLogConfig, MnistLogResult
from keras_inits.experiments.mup_transfer import MupTransferConfig, MupTransferResult
from keras_inits.experiments.pretraining import PretrainingConfig, PretrainingResult
from keras_inits.experiments.trainability import TrainabilityConfig, TrainabilityResult
from keras_inits.experiments.zero_init import ZeroInitConfig, ZeroInitResult

EXPERIMENTS: tuple[Experiment, ...] = (
    mnist_log.EXPERIMENT,
    zero_init.EXPERIMENT,
    circles.EXPERIMENT,
    depth.EXPERIMENT,
    pretraining.EXPERIMENT,
    trainability.EXPERIMENT,
    he_depth.EXPERIMENT,
    mup_transfer.EXPERIMENT,
    atlas.EXPERIMENT,
)

__all__ = [
    "EXPERIMENTS",
    "Article",
    "AtlasConfig",
    "AtlasResult",
    "CirclesConfig",
    "CirclesResult",
    "DepthConfig",
    "DepthResult",
    "EverythingConfig",
    "Experiment",
    "ExperimentResult",
    "HeDepthConfig",
    "HeDepthResult",
    "MnistConfig",
    "MnistLogConfig",
    "MnistLogResult",
    "MnistResult",
    "MupTransferConfig",
    "MupTransferResult",
    "Page",
    "Picture",
    "PretrainingConfig",
    "PretrainingResult",
    "SeededConfig",
    "Table",
    "TrainabilityConfig",
    "TrainabilityResult",
    "TrainingLog",
    "ZeroInitConfig",
    "ZeroInitResult",
    "atlas",
    "circles",
    "depth",
    "he_depth",
    "markdown_table",
    "mnist_log",
    "mup_transfer",
    "pretraining",
    "run_all",
    "trainability",
    "zero_init",
]


def markdown_table() -> str:
    """Returns the README's table of the experiments.

    >>> markdown_table().splitlines()[0]
    '| command | what it runs | compared with |'
    """
    rows = [("command", "what it runs", "compared with"), ("---", "---", "---")]
    rows += [(f"`keras-inits reproduce {e.name}`", e.what, e.published) for e in EXPERIMENTS]
    rows += [
        (
            "`keras-inits reproduce all --out DIR`",
            "everything",
            "`DIR/report.html`, one self-contained page",
        )
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def __dir__() -> list[str]:
    return sorted(__all__)
