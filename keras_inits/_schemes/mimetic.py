"""Kernels of self-attention in pairs whose products look as trained ones do."""

import functools
import math
from typing import Any, Literal, get_args

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._checks import choice, integer, real
from keras_inits._errors import InputError
from keras_inits._kernel_geometry import Axes, KernelGeometry
from keras_inits._registry import nameless
from keras_inits._schemes.base import KernelScheme

Part = Literal["query", "key", "value", "out"]
# Trockman & Kolter 2023, section 4: alpha and beta of the two products.
_QUERY_KEY, _VALUE_OUT = (0.7, 0.7), (0.4, -0.4)
_PARTNER = {"key": "query", "out": "value"}


@nameless
class MimeticInit(KernelScheme):
    r"""One of two kernels whose product is near the identity: mimetic self-attention.

    For each head $M = \alpha Z / \sqrt d + \beta I = U S V^\top$ with $Z$ normal, $d$ the width of
    the stream, $k$ that of a head. Query $(U \sqrt S)_{:, :k}$, key $(V \sqrt S)_{:, :k}$, so that
    $W_Q W_K^\top$ is the best approximation of $M$ of rank $k$. Value and projection out are the
    two factors of one such matrix for all heads together, with $\beta < 0$.

    Both of a pair draw the same $Z$ from the same seed. The recipe does so:
    `initialize(model, "mimetic")`.

    Args:
        part: `"query"`, `"key"`, `"value"` or `"out"`.
        noise: $\alpha$; the paper's 0.7 for query and key, 0.4 for value and out, if None.
        diagonal: $\beta$; the paper's 0.7 for query and key, -0.4 for value and out, if None.
        heads: of a kernel whose shape does not show its heads; 1 if None.

    Raises:
        InputError: an unknown `part`; at the call, a kernel that is no projection of an attention,
            or `heads` that do not divide its outputs.

    Reference:
        Trockman & Kolter 2023, section 4 and algorithm 1. https://arxiv.org/abs/2305.09828

    >>> q, k = (MimeticInit(part, noise=0.0, seed=1)((8, 8)) for part in ("query", "key"))
    >>> bool(ops.all(ops.abs(q @ ops.transpose(k) - 0.7 * ops.eye(8)) < 1e-5))
    True
    """

    def __init__(
        self,
        part: Part,
        noise: float | None = None,
        diagonal: float | None = None,
        *,
        heads: int | None = None,
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            seed=seed, input_axes=input_axes, output_axes=output_axes, batch_axes=batch_axes
        )
        self.part = choice("part", part, get_args(Part))
        self.noise = None if noise is None else real("noise", noise)
        self.diagonal = None if diagonal is None else real("diagonal", diagonal)
        self.heads = None if heads is None else integer("heads", heads, minimum=1)

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        count, rows, outputs = geometry.matrix_shape
        if count != 1 or geometry.tap_axes or not geometry.input_axes:
            raise InputError(
                "MimeticInit fills the projections of one attention. "
                f"Received: shape={geometry.shape}"
            )
        width, inner = (outputs, rows) if self.part == "out" else (rows, outputs)
        heads = self._heads(geometry) if self.part in ("query", "key") else 1
        if inner % heads:
            raise InputError(f"`heads` must divide {inner} outputs. Received: heads={heads}")
        alpha, beta = _QUERY_KEY if self.part in ("query", "key") else _VALUE_OUT
        alpha = alpha if self.noise is None else self.noise
        beta = beta if self.diagonal is None else self.diagonal
        shape = (heads, width, width)
        normal = keras.random.normal(shape, dtype="float32", seed=seed)
        left, right = _factors(
            ops.convert_to_numpy(normal).tobytes(), shape, inner // heads, alpha, beta
        )
        factor = right if self.part in _PARTNER else left  # (heads, width, inner of a head)
        matrix = factor.transpose(1, 0, 2).reshape(width, inner)
        matrix = matrix.T if self.part == "out" else matrix
        return geometry.from_matrices(ops.convert_to_tensor(matrix[None], dtype))

    def expected_stddev(self, geometry: KernelGeometry) -> None:
        return None

    def _heads(self, geometry: KernelGeometry) -> int:
        if self.heads is not None or len(geometry.output_axes) < 2:
            return self.heads or 1
        return geometry.shape[geometry.output_axes[0]]


@functools.lru_cache(maxsize=2)  # the other of the pair asks for the same
def _factors(
    normal: bytes, shape: tuple[int, int, int], inner: int, alpha: float, beta: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns L and R, `(heads, width, inner)`, with L Rᵀ next to alpha Z / √width + beta I."""
    _, width, _ = shape
    z = np.frombuffer(normal, "float32").reshape(shape).astype("float64")
    u, s, vt = np.linalg.svd(alpha * z / math.sqrt(width) + beta * np.eye(width))
    root = np.sqrt(s)[:, None, :]
    left, right = u * root, vt.transpose(0, 2, 1) * root
    if inner > width:  # turned into the wider space, in which no unit is left without weights
        turn = np.linalg.qr(np.random.default_rng(width).standard_normal((inner, width)))[0].T
        left, right = left @ turn, right @ turn
    return left[..., :inner].astype("float32"), right[..., :inner].astype("float32")
