"""Schemes that keep the variance of a signal: a distribution, and a scale from the fans."""

import math
from typing import Any, Literal

from keras_inits._kernel_geometry import Axes, KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes import checks
from keras_inits._schemes.base import KernelScheme
from keras_inits._schemes.sampling import DISTRIBUTIONS, Distribution, draw

Mode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo_avg"]
MODES: tuple[Mode, ...] = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")


def fan(geometry: KernelGeometry, mode: Mode) -> float:
    """Returns the number by which `mode` divides the variance, at least 1."""
    fan_in, fan_out = geometry.fan_in, geometry.fan_out
    if mode == "fan_in":
        chosen: float = fan_in
    elif mode == "fan_out":
        chosen = fan_out
    elif mode == "fan_avg":
        chosen = (fan_in + fan_out) / 2
    else:
        chosen = math.sqrt(fan_in * fan_out)
    return max(1.0, chosen)


@scheme
class VarianceScalingInit(KernelScheme):
    r"""Variance gain² / fan, with mode and distribution of your choice.

    Args:
        gain: $g$, the standard deviation of a kernel whose fan is 1; 1 if None.
        activation: in place of `gain`, the activation that follows: `keras_inits.gain` of it. A
            name, a Keras layer or a function that a saved model can name.
        mode: the fan: `"fan_in"` keeps the forward signal, `"fan_out"` the gradient, `"fan_avg"`
            (arithmetic mean) and `"fan_geo_avg"` (geometric mean) lie between.
        distribution: `"normal"` (not truncated), `"truncated_normal"` (at two standard
            deviations) or `"uniform"`; each has the variance asked for.
        seed: integer, `keras.random.SeedGenerator` or None. As in Keras, an instance with an
            integer or None gives the same values at each call.
        input_axes: axis or axes of the kernel that are summed over. With `output_axes`, replaces
            Keras's reading of the shape, `(..., inputs, outputs)`; axes in none of the three are
            taps and count in both fans.
        output_axes: axis or axes of the result.
        batch_axes: axis or axes of independent maps, such as experts; they count in no fan.

    Raises:
        ValueError: an argument out of range; at the call, axes that do not fit the shape.

    >>> VarianceScalingInit(gain=2.0, mode="fan_out", seed=1)((3, 3, 8, 16)).shape
    TensorShape([3, 3, 8, 16])
    """

    def __init__(
        self,
        gain: float | None = None,
        *,
        activation: Any = None,
        mode: Mode = "fan_in",
        distribution: Distribution = "normal",
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )
        self.gain, self.activation, self.effective_gain = checks.gain_or_activation(
            None if gain is None else checks.positive("gain", gain), activation
        )
        self.scale = self.effective_gain**2  # what Keras calls it
        self.mode = checks.choice("mode", mode, MODES)
        self.distribution = checks.choice("distribution", distribution, DISTRIBUTIONS)

    def stddev(self, shape: tuple[int, ...]) -> float:
        """Returns the standard deviation of a kernel of `shape`."""
        return self.effective_gain / math.sqrt(fan(self.geometry(shape), self.mode))

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        return draw(self.distribution, shape, self.stddev(shape), dtype, self.seed)


@scheme
class XavierInit(VarianceScalingInit):
    r"""Normal, variance gain² / fan_in: what the articles call Xavier.

    $\operatorname{Var} W = g^2 / n_\text{in}$ keeps the variance of the forward signal where the
    activation is nearly linear, as tanh is around 0. The paper that Xavier Glorot wrote divides by
    the mean of both fans: that is `GlorotInit`.

    Args:
        gain: $g$; 1 if None.
        activation: as in `VarianceScalingInit`.
        distribution: `"normal"`, `"truncated_normal"` or `"uniform"`.
        seed: as in `VarianceScalingInit`.
        input_axes: as in `VarianceScalingInit`.
        output_axes: as in `VarianceScalingInit`.
        batch_axes: as in `VarianceScalingInit`.

    >>> round(XavierInit().stddev((784, 10)) * 28, 6)
    1.0
    """

    def __init__(
        self,
        gain: float | None = None,
        *,
        activation: Any = None,
        distribution: Distribution = "normal",
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            gain,
            activation=activation,
            mode="fan_in",
            distribution=distribution,
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )


@scheme
class GlorotInit(VarianceScalingInit):
    r"""Normal, variance 2 gain² / (fan_in + fan_out): Glorot and Bengio's compromise.

    The paper keeps forward and backward variance as well as one scale can. Its own experiments
    draw uniformly: `GlorotUniformInit`. The articles' Xavier, with fan_in alone, is `XavierInit`.

    Args:
        gain: $g$; 1, for linear units and tanh near 0, if None.
        activation: as in `VarianceScalingInit`.
        distribution: `"normal"`, `"truncated_normal"` or `"uniform"`.
        seed: as in `VarianceScalingInit`.
        input_axes: as in `VarianceScalingInit`.
        output_axes: as in `VarianceScalingInit`.
        batch_axes: as in `VarianceScalingInit`.

    Reference:
        Glorot & Bengio 2010, eq. 12 (variance) and 16 (uniform).
        https://proceedings.mlr.press/v9/glorot10a.html

    >>> GlorotInit().stddev((6, 2))
    0.5
    """

    def __init__(
        self,
        gain: float | None = None,
        *,
        activation: Any = None,
        distribution: Distribution = "normal",
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            gain,
            activation=activation,
            mode="fan_avg",
            distribution=distribution,
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )


