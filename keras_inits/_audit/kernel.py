"""What can be wrong with one kernel."""

import functools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from keras import initializers, ops
from numpy.typing import NDArray

from keras_inits import _registry
from keras_inits._audit.surroundings import Surroundings
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._reporting import Finding
from keras_inits._schemes import OrthogonalInit
from keras_inits._schemes.base import KernelScheme
from keras_inits._schemes.laws import expected_stddev, kernel_scheme

# How far a measured scale may be off its law, and beyond how many standard errors that counts.
SCALE_TOLERANCE = 0.10
_STANDARD_ERRORS = 4.0
# Keras reads the gates of a cell, the groups of a convolution and the taps of a transposed one off
# the shape. Values that follow the law so read are what Keras's users train with: they are reported
# only where that reading is off by more than this factor. (Gates: by 2 at most.)
_READING_TOLERANCE = 2.0
# A scheme of fixed scale is reported only where it is off by an order of magnitude.
_GAIN_BOUNDS = (0.1, 10.0)
# A normalization behind a kernel takes its scale away as long as the variance is above the epsilon
# that it adds: Keras's default is 1e-3.
_NORMALIZABLE_GAIN = math.sqrt(1e-3)
# Largest entry of Q^T Q / g^2 - I that rounding to bfloat16 (8 bits) explains.
_GRAM_TOLERANCE = 2.0**-6
_SLOPE = 1e-3  # step of the difference that tells whether an activation is flat


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
        behind: what stands behind its layer.
        is_input_of_cell: whether a recurrent cell adds its output to its state at each step.
    """

    path: str
    values: NDArray[Any]
    geometry: KernelGeometry
    initializer: Any
    layer: int = 0
    bias: NDArray[Any] | None = None
    behind: Surroundings = field(default_factory=lambda: Surroundings(alone=True))
    is_input_of_cell: bool = False

    @property
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
    def units(self) -> int:
        """How many outputs all maps have together."""
        maps, _, outputs = self.geometry.matrix_shape
        return maps * outputs


@dataclass(frozen=True)
class Judgement:
    """A finding, or a remark: something that is no fault, or cannot be judged."""

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


def constant(kernel: Kernel, by_layer: Mapping[int, Sequence[Kernel]]) -> Iterator[Judgement]:
    """Yields what follows from a kernel whose entries all are the same number.

    Units that start equal part at the first step if what stands behind them tells them apart: the
    targets of a head, or a next kernel with other weights for each. They do not if their activation
    lets no gradient through.
    """
    value = float(kernel.values.flat[0])
    # A map of one output has no other unit to be equal to, and entries of a table get the
    # gradients of their own samples.
    outputs = kernel.geometry.matrix_shape[2]
    dead = value == 0.0 and _is_dead(kernel)
    if not dead and (outputs == 1 or kernel.behind.is_head):
        return
    symmetric = dead or kernel.behind.alone or _told_apart(kernel, None, by_layer) is False
    effect = "all units of the layer start as one"
    if dead:
        effect = "no unit fires and none gets a gradient: the layer learns nothing"
    elif symmetric:
        effect = (
            "all units of the layer compute the same and get the same gradient, unless what stands "
            "behind it tells them apart: it learns as one unit"
        )
    yield Judgement(
        Finding(
            "constant kernel",
            (kernel.path,),
            f"all {kernel.values.size} entries are {value:g}",
            effect + (", and passes no gradient back" if value == 0 and not dead else ""),
            remedy(kernel),
            {"value": value, "entries": kernel.values.size},
        ),
        symmetric,
    )


def _is_dead(kernel: Kernel) -> bool:
    """Returns whether the activation is flat at every bias, as ReLU is at 0 and below."""
    bias = np.zeros(1) if kernel.bias is None else np.unique(kernel.bias)
    at, below = (_activated(kernel.behind.activation, bias + shift) for shift in (0.0, -_SLOPE))
    return at is not None and below is not None and bool(np.all(at == below))


def _told_apart(
    kernel: Kernel, units: NDArray[Any] | None, by_layer: Mapping[int, Sequence[Kernel]]
) -> bool | None:
    """Returns whether what stands behind some units treats them differently; None if unknown.

    Args:
        kernel: the kernel that makes the units.
        units: their numbers; None for all.
        by_layer: the kernels of each layer.
    """
    if not kernel.behind.known:
        return None
    if kernel.behind.is_head:
        return True
    for layer in kernel.behind.following:
        for following in by_layer.get(layer, ()):
            maps, rows, outputs = following.geometry.matrix_shape
            incoming = following.matrices
            if rows == following.geometry.taps:  # depthwise: a map for each unit
                incoming = incoming.reshape(maps, -1)
            else:  # (inputs, taps x outputs)
                inputs = rows // following.geometry.taps
                incoming = incoming.reshape(maps, -1, inputs, outputs).transpose(2, 0, 1, 3)
                incoming = incoming.reshape(inputs, -1)
            if units is not None and len(incoming) == kernel.units:
                incoming = incoming[units]
            if (incoming != incoming[:1]).any():
                return True
    return False


def equal_units(kernel: Kernel, by_layer: Mapping[int, Sequence[Kernel]]) -> Iterator[Judgement]:
    """Yields what follows if several units of a map, or several maps, start with equal weights."""
    matrices = kernel.matrices
    maps, rows, outputs = matrices.shape
    if rows > 1 and outputs > 1:  # single numbers may be equal by chance
        groups = [
            group + index * outputs
            for index, matrix in enumerate(matrices)
            for group in equal_rows(matrix.T)
        ]
        if kernel.bias is not None and kernel.bias.size == maps * outputs:
            bias = kernel.bias.reshape(-1)
            groups = [group for group in groups if (bias[group] == bias[group[0]]).all()]
        equal = sum(len(group) - 1 for group in groups)
        apart = [_told_apart(kernel, group, by_layer) for group in groups]
        if equal and not all(apart):
            yield Judgement(
                Finding(
                    "equal units",
                    (kernel.path,),
                    f"{equal} of {maps * outputs} units have the incoming weights of another",
                    "units that start equal get equal gradients and stay equal, unless what stands "
                    "behind them tells them apart",
                    remedy(kernel),
                    {"equal": equal, "units": maps * outputs},
                ),
                kernel.behind.alone or False in apart,
            )
    if kernel.is_lookup and maps > 1:
        yield from _equal_entries(kernel, matrices)
    elif maps > 1 and rows * outputs > 1 and kernel.geometry.blocks > 1:
        equal = copies(matrices.reshape(maps, -1))
        if equal:
            yield Judgement(
                Finding(
                    "equal weights",
                    (kernel.path,),
                    f"{equal} of its {maps} blocks of {rows}x{outputs} equal another block",
                    "gates or groups start as one; their places in the layer part them",
                    remedy(kernel),
                    {"equal": equal, "blocks": maps},
                ),
                False,
            )


def _equal_entries(kernel: Kernel, matrices: NDArray[Any]) -> Iterator[Judgement]:
    entries = matrices.reshape(len(matrices), -1)
    zero = int(np.count_nonzero(~entries.any(axis=1)))
    equal = max(0, copies(entries) - max(0, zero - 1)) if entries.shape[1] > 1 else 0
    if zero > 1 or equal:  # one entry of zeros is how padding is often made
        yield Judgement(
            Finding(
                "dead embeddings",
                (kernel.path,),
                f"of {len(entries)} entries {zero} are zero and {equal} equal another",
                "the model cannot tell these entries apart before they have been trained",
                _redraw_entries(kernel.path),
                {"entries": len(entries), "zero": zero, "equal": equal},
            ),
            False,
        )


def _redraw_entries(path: str) -> str:
    """Returns code that draws the zero and repeated entries of a table at the scale of the rest."""
    return (
        "import numpy as np\n"
        f"table = next(w for w in model.weights if w.path == {path!r})\n"
        "values = table.numpy().copy()\n"
        "kept = np.zeros(len(values), bool)\n"
        "kept[np.unique(values, axis=0, return_index=True)[1]] = True\n"
        "kept &= values.any(axis=1)\n"
        "good = values[kept]\n"
        "values[~kept] = np.random.default_rng(0).normal(\n"
        "    good.mean(0), good.std(0), values[~kept].shape)\n"
        "table.assign(values)"
    )


def scale(kernel: Kernel, by_layer: Mapping[int, Sequence[Kernel]]) -> Iterator[Judgement]:
    """Yields a finding if the scale does not fit the true fans of the kernel."""
    measured = float(kernel.values.std(dtype="float64"))
    if measured == 0.0 or isinstance(kernel.scheme, OrthogonalInit):
        return
    gain = measured * math.sqrt(max(1.0, kernel.geometry.fan_in))
    if kernel.behind.normalized and gain > _NORMALIZABLE_GAIN:
        return
    meant = None if kernel.scheme is None else expected_stddev(kernel.scheme, kernel.geometry)
    if meant:
        yield from _off_the_law(kernel, measured, meant)
    elif not kernel.is_lookup:
        yield from _fixed_scale(kernel, measured, gain)


def _off_the_law(kernel: Kernel, measured: float, meant: float) -> Iterator[Judgement]:
    true, shape = kernel.geometry, KernelGeometry.from_shape(kernel.geometry.shape)
    tolerance = max(SCALE_TOLERANCE, _STANDARD_ERRORS / math.sqrt(2 * kernel.values.size))
    ratio = measured / meant
    read = expected_stddev(kernel.scheme, shape)
    as_read = bool(read) and abs(measured / read - 1) <= tolerance  # type: ignore[operator]
    # Half the measured ratio's tolerance comes on top of the factor.
    limit = _READING_TOLERANCE * (1 + tolerance / 2)
    if abs(ratio - 1) <= tolerance or (as_read and 1 / limit <= ratio <= limit):
        return
    yield Judgement(
        Finding(
            "scale",
            (kernel.path,),
            f"standard deviation {measured:.3g}, {ratio:.2f} of the {meant:.3g} that "
            f"{type(kernel.initializer).__name__} has for fans {true.fan_in:g}/{true.fan_out:g} "
            f"(the shape reads as {shape.fan_in:g}/{shape.fan_out:g})",
            f"the layer scales its signal or gradient by {ratio:.2f} of what the scheme is made "
            "for",
            remedy(kernel),
            {"stddev": measured, "expected": meant, "ratio": ratio},
        )
    )


def _fixed_scale(kernel: Kernel, measured: float, gain: float) -> Iterator[Judgement]:
    """Yields a finding if a scheme of fixed scale makes the signal fade, explode or saturate."""
    if kernel.is_input_of_cell:  # its output is summed over the steps, however many there are
        return
    low, high = _GAIN_BOUNDS
    if low <= gain <= high:
        return
    # What the activation makes of a standard normal signal behind this kernel, and behind one of
    # gain 1: SIREN's sine of 30 z wants a gain of 1/30.
    z = _normal_quantiles()
    ours, usual = (_activated(kernel.behind.activation, g * z) for g in (gain, 1.0))
    if ours is None or usual is None:
        return
    scale, reference = _rms(ours), max(_rms(usual), 1e-6)
    steeper = _activated(kernel.behind.activation, gain * z + _SLOPE)
    slope = np.abs((steeper - ours) / _SLOPE) if steeper is not None else np.ones(1)
    saturated = float(np.mean(slope < 0.1 * max(1e-6, float(slope.max())))) > 0.5
    fades = gain < low and scale < low * reference
    grows = gain > high and (saturated or scale > high * reference)
    if fades or grows:
        yield Judgement(
            Finding(
                "scale",
                (kernel.path,),
                f"standard deviation {measured:.3g} with fan_in {kernel.geometry.fan_in:g}: the "
                f"layer multiplies the scale of its signal by {gain:.3g}",
                "the signal "
                + ("fades" if fades else "saturates the activation" if saturated else "explodes"),
                remedy(kernel),
                {"stddev": measured, "gain": gain},
            )
        )


def _activated(activation: Any, z: NDArray[Any]) -> NDArray[Any] | None:
    """Returns an activation of some numbers; None if it takes no single numbers."""
    name = str(getattr(activation, "__name__", type(activation).__name__)).lower()
    if activation is None or "softmax" in name:  # of a softmax, the logits are what counts
        return z
    try:
        values = activation(ops.convert_to_tensor(z.astype("float32")))
        return np.asarray(ops.convert_to_numpy(values), "float64")
    except Exception:  # whatever a user's function raises: it is not judged
        return None


@functools.cache
def _normal_quantiles(count: int = 512) -> NDArray[Any]:
    inverse = statistics.NormalDist().inv_cdf
    return np.array([inverse((index + 0.5) / count) for index in range(count)])


def _rms(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def not_orthogonal(kernel: Kernel, by_layer: Mapping[int, Sequence[Kernel]]) -> Iterator[Judgement]:
    """Yields a finding if the scheme is orthogonal and a block of the kernel is not.

    Keras draws the gates of a cell as one matrix. That is how its LSTM and GRU start, and no fault.
    """
    scheme = kernel.scheme
    if not isinstance(scheme, OrthogonalInit):
        return
    matrices = kernel.matrices / scheme.effective_gain
    errors = [gram_error(matrix) for matrix in matrices]
    bad = [index for index, error in enumerate(errors) if error > _GRAM_TOLERANCE]
    if not bad or (kernel.geometry.blocks > 1 and _is_orthogonal_as_a_whole(kernel, scheme)):
        return
    worst = matrices[max(bad, key=errors.__getitem__)]
    values = np.linalg.svd(worst, compute_uv=False)
    maps, rows, outputs = matrices.shape
    finding = Finding(
        "not orthogonal",
        (kernel.path,),
        f"{len(bad)} of {maps} blocks of {rows}x{outputs} are not orthogonal: singular values "
        f"{values.max():.3g} to {values.min():.3g} times the gain in the worst",
        "the block squeezes some directions, which an orthogonal scheme is there to prevent",
        remedy(kernel),
        {"blocks": len(bad), "largest": float(values.max()), "smallest": float(values.min())},
    )
    yield Judgement(finding)


def _is_orthogonal_as_a_whole(kernel: Kernel, scheme: OrthogonalInit) -> bool:
    whole = KernelGeometry.from_shape(kernel.geometry.shape)
    (matrix,) = np.asarray(whole.to_matrices(kernel.values)) / scheme.effective_gain
    return gram_error(matrix) <= _GRAM_TOLERANCE


def gram_error(matrix: NDArray[Any]) -> float:
    """Returns the largest entry of QᵀQ - I, or of QQᵀ - I for a wide matrix."""
    q = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return float(np.abs(q.T @ q - np.eye(q.shape[1], dtype=q.dtype)).max())


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
