"""Schemes that keep the variance of a signal: a distribution, and a scale from the fans."""

import math
from typing import Any, Literal, get_args

from keras_inits._checks import choice
from keras_inits._errors import InputError
from keras_inits._kernel_geometry import Axes, KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes import checks
from keras_inits._schemes.base import GainScheme
from keras_inits._schemes.sampling import DISTRIBUTIONS, Distribution, draw

OneFan = Literal["fan_in", "fan_out"]
Mode = Literal[OneFan, "fan_avg", "fan_geo_avg"]
MODES: tuple[Mode, ...] = get_args(Mode)


def fan(geometry: KernelGeometry, mode: Mode) -> float:
    """Returns the number by which `mode` divides the variance, at least 1."""
    fan_in, fan_out = geometry.fan_in, geometry.fan_out
    if mode == "fan_in":
        return max(1.0, fan_in)
    if mode == "fan_out":
        return max(1.0, fan_out)
    if mode == "fan_avg":
        return max(1.0, (fan_in + fan_out) / 2)
    return max(1.0, math.sqrt(fan_in * fan_out))


@scheme
class VarianceScalingInit(GainScheme):
    r"""Variance gain² / fan, with mode and distribution of your choice.

    Args:
        mode: the fan: `"fan_in"` keeps the forward signal, `"fan_out"` the gradient, `"fan_avg"`
            (arithmetic mean) and `"fan_geo_avg"` (geometric mean) lie between.
        distribution: `"normal"` (not truncated), `"truncated_normal"` or `"uniform"`; each has the
            variance asked for.
        cut: of the truncated normal, where it is cut, in standard deviations of the normal before;
            2 if None.

    Raises:
        ValueError: an argument out of range, a cut of another distribution; at the call, axes that
            do not fit the shape.

    >>> VarianceScalingInit(gain=2.0, mode="fan_out", seed=1)((3, 3, 8, 16)).shape
    TensorShape([3, 3, 8, 16])
    """

    independent = True

    def __init__(
        self,
        gain: float | None = None,
        *,
        activation: Any = None,
        mode: Mode = "fan_in",
        distribution: Distribution = "normal",
        cut: float | None = None,
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
        self.mode = choice("mode", mode, MODES)
        self.distribution = choice("distribution", distribution, DISTRIBUTIONS)
        self.cut = None if cut is None else checks.positive("cut", cut)
        if cut is not None and distribution != "truncated_normal":
            raise InputError(
                '`cut` is of the truncated normal: give distribution="truncated_normal", too. '
                f"Received: cut={cut!r} with distribution={distribution!r}"
            )

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        stddev = self.expected_stddev(geometry)
        return draw(self.distribution, geometry.shape, stddev, dtype, seed, cut=self.cut)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        return self.effective_gain / math.sqrt(fan(geometry, self.mode))

    def stddev(self, shape: tuple[int, ...]) -> float:
        """Returns the standard deviation of a kernel of `shape`."""
        return self.expected_stddev(self.geometry(shape))

    def draws_alike(self, one: KernelGeometry, other: KernelGeometry) -> bool:
        """Whether the scale is the same: of independent values it is all there is."""
        return self.expected_stddev(one) == self.expected_stddev(other)


@scheme
class XavierInit(VarianceScalingInit, mode="fan_in"):
    r"""Normal, variance gain² / fan_in: what the source articles and Caffe call Xavier.

    $\operatorname{Var} W = g^2 / n_\text{in}$ keeps the variance of the forward signal where the
    activation is nearly linear, as tanh is around 0. The paper that Xavier Glorot wrote divides by
    the mean of both fans: that is `GlorotInit`.

    Raises:
        InputError: an argument out of range; at the call, axes that do not fit the shape.

    >>> round(XavierInit().stddev((784, 10)) * 28, 6)
    1.0
    """


@scheme
class XavierUniformInit(XavierInit, distribution="uniform", cut=None):
    """Uniform, variance gain² / fan_in: `XavierInit` drawn within ±gain √(3 / fan_in).

    Raises:
        InputError: an argument out of range; at the call, axes that do not fit the shape.

    >>> XavierUniformInit().stddev((4, 8))
    0.5
    """


@scheme
class GlorotInit(VarianceScalingInit, mode="fan_avg"):
    r"""Normal, variance 2 gain² / (fan_in + fan_out): Glorot and Bengio's compromise.

    The paper keeps forward and backward variance as well as one scale can, for linear units and
    tanh near 0. Its own experiments draw uniformly: `GlorotUniformInit`. The scheme with fan_in
    alone, which the source articles call Xavier, is `XavierInit`.

    Raises:
        InputError: an argument out of range; at the call, axes that do not fit the shape.

    Reference:
        Glorot & Bengio 2010, eq. 12 (variance) and 16 (uniform).
        https://proceedings.mlr.press/v9/glorot10a.html

    >>> GlorotInit().stddev((6, 2))
    0.5
    """


@scheme
class GlorotUniformInit(GlorotInit, distribution="uniform", cut=None):
    """Uniform, variance 2 gain² / (fan_in + fan_out): Glorot and Bengio's eq. 16, Keras's default.

    Raises:
        InputError: an argument out of range; at the call, axes that do not fit the shape.

    Reference:
        Glorot & Bengio 2010, eq. 16. https://proceedings.mlr.press/v9/glorot10a.html

    >>> GlorotUniformInit().stddev((4, 4))
    0.5
    """


@scheme
class HeInit(VarianceScalingInit):
    r"""Normal, variance 2 / fan_in: He's scale for ReLU.

    A ReLU passes half of the second moment, so that $\operatorname{Var} W = 2 / n_\text{in}$ keeps
    it from layer to layer. For a leaky ReLU it is $2 / ((1 + a^2) n_\text{in})$.

    Args:
        negative_slope: $a$, the slope of the activation below 0; 0, for ReLU, if None.
        activation: instead of `negative_slope`, any activation that follows: the variance is then
            `keras_inits.gain` of it, squared, over the fan. A name, a Keras layer or a function
            that a saved model can name.
        mode: `"fan_in"` keeps the forward signal, `"fan_out"` the gradient.
        distribution: `"normal"` (the paper's), `"truncated_normal"` or `"uniform"`; each has the
            variance asked for.

    Raises:
        InputError: an argument out of range; at the call, axes that do not fit the shape.

    Reference:
        He et al. 2015, eq. 10 (fan_in), 14 (fan_out), 15 (leaky). https://arxiv.org/abs/1502.01852

    >>> HeInit().stddev((8, 4))
    0.5
    """

    def __init__(
        self,
        negative_slope: float | None = None,
        *,
        activation: Any = None,
        mode: OneFan = "fan_in",
        distribution: Distribution = "normal",
        cut: float | None = None,
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        self.negative_slope, activation, _ = checks.gain_or_activation(
            negative_slope, activation, name="negative_slope"
        )
        super().__init__(
            activation=activation,
            mode=choice("mode", mode, get_args(OneFan)),
            distribution=distribution,
            cut=cut,
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )
        if activation is None:
            slope = self.negative_slope or 0.0
            self.scale = 2.0 / (1.0 + slope * slope)


@scheme
class HeUniformInit(HeInit, distribution="uniform", cut=None):
    """Uniform, variance 2 / fan_in: `HeInit` drawn within ±√(6 / fan_in).

    Raises:
        InputError: an argument out of range; at the call, axes that do not fit the shape.

    Reference:
        He et al. 2015, eq. 10 (fan_in), 14 (fan_out), 15 (leaky). https://arxiv.org/abs/1502.01852

    >>> HeUniformInit().stddev((8, 4))
    0.5
    """


@scheme
class LecunInit(VarianceScalingInit, gain=None, activation=None, mode="fan_in"):
    r"""Normal, variance 1 / fan_in: LeCun's scale, and SELU's.

    The paper leaves the distribution open. The law is that of `XavierInit` with gain 1.

    Raises:
        InputError: an argument out of range; at the call, axes that do not fit the shape.

    Reference:
        LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, eq. 16.
        http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf
        Klambauer et al. 2017 (for SELU). https://arxiv.org/abs/1706.02515

    >>> LecunInit().stddev((16, 4))
    0.25
    """


@scheme
class LecunUniformInit(LecunInit, distribution="uniform", cut=None):
    """Uniform, variance 1 / fan_in: `LecunInit` drawn within ±√(3 / fan_in).

    Raises:
        InputError: an argument out of range; at the call, axes that do not fit the shape.

    >>> LecunUniformInit().stddev((4, 8))
    0.5
    """