@scheme
class HeInit(VarianceScalingInit):
    r"""Normal, variance 2 / fan_in: He's scale for ReLU.

    A ReLU passes half of the second moment, so that $\operatorname{Var} W = 2 / n_\text{in}$ keeps
    it from layer to layer. For a leaky ReLU it is $2 / ((1 + a^2) n_\text{in})$.

    Args:
        negative_slope: $a$, the slope of the activation below 0; 0, for ReLU, if None.
        activation: in its place, any activation, as in `VarianceScalingInit`.
        mode: `"fan_in"` keeps the forward signal, `"fan_out"` the gradient.
        distribution: `"normal"` (the paper's), `"truncated_normal"` or `"uniform"`.
        seed: as in `VarianceScalingInit`.
        input_axes: as in `VarianceScalingInit`.
        output_axes: as in `VarianceScalingInit`.
        batch_axes: as in `VarianceScalingInit`.

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
        mode: Literal["fan_in", "fan_out"] = "fan_in",
        distribution: Distribution = "normal",
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        self.negative_slope, activation, _ = checks.gain_or_activation(
            negative_slope, activation, name="negative_slope"
        )
        slope = self.negative_slope or 0.0
        super().__init__(
            None if activation is not None else math.sqrt(2.0) / math.hypot(1.0, slope),
            activation=activation,
            mode=checks.choice("mode", mode, ("fan_in", "fan_out")),
            distribution=distribution,
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )


@scheme
class LecunInit(VarianceScalingInit):
    r"""Normal, variance 1 / fan_in: LeCun's scale, and SELU's.

    The paper leaves the distribution open. The law is that of `XavierInit` with gain 1.

    Args:
        distribution: `"normal"`, `"truncated_normal"` or `"uniform"`.
        seed: as in `VarianceScalingInit`.
        input_axes: as in `VarianceScalingInit`.
        output_axes: as in `VarianceScalingInit`.
        batch_axes: as in `VarianceScalingInit`.

    Reference:
        LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, eq. 16.
        http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf
        Klambauer et al. 2017 (for SELU). https://arxiv.org/abs/1706.02515

    >>> LecunInit().stddev((16, 4))
    0.25
    """

    def __init__(
        self,
        *,
        distribution: Distribution = "normal",
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            mode="fan_in",
            distribution=distribution,
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )


@scheme
class XavierUniformInit(XavierInit):
    """Uniform, variance gain² / fan_in: `XavierInit` drawn within ±gain √(3 / fan_in).

    Args:
        gain: as in `XavierInit`.
        activation: as in `VarianceScalingInit`.
        seed: as in `VarianceScalingInit`.
        input_axes: as in `VarianceScalingInit`.
        output_axes: as in `VarianceScalingInit`.
        batch_axes: as in `VarianceScalingInit`.
    """

    def __init__(
        self,
        gain: float | None = None,
        *,
        activation: Any = None,
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            gain,
            activation=activation,
            distribution="uniform",
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )


@scheme
class GlorotUniformInit(GlorotInit):
    """Uniform, variance 2 gain² / (fan_in + fan_out): Glorot and Bengio's eq. 16, Keras's default.

    Args:
        gain: as in `GlorotInit`.
        activation: as in `VarianceScalingInit`.
        seed: as in `VarianceScalingInit`.
        input_axes: as in `VarianceScalingInit`.
        output_axes: as in `VarianceScalingInit`.
        batch_axes: as in `VarianceScalingInit`.
    """

    def __init__(
        self,
        gain: float | None = None,
        *,
        activation: Any = None,
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            gain,
            activation=activation,
            distribution="uniform",
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )


@scheme
class HeUniformInit(HeInit):
    """Uniform, variance 2 / fan_in: `HeInit` drawn within ±√(6 / fan_in).

    Args:
        negative_slope: as in `HeInit`.
        activation: as in `HeInit`.
        mode: as in `HeInit`.
        seed: as in `VarianceScalingInit`.
        input_axes: as in `VarianceScalingInit`.
        output_axes: as in `VarianceScalingInit`.
        batch_axes: as in `VarianceScalingInit`.
    """

    def __init__(
        self,
        negative_slope: float | None = None,
        *,
        activation: Any = None,
        mode: Literal["fan_in", "fan_out"] = "fan_in",
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            negative_slope,
            activation=activation,
            mode=mode,
            distribution="uniform",
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )


@scheme
class LecunUniformInit(LecunInit):
    """Uniform, variance 1 / fan_in: `LecunInit` drawn within ±√(3 / fan_in).

    Args:
        seed: as in `VarianceScalingInit`.
        input_axes: as in `VarianceScalingInit`.
        output_axes: as in `VarianceScalingInit`.
        batch_axes: as in `VarianceScalingInit`.
    """

    def __init__(
        self,
        *,
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            distribution="uniform",
            seed=seed,
            input_axes=input_axes,
            output_axes=output_axes,
            batch_axes=batch_axes,
        )
