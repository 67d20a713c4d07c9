"""What schemes have in common: calling, configuration, and knowledge of the kernel."""

import copy
import inspect
from typing import Any, Self

import keras
from keras import ops

from keras_inits._kernel_geometry import Axes, KernelGeometry, standardize_axes
from keras_inits._schemes import checks


class Scheme(keras.initializers.Initializer):
    """Mixin that makes a Keras initializer out of `sample` and the arguments of `__init__`.

    A subclass stores each argument of its `__init__` under the argument's name and implements
    `sample(shape, dtype)`. Its configuration, equality and representation follow.
    """

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Returns a tensor of `shape` and `dtype` drawn by this scheme.

        Half precision is drawn in float32 and rounded: TensorFlow's own bfloat16 uniform has 128
        values and a mean off zero.

        Args:
            shape: the shape of the tensor.
            dtype: its type; `keras.config.floatx()` if None.

        Raises:
            ValueError: a shape or dtype that this scheme cannot fill.
        """
        dtype = keras.backend.standardize_dtype(dtype)
        working = self.working_dtype(dtype)
        values = self.sample(checks.shape(shape), working)
        return values if working == dtype else ops.cast(values, dtype)

    def sample(self, shape: tuple[int, ...], dtype: str) -> Any:
        """Returns a tensor of `shape` and of the working type `dtype`."""
        raise NotImplementedError(f"{type(self).__name__} must implement `sample`")

    def working_dtype(self, dtype: str) -> str:
        """Returns the type in which values for `dtype` are computed."""
        if not keras.backend.is_float_dtype(dtype):
            raise ValueError(
                f"{type(self).__name__} makes real numbers: `dtype` must be a floating type, such "
                f"as 'float32'. Received: dtype={dtype!r}"
            )
        return "float64" if dtype == "float64" else "float32"

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of `__init__`, ready for JSON."""
        inherited, config = super().get_config(), {}
        for name in inspect.signature(type(self)).parameters:
            value = getattr(self, name)
            if name == "seed":
                # Keras's bases put a number in the place of `seed=None` and remember the None in
                # their own configuration: a clone of an unseeded scheme must draw afresh.
                told = inherited["seed"] is not None
                value = keras.saving.serialize_keras_object(value) if told else None
            config[name] = list(value) if isinstance(value, tuple) else value
        return config

    def __eq__(self, other: object) -> bool:
        """Says whether `other` is the same scheme with the same arguments."""
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        told = [f"{k}={v!r}" for k, v in self.get_config().items() if v != defaults[k].default]
        return f"{type(self).__name__}({', '.join(told)})"


class KernelScheme(Scheme, keras.initializers.VarianceScaling):
    """A scheme that asks the geometry of the kernel.

    It is a `keras.initializers.VarianceScaling` because EinsumDense and the attention layers hand
    the axes of their kernels to those alone. Of that base only the seed, the axes and the type are
    used.
    """

    _geometry: KernelGeometry | None = None  # set by `for_geometry`, in no configuration

    def __init__(
        self,
        *,
        seed: Any,
        input_axes: Axes,
        output_axes: Axes,
        batch_axes: Axes,
    ) -> None:
        super().__init__(seed=seed)
        self.input_axes = standardize_axes("input_axes", input_axes)
        self.output_axes = standardize_axes("output_axes", output_axes)
        self.batch_axes = standardize_axes("batch_axes", batch_axes)

    def geometry(self, shape: tuple[int, ...]) -> KernelGeometry:
        """Returns the geometry of a kernel of `shape` under the axes of this scheme."""
        if self._geometry is not None:
            return self._geometry
        return KernelGeometry.from_shape(shape, self.input_axes, self.output_axes, self.batch_axes)

    @property
    def has_axes(self) -> bool:
        """Whether the axes were given, and are not to be read off the shape."""
        return (self.input_axes, self.output_axes, self.batch_axes) != (None, None, None)

    def for_geometry(self, geometry: KernelGeometry, *, seed: Any) -> Self:
        """Returns this scheme for one kernel, whose geometry is known, with a seed of its own.

        It is there to draw that kernel. Its configuration does not tell the geometry: what a layer
        keeps is a `GeometricInit`.

        Args:
            geometry: what `geometry` answers from then on.
            seed: integer or `keras.random.SeedGenerator`.
        """
        scheme = copy.copy(self)
        scheme._geometry = geometry
        scheme.seed = seed
        return scheme
