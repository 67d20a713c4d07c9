"""Kernels of sub-pixel convolutions."""

import math
from dataclasses import replace
from typing import Any, Literal, get_args

from keras import ops

from keras_inits._checks import choice, integer
from keras_inits._errors import InputError
from keras_inits._kernel_geometry import Axes, KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes.base import GainScheme
from keras_inits._schemes.sampling import DISTRIBUTIONS, Distribution, draw
from keras_inits._schemes.variance_scaling import MODES, Mode, fan

Order = Literal["depth_to_space", "pixel_shuffle"]


@scheme
class IcnrInit(GainScheme):
    r"""Each filter equal for all r² pixels that it makes: ICNR, sub-pixel without checkerboard.

    The filters of $n_\text{out} / r^d$ channels, $d$ the number of spatial axes, are drawn with
    variance $g^2 / n$, $n$ a fan of the convolution that makes those channels alone. Each is
    repeated $r^d$ times, so that what `tf.nn.depth_to_space` lays out is a nearest-neighbour
    enlargement.

    Args:
        gain: $g$; 1 if None.
        factor: $r$, how many times the enlarged image is as wide.
        order: how the channels are laid out afterwards. `"depth_to_space"`: channel
            $p\,C + c$ is pixel $p$ of channel $c$ of $C$ (TensorFlow). `"pixel_shuffle"`: channel
            $c\,r^d + p$ is (torch's PixelShuffle).
        mode: the fan: `"fan_in"`, `"fan_out"`, `"fan_avg"` or `"fan_geo_avg"`.
        distribution: `"normal"` (not truncated), `"truncated_normal"` (at two standard
            deviations) or `"uniform"`; each has the variance asked for.

    Raises:
        ValueError: at the call, a kernel without taps, outputs that do not fall into $r^d$ equal
            parts, or a grouped convolution.

    Reference:
        Aitken et al. 2017, section 3. https://arxiv.org/abs/1707.02937

    >>> w = IcnrInit(seed=1)((3, 3, 8, 12)).numpy()  # 3 channels, enlarged twice
    >>> bool((w[..., :3] == w[..., 9:]).all())
    True
    """

    def __init__(
        self,
        gain: float | None = None,
        *,
        activation: Any = None,
        factor: int = 2,
        order: Order = "depth_to_space",
        mode: Mode = "fan_in",
        distribution: Distribution = "normal",
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
        self.factor = integer("factor", factor, minimum=1)
        self.order = choice("order", order, get_args(Order))
        self.mode = choice("mode", mode, MODES)
        self.distribution = choice("distribution", distribution, DISTRIBUTIONS)

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        small = self._of_channels(geometry)
        drawn = draw(self.distribution, small.shape, self.expected_stddev(geometry), dtype, seed)
        copies, (axis,) = self.copies(geometry), geometry.output_axes
        if self.order == "pixel_shuffle":
            return ops.repeat(drawn, copies, axis=axis)
        return ops.concatenate([drawn] * copies, axis=axis)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        return self.effective_gain / math.sqrt(fan(self._of_channels(geometry), self.mode))

    def copies(self, geometry: KernelGeometry) -> int:
        """Returns how many outputs of a kernel of `geometry` have each filter."""
        return int(self.factor ** len(geometry.tap_axes))

    def _of_channels(self, geometry: KernelGeometry) -> KernelGeometry:
        """Returns the geometry of the convolution that makes each channel once."""
        shape, copies = geometry.shape, self.copies(geometry)
        if not geometry.tap_axes or len(geometry.output_axes) != 1:
            raise InputError(
                "IcnrInit fills kernels of convolutions that enlarge images, such as (3, 3, "
                f"inputs, channels x {self.factor}²). Received: shape={shape}"
            )
        (axis,) = geometry.output_axes
        if geometry.blocks > 1 or shape[axis] % copies:
            groups = f" in {geometry.blocks} groups" if geometry.blocks > 1 else ""
            raise InputError(
                f"IcnrInit needs outputs that fall into {copies} equal parts, one a pixel, and no "
                f"groups. Received: factor={self.factor} for {shape[axis]} outputs{groups} in "
                f"shape={shape}"
            )
        sizes = (*shape[:axis], shape[axis] // copies, *shape[axis + 1 :])
        return replace(geometry, shape=sizes)
