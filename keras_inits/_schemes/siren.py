"""Kernels for nets of sine activations."""

import math
from typing import Any

from keras_inits._checks import boolean
from keras_inits._kernel_geometry import Axes, KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes import checks
from keras_inits._schemes.base import KernelScheme
from keras_inits._schemes.sampling import draw


@scheme
class SirenInit(KernelScheme):
    r"""Uniform, ±√(6 / fan_in) / omega: the layers of a SIREN after the first.

    For layers $\sin(\omega (W x + b))$. Inputs with the arcsine law, variance 1/2, then give normal
    sums of variance 1 before the sine. Behind many layers the variance of the sums is 0.80, the
    fixed point of $v = 1 - e^{-2v}$, and the standard deviation of the sines 0.63. The first layer,
    whose inputs are coordinates in -1 to 1, is drawn by `SirenFirstInit`.

    Args:
        omega: $\omega$, the factor in the activation.
        first: whether it is the first layer: uniform, $\pm 1 / n_\text{in}$. $\omega$ then says how
            many periods fit into the domain and does not enter the law.

    Raises:
        InputError: an argument out of range; at the call, axes that do not fit the shape.

    Reference:
        Sitzmann et al. 2020, section 3.2 and theorem 1.8. https://arxiv.org/abs/2006.09661

    >>> round(SirenInit().limit((6, 4)) * 30, 6)
    1.0
    """

    independent = True

    def __init__(
        self,
        omega: float = 30.0,  # the paper's, section 3.2
        *,
        first: bool = False,
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            seed=seed, input_axes=input_axes, output_axes=output_axes, batch_axes=batch_axes
        )
        self.omega = checks.positive("omega", omega)
        self.first = boolean("first", first)

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        return draw("uniform", geometry.shape, self.expected_stddev(geometry), dtype, seed)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        return self._limit(geometry) / math.sqrt(3.0)

    def limit(self, shape: tuple[int, ...]) -> float:
        """Returns the bound that no value of a kernel of `shape` passes."""
        return self._limit(self.geometry(shape))

    def draws_alike(self, one: KernelGeometry, other: KernelGeometry) -> bool:
        """Whether the scale is the same: of independent values it is all there is."""
        return self._limit(one) == self._limit(other)

    def _limit(self, geometry: KernelGeometry) -> float:
        fan_in = max(1.0, geometry.fan_in)
        return 1.0 / fan_in if self.first else math.sqrt(6.0 / fan_in) / self.omega


@scheme
class SirenFirstInit(SirenInit, omega=30.0, first=True):
    """Uniform, ±1 / fan_in: the first layer of a SIREN.

    Raises:
        InputError: an argument out of range; at the call, axes that do not fit the shape.

    >>> SirenFirstInit(seed=1)((2, 64)).shape
    TensorShape([2, 64])
    """
