"""What becomes of each weight when a net widens: read off a narrow sibling."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import keras
from rich.console import RenderableType
from rich.table import Table

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import OwnedWeight, owned_weights, role
from keras_inits._reporting import Report, plain_text
from keras_inits.mup._multipliers import Multiplier, multipliers

Kind = Literal["hidden", "input", "output", "vector", "fixed"]


@dataclass(frozen=True)
class WeightScaling:
    """One weight of the wide model next to that of the base.

    Attributes:
        path: its path in the wide model.
        kind: by which of its axes widen. Of a kernel both: `"hidden"`; the outputs alone:
            `"input"`; the inputs alone: `"output"`. A bias or a scale that widens, or the number of
            maps of a depthwise or grouped convolution: `"vector"`.
            Nothing: `"fixed"`. A table that is embedding and head is an `"input"`: the model has to
            divide its logits by the width; see `Scaling.multipliers`.
        geometry: that of a kernel in the wide model.
        base: the same in the base model.
        width: how often it is as wide: fan_in over that of the base for `"hidden"` and `"output"`,
            outputs over those of the base for `"input"` and `"vector"`.
        outputs: outputs over those of the base.

    >>> def net(width):
    ...     return keras.Sequential([keras.Input((8,)), keras.layers.Dense(width),
    ...                              keras.layers.Dense(3)])
    >>> head = scaling(net(64), net(16)).weights[2]
    >>> head.kind, head.width
    ('output', 4.0)
    """

    path: str
    kind: Kind
    geometry: KernelGeometry | None
    base: KernelGeometry | None
    width: float
    outputs: float

    @property
    def stddev_factor(self) -> float:
        """What the standard deviation of the base is multiplied by."""
        factors = {"hidden": self.width**-0.5, "output": 1 / self.width}
        return float(factors.get(self.kind, 1.0))

    def rate_factor(self, family: Literal["adam", "sgd"]) -> float:
        """Returns what the learning rate of the base is multiplied by."""
        if family == "adam":
            return 1 / self.width if self.kind in ("hidden", "output") else 1.0
        if self.kind == "hidden":
            return self.outputs / self.width
        return {"input": self.width, "vector": self.width, "output": 1 / self.width}.get(
            self.kind, 1.0
        )


@dataclass(frozen=True)
class Scaling(Report):
    """How every weight of a model is scaled against a narrow base.

    Attributes:
        model: the name of the wide model.
        weights: one for each of its weights.
        multipliers: what neither starts nor learning rates can do, and the model has to bring.

    >>> def net(width):
    ...     return keras.Sequential([keras.Input((8,)), keras.layers.Dense(width),
    ...                              keras.layers.Dense(3)])
    >>> found = scaling(net(64), net(16))
    >>> len(found.weights), found.multipliers
    (4, ())
    """

    model: str
    weights: tuple[WeightScaling, ...]
    multipliers: tuple[Multiplier, ...] = ()

    def heading(self) -> str:
        """Returns one line: how many weights widen, and how."""
        kinds = [weight.kind for weight in self.weights]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        return f"{self.model}: {counts}"

    def table(self) -> Table:
        """Returns a row for each weight."""
        table = Table("weight", "kind", "width", "stddev x", "Adam x", "SGD x", box=None)
        for one in self.weights:
            rates = (f"{one.rate_factor(family):.3g}" for family in ("adam", "sgd"))
            table.add_row(
                plain_text(one.path), one.kind, f"{one.width:g}", f"{one.stddev_factor:.3g}", *rates
            )
        return table

    def parts(self) -> Iterator[RenderableType]:
        """Yields the heading, the table, and what the model has to bring."""
        yield self.heading()
        yield self.table()
        yield from (plain_text(f"The model has to bring: {each}") for each in self.multipliers)


def scaling(model: keras.Model, base: keras.Model, delta: keras.Model | None = None) -> Scaling:
    """Returns how every weight of `model` widens against `base`, its narrow sibling.

    Both are made by the same code with other widths; an axis of a weight is infinite, in the words
    of the theory, if its size differs. Fans are those of the geometry: an axis of experts or of
    heads' channels counts as `keras_inits.geometry` has it.

    Args:
        model: the wide model, built.
        base: the narrow one, built: its start and its learning rate are the ones that are kept.
        delta: a third sibling, of another width than the base, that shows which axes widen; needed
            for a model that is as wide as its base. `model` itself if None.

    Returns:
        A row for each weight, and what the model has to bring itself.

    Raises:
        InputError: the two differ by more than widths.

    >>> def net(width):
    ...     return keras.Sequential([keras.Input((8,)), keras.layers.Dense(width),
    ...                              keras.layers.Dense(width), keras.layers.Dense(3)])
    >>> [one.kind for one in scaling(net(64), net(16)).weights]
    ['input', 'vector', 'hidden', 'vector', 'output', 'fixed']
    """
    found = weight_scalings(model, base, delta)
    return Scaling(model.name, tuple(one for _, one in found), multipliers(model, base))


def weight_scalings(
    model: keras.Model, base: keras.Model, delta: keras.Model | None = None
) -> list[tuple[OwnedWeight, WeightScaling]]:
    """Returns each weight of `model` with what becomes of it; see `scaling`."""
    models = (model, base, model if delta is None else delta)
    for each in models:
        _checks.built(each, "scaled")
    weights = [owned_weights(each) for each in models]
    for other in weights[1:]:
        _check_alike(weights[0], other)
    return [(each[0], _of_one(*each)) for each in zip(*weights, strict=True)]


def _check_alike(wide: Sequence[OwnedWeight], narrow: Sequence[OwnedWeight]) -> None:
    alike = len(wide) == len(narrow) and all(
        len(a.weight.shape) == len(b.weight.shape) and type(a.layer) is type(b.layer)
        for a, b in zip(wide, narrow, strict=True)
    )
    if not alike:
        raise InputError(
            "`model`, `base` and `delta` must be one model at several widths, with the same layers "
            f"in the same order. Received: {len(wide)} and {len(narrow)} weights"
        )


def _of_one(wide: OwnedWeight, narrow: OwnedWeight, delta: OwnedWeight) -> WeightScaling:
    geometry, base = _kernel(wide), _kernel(narrow)
    if geometry is None or base is None:
        sizes = (wide.weight.shape[-1:], narrow.weight.shape[-1:])
        grown = sizes[0][0] / sizes[1][0] if sizes[0] else 1.0
        fixed = tuple(delta.weight.shape) == tuple(narrow.weight.shape)
        return WeightScaling(wide.path, "fixed" if fixed else "vector", None, None, grown, grown)
    inputs, outputs = _widths(geometry, base)
    other = _kernel(delta) or geometry
    kind = _KINDS[tuple(width != 1 for width in _widths(other, base))]  # type: ignore[index]
    maps = _maps(geometry, base)
    if kind == "fixed" and _maps(other, base) != 1:  # a kernel for each channel is a vector of them
        return WeightScaling(wide.path, "vector", geometry, base, maps, maps)
    if _is_tied(wide) and kind == "output":
        kind, outputs = "input", inputs
    width = inputs if kind in ("hidden", "output") else outputs
    return WeightScaling(wide.path, kind, geometry, base, width, outputs)


# By whether its inputs widen, and its outputs.
_KINDS: dict[tuple[bool, bool], Kind] = {
    (True, True): "hidden",
    (False, True): "input",
    (True, False): "output",
    (False, False): "fixed",
}


def _widths(geometry: KernelGeometry, base: KernelGeometry) -> tuple[float, float]:
    """Returns fan_in over that of the base, and the same of the outputs of a map."""
    return (
        geometry.fan_in / base.fan_in,
        geometry.matrix_shape[2] / base.matrix_shape[2],
    )


def _maps(geometry: KernelGeometry, base: KernelGeometry) -> float:
    """Returns the number of matrices over that of the base: channels, groups, experts."""
    return geometry.matrix_shape[0] / base.matrix_shape[0]


def _is_tied(owned: OwnedWeight) -> bool:
    """Returns whether a weight is a table that is looked up, and makes logits too."""
    return owned.weight.name == "embeddings" and bool(getattr(owned.layer, "tie_weights", False))


def _kernel(owned: OwnedWeight) -> KernelGeometry | None:
    found = role(owned.layer, owned.weight)
    return found if isinstance(found, KernelGeometry) else None
