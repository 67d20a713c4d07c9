"""Any initializer, drawn in the geometry of one kernel."""

import inspect
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from keras_inits import _registry
from keras_inits._kernel_geometry import Axes, KernelGeometry, standardize_axes
from keras_inits._schemes.base import KernelScheme, Scheme
from keras_inits._schemes.orthogonal import OrthogonalInit
from keras_inits._schemes.variance_scaling import VarianceScalingInit

# Keras's own classes that read fans or a matrix off the shape. Subclasses of the user's are not
# among them: what they draw is theirs to say.
_KERAS_VARIANCE_SCALING = tuple(
    value
    for value in vars(keras.initializers).values()
    if isinstance(value, type) and issubclass(value, keras.initializers.VarianceScaling)
)
_DISTRIBUTIONS = {"untruncated_normal": "normal"}  # what Keras calls ours, where it differs


def kernel_scheme(initializer: Any) -> KernelScheme | None:
    """Returns the scheme of the same law that can be told a geometry, or None if there is none.

    That is the initializer itself if it is a `KernelScheme`, and our counterpart of Keras's
    `VarianceScaling`, with all its subclasses, and `Orthogonal`.

    >>> kernel_scheme(keras.initializers.HeUniform()).get_config()["distribution"]
    'uniform'
    """
    if isinstance(initializer, KernelScheme):
        return initializer
    if type(initializer) in _KERAS_VARIANCE_SCALING:
        return VarianceScalingInit(
            math.sqrt(initializer.scale),
            mode=initializer.mode,
            distribution=_DISTRIBUTIONS.get(initializer.distribution, initializer.distribution),
        )
    if type(initializer) is keras.initializers.Orthogonal:
        return OrthogonalInit(initializer.gain)
    return None


def draw(initializer: Any, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
    """Returns a kernel of `geometry`, drawn by `initializer` with `seed`.

    An initializer that knows nothing of kernels gets the shape; one that takes no seed draws as it
    always does.
    """
    scheme = kernel_scheme(initializer)
    if scheme is not None:
        return scheme.for_geometry(geometry, seed=seed)(geometry.shape, dtype)
    return with_seed(initializer, seed)(geometry.shape, dtype=dtype)


def with_seed(initializer: Any, seed: Any) -> Any:
    """Returns a copy of `initializer` with that seed; itself if it takes none."""
    get_config = getattr(initializer, "get_config", None)
    config = get_config() if get_config else {}
    if isinstance(initializer, GeometricInit):
        config["scheme"] = with_seed(initializer.scheme, seed)
        return type(initializer).from_config(config)
    if "seed" not in config:
        return initializer
    return type(initializer).from_config({**config, "seed": seed})


@_registry.nameless
class GeometricInit(Scheme):
    """Another initializer in a geometry that the kernel's shape does not tell.

    `keras_inits.initialize` puts it into the configuration of such layers (transposed, depthwise,
    strided and grouped convolutions, embeddings, gates), so that clones and loaded models draw
    right. It has no name of its own, because it says nothing without the scheme.

    Args:
        scheme: any initializer, in any form that `keras_inits.get` takes.
        input_axes: as in `VarianceScalingInit`.
        output_axes: as in `VarianceScalingInit`.
        batch_axes: as in `VarianceScalingInit`.
        blocks: independent maps side by side along the first output axis: gates, groups.
        input_stride: product of the strides of a transposed convolution.
        output_stride: product of the strides of a convolution.

    >>> lstm = GeometricInit("initkit_orthogonal", blocks=4)  # each gate orthogonal by itself
    >>> lstm((64, 256)).shape
    TensorShape([64, 256])
    """

    def __init__(
        self,
        scheme: Any,
        *,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
        blocks: int = 1,
        input_stride: int = 1,
        output_stride: int = 1,
    ) -> None:
        # `from_config` hands the scheme over in the form that Keras gives to saved objects.
        if isinstance(scheme, Mapping) and "registered_name" in scheme:
            scheme = keras.saving.deserialize_keras_object(scheme)
        self.scheme = _registry.get(scheme)
        self.input_axes = standardize_axes("input_axes", input_axes)
        self.output_axes = standardize_axes("output_axes", output_axes)
        self.batch_axes = standardize_axes("batch_axes", batch_axes)
        self.blocks = blocks
        self.input_stride = input_stride
        self.output_stride = output_stride

    @classmethod
    def in_geometry(cls, scheme: Any, geometry: KernelGeometry) -> Any:
        """Returns what a layer with kernels of `geometry` should keep as its initializer.

        That is `scheme` itself if it draws by the same law from the shape alone.
        """
        kernels = kernel_scheme(scheme)
        if kernels is None or _same_law(kernels, kernels.geometry(geometry.shape), geometry):
            return scheme
        return cls(
            scheme,
            # Counted from the end, as in Keras: a kernel of other sizes has the same axes.
            input_axes=_from_end(geometry.input_axes, geometry.shape),
            output_axes=_from_end(geometry.output_axes, geometry.shape),
            batch_axes=_from_end(geometry.batch_axes, geometry.shape),
            blocks=geometry.blocks,
            input_stride=geometry.input_stride,
            output_stride=geometry.output_stride,
        )

    def geometry(self, shape: tuple[int, ...]) -> KernelGeometry:
        """Returns the geometry of a kernel of `shape`."""
        return KernelGeometry.from_shape(
            shape,
            self.input_axes,
            self.output_axes,
            self.batch_axes,
            blocks=self.blocks,
            input_stride=self.input_stride,
            output_stride=self.output_stride,
        )

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        return draw(self.scheme, self.geometry(shape), dtype, getattr(self.scheme, "seed", None))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of `__init__`, with the scheme in Keras's saved form."""
        config = super().get_config()
        return {**config, "scheme": keras.saving.serialize_keras_object(self.scheme)}

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        axes = [
            f"{name}={getattr(self, name)!r}"
            for name in defaults
            if name != "scheme" and getattr(self, name) != defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join([repr(self.scheme), *axes])})"


def _same_law(scheme: KernelScheme, one: KernelGeometry, other: KernelGeometry) -> bool:
    if isinstance(scheme, VarianceScalingInit):  # independent values: the scale is all there is
        first, second = (scheme.for_geometry(g, seed=None).stddev(g.shape) for g in (one, other))
        return first == second
    return one == replace(other, input_stride=1, output_stride=1)


def _from_end(axes: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis - len(shape) for axis in axes)
