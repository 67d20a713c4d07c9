"""Two circles: zeros, random times 10, random times 0.01, Xavier and He on a net of 2-10-5-1.

The second and third articles print one draw of NumPy's legacy generator. It is run here from the
same weights, and beside it stand the same schemes over many seeds.
"""

from keras_inits.experiments.circles.result import CirclesConfig, CirclesResult, CirclesRun
from keras_inits.experiments.circles.training import run
from keras_inits.experiments.circles.views import page

__all__ = ["CirclesConfig", "CirclesResult", "CirclesRun", "page", "run"]
