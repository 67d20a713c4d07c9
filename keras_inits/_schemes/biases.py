"""Biases whose law depends on the layer: the fan of the kernel, the gates of a cell."""

import math
from typing import Any, Literal, get_args

import keras
from keras import ops

from keras_inits._checks import choice, real
from keras_inits._errors import InputError
from keras_inits._kernel_geometry import Axes, KernelGeometry
from keras_inits._registry import scheme
from keras_inits._schemes import checks
from keras_inits._schemes.base import KernelScheme, Scheme
from keras_inits._schemes.sampling import draw

Cell = Literal["lstm", "gru"]
_GATES = {"lstm": 4, "gru": 3}


@scheme
class BiasUniformInit(KernelScheme):
    r"""Uniform, ±1 / √fan_in of the kernel: how torch draws biases and kernels.

    A bias does not show the fan of its kernel: `initialize` knows it, or give `fan_in`. As the
    scheme of `initialize` it draws kernels and biases alike, which is how torch's linear and
    convolution layers start; as an override for biases, `{"*/bias": "initkit_bias_uniform"}`, only
    these. In a recurrent cell the fan is that of the recurrent kernel, as in torch.

    Args:
        fan_in: of the layer's kernel; read off the shape of a kernel if None.

    Raises:
        ValueError: at the call, a vector, where `fan_in` is not given.

    Reference:
        torch, `nn.Linear.reset_parameters`, `nn.LSTM.reset_parameters`.

    >>> bool(abs(BiasUniformInit(fan_in=100, seed=1)((8,)).numpy()).max() < 0.1)
    True
    """

    independent = True

    def __init__(
        self,
        fan_in: float | None = None,
        *,
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
        batch_axes: Axes = None,
    ) -> None:
        super().__init__(
            seed=seed, input_axes=input_axes, output_axes=output_axes, batch_axes=batch_axes
        )
        self.fan_in = None if fan_in is None else checks.positive("fan_in", fan_in)

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        return draw("uniform", geometry.shape, self.expected_stddev(geometry), dtype, seed)

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        fan_in = self.fan_in
        if fan_in is None:
            if len(geometry.shape) < 2:
                raise InputError(
                    "A bias does not show the fan of its kernel: give BiasUniformInit(fan_in=...), "
                    'or let `initialize` look it up: overrides={"*/bias": "initkit_bias_uniform"}. '
                    f"Received: shape={geometry.shape}"
                )
            fan_in = geometry.fan_in
        return 1 / math.sqrt(3 * max(1.0, fan_in))

    def draws_alike(self, one: KernelGeometry, other: KernelGeometry) -> bool:
        """Whether the scale is the same: of independent values it is all there is."""
        return self.expected_stddev(one) == self.expected_stddev(other)

    def for_bias(self, kernel: KernelGeometry) -> "BiasUniformInit":
        """Returns the scheme for the bias of a layer whose kernel has that geometry."""
        return self if self.fan_in is not None else BiasUniformInit(kernel.fan_in)


@scheme
class ChronoInit(Scheme, keras.initializers.RandomUniform):
    r"""Bias of an LSTM or GRU that remembers up to `max_steps` steps: ±log u, u uniform.

    $u \sim U(1, T - 1)$ for each unit. LSTM: forget gate $\log u$, input gate $-\log u$, the others
    0. GRU, as Keras writes it ($h_t = z h_{t-1} + (1 - z) \tilde h$): update gate $\log u$, the
    others 0; of its two rows of biases (`reset_after`) the first.

    In a layer, `LSTM(64, bias_initializer="initkit_chrono", unit_forget_bias=False)`: with
    `unit_forget_bias=True` Keras asks for pieces of the bias, which are no whole one. `initialize`
    sees to it.

    Args:
        max_steps: $T$, the length of the longest dependencies expected, such as that of the
            sequences; above 2.
        cell: `"lstm"` or `"gru"`. None: a GRU if the bias has two rows, else an LSTM.

    Raises:
        ValueError: at the call, a shape that is not that of such a bias.

    Reference:
        Tallec & Ollivier 2018, section 2, equation 16. https://arxiv.org/abs/1804.11188

    >>> bias = ChronoInit(100, seed=1)((4 * 8,)).numpy().reshape(4, 8)
    >>> bool((bias[1] == -bias[0]).all() and (bias[2:] == 0).all())
    True
    """

    def __init__(
        self, max_steps: float = 100.0, *, cell: Cell | None = None, seed: Any = None
    ) -> None:
        self.max_steps = real("max_steps", max_steps, above=2)
        self.cell = None if cell is None else choice("cell", cell, get_args(Cell))
        super().__init__(minval=1.0, maxval=self.max_steps - 1, seed=checks.seed(seed))

    def sample(self, geometry: KernelGeometry, dtype: str, seed: Any) -> Any:
        gates, units = self._gates(geometry)
        u = keras.random.uniform((units,), 1.0, self.max_steps - 1.0, dtype=dtype, seed=seed)
        log = ops.log(u)
        zeros = ops.zeros_like(log)
        if gates == 4:  # Keras's order: input, forget, candidate, output
            return ops.concatenate([-log, log, zeros, zeros])
        bias = ops.concatenate([log, zeros, zeros])  # update, reset, candidate
        if len(geometry.shape) == 1:
            return bias
        return ops.stack([bias, ops.zeros_like(bias)])

    def expected_stddev(self, geometry: KernelGeometry) -> float:
        gates, _ = self._gates(geometry)
        end = self.max_steps - 1.0
        log = math.log(end)
        # Of log u: the integrals of log u and of its square from 1 to T - 1, over T - 2
        mean = (end * log - end + 1) / (end - 1)
        square = (end * (log**2 - 2 * log + 2) - 2) / (end - 1)
        if gates == 4:
            return math.sqrt(square / 2)
        share = 1 / (3 * (len(geometry.shape)))
        return math.sqrt(share * square - (share * mean) ** 2)

    def for_bias(self, kernel: KernelGeometry) -> "ChronoInit":
        """Returns the scheme for the bias of the cell whose kernel has that geometry."""
        cells: dict[int, Cell] = {4: "lstm", 3: "gru"}
        cell = cells.get(kernel.blocks)
        if cell is None or self.cell not in (None, cell):
            raise InputError(
                "ChronoInit fills biases of LSTM and GRU cells, each as what it is. Received: "
                f"cell={self.cell!r} for the bias beside a kernel of {kernel.blocks} gates"
            )
        return self if cell == "lstm" else ChronoInit(self.max_steps, cell=cell)

    def _gates(self, geometry: KernelGeometry) -> tuple[int, int]:
        """Returns the number of gates, and of units."""
        shape = geometry.shape
        rows = len(shape)
        cell = self.cell or ("gru" if rows == 2 else "lstm")
        gates = _GATES[cell]
        fits = rows == 1 or (rows == 2 and shape[0] == 2 and cell == "gru")
        if not fits or shape[-1] % gates:
            raise InputError(
                "ChronoInit fills the bias of an LSTM, (4 x units,), or of a GRU, (2, 3 x units) "
                'or, with cell="gru", (3 x units,). '
                f"Received: shape={shape} with cell={self.cell!r}"
            )
        return gates, shape[-1] // gates
