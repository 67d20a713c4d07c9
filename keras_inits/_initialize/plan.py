"""What is to be done with each weight of a model, before anything is done."""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from keras_inits import _gains, _registry
from keras_inits._errors import InputError
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import LeftAlone, OwnedWeight, Role, Unknown, role
from keras_inits._layers.activations import Following, activation_name, following, is_seen
from keras_inits._layers.ownership import kept_initializer
from keras_inits._recipes import Bound
from keras_inits._schemes import GeometricInit, XavierInit
from keras_inits._schemes.base import KernelScheme

AUTO = "auto"  # the gain of the activation that follows
OWN = "own"  # the initializer that the layer has


@dataclass(frozen=True)
class Step:
    """What is to be done with one weight.

    Attributes:
        owned: the weight.
        role: what it is in its layer.
        initializer: what draws it; None where it keeps its values.
        kept: whether its layer is to keep the initializer.
        note: how the initializer was chosen, where that needs saying.
        drawn_in: the geometry to draw in, where that is not the one of its role.
    """

    owned: OwnedWeight
    role: Role
    initializer: Any
    kept: bool = False
    note: str = ""
    drawn_in: KernelGeometry | None = None

    @property
    def kernel(self) -> KernelGeometry | None:
        """The geometry of a kernel; None for every other weight."""
        return self.role if isinstance(self.role, KernelGeometry) else None

    @property
    def geometry(self) -> KernelGeometry:
        """The geometry to draw in: that of the shape for a weight that is no kernel."""
        return self.drawn_in or self.kernel or KernelGeometry.from_shape(self.owned.weight.shape)


def plan(
    weights: Sequence[OwnedWeight], scheme: Any, overrides: Mapping[str, Any] | None = None
) -> tuple[Step, ...]:
    """Returns a step for each weight.

    Args:
        weights: those of a model.
        scheme: an initializer, a recipe with its model, `AUTO` or `OWN`.
        overrides: the same by pattern of weight paths, None to leave a weight alone; the first
            pattern that fits counts.

    Raises:
        InputError: a pattern that fits no weight, a registered geometry of another shape.
    """
    overrides = overrides or {}
    for pattern in overrides:
        if not any(fnmatch.fnmatchcase(owned.path, pattern) for owned in weights):
            raise InputError(
                f"The pattern {pattern!r} in `overrides` fits no weight. Paths are such as "
                + ", ".join(repr(owned.path) for owned in weights[:3])
            )
    return tuple(_steps(weights, scheme, overrides))


def _steps(
    weights: Sequence[OwnedWeight], scheme: Any, overrides: Mapping[str, Any]
) -> Iterator[Step]:
    for owned in weights:
        found = role(owned.layer, owned.weight)
        if isinstance(found, KernelGeometry) and found.shape != tuple(owned.weight.shape):
            raise InputError(
                f"The geometry registered for {type(owned.layer).__name__} has shape {found.shape}"
                f", but {owned.path!r} has shape {tuple(owned.weight.shape)}"
            )
        fitting = next((p for p in overrides if fnmatch.fnmatchcase(owned.path, p)), None)
        if fitting is not None:
            yield _overridden(owned, found, overrides[fitting], fitting)
        elif isinstance(scheme, Bound):
            yield _by_recipe(owned, found, scheme)
        elif scheme == OWN and isinstance(found, KernelGeometry | Unknown):
            yield _own(owned, found)
        elif isinstance(found, KernelGeometry):
            yield _by_scheme(owned, found, scheme)
        elif isinstance(found, LeftAlone):
            yield Step(owned, found, None)
        else:
            yield Step(owned, found, _registry.get(found.initializer))


def _overridden(owned: OwnedWeight, found: Role, spec: Any, pattern: str) -> Step:
    if isinstance(found, LeftAlone) and not isinstance(found, Unknown):
        return Step(owned, found, None)
    if spec is None:
        return Step(owned, LeftAlone(f"the override {pattern!r} says so"), None)
    return _own(owned, found) if spec == OWN else _by_scheme(owned, found, spec)


def _by_scheme(owned: OwnedWeight, found: Role, spec: Any) -> Step:
    initializer, note = _fitting(spec, owned)
    if isinstance(initializer, KernelScheme) and initializer.has_axes:  # the caller knows better
        found = initializer.geometry(tuple(owned.weight.shape))
    elif isinstance(found, Unknown):
        found, note = KernelGeometry.from_shape(owned.weight.shape), "geometry by shape"
    return Step(owned, found, initializer, True, note)


def _by_recipe(owned: OwnedWeight, found: Role, recipe: Bound) -> Step:
    """Returns the step by the line of a recipe; what no line is for starts as its layer says."""
    if isinstance(found, LeftAlone) and not isinstance(found, Unknown):
        return Step(owned, found, None)
    line = recipe.line(owned.path)
    if line.initializer is not None:
        return Step(owned, found, line.initializer, True, line.note)
    if line.role:
        return Step(owned, LeftAlone(line.note), None)
    return replace(_own(owned, found), note=line.note if isinstance(found, KernelGeometry) else "")


def _own(owned: OwnedWeight, found: Role) -> Step:
    """Returns the step that draws a weight as building its layer does."""
    if not isinstance(found, KernelGeometry | Unknown):
        return Step(owned, found, _registry.get(found.initializer))  # type: ignore[union-attr]
    initializer = kept_initializer(owned.layer, owned.weight.name)
    if initializer is None:
        reason = f"{type(owned.layer).__name__} keeps no initializer for it"
        return Step(owned, found if isinstance(found, Unknown) else Unknown(reason), None)
    if not isinstance(initializer, GeometricInit) and isinstance(initializer, KernelScheme):
        drawn_in = initializer.geometry(tuple(owned.weight.shape))
    else:  # Keras's own read the shape
        drawn_in = KernelGeometry.from_shape(owned.weight.shape)
    return Step(owned, found, initializer, note="its layer's own", drawn_in=drawn_in)


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
