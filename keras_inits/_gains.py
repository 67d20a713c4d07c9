r"""Activations under Gaussian input: their moments, and the gain that makes up for what they lose.

A wide layer's pre-activations are sums of many terms, so close to $N(0, q)$; what an activation
$\varphi$ does to the size of a signal is then a few integrals over one normal variable.
"""

import functools
import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._checks import real
from keras_inits._errors import InputError, InputTypeError, did_you_mean
from keras_inits._quadrature import gaussian_expectation

Array = NDArray[np.float64]

# Where a function is probed for what it is: f(tx) = t f(x) at all of these is a straight line to
# each side of 0, for any activation that anybody uses (ReLU6 bends at 6).
_PROBES = np.array([1e-3, 0.1, 0.5, 1.0, 1.7, 3.0, 10.0, 1e3])

# Weights of the central difference of order 8, at 1 to 4 steps (Fornberg 1988, table 1,
# https://doi.org/10.1090/S0025-5718-1988-0935077-0).
_ORDER_8 = (4 / 5, -1 / 5, 4 / 105, -1 / 280)


@dataclass(frozen=True)
class Activation:
    """An elementwise function, ready for integration.

    Attributes:
        name: what messages call it.
        function: float64 values of any one-axis shape to values of the same shape.
        slopes: its slopes below and above 0 if it is two straight lines through 0, as linear, ReLU
            and leaky ReLU are; its moments then have closed forms. Else None.
        single: whether its values have the precision of float32 only.
    """

    name: str
    function: Callable[[Array], Array]
    slopes: tuple[float, float] | None
    single: bool

    @property
    def tolerance(self) -> float:
        """The error that one panel of a quadrature may have, above the noise of the function."""
        return 1e-6 if self.single else 1e-10


@dataclass(frozen=True)
class GaussianMoments:
    r"""What an activation makes of $x \sim N(0, q)$.

    Attributes:
        mean: $E[\varphi(x)]$.
        second_moment: $E[\varphi(x)^2]$.
        derivative_second_moment: $E[\varphi'(x)^2]$.

    >>> moments = gaussian_moments("relu")
    >>> moments.second_moment, moments.derivative_second_moment
    (0.5, 0.5)
    """

    mean: float
    second_moment: float
    derivative_second_moment: float


def gain(activation: Any) -> float:
    r"""Returns the gain that keeps the second moment of a signal through `activation`.

    $g = 1 / \sqrt{E[\varphi(z)^2]}$ for $z \sim N(0, 1)$: weights of variance $g^2 /
    n_\text{in}$ then give the next layer pre-activations of second moment 1 again. He's
    $\sqrt 2$ for ReLU is the best known. torch's table differs where it is rounded by hand: 5/3
    for tanh, 1 for sigmoid, 3/4 for SELU.

    Args:
        activation: a name that Keras knows, its configuration, a Keras layer or any elementwise
            Python callable (of tensors, of NumPy arrays or of numbers). None is linear.

    Returns:
        The gain, to 1e-6.

    Raises:
        TypeError: something that is no activation.
        ValueError: an unknown name, or a function without a gain: one that is not elementwise
            (softmax), always 0, or without a finite second moment.

    Reference:
        He et al. 2015, section 2.2 (ReLU). https://arxiv.org/abs/1502.01852

    >>> round(gain("relu") ** 2, 6), round(gain("tanh"), 4)
    (2.0, 1.5925)
    """
    return math.sqrt(squared_gain(activation))


def squared_gain(activation: Any) -> float:
    r"""Returns $1 / E[\varphi(z)^2]$, the square of `gain`: exactly 2 for ReLU."""
    activation = resolve(activation)
    second_moment = gaussian_moments(activation).second_moment
    if second_moment == 0:
        raise InputError(
            "An activation that is 0 everywhere has no gain. "
            f"Received: activation={activation.name}"
        )
    return 1 / second_moment


