"""Kernels of a given spectral norm: the spectral condition and scaled-uniform orthogonal ones."""

import math
from typing import Any, Literal, get_args

from keras_inits._checks import choice
from keras_inits._kernel_geometry import Axes, KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes.base import GainScheme
from keras_inits._schemes.orthogonal import OrthogonalInit
from keras_inits._schemes.sampling import Distribution, draw

SpectralDistribution = Literal["orthogonal", Distribution]


def aspect(geometry: KernelGeometry) -> float:
    r"""Returns $\sqrt{n_\text{out} / n_\text{in}}$ of a kernel's maps; taps count as inputs."""
    _, rows, outputs = geometry.matrix_shape
    return math.sqrt(outputs / max(1, rows))


@scheme
class SuoInit(OrthogonalInit):
    r"""Orthogonal times gain max(1, √(n_out / n_in)): scaled-uniform orthogonal, for DKS and TAT.

    Each output then has the second moment of the inputs, times gain², exactly in the mean over
    inputs of one length, whether the layer widens or narrows the signal. $n_\text{in}$ counts the
    taps of a convolution. (For those the paper puts the matrix at the centre tap:
    `DeltaOrthogonalInit`.)

    Raises:
        ValueError: at the call, a shape with fewer than two axes.

    Reference:
        Martens et al. 2021, section 3.1 (SUO). https://arxiv.org/abs/2110.01765

    >>> w = SuoInit(seed=1)((4, 16))
    >>> round(float((w.numpy() ** 2).sum(axis=1).mean()), 4)
    4.0
    """

    def gain_in(self, geometry: KernelGeometry) -> float:
        return self.effective_gain * max(1.0, aspect(geometry))


@scheme
class SpectralInit(GainScheme):
    r"""Spectral norm gain √(n_out / n_in): features learned at every width.

    `"orthogonal"`: every singular value is $g \sqrt{n_\text{out} / n_\text{in}}$. The random
    distributions have the standard deviation
    $g\, n_\text{in}^{-1/2} \min(1, \sqrt{n_\text{out} / n_\text{in}})$, so that the largest
    singular value is of that order. $n_\text{in}$ counts the taps of a convolution.

    Args:
        distribution: `"orthogonal"`, `"normal"`, `"truncated_normal"` (at two standard deviations)
            or `"uniform"`; the last three have the standard deviation asked for.

    Raises:
        ValueError: at the call, a shape with fewer than two axes.

    Reference:
        Yang, Simon & Bernstein 2023, condition 1 and section 4. https://arxiv.org/abs/2310.17813

    >>> import numpy as np
    >>> round(float(np.linalg.norm(SpectralInit(seed=1)((16, 4)), ord=2)), 4)
    0.5
    """

    independent = True  # unless it is orthogonal: see `__init__`

    def __init__(
        self,
        gain: float | None = None,
        *,
        activation: Any = None,
        distribution: SpectralDistribution = "orthogonal",
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            gain,
            activation=activation,
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )
        self.distribution = choice(
            "distribution", distribution, ("orthogonal", *get_args(Distribution))
        )
        self.independent = type(self).independent and self.distribution != "orthogonal"

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        if self.distribution != "orthogonal":
            stddev = self.expected_stddev(geometry)
            return draw(self.distribution, geometry.shape, stddev, dtype, seed)
        return aspect(geometry) * OrthogonalInit(self.effective_gain).sample(geometry, dtype, seed)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        # in^-1/2 min(1, (out/in)^1/2), written for both: an orthogonal kernel has max(in, out)^-1/2
        _, rows, outputs = geometry.matrix_shape
        return self.effective_gain * aspect(geometry) / math.sqrt(max(1, rows, outputs))
