"""Kernels in which each unit is connected to a few inputs only."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._checks import integer, real
from keras_inits._errors import InputError
from keras_inits._kernel_geometry import Axes, KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes import checks
from keras_inits._schemes.base import KernelScheme

# Martens 2010, section 5: "we limit the number of non-zero incoming connection weights to each
# unit (we used 15 in our experiments)".
_MARTENS_CONNECTIONS = 15


@scheme
class SparseInit(KernelScheme):
    """Each output has 15 incoming weights from N(0, stddev²), all others zero.

    The inputs of each output are a uniform choice without replacement; an output with fewer inputs
    than that is connected to all of them.

    Args:
        connections: non-zero weights of each output; 15, Martens's choice, if neither this nor
            `sparsity` is given.
        sparsity: instead, the share of an output's incoming weights that is zero, in [0, 1); the
            number of zeros is rounded up. (torch's `sparse_` counts by input, not by output.)
        stddev: standard deviation of the weights that are not zero.

    Raises:
        ValueError: both `connections` and `sparsity`, or one out of range; at the call, a shape
            with fewer than two axes.

    Reference:
        Martens 2010, section 5. https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf

    >>> int(ops.count_nonzero(SparseInit(seed=1)((100, 4))))
    60
    """

    def __init__(
        self,
        connections: int | None = None,
        *,
        sparsity: float | None = None,
        stddev: float = 1.0,
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        if connections is not None and sparsity is not None:
            raise InputError(
                "Give `connections` or `sparsity`, not both. "
                f"Received: connections={connections!r}, sparsity={sparsity!r}"
            )
        if sparsity is not None and not 0 <= real("sparsity", sparsity) < 1:
            raise InputError(f"`sparsity` must be in [0, 1). Received: sparsity={sparsity!r}")
        super().__init__(
            seed=seed, input_axes=input_axes, output_axes=output_axes, batch_axes=batch_axes
        )
        self.stddev = checks.positive("stddev", stddev)
        self.sparsity = sparsity
        self.connections = (
            None if connections is None else integer("connections", connections, minimum=1)
        )

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        count, fan_in, outputs = geometry.matrix_shape
        if 0 in geometry.shape:
            return geometry.from_matrices(ops.zeros(geometry.matrix_shape, dtype))
        kept = self.kept(fan_in)
        # One draw serves both: which inputs an output has (the largest of `fan_in` values), and
        # their weights (`kept` values more).
        normal = keras.random.normal(
            (count, outputs, fan_in + kept), stddev=self.stddev, dtype=dtype, seed=seed
        )
        _, chosen = ops.top_k(normal[..., :fan_in], kept, sorted=False)
        block, output, _ = np.indices((count, outputs, kept), dtype="int32")
        where = ops.stack([block, ops.cast(chosen, "int32"), output], axis=-1)
        weights = ops.reshape(normal[..., fan_in:], (-1,))
        matrices = ops.scatter(ops.reshape(where, (-1, 3)), weights, geometry.matrix_shape)
        return geometry.from_matrices(matrices)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        _, rows, _ = geometry.matrix_shape
        return self.stddev * math.sqrt(self.kept(rows) / max(1, rows))

    def kept(self, fan_in: int) -> int:
        """Returns how many of an output's `fan_in` weights are not zero."""
        if self.sparsity is not None:
            return fan_in - min(fan_in, -int(-self.sparsity * fan_in // 1))
        return min(fan_in, self.connections or _MARTENS_CONNECTIONS)
