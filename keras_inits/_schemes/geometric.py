"""Any initializer, drawn in the geometry of one kernel."""

import inspect
import numbers
from collections.abc import Mapping
from typing import Any

import keras

from keras_inits import _registry
from keras_inits._checks import integer
from keras_inits._errors import InputError, InputTypeError
from keras_inits._keras_internals import of_keras
from keras_inits._kernel_geometry import Axes, KernelGeometry, standardize_axes
from keras_inits._schemes.base import Scheme
from keras_inits._schemes.laws import counterpart, expected_stddev
from keras_inits._schemes.sampling import stream


def draw(initializer: Any, geometry: KernelGeometry, dtype: Any, seed: Any) -> Any:
    """Returns a kernel of `geometry`, drawn by `initializer` with `seed`.

    An initializer that has no counterpart among the schemes gets the shape; one that takes no seed
    draws as it always does.
    """
    if (scheme := counterpart(initializer)) is not None:
        return scheme.draw(geometry, dtype, seed)
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
    if not isinstance(initializer, Scheme) and isinstance(seed, numbers.Integral):
        # Keras's own keep 31 bits of an integer; what others do with a generator is not known.
        seed = stream(seed) if of_keras(initializer) else int(seed) % 2**31
    return type(initializer).from_config({**config, "seed": seed})


@_registry.nameless
class GeometricInit(Scheme):
    """Another initializer in a geometry that the kernel's shape does not show.

    `keras_inits.initialize` puts it into the configuration of such layers (transposed, depthwise,
    strided and grouped convolutions, embeddings, gates), so that clones and loaded models draw
    right. It has no name of its own, because it says nothing without the scheme.

    Args:
        scheme: any initializer, in any form that `keras_inits.get` takes.
        input_axes: axis or axes of the kernel that are summed over; given with `output_axes`.
        output_axes: axis or axes of the result.
        batch_axes: axis or axes of independent maps, such as experts; they count in no fan.
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
        known = counterpart(self.scheme)
        self.independent = known is not None and known.independent
        self.input_axes = standardize_axes("input_axes", input_axes)
        self.output_axes = standardize_axes("output_axes", output_axes)
        self.batch_axes = standardize_axes("batch_axes", batch_axes)
        self.blocks = integer("blocks", blocks, minimum=1)
        self.input_stride = integer("input_stride", input_stride, minimum=1)
        self.output_stride = integer("output_stride", output_stride, minimum=1)

    @classmethod
    def in_geometry(cls, scheme: Any, geometry: KernelGeometry) -> Any:
        """Returns what a layer with kernels of `geometry` should keep as its initializer.

        That is `scheme` itself if it draws by the same law from the shape alone.
        """
        known = counterpart(scheme)
        if known is None or known.draws_alike(known.geometry(geometry.shape), geometry):
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

    @property
    def seed(self) -> Any:
        """The seed of the scheme inside."""
        return getattr(self.scheme, "seed", None)

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        try:
            return draw(self.scheme, self.geometry(geometry.shape), dtype, seed)
        except InputError:
            raise
        except (TypeError, ValueError) as error:  # an array of another shape, any function
            wrong = InputTypeError if isinstance(error, TypeError) else InputError
            raise wrong(
                f"{self.scheme!r} cannot fill a kernel of shape {geometry.shape} and type {dtype}: "
                f"{' '.join(str(error).split())}"
            ) from error

    def expected_stddev(self, geometry: KernelGeometry) -> float | None:
        return expected_stddev(self.scheme, self.geometry(geometry.shape))

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


def _from_end(axes: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis - len(shape) for axis in axes)