def gaussian_moments(activation: Any, q: float = 1.0) -> GaussianMoments:
    r"""Returns the moments of `activation` under input $x \sim N(0, q)$, to 1e-6.

    Straight lines to both sides of 0 (linear, ReLU, leaky ReLU) have closed forms; all else is
    integrated by adaptive quadrature, in float64. $\varphi'$ is a central difference. Where a
    callable computes in float32, as `keras.ops.sin` does on JAX, the moment of its derivative is
    good to 1e-6 if it is smooth, and to 1e-3 if it has kinks.

    Args:
        activation: a name that Keras knows, its configuration, a Keras layer or any elementwise
            callable. None is linear.
        q: variance of the input, positive.

    Returns:
        Mean, second moment, and second moment of the derivative.

    Raises:
        ValueError: `q` out of range, or an activation without finite moments.

    >>> gaussian_moments("relu", 4.0).second_moment
    2.0
    """
    activation = resolve(activation)
    q = real("q", q, above=0)
    if activation.slopes is not None:
        below, above = activation.slopes
        square = (below**2 + above**2) / 2
        return GaussianMoments(math.sqrt(q / (2 * math.pi)) * (above - below), q * square, square)
    with np.errstate(over="ignore", invalid="ignore"):
        integrals = _integrals(activation, math.sqrt(q))
    if not np.all(np.isfinite(integrals)):
        raise InputError(
            "An activation must have finite moments under a normal input. "
            f"Received: activation={activation.name} at variance q={q}, moments {integrals}"
        )
    return GaussianMoments(*map(float, integrals))


def _integrals(activation: Activation, scale: float) -> Array:
    """Returns the three moments of `activation` under input of standard deviation `scale`."""

    def f(z: Array) -> Array:
        return activation.function(scale * z)

    def integrals(step: float, weights: Sequence[float] = (1 / 2,)) -> Array:
        def moments(z: Array) -> Array:
            value, rise = f(z), np.zeros_like(z)
            for index, weight in enumerate(weights, 1):
                rise += weight * (f(z + index * step) - f(z - index * step))
            return np.stack([value, value**2, (rise / (step * scale)) ** 2])

        return gaussian_expectation(moments, activation.tolerance)

    # A central difference errs by a power of its step and by rounding / step; the best is between.
    if not activation.single:
        return integrals(1e-6)
    # In float32 only wide steps leave the rounding behind, and only smooth functions allow them.
    before = integrals(0.1, _ORDER_8)
    for step in (0.05, 0.025, 0.0125):
        after = integrals(step, _ORDER_8)
        if not np.all(np.isfinite(after)) or abs(after[2] - before[2]) <= 1e-6 * after[2]:
            return after
        before = after
    return integrals(3e-3)


def resolve(activation: Any) -> Activation:
    """Returns what `gain` takes as a function that can be integrated; see there."""
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        return _resolve_name(activation)
    if isinstance(activation, keras.layers.PReLU):
        return _resolve_prelu(activation)
    if type(activation) is keras.layers.Activation:
        return resolve(activation.activation)
    if isinstance(activation, keras.layers.Layer):
        return _probe(activation.name, _layer_function(activation))
    if activation is None:
        return _resolve_callable(keras.activations.get(None))
    if isinstance(activation, Mapping):
        try:
            return _resolve_callable(keras.activations.get(activation))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputTypeError(
                "Keras can make no activation of this configuration. "
                f"Received: activation={activation!r}"
            ) from error
    if not callable(activation) or isinstance(activation, type):
        raise InputTypeError(
            "`activation` must be a name such as 'relu', a Keras layer or a function of one array. "
            f"Received: activation={activation!r} of type {type(activation).__name__}"
        )
    return _resolve_callable(activation)


def activation_config(activation: Any) -> str | dict[str, Any]:
    """Returns `activation` in the form that a configuration holds: a name or a plain dict.

    Args:
        activation: a name that Keras knows, its configuration, a Keras layer or a registered
            function; not None.

    Raises:
        TypeError: a function that could not be found again when a saved model is loaded.
        ValueError: an unknown name, or something that is not elementwise.
    """
    resolve(activation)
    if isinstance(activation, str | dict):
        return activation
    if isinstance(activation, keras.layers.Layer):
        config = keras.saving.serialize_keras_object(activation)
        # What the layer is called and was built on says nothing about the function.
        config["config"] = {k: v for k, v in config["config"].items() if k != "name"}
        return {k: v for k, v in config.items() if k != "build_config"}
    found = None
    if getattr(activation, "__name__", None) != "<lambda>":  # of which Keras would warn only
        with suppress(AttributeError, TypeError, ValueError):
            config = keras.activations.serialize(activation)
            found = keras.activations.get(config)
    if found is not activation:
        raise InputTypeError(
            "`activation` must be something that a saved model can name: a Keras name or layer, or "
            "a function under @keras.saving.register_keras_serializable(). "
            f"Received: activation={activation!r}. For any other function pass its gain: "
            "gain=keras_inits.gain(function)."
        )
    return config  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=64)
