"""A denoising autoencoder around one layer: its kernel encodes, and transposed it decodes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

Noise = Literal["masking", "normal"]

# Activations whose values are in 0 to 1, each a probability by itself.
_PROBABILITIES = frozenset({"sigmoid", "hard_sigmoid"})


@dataclass(frozen=True)
class Decoder:
    """How what comes into a layer is reconstructed.

    Attributes:
        activation: `sigmoid` or `linear`.
        loss: `cross-entropy` or `squared error`; summed over the inputs, averaged over examples.
    """

    activation: str
    loss: str


def decoder_for(inputs: NDArray[Any], activation_before: str | None) -> Decoder:
    """Returns the decoder and loss that fit what is to be reconstructed.

    Probabilities, which are the data where all lie in 0 to 1 and the output of a sigmoid, take a
    sigmoid and cross-entropy (Vincent et al. 2010, section 2.2); all other values a linear decoder
    and the squared error.

    Args:
        inputs: what comes into the layer.
        activation_before: the name of the activation that made them; None for data.
    """
    if activation_before is None:
        probable = bool(np.min(inputs) >= 0 and np.max(inputs) <= 1)
    else:
        probable = activation_before in _PROBABILITIES
    return Decoder("sigmoid", "cross-entropy") if probable else Decoder("linear", "squared error")


class DenoisingAutoencoder(keras.Model):
    r"""Reconstructs what comes into a layer from a noisy copy, with tied weights.

    $r = W^T f(W \tilde x + b) + c$, before the decoder's activation.

    Args:
        layer: the Dense layer or convolution; its variables are trained in place, those of half
            precision by way of copies in single precision (`settle`).
        activation: $f$; None for none.
        decoder: what the output is compared by.
        channels: size and place of $c$: the shape of the layer's input without the batch.
        noise: `masking` sets a share `level` of the inputs to 0; `normal` adds N(0, level^2).
        level: how much.
        seed: of the noise.
    """

    def __init__(
        self,
        layer: Any,
        activation: Callable[[Any], Any] | None,
        decoder: Decoder,
        channels: tuple[int, ...],
        noise: Noise,
        level: float,
        seed: int,
    ) -> None:
        # Of sums over all inputs a float16 is too narrow, and 1 - 0.999 is 0 in bfloat16.
        super().__init__(dtype="float64" if layer.kernel.dtype == "float64" else "float32")
        self.kernel = self._wide(layer.kernel)
        self.bias = None if layer.bias is None else self._wide(layer.bias)
        self._is_convolution = hasattr(layer, "strides")
        self._how = (
            {"strides": layer.strides, "padding": layer.padding, "data_format": layer.data_format}
            if self._is_convolution
            else {}
        )
        self._channel_axis = (
            1 if self._how.get("data_format") == "channels_first" else len(channels)
        )
        self._activation, self._decoder = activation, decoder
        self._noise, self._level = noise, level
        self._random = keras.random.SeedGenerator(seed)
        self.decoder_bias = self.add_weight(
            shape=(channels[self._channel_axis - 1],), initializer="zeros", name="decoder_bias"
        )
        self.built = True

    def _wide(self, variable: Any) -> Any:
        """Returns a variable, or a copy in the type of the model where its own is narrower."""
        if variable.dtype == self.variable_dtype:
            return variable
        wide = keras.Variable(variable.value, dtype=self.variable_dtype, name=variable.name)
        wide.constraint = variable.constraint
        return wide

    def settle(self, layer: Any) -> None:
        """Gives the layer what was trained, and goes on with what its type holds of it."""
        for own, wide in zip(_variables(layer), _variables(self), strict=True):
            if own is not wide:
                own.assign(wide)
                wide.assign(own)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns the reconstruction before the decoder's activation."""
        seen = self._noisy(inputs) if training else inputs
        kernel = ops.cast(self.kernel, self.compute_dtype)
        hidden = self._encoded(seen, kernel)
        if not self._is_convolution:
            decoded = ops.matmul(hidden, ops.transpose(kernel))
        else:
            decoded = ops.conv_transpose(hidden, kernel, **self._how)
        return decoded + self._placed(self.decoder_bias, len(inputs.shape))

    def _encoded(self, inputs: Any, kernel: Any) -> Any:
        if not self._is_convolution:
            summed = ops.matmul(inputs, kernel)
        else:
            summed = ops.conv(inputs, kernel, **self._how)
        if self.bias is not None:
            summed = summed + self._placed(self.bias, len(inputs.shape))
        return summed if self._activation is None else self._activation(summed)

    def _placed(self, bias: Any, rank: int) -> Any:
        shape = [1] * rank
        shape[self._channel_axis] = -1
        return ops.cast(ops.reshape(bias, shape), self.compute_dtype)

    def _noisy(self, inputs: Any) -> Any:
        if self._noise == "normal":
            return inputs + keras.random.normal(
                ops.shape(inputs), stddev=self._level, dtype=inputs.dtype, seed=self._random
            )
        kept = keras.random.uniform(ops.shape(inputs), seed=self._random) >= self._level
        return inputs * ops.cast(kept, inputs.dtype)

    def loss_of(self, wanted: Any, decoded: Any) -> Any:
        """Returns the loss of each example, summed over its inputs."""
        if self._decoder.loss == "cross-entropy":
            # log(1 + e^r) - x r, without an overflow
            each = ops.softplus(decoded) - wanted * decoded
        else:
            each = ops.square(decoded - wanted) / 2
        return ops.sum(ops.reshape(each, (ops.shape(each)[0], -1)), axis=-1)

    def error(self, inputs: NDArray[Any], batch_size: int, *, noisy: bool = False) -> float:
        """Returns the mean squared error of the reconstruction, of clean or of noisy inputs."""
        total = 0.0
        for start in range(0, len(inputs), batch_size):
            batch = ops.convert_to_tensor(inputs[start : start + batch_size], self.compute_dtype)
            decoded = self(batch, training=noisy)
            if self._decoder.activation == "sigmoid":
                decoded = ops.sigmoid(decoded)
            total += float(ops.convert_to_numpy(ops.sum(ops.square(decoded - batch))))
        return total / inputs.size


def _variables(layer: Any) -> list[Any]:
    return [v for v in (layer.kernel, layer.bias) if v is not None]


class Batches(keras.utils.PyDataset):
    """Inputs as their own targets, in an order that a seed gives, another one each epoch."""

    def __init__(self, inputs: NDArray[Any], size: int, seed: int) -> None:
        super().__init__()
        self._inputs, self._size = inputs, size
        self._generator = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._inputs) // self._size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        batch = self._inputs[self._order[index * self._size : (index + 1) * self._size]]
        return batch, batch

    def on_epoch_end(self) -> None:
        """Draws the order of the next epoch."""
        self._order = self._generator.permutation(len(self._inputs))
