"""A normal law cut further out than Keras cuts it."""

import math
from typing import Any

import keras
from keras import ops

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._registry import nameless
from keras_inits._schemes import checks
from keras_inits._schemes.base import Scheme


@nameless
class CutNormalInit(Scheme, keras.initializers.TruncatedNormal):
    """Normal, N(0, stddev²), with no values beyond `cut` standard deviations, default 3.

    As torch's `trunc_normal_`, whose `std` is that before the cut. (`"truncated_normal"` of
    `VarianceScalingInit` cuts at 2 and has the standard deviation asked for.)

    Args:
        stddev: standard deviation before the cut.
        cut: where it is cut, in standard deviations.

    >>> round(CutNormalInit(1.0).expected_stddev(None), 4)
    0.9866
    """

    def __init__(self, stddev: float, cut: float = 3.0, *, seed: Any = None) -> None:
        super().__init__(stddev=checks.positive("stddev", stddev), seed=checks.seed(seed))
        self.cut = checks.positive("cut", cut)

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        # The inverse of the distribution function, between those of -cut and cut.
        reach = math.erf(self.cut / math.sqrt(2))
        uniform = keras.random.uniform(geometry.shape, -reach, reach, dtype=dtype, seed=seed)
        return self.stddev * math.sqrt(2) * ops.erfinv(uniform)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        density = math.exp(-(self.cut**2) / 2) / math.sqrt(2 * math.pi)
        inside = math.erf(self.cut / math.sqrt(2))
        return float(self.stddev) * math.sqrt(1 - 2 * self.cut * density / inside)