def _resolve_name(name: str) -> Activation:
    try:
        function = keras.activations.get(name)
    except ValueError:
        known = [n for n in dir(keras.activations) if not n.startswith("_")]
        raise InputError(
            "Keras knows no activation of this name. "
            f"Received: activation={name!r}. {did_you_mean(name, known)}"
            "A function or a Keras layer can be given instead of a name."
        ) from None
    return _probe(name, _array_function(name, function))


@functools.lru_cache(maxsize=64)
def _resolve_callable(function: Callable[[Any], Any]) -> Activation:
    name = getattr(function, "__name__", type(function).__name__)
    return _probe(name, _array_function(name, function))


def _resolve_prelu(layer: Any) -> Activation:
    if not layer.built:
        layer = type(layer).from_config(layer.get_config())
        layer.build((None, 1))
    # Each unit has its own slope; their root mean square is exact for second moments.
    slope = float(np.sqrt(np.mean(layer.alpha.numpy().astype(np.float64) ** 2)))
    return _probe(layer.name, lambda x: np.where(x < 0, slope * x, x))


def _probe(name: str, function: Callable[[Array], Array]) -> Activation:
    """Returns the activation, after looking at what it does with a few values."""
    inputs = np.concatenate([-_PROBES[::-1], _PROBES])
    with np.errstate(over="ignore", invalid="ignore"):
        values, part = function(inputs), np.empty(0)
        with suppress(TypeError):  # it took 16 values: that it does not take 3 says enough
            part = function(inputs[:3])
    # Vectorized code rounds the same value differently in arrays of different length.
    if values.shape != inputs.shape or not (
        part.shape == (3,) and np.allclose(values[:3], part, 1e-5, equal_nan=True)
    ):
        raise InputError(
            "Only an elementwise activation has a gain: each value must follow from its own input "
            f"alone. Received: activation={name}, which is not (as softmax and GLU are not)."
        )
    slopes = values / inputs
    below, above = slopes[: len(_PROBES)], slopes[len(_PROBES) :]
    straight = np.ptp(below) <= 1e-6 and np.ptp(above) <= 1e-6
    return Activation(
        name=name,
        function=lambda x: np.asarray(function(x), np.float64),
        slopes=(float(below[-1]), float(above[-1])) if straight else None,
        single=values.dtype != np.float64,
    )


def _array_function(name: str, function: Callable[[Any], Any]) -> Callable[[Array], Array]:
    """Returns `function` for NumPy arrays, whatever it is written for."""
    if function is keras.activations.tanh:  # on JAX Keras computes it in float32
        return np.tanh

    def of_tensors(x: Array) -> Any:
        return ops.convert_to_numpy(function(ops.convert_to_tensor(x, "float64")))

    def of_arrays(x: Array) -> Any:
        return ops.convert_to_numpy(function(x))

    def of_numbers(x: Array) -> Any:
        return np.array([float(function(value)) for value in x.tolist()])

    def evaluate(x: Array) -> Array:
        failures = []
        with _double_precision():
            for way in (of_tensors, of_arrays, of_numbers):
                try:
                    return np.asarray(way(x))
                except Exception as error:  # whatever a user's function raises: try the next way
                    failures.append(error)
        raise InputTypeError(
            "An activation must take a tensor, an array or a number. "
            f"Received: activation={name}, which raised {failures[0]!r}"
        ) from failures[0]

    return evaluate


def _layer_function(layer: Any) -> Callable[[Array], Array]:
    """Returns an activation layer as a function; its copy computes in float64."""
    try:
        double = type(layer).from_config({**layer.get_config(), "dtype": "float64"})
    except (TypeError, ValueError, NotImplementedError):  # a layer without a configuration
        double = layer
    return _array_function(layer.name, lambda x: double(x[None])[0])


@contextmanager
def _double_precision() -> Iterator[None]:
    """Lets JAX compute in float64, which it does on request only."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax  # the backend in use, so it is there

    # It was jax.experimental.enable_x64 before JAX 0.8.
    home = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")
    with home.enable_x64(True):
        yield
