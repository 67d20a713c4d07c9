"""muP: one learning rate for every width, by what the axes of each weight do when a net widens."""

from keras_inits.mup._coordinates import CoordinateCheck, coordinate_check
from keras_inits.mup._initialize import initialize
from keras_inits.mup._optimizer import optimizer
from keras_inits.mup._scaling import Scaling, WeightScaling, scaling

__all__ = [
    "CoordinateCheck",
    "Scaling",
    "WeightScaling",
    "coordinate_check",
    "initialize",
    "optimizer",
    "scaling",
]


def __dir__() -> list[str]:
    return sorted(__all__)
