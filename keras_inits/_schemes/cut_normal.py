"""A normal law of fixed scale cut further out, or further in, than Keras cuts it."""

from typing import Any

import keras

from keras_inits._checks import boolean
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes import checks
from keras_inits._schemes.base import Scheme
from keras_inits._schemes.sampling import cut_stddev, normal_between


@scheme
class CutNormalInit(Scheme, keras.initializers.TruncatedNormal):
    """Normal, default stddev 0.02, with no values beyond `cut` standard deviations, default 3.

    As torch's `trunc_normal_`, whose `std` is that before the cut; with `before_cut=False` the
    values that come out have the standard deviation asked for. (For a scale that follows from the
    fans there is `HeInit(distribution="truncated_normal", cut=3.0)` and its like.)

    Args:
        stddev: standard deviation.
        cut: where it is cut, in standard deviations of the normal before.
        before_cut: whether `stddev` is that before the cut, or what comes out.

    Raises:
        InputError: a standard deviation or a cut that is not positive.

    >>> round(CutNormalInit(1.0).expected_stddev(None), 4)
    0.9866
    >>> CutNormalInit(1.0, 1.5, before_cut=False).expected_stddev(None)
    1.0
    """

    independent = True

    def __init__(
        self,
        stddev: float = 0.02,
        cut: float = 3.0,
        *,
        before_cut: bool = True,
        seed: Any = None,
    ) -> None:
        super().__init__(stddev=checks.positive("stddev", stddev), seed=checks.seed(seed))
        self.cut = checks.positive("cut", cut)
        self.before_cut = boolean("before_cut", before_cut)

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        stddev = self.stddev if self.before_cut else self.stddev / cut_stddev(self.cut)
        bounds = (-self.cut * stddev, self.cut * stddev)
        return normal_between(geometry.shape, 0.0, stddev, bounds, dtype, seed)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        return float(self.stddev) * (cut_stddev(self.cut) if self.before_cut else 1.0)
