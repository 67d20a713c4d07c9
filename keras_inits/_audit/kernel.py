"""What can be wrong with one kernel."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import initializers
from numpy.typing import NDArray

from keras_inits import _registry
from keras_inits._audit.report import Finding
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._schemes import OrthogonalInit
from keras_inits._schemes.laws import expected_stddev, kernel_scheme

# How far a measured scale may be off its law, and beyond how many standard errors that counts.
SCALE_TOLERANCE = 0.10
_STANDARD_ERRORS = 4.0
# A law that knows no fans is told off only where it is off by an order of magnitude.
_GAIN_BOUNDS = (0.1, 10.0)
# Largest entry of Q^T Q / g^2 - I that rounding to bfloat16 (8 bits) explains.
_GRAM_TOLERANCE = 2.0**-6


@dataclass(frozen=True)
class Kernel:
    """A kernel under audit.

    Attributes:
        path: the path of its variable.
        values: its values, in float32 or float64.
        geometry: its true geometry.
        initializer: what its layer says that drew it, out of any `GeometricInit` around it; None
            if the layer does not say.
    """

    path: str
    values: NDArray[Any]
    geometry: KernelGeometry
    initializer: Any

    @property
    def matrices(self) -> NDArray[Any]:
        """The maps, `(maps, rows, outputs)`."""
        return np.asarray(self.geometry.to_matrices(self.values))

    @property
    def is_lookup(self) -> bool:
        """Whether it is a table whose entries are looked up, not multiplied."""
        return not self.geometry.input_axes and not self.geometry.tap_axes


def mend(*kernels: Kernel) -> str:
    """Returns the line that draws these kernels anew, by their own schemes, and no other weight."""
    drawn = [f'"{kernel.path}": "{_scheme_name(kernel.initializer)}"' for kernel in kernels]
    return f'keras_inits.initialize(model, overrides={{{", ".join(drawn)}, "*": None}})'


def _scheme_name(initializer: Any) -> str:
    """Returns the name by which `keras_inits.get` knows `initializer`, else that of He."""
    name = _registry.name_of(type(initializer))
    known = kernel_scheme(initializer) is not None
    return name if known and type(initializers.get(name)) is type(initializer) else "initkit_he"


def constant(kernel: Kernel) -> Iterator[Finding]:
    """Yields a finding if all entries are the same number."""
    low, high = float(kernel.values.min()), float(kernel.values.max())
    if kernel.values.size > 1 and low == high:
        yield Finding(
            "constant kernel",
            (kernel.path,),
            f"all {kernel.values.size} entries are {low:g}",
            "all units of the layer compute the same and get the same gradient: it learns as one "
            "unit" + (", and passes no gradient back" if low == 0 else ""),
            mend(kernel),
            {"value": low, "entries": kernel.values.size},
        )


def equal_units(kernel: Kernel) -> Iterator[Finding]:
    """Yields a finding if several units of a map, or several maps, start with equal weights."""
    matrices = kernel.matrices
    maps, rows, outputs = matrices.shape
    if rows > 1 and outputs > 1:  # single numbers may be equal by chance
        equal = sum(copies(matrix.T) for matrix in matrices)
        if equal:
            yield Finding(
                "equal units",
                (kernel.path,),
                f"{equal} of {maps * outputs} units have the incoming weights of another",
                "units that start equal get equal gradients and stay equal",
                mend(kernel),
                {"equal": equal, "units": maps * outputs},
            )
    if kernel.is_lookup and maps > 1:
        yield from _dead_entries(kernel, matrices)
    elif maps > 1 and rows * outputs > 1 and (equal := copies(matrices.reshape(maps, -1))):
        yield Finding(
            "equal weights",
            (kernel.path,),
            f"{equal} of its {maps} blocks of {rows}x{outputs} equal another block",
            "gates, groups or channels that start equal are one to begin with",
            mend(kernel),
            {"equal": equal, "blocks": maps},
        )


def _dead_entries(kernel: Kernel, matrices: NDArray[Any]) -> Iterator[Finding]:
    entries = matrices.reshape(len(matrices), -1)
    zero = int(np.count_nonzero(~entries.any(axis=1)))
    equal = max(0, copies(entries) - max(0, zero - 1)) if entries.shape[1] > 1 else 0
    if zero > 1 or equal:  # one entry of zeros is how padding is often made
        yield Finding(
            "dead embeddings",
            (kernel.path,),
            f"of {len(entries)} entries {zero} are zero and {equal} equal another",
            "the model cannot tell these entries apart",
            mend(kernel),
            {"entries": len(entries), "zero": zero, "equal": equal},
        )


def scale(kernel: Kernel) -> Iterator[Finding]:
    """Yields a finding if the scale does not fit the true fans of the kernel."""
    measured = float(kernel.values.std(dtype="float64"))
    scheme = kernel_scheme(kernel.initializer)
    if measured == 0.0 or isinstance(scheme, OrthogonalInit):
        return
    meant = None if scheme is None else expected_stddev(scheme, kernel.geometry)
    if meant:
        ratio = measured / meant
        sampling = _STANDARD_ERRORS / math.sqrt(2 * kernel.values.size)
        if abs(ratio - 1) > max(SCALE_TOLERANCE, sampling):
            true, shape = kernel.geometry, KernelGeometry.from_shape(kernel.geometry.shape)
            yield Finding(
                "scale",
                (kernel.path,),
                f"standard deviation {measured:.3g}, {ratio:.2f} of the {meant:.3g} that "
                f"{type(kernel.initializer).__name__} means for fans "
                f"{true.fan_in:g}/{true.fan_out:g} (the shape reads as "
                f"{shape.fan_in:g}/{shape.fan_out:g})",
                f"the layer scales its signal or gradient by {ratio:.2f} of what the scheme is "
                "made for",
                mend(kernel),
                {"stddev": measured, "expected": meant, "ratio": ratio},
            )
    elif not kernel.is_lookup:
        gain = measured * math.sqrt(max(1.0, kernel.geometry.fan_in))
        low, high = _GAIN_BOUNDS
        if not low <= gain <= high:
            yield Finding(
                "scale",
                (kernel.path,),
                f"standard deviation {measured:.3g} with fan_in {kernel.geometry.fan_in:g}: the "
                f"layer multiplies the scale of its signal by {gain:.3g}",
                "the signal " + ("fades" if gain < low else "explodes or saturates"),
                mend(kernel),
                {"stddev": measured, "gain": gain},
            )


def not_orthogonal(kernel: Kernel) -> Iterator[Finding]:
    """Yields a finding if the scheme is orthogonal and a block of the kernel is not."""
    scheme = kernel_scheme(kernel.initializer)
    if not isinstance(scheme, OrthogonalInit):
        return
    matrices = kernel.matrices / scheme.effective_gain
    errors = [gram_error(matrix) for matrix in matrices]
    bad = [index for index, error in enumerate(errors) if error > _GRAM_TOLERANCE]
    if not bad:
        return
    worst = matrices[max(bad, key=errors.__getitem__)]
    values = np.linalg.svd(worst, compute_uv=False)
    maps, rows, outputs = matrices.shape
    yield Finding(
        "not orthogonal",
        (kernel.path,),
        f"{len(bad)} of {maps} blocks of {rows}x{outputs} are not orthogonal: singular values "
        f"{values.max():.3g} to {values.min():.3g} times the gain in the worst",
        "the block squeezes some directions, which an orthogonal scheme is there to prevent",
        mend(kernel),
        {"blocks": len(bad), "largest": float(values.max()), "smallest": float(values.min())},
    )


def gram_error(matrix: NDArray[Any]) -> float:
    """Returns the largest entry of QᵀQ - I, or of QQᵀ - I for a wide matrix."""
    q = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return float(np.abs(q.T @ q - np.eye(q.shape[1], dtype=q.dtype)).max())


def copies(vectors: NDArray[Any]) -> int:
    """Returns how many of `vectors`, `(count, length)`, are equal to an earlier one."""
    # Equal vectors have equal projections on a random one: only those are compared in full.
    direction = np.random.default_rng(0).standard_normal(vectors.shape[1])
    projections = np.einsum("ij,j->i", vectors, direction)
    order = np.argsort(projections, kind="stable")
    suspects = order[1:][np.diff(projections[order]) == 0]
    before = order[:-1][np.diff(projections[order]) == 0]
    return int(np.count_nonzero((vectors[suspects] == vectors[before]).all(axis=1)))
