"""What layers that set scales, at the entrance of a model, make of its input.

`Rescaling` divides whatever it is given, and `Normalization` shifts and divides by statistics that
it was told: neither looks at the data.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.data import Scale, scale_finding, scale_of, standardized
from keras_inits._diagnose.setting.entrances import first_met, kinds
from keras_inits._reporting import Finding

SCALERS = (keras.layers.Rescaling, keras.layers.Normalization)


@dataclass(frozen=True, eq=False)
class Behind:
    """An input behind such layers.

    Attributes:
        layers: in their order.
        scale: of what comes out of them.
        factor: what they multiply by, for each feature.
        shift: and add.
    """

    layers: tuple[keras.Layer, ...]
    scale: Scale
    factor: np.ndarray
    shift: np.ndarray

    def standardized(self, x: np.ndarray) -> np.ndarray:
        """Returns the input whose features have mean 0 and standard deviation 1 behind them."""
        wanted = standardized(x * self.factor + self.shift)
        return np.asarray((wanted - self.shift) / self.factor, np.float32)

    def finding(self, proof: str = "", name: str = "") -> Finding:
        """Returns the finding that these layers do not set the scale that kernels take."""
        names = " and ".join(layer.name for layer in self.layers)
        plain = scale_finding(self.scale, proof, f"{name or 'the input'} behind {names}")
        untold = [layer for layer in self.layers if never_adapted(layer)]
        told = [la for la in self.layers if isinstance(la, keras.layers.Normalization)]
        evidence, remedy = plain.evidence, f"Leave out {names}, or scale x for it"
        if untold:
            evidence += f"; {untold[0].name} has mean 0 and variance 1: it was never adapted"
        if untold or told:
            remedy = (
                f'model.get_layer("{(untold or told)[0].name}").adapt(x); '
                "model.compile(model.optimizer, loss=model.loss)"
            )
        return Finding(
            plain.kind,
            ("input", *(layer.name for layer in untold or self.layers)),
            evidence,
            plain.consequence,
            remedy,
            plain.numbers,
        )


def never_adapted(layer: keras.Layer) -> bool:
    """Says whether a `Normalization` has the statistics that it is made with."""
    if not isinstance(layer, keras.layers.Normalization):
        return False
    mean, variance = (ops.convert_to_numpy(s) for s in (layer.mean, layer.variance))
    return not np.any(mean) and bool((variance == 1).all())


def behind(model: keras.Model, inputs: Sequence[np.ndarray], x: object) -> list[Behind | None]:
    """Returns each input behind its scaling layers; None where there are none, or it is unclear.

    That is where it is given to several layers, or what follows is no kernel.
    """
    return [_behind(model, place, given, len(inputs), x) for place, given in enumerate(inputs)]


def _behind(
    model: keras.Model, place: int, given: np.ndarray, number: int, x: object
) -> Behind | None:
    layers: list[keras.Layer] = []
    met = first_met(model, number, x)[place]
    while len(met) == 1 and isinstance(met[0][0], SCALERS):
        layers.append(met[0][0])
        met = first_met(model, number, x, layers)[place]
    if not layers or kinds(met) != {"kernel"} or given.dtype.kind not in "fiu":
        return None
    if not given.size or not np.isfinite(given).all():
        return None
    # They are affine, feature by feature: 0 and 1 tell all.
    ends = []
    for value in (0.0, 1.0):
        made = ops.convert_to_tensor(np.full((1, *given.shape[1:]), value, np.float32))
        for layer in layers:
            made = layer(made)
        ends.append(np.asarray(ops.convert_to_numpy(made), np.float64))
    shift, factor = ends[0], ends[1] - ends[0]
    if shift.shape != (1, *given.shape[1:]) or not factor.all():
        return None
    scale = scale_of(given * factor + shift)
    return None if scale is None else Behind(tuple(layers), scale, factor, shift)
