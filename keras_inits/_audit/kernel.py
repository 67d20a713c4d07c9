"""A kernel under audit, and what is said of one."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from keras import initializers, ops
from numpy.typing import NDArray

from keras_inits import _registry
from keras_inits._audit.context import Context
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.activations import activation_name
from keras_inits._reporting import Finding
from keras_inits._schemes.base import KernelScheme
from keras_inits._schemes.laws import kernel_scheme


@dataclass(frozen=True)
class Kernel:
    """A kernel under audit.

    Attributes:
        path: the path of its variable.
        values: its values, in float32 or float64.
        geometry: its true geometry.
        initializer: what its layer says that drew it, out of any `GeometricInit` around it; None
            if the layer does not say.
        layer: the identity of its layer.
        bias: the values of the bias of its layer, if it has one.
        context: what stands around its layer.
        cell: which kernel of a recurrent cell it is, `"input"` or `"recurrent"`; else empty.
    """

    path: str
    values: NDArray[Any]
    geometry: KernelGeometry
    initializer: Any
    layer: int = 0
    bias: NDArray[Any] | None = None
    context: Context = field(default_factory=lambda: Context(alone=True))
    cell: str = ""

    @functools.cached_property
    def matrices(self) -> NDArray[Any]:
        """The maps, `(maps, rows, outputs)`."""
        return np.asarray(self.geometry.to_matrices(self.values))

    @functools.cached_property
    def scheme(self) -> KernelScheme | None:
        """The scheme of the initializer that asks the geometry; None if there is none."""
        return kernel_scheme(self.initializer)

    @property
    def is_lookup(self) -> bool:
        """Whether it is a table whose entries are looked up, not multiplied."""
        return not self.geometry.input_axes and not self.geometry.tap_axes

    @property
    def is_random(self) -> bool:
        """Whether its entries differ."""
        return bool(self.values.min() < self.values.max())

    @property
    def units(self) -> int:
        """How many outputs all maps have together."""
        maps, _, outputs = self.geometry.matrix_shape
        return maps * outputs


@dataclass(frozen=True)
class Kernels:
    """All kernels of a model, by what they are looked up by.

    Attributes:
        all: in the order of the model's weights.
    """

    all: tuple[Kernel, ...]

    @functools.cached_property
    def by_path(self) -> Mapping[str, Kernel]:
        """Each kernel by the path of its variable."""
        return {kernel.path: kernel for kernel in self.all}

    @functools.cached_property
    def by_layer(self) -> Mapping[int, Sequence[Kernel]]:
        """The kernels of each layer, by its identity."""
        found: dict[int, list[Kernel]] = {}
        for kernel in self.all:
            found.setdefault(kernel.layer, []).append(kernel)
        return found

    def at(self, paths: Iterable[str]) -> tuple[Kernel, ...]:
        """Returns those of these variables that are kernels."""
        return tuple(self.by_path[path] for path in paths if path in self.by_path)


@dataclass(frozen=True)
class Judgement:
    """A finding, or a remark: something that is no fault, or cannot be judged.

    Attributes:
        finding: what was found.
        is_fault: whether it is a finding of the report, not a remark.
    """

    finding: Finding
    is_fault: bool = True


def remedy(*kernels: Kernel) -> str:
    """Returns the line that draws these kernels anew, by their own schemes, and no other weight."""
    drawn = [f"{kernel.path!r}: {_scheme_name(kernel)!r}" for kernel in kernels]
    return f'keras_inits.initialize(model, overrides={{{", ".join(drawn)}, "*": None}})'


def _scheme_name(kernel: Kernel) -> str:
    """Returns the name by which `keras_inits.get` knows the initializer, else that of He."""
    cls = type(kernel.initializer)
    name = _registry.name_of(cls)
    known = kernel.scheme is not None
    return name if known and type(initializers.get(name)) is cls else "initkit_he"


def activated(activation: Any, z: NDArray[Any]) -> NDArray[Any] | None:
    """Returns an activation of some numbers; None if it takes no single numbers."""
    name = activation_name(activation).lower()
    if name == "linear" or "softmax" in name:  # of a softmax, the logits are what counts
        return z
    try:
        values = activation(ops.convert_to_tensor(z.astype("float32")))
        return np.asarray(ops.convert_to_numpy(values), "float64").reshape(z.shape)
    except Exception:  # whatever a user's function raises: it is not judged
        return None


def copies(vectors: NDArray[Any]) -> int:
    """Returns how many of `vectors`, `(count, length)`, are equal to an earlier one."""
    return sum(len(group) - 1 for group in equal_rows(vectors))


def equal_rows(vectors: NDArray[Any]) -> list[NDArray[np.intp]]:
    """Returns the numbers of the rows of `vectors`, `(count, length)`, in groups of equal ones."""
    # Equal vectors have equal projections on a random one: only those are compared in full.
    direction = np.random.default_rng(0).standard_normal(vectors.shape[1])
    projections = np.einsum("ij,j->i", vectors, direction)
    order = np.argsort(projections, kind="stable")
    suspects = np.split(order, np.flatnonzero(np.diff(projections[order])) + 1)
    groups = []
    for suspected in suspects:
        if len(suspected) > 1:
            equal = (vectors[suspected] == vectors[suspected[0]]).all(axis=1)
            if np.count_nonzero(equal) > 1:
                groups.append(np.sort(suspected[equal]))
    return groups
