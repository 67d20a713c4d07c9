"""`initialize`: every weight of a model set as its layer needs it."""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from keras_inits import _gains, _registry
from keras_inits._initialize.report import InitializationReport, WeightRow
from keras_inits._initialize.seeds import root_seed, weight_seeds
from keras_inits._initialize.statistics import standard_deviation
from keras_inits._initialize.writing import write
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import LeftAlone, OwnedWeight, Role, Unknown, owned_weights, role
from keras_inits._layers.activations import Following, activation_name, following, is_seen
from keras_inits._layers.ownership import initializer_attribute
from keras_inits._schemes import GeometricInit, XavierInit
from keras_inits._schemes.base import KernelScheme, Scheme
from keras_inits._schemes.geometric import with_seed
from keras_inits._schemes.laws import expected_stddev

AUTO = "auto"


def initialize(
    model: Any,
    scheme: Any = "initkit_he",
    *,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> InitializationReport:
    """Sets every weight of `model` in place, kernels by `scheme` in their true geometry.

    Biases, normalizations and other weights that are no kernels go back to what their layer says.
    Frozen, quantized and LoRA layers, and weights that the library does not know, keep their
    values; the report says which and why. The compiled state (optimizer, loss, metrics) stays.

    The layers keep the schemes, unseeded, as their initializers, so that clones and saved models
    draw afresh by the same law. Where the shape of a kernel does not tell its geometry, they keep a
    `GeometricInit`.

    Args:
        model: a built model or layer.
        scheme: the name, configuration or instance of an initializer, ours or Keras's; or
            `"auto"`, a normal law of variance gain² / fan_in with the gain that fits the activation
            that follows each layer (`keras_inits._gains`; 1 in recurrent cells).
        overrides: patterns of weight paths, such as `"*/embeddings"`, to schemes; the first that
            fits counts. None in place of a scheme leaves the weights alone. An override may also
            name a bias, or a weight that the library does not know: the scheme then reads the
            shape.
        seed: root of all seeds; None takes a new one, which the report tells. Each weight's own
            seed follows from it and the weight's path.

    Returns:
        A row for each weight, with the standard deviation that was meant and the one measured.

    Raises:
        ValueError: a model that is not built, an instance that has a seed of its own, a pattern
            that fits no weight, a scheme that cannot fill a kernel (weights before that one have
            been set by then).

    >>> import keras
    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(256, "relu")])
    >>> [row.scheme for row in initialize(model, seed=1).rows]
    ['HeInit()', 'Zeros']
    """
    if not getattr(model, "built", False):
        raise ValueError(
            "`model` must be a built Keras model or layer: call it on data, or `model.build(...)`, "
            f"before its weights can be set. Received: model={model!r}"
        )
    root = root_seed(seed)
    steps = tuple(_plan(owned_weights(model), scheme, overrides or {}))
    seeds = weight_seeds(root, [step.owned for step in steps])
    rows = tuple(_set(step, own_seed) for step, own_seed in zip(steps, seeds, strict=True))
    _keep_schemes(steps)
    return InitializationReport(model=model.name, seed=root, rows=rows)


@dataclass(frozen=True)
class _Step:
    """What is to be done with one weight; the initializer is None where it is left alone."""

    owned: OwnedWeight
    role: Role
    initializer: Any
    asked_for: bool  # by the scheme or an override, not by the layer's default
    note: str = ""

    @property
    def kernel(self) -> KernelGeometry | None:
        """The geometry of a kernel; None for every other weight."""
        return self.role if isinstance(self.role, KernelGeometry) else None

    @property
    def geometry(self) -> KernelGeometry:
        """The geometry to draw in: that of the shape for a weight that is no kernel."""
        return self.kernel or KernelGeometry.from_shape(self.owned.weight.shape)


def _plan(
    weights: tuple[OwnedWeight, ...], scheme: Any, overrides: Mapping[str, Any]
) -> Iterator[_Step]:
    for pattern in overrides:
        if not any(fnmatch.fnmatchcase(owned.path, pattern) for owned in weights):
            raise ValueError(
                f"The pattern {pattern!r} in `overrides` fits no weight. Paths are such as "
                + ", ".join(repr(owned.path) for owned in weights[:3])
            )
    specs = {pattern: _scheme(spec) for pattern, spec in overrides.items()}
    default = _scheme(scheme)
    if default is None:
        raise ValueError("`scheme` must be an initializer or 'auto'. Received: scheme=None")
    for owned in weights:
        found = role(owned.layer, owned.weight)
        if isinstance(found, KernelGeometry) and found.shape != tuple(owned.weight.shape):
            raise ValueError(
                f"The geometry registered for {type(owned.layer).__name__} has shape {found.shape}"
                f", but {owned.path!r} has shape {tuple(owned.weight.shape)}"
            )
        fitting = next((p for p in specs if fnmatch.fnmatchcase(owned.path, p)), None)
        if fitting is not None:
            yield _overridden(owned, found, specs[fitting], fitting)
        elif isinstance(found, KernelGeometry):
            yield _kernel_step(owned, found, default)
        elif isinstance(found, LeftAlone):
            yield _Step(owned, found, None, False)
        else:
            yield _Step(owned, found, _registry.get(found.initializer), False)


def _scheme(spec: Any) -> Any:
    """Returns the initializer that `spec` means; None and `"auto"` mean themselves."""
    if spec is None or (isinstance(spec, str) and spec == AUTO):
        return spec
    initializer = _registry.get(spec)
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    if config.get("seed") is not None:
        raise ValueError(
            "`initialize` gives each weight a seed of its own: a scheme's seed would make weights "
            "equal. Give the scheme without one, and `seed` to `initialize`. "
            f"Received: {initializer!r} with seed={config['seed']!r}"
        )
    return initializer


def _fitting(scheme: Any, owned: OwnedWeight) -> tuple[Any, str]:
    """Returns the initializer for a kernel, with a note on how it was chosen."""
    if scheme != AUTO:
        return scheme, ""
    if hasattr(owned.layer, "state_size"):  # a recurrent cell: it is stepped through many times
        return XavierInit(), "recurrent: gain 1"
    # Nothing stands between the two kernels of a separable convolution.
    separable = owned.weight.name == "depthwise_kernel"
    found = Following() if separable else following(owned.layer)
    if found.met:
        return (
            XavierInit(),
            f"{found.met} {'follow' if ' and ' in found.met else 'follows'}: gain 1",
        )
    activation = found.activation
    if activation is None and not is_seen(owned.layer):
        return XavierInit(), "nothing seen after it: gain 1"
    name = activation_name(activation)
    try:
        gain = _gains.gain(activation)
    except ValueError:
        return XavierInit(), f"no gain known for {name}: 1"
    if gain != 1 and getattr(keras.activations, name, None) is activation:  # a name says more
        return XavierInit(activation=name), f"gain {gain:.4g}"
    return XavierInit(gain), f"{name}: gain {gain:.4g}"


def _overridden(owned: OwnedWeight, found: Role, spec: Any, pattern: str) -> _Step:
    if isinstance(found, LeftAlone) and not isinstance(found, Unknown):
        return _Step(owned, found, None, False)
    if spec is None:
        return _Step(owned, LeftAlone(f"the override {pattern!r} says so"), None, False)
    return _kernel_step(owned, found, spec)


def _kernel_step(owned: OwnedWeight, found: Role, spec: Any) -> _Step:
    initializer, note = _fitting(spec, owned)
    if isinstance(initializer, KernelScheme) and initializer.has_axes:  # the caller knows better
        found = initializer.geometry(tuple(owned.weight.shape))
    elif isinstance(found, Unknown):
        found, note = KernelGeometry.from_shape(owned.weight.shape), "geometry by shape"
    return _Step(owned, found, initializer, True, note)


def _set(step: _Step, seed: int) -> WeightRow:
    """Draws the weight of `step` and assigns it; returns its row."""
    weight = step.owned.weight
    row = WeightRow(
        path=step.owned.path,
        shape=tuple(weight.shape),
        geometry=step.kernel,
        note=step.note,
    )
    if step.initializer is None:
        assert isinstance(step.role, LeftAlone)
        return replace(row, stddev=standard_deviation(weight), left_alone=step.role.reason)
    try:
        write(weight, step.initializer, step.geometry, seed)
    except (TypeError, ValueError) as error:
        kind = type(step.owned.layer).__name__
        raise type(error)(
            f"{step.initializer!r} cannot fill {step.owned.path!r} of {kind}: {error} "
            f"An entry in `overrides` gives this weight another scheme, or None to leave it alone."
        ) from error
    return replace(
        row,
        scheme=_told(step.initializer),
        target_stddev=expected_stddev(step.initializer, step.geometry),
        stddev=standard_deviation(weight),
    )


def _told(initializer: Any) -> str:
    """Returns a short text that tells an initializer."""
    if isinstance(initializer, Scheme):
        return repr(initializer)
    return getattr(initializer, "__name__", type(initializer).__name__)


def _keep_schemes(steps: Sequence[_Step]) -> None:
    """Puts each scheme, unseeded, where its layer keeps the initializer of that weight."""
    kept: dict[tuple[int, str], tuple[Any, list[Any]]] = {}
    around: dict[tuple[int, str], tuple[Any, list[Any]]] = {}
    for step in steps:
        if not step.asked_for:
            continue
        layer, name = step.owned.layer, step.owned.weight.name
        if attribute := initializer_attribute(layer, name):
            scheme = GeometricInit.in_geometry(step.initializer, step.geometry)
            kept.setdefault((id(layer), attribute), (layer, []))[1].append(scheme)
        # Attention layers and the like make sublayers from an initializer of their own.
        for parent in step.owned.parents:
            if attribute := initializer_attribute(parent, name):
                around.setdefault((id(parent), attribute), (parent, []))[1].append(step.initializer)
    for (_, attribute), (layer, schemes) in {**around, **kept}.items():
        if all(scheme == schemes[0] for scheme in schemes[1:]):
            _keep(layer, attribute, schemes[0])


def _keep(layer: Any, attribute: str, scheme: Any) -> None:
    if isinstance(getattr(type(layer), attribute, None), property):
        return  # recurrent layers show the initializers of their cell, which has its own entry
    # An instance for each layer: instances that are shared would draw equal weights.
    setattr(layer, attribute, with_seed(scheme, None))
