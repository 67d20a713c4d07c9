"""`portable`: a model whose saved file opens without this package."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from rich.table import Table

from keras_inits import _checks, _registry
from keras_inits._keras_internals import all_layers
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import OwnedWeight, geometry, owned_weights
from keras_inits._layers.ownership import initializer_attribute
from keras_inits._reporting import Finding, Report, plain_text
from keras_inits._schemes import OrthogonalInit
from keras_inits._schemes.base import Scheme
from keras_inits._starts.counterparts import (
    NoCounterpartError,
    keras_counterpart,
    orthogonal_among,
)

_Key = tuple[int, str]  # the identity of a layer, and the attribute that holds an initializer


@dataclass(frozen=True)
class PortableRow:
    """One initializer of a layer.

    Attributes:
        layer: the name of the layer.
        attribute: where the layer keeps it.
        scheme: what it was.
        replacement: what it is; empty where it stays.
        reason: why it stays.
        note: what is to be said of the replacement.

    >>> layer = keras.layers.Dense(3, kernel_initializer="initkit_hadamard_orthogonal")
    >>> row = portable(keras.Sequential([keras.Input((4,)), layer])).rows[0]
    >>> row.attribute, row.scheme.partition("(")[0], row.replacement.partition("(")[0]
    ('kernel_initializer', 'HadamardOrthogonalInit', 'Orthogonal')
    """

    layer: str
    attribute: str
    scheme: str
    replacement: str = ""
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class PortableReport(Report):
    """What `portable` replaced.

    Attributes:
        model: the name of the model.
        rows: one for each initializer of this package that the model had.

    >>> layer = keras.layers.Dense(3, kernel_initializer="initkit_glorot_uniform")
    >>> report = portable(keras.Sequential([keras.Input((2,)), layer]))
    >>> report.ok, len(report.rows)
    (True, 1)
    """

    model: str
    rows: tuple[PortableRow, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """A finding for each initializer that Keras has no counterpart of."""
        return tuple(
            Finding(
                kind="not portable",
                where=(row.layer,),
                evidence=row.reason,
                consequence="a saved model asks for keras_inits when it is opened",
                remedy=(
                    f'model.get_layer("{row.layer}").{row.attribute} = None, or save the weights '
                    "alone"
                ),
            )
            for row in self.rows
            if row.reason
        )

    def heading(self) -> str:
        """Returns the model and how many initializers were replaced."""
        done = sum(bool(row.replacement) for row in self.rows)
        return f"{self.model}: {done} of {len(self.rows)} initializers are Keras's own now"

    def table(self) -> Table:
        """Returns the rows as a table that is legible at 80 columns."""
        table = Table(title=plain_text(self.heading()), box=None, pad_edge=False)
        for name in ("layer", "initializer", "was", "is"):
            table.add_column(name, overflow="fold", ratio=1)
        for row in self.rows:
            now = f"stays: {row.reason}" if row.reason else row.replacement
            note = f" ({row.note})" if row.note else ""
            table.add_row(
                plain_text(row.layer), row.attribute, plain_text(row.scheme), plain_text(now + note)
            )
        return table


def portable(model: keras.layers.Layer) -> PortableReport:
    """Puts Keras's own initializers in place of this package's.

    They are of the same law where Keras has it, else of the same mean and variance; the row says
    which. A saved model then opens where this package is not installed. Weights stay as they are:
    what changes is the law by which a clone is drawn. Where the shape of a kernel does not give its
    fans as Keras reads them, the standard deviation is put down as a number.

    Args:
        model: a built model or layer.

    Returns:
        A row for each initializer of this package: what it is now, or that Keras has none of its
        law. It is `ok` if none of this package's is left.

    Raises:
        InputError: a model that is not built.
        InputTypeError: something that is no model.

    >>> layer = keras.layers.Dense(3, kernel_initializer="initkit_glorot_uniform")
    >>> model = keras.Sequential([keras.Input((2,)), layer])
    >>> portable(model).rows[0].replacement, type(layer.kernel_initializer).__name__
    ('GlorotUniform', 'GlorotUniform')
    """
    _checks.built(model, "made portable")
    geometries, inner = _geometries(model), _inner_kernels(model)
    rows = []
    for layer in all_layers(model, itself=True):
        for attribute, scheme in _ours(layer):
            key = id(layer), attribute
            rows.append(_replaced(layer, attribute, scheme, geometries.get(key), inner.get(key)))
    return PortableReport(model.name, tuple(rows))


def _replaced(
    layer: Any,
    attribute: str,
    scheme: Scheme,
    shaped: KernelGeometry | None,
    inner: list[KernelGeometry] | None,
) -> PortableRow:
    """Puts a counterpart of Keras in the place of a scheme, if there is one; returns the row.

    Args:
        layer: the layer that has the scheme.
        attribute: where it has it.
        scheme: the scheme.
        shaped: the one shape that it fills; None if there are several.
        inner: the kernels of sublayers that it fills; None if there are none.
    """
    try:
        if isinstance(scheme, OrthogonalInit) and inner is not None:
            made, note = orthogonal_among(scheme, inner)
        else:
            made, note = keras_counterpart(scheme, shaped)
    except NoCounterpartError as error:
        return PortableRow(layer.name, attribute, repr(scheme), reason=str(error))
    setattr(layer, attribute, made)
    return PortableRow(layer.name, attribute, repr(scheme), type(made).__name__, note=note)


def _ours(layer: Any) -> Iterator[tuple[str, Scheme]]:
    """Yields the attributes of a layer that hold an initializer of this package."""
    for attribute in sorted(vars(layer)):
        value = vars(layer)[attribute]
        if not attribute.endswith("initializer"):
            continue
        if isinstance(value, str) and value in _registry.names():
            value = _registry.get(value)
        if isinstance(value, Scheme):
            yield attribute, value


def _filled(model: Any) -> Iterator[tuple[_Key, OwnedWeight]]:
    """Yields each initializer, as layer and attribute, with a weight that it fills."""
    for owned in owned_weights(model):
        for layer in (owned.layer, *owned.parents):
            if attribute := initializer_attribute(layer, owned.weight.name):
                yield (id(layer), attribute), owned


def _inner_kernels(model: Any) -> dict[_Key, list[KernelGeometry]]:
    """Returns by layer and attribute the kernels of sublayers that an initializer fills.

    None of them where Keras would read another fan off the shape: EinsumDense alone says its axes.
    """
    found: dict[_Key, list[KernelGeometry]] = {}
    unlike: set[_Key] = set()
    for key, owned in _filled(model):
        if key[0] == id(owned.layer):
            continue
        kernels, kernel = found.setdefault(key, []), geometry(owned.layer, owned.weight)
        by_shape = KernelGeometry.from_shape(tuple(map(int, owned.weight.shape)))
        says_axes = isinstance(owned.layer, keras.layers.EinsumDense)
        if isinstance(kernel, KernelGeometry) and (says_axes or _fans(kernel) == _fans(by_shape)):
            kernels.append(kernel)
        else:
            unlike.add(key)
    return {key: [] if key in unlike else kernels for key, kernels in found.items()}


def _fans(kernel: KernelGeometry) -> tuple[float, float]:
    return kernel.fan_in, kernel.fan_out


def _geometries(model: Any) -> dict[_Key, KernelGeometry]:
    """Returns by layer and attribute the shape that an initializer fills, if it is one shape."""
    found: dict[_Key, set[tuple[int, ...]]] = {}
    for key, owned in _filled(model):
        found.setdefault(key, set()).add(tuple(map(int, owned.weight.shape)))
    # What a scheme itself says of its axes goes before the reading of the shape.
    return {
        key: KernelGeometry.from_shape(shapes.pop())
        for key, shapes in found.items()
        if len(shapes) == 1
    }
