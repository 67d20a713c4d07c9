"""What schemes have in common: calling, configuration, and knowledge of the kernel."""

import functools
import inspect
import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits import _sharding as sharding
from keras_inits._checks import shape as shape_of
from keras_inits._errors import InputError
from keras_inits._kernel_geometry import Axes, KernelGeometry, standardize_axes
from keras_inits._schemes import checks, class_arguments
from keras_inits._schemes.sampling import stream

# Reading a shape takes as long as filling a small bias; models repeat their shapes.
_geometry = functools.lru_cache(maxsize=256)(KernelGeometry.from_shape)


def _whole_products() -> Any:
    """Returns a context in which JAX multiplies float32 in float32, not in TF32 as on a GPU."""
    if keras.backend.backend() != "jax":
        return nullcontext()
    import jax

    return jax.default_matmul_precision("highest")


class Scheme(keras.initializers.Initializer):
    """Mixin that makes a Keras initializer out of `sample` and the arguments of `__init__`.

    A subclass stores each argument of its `__init__` under the argument's name and implements
    `sample` and `expected_stddev`. Its configuration, equality and representation follow.

    A class of a family fixes arguments of its base in its head: `class HeUniformInit(HeInit,
    distribution="uniform")`. Signature and configuration follow. An argument that the docstring of
    a class does not describe is described as in its nearest base.

    Args:
        seed: integer, `keras.random.SeedGenerator` or None. As in Keras, an instance with an
            integer or None gives the same values at each call. Integers of any size have streams
            of their own.
    """

    seed: Any = None
    #: Whether each value follows from the seed and its place alone, not from other values. A class
    #: that replaces its base's way of drawing says it anew.
    independent: bool = False

    def __init_subclass__(cls, **fixed: Any) -> None:
        super().__init_subclass__()
        if fixed:
            class_arguments.fix(cls, fixed)
        own, inherited = vars(cls), getattr(super(cls, cls), "sample", None)
        redrawn = "sample" in own and inherited is not Scheme.sample
        if (redrawn or "draw" in own) and "independent" not in own:
            cls.independent = False
        cls.__doc__ = class_arguments.described(
            cls, (base for base in cls.__mro__[1:] if issubclass(base, Scheme))
        )

    def __call__(self, shape: Any, dtype: Any = None, layout: Any = None) -> Any:
        """Returns a tensor of `shape` and `dtype` drawn by this scheme.

        Args:
            shape: the shape of the tensor.
            dtype: its type; `keras.config.floatx()` if None.
            layout: how the tensor lies on several devices: `keras.distribution.TensorLayout`, or a
                `jax.sharding.NamedSharding`. Keras from 3.15 on gives it under a distribution; on
                JAX alone variables are sharded. The values do not depend on it.

        Raises:
            ValueError: a shape or dtype that this scheme cannot fill.
        """
        geometry = self.geometry(shape_of(shape))
        if layout is None:
            return self.draw(geometry, dtype, self.seed)
        if keras.backend.backend() != "jax":
            values = self.draw(geometry, dtype, self.seed)
            return keras.distribution.distribute_tensor(values, layout)
        placed, automatic = sharding.to_sharding(layout)
        return sharding.relabel(self.draw_sharded(geometry, dtype, self.seed, automatic), placed)

    def draw_sharded(self, geometry: KernelGeometry, dtype: Any, seed: Any, by: Any) -> Any:
        """Returns what `draw` does, laid out over devices by a `jax.sharding.NamedSharding`.

        Where the values are independent each device computes its own, from their places in the
        whole kernel. All others are drawn whole on one device of each process, then placed.

        Args:
            geometry: the geometry of the whole kernel.
            dtype: as in `draw`.
            seed: as in `draw`.
            by: the sharding.
        """
        dtype, seed = checks.dtype(dtype), stream(seed)
        if not self.independent:
            whole = sharding.compute_whole(lambda: self.draw(geometry, dtype, seed), by, seed)
            return sharding.place_whole(whole, by)
        if isinstance(seed, keras.random.SeedGenerator):  # it moves on here, not where it is traced
            words = sharding.compute_whole(seed.next, by, seed)
        elif seed is None:
            words = ops.convert_to_numpy(keras.random.randint((2,), 0, 2**31 - 1))
        else:
            words = np.array([seed, 0], "uint32")  # as Keras reads an integer
        return sharding.compute_parts(_Draw(self, geometry, dtype), words, by)

    def draw(self, geometry: KernelGeometry, dtype: Any, seed: Any) -> Any:
        """Returns a kernel of `geometry` drawn by this scheme with a seed other than its own.

        Half precision is drawn in float32 and rounded: TensorFlow's own bfloat16 uniform has 128
        values and a mean off zero.

        Args:
            geometry: the geometry of the kernel, whatever its shape alone says.
            dtype: the type of the kernel; `keras.config.floatx()` if None.
            seed: integer from 0, `keras.random.SeedGenerator` or None.

        Raises:
            ValueError: a kernel or dtype that this scheme cannot fill.
        """
        dtype = checks.dtype(dtype)
        working = self.working_dtype(dtype)
        with _whole_products():
            values = self.sample(geometry, working, stream(seed))
        return values if working == dtype else ops.cast(values, dtype)

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        """Returns a tensor of shape `geometry.shape` and of the working type `dtype`.

        Args:
            geometry: the kernel; a scheme that asks nothing of it reads `geometry.shape`.
            dtype: float32 or float64.
            seed: what the functions of `keras.random` take.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `sample`")

    def expected_stddev(self, geometry: KernelGeometry) -> float | None:
        """Returns the standard deviation of the entries of a kernel of `geometry`.

        It is the law of the scheme, which `initialize` reports as the target and `audit` compares
        with what a layer holds. None if the scheme has no such law.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `expected_stddev`")

    def geometry(self, shape: tuple[int, ...]) -> KernelGeometry:
        """Returns the geometry of a kernel of `shape`, as far as this scheme knows it."""
        return _geometry(shape)

    def draws_alike(self, one: KernelGeometry, other: KernelGeometry) -> bool:
        """Whether this scheme draws by the same law in both geometries of the same shape."""
        return True

    def working_dtype(self, dtype: str) -> str:
        """Returns the type in which values for `dtype` are computed."""
        if not keras.backend.is_float_dtype(dtype):
            raise InputError(
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
                # Keras's bases replace `seed=None` by a number and keep the None in their own
                # configuration: a clone of an unseeded scheme must draw afresh.
                given = inherited["seed"] is not None
                value = keras.saving.serialize_keras_object(value) if given else None
            config[name] = list(value) if isinstance(value, tuple) else value
        return config

    def __eq__(self, other: object) -> bool:
        """Returns whether `other` is the same scheme with the same arguments."""
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        given = [f"{k}={v!r}" for k, v in self.get_config().items() if v != defaults[k].default]
        return f"{type(self).__name__}({', '.join(given)})"


@dataclass(frozen=True, eq=False)
class _Draw:
    """A draw as a function of the seed: equal, hence compiled once, for schemes of one law."""

    scheme: Scheme
    geometry: KernelGeometry
    dtype: str

    def __call__(self, words: Any) -> Any:
        return self.scheme.draw(self.geometry, self.dtype, words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Draw) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((type(self.scheme), self.geometry, self.dtype))

    def _key(self) -> tuple[Any, ...]:
        config = {**self.scheme.get_config(), "seed": None}
        return type(self.scheme), config, self.geometry, self.dtype


class KernelScheme(Scheme, keras.initializers.VarianceScaling):
    """A scheme whose law depends on the fans or the matrices of the kernel.

    It is a `keras.initializers.VarianceScaling` because EinsumDense and the attention layers hand
    the axes of their kernels to those alone. Of that base only the seed, the axes and the type are
    used.

    Args:
        input_axes: axis or axes of the kernel that are summed over. With `output_axes`, replaces
            Keras's reading of the shape, `(..., inputs, outputs)`; axes in none of the three are
            taps and count in both fans.
        output_axes: axis or axes of the result.
        batch_axes: axis or axes of independent maps, such as experts; they count in no fan.
    """

    def __init__(
        self,
        *,
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(seed=checks.seed(seed))
        self.input_axes = standardize_axes("input_axes", input_axes)
        self.output_axes = standardize_axes("output_axes", output_axes)
        self.batch_axes = standardize_axes("batch_axes", batch_axes)

    def geometry(self, shape: tuple[int, ...]) -> KernelGeometry:
        """Returns the geometry of a kernel of `shape` under the axes of this scheme."""
        return _geometry(shape, self.input_axes, self.output_axes, self.batch_axes)

    def draws_alike(self, one: KernelGeometry, other: KernelGeometry) -> bool:
        """Whether the kernel is the same stack of matrices in both geometries."""
        return one.has_maps_of(other)

    @property
    def has_axes(self) -> bool:
        """Whether the axes were given, and are not to be read off the shape."""
        return (self.input_axes, self.output_axes, self.batch_axes) != (None, None, None)


class GainScheme(KernelScheme):
    r"""A kernel scheme that scales what it draws by a gain.

    Args:
        gain: $g$; 1 if None.
        activation: instead of `gain`, the activation that follows: `keras_inits.gain` of it. A
            name, a Keras layer or a function that a saved model can name.

    Attributes:
        scale: $g^2$, which is what Keras calls it; exact where that
            follows from an activation.
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
            seed=seed, input_axes=input_axes, output_axes=output_axes, batch_axes=batch_axes
        )
        self.gain, self.activation, self.scale = checks.gain_or_activation(
            None if gain is None else checks.positive("gain", gain), activation
        )

    @property
    def effective_gain(self) -> float:
        """The gain that is drawn with: `gain`, or that of `activation`."""
        return math.sqrt(self.scale) if self.gain is None else self.gain
