"""What layers that set scales, at the entrance of a model, make of its input.

`Rescaling` divides whatever it is given, and `Normalization` shifts and divides by statistics that
it was told: neither looks at the data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.entrance.data import Scale, scale_finding, scale_of, standardized
from keras_inits._diagnose.setting.entrance.entrances import Meeting, first_met, kinds
from keras_inits._diagnose.setting.remedies import COMPILE, path_to
from keras_inits._layers.scales import are_at_start
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
        paths: expressions for the layers; empty where there is none.
        given: an expression for the input, of `x` as the model takes it; empty where it is none.
    """

    layers: tuple[keras.Layer, ...]
    scale: Scale
    factor: np.ndarray
    shift: np.ndarray
    paths: tuple[str, ...] = ()
    given: str = "x"

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
            remedy = self._adapting((untold or told)[0])
        return Finding(
            kind=plain.kind,
            where=("input", *(layer.name for layer in untold or self.layers)),
            evidence=evidence,
            consequence=plain.consequence,
            remedy=remedy,
            numbers=plain.numbers,
        )

    def _adapting(self, layer: keras.layers.Normalization) -> str:
        """Returns code that sets a layer's statistics to those of what it is given."""
        place = next(i for i, each in enumerate(self.layers) if each is layer)
        if layer.input_mean is not None:
            return (
                f"Leave out mean= and variance= of {layer.name}, and let it adapt to what it is "
                "given"
            )
        if not self.given or not self.paths or not all(self.paths[: place + 1]):
            return f"Let {layer.name} adapt to what it is given"
        made = self.given
        for path in self.paths[:place]:
            made = f"{path}({made})"
        return f"{self.paths[place]}.adapt({made}); {COMPILE}"


def never_adapted(layer: keras.Layer) -> bool:
    """Returns whether a `Normalization` has the statistics that it is made with."""
    plain = isinstance(layer, keras.layers.Normalization)
    return plain and are_at_start(layer.mean, layer.variance)


def behind(
    model: keras.Model,
    inputs: Sequence[np.ndarray],
    meetings: Sequence[Sequence[Meeting]],
    x: object,
) -> list[Behind | None]:
    """Returns each input behind its scaling layers; None where there are none, or it is unclear.

    That is where it is given to several layers, or what follows is no kernel.

    Args:
        model: built.
        inputs: as arrays.
        meetings: of each input, what its values meet first.
        x: the inputs as the model takes them.
    """
    return [_behind(model, place, inputs, met, x) for place, met in enumerate(meetings)]


def _behind(
    model: keras.Model,
    place: int,
    inputs: Sequence[np.ndarray],
    met: Sequence[Meeting],
    x: object,
) -> Behind | None:
    given, layers = inputs[place], []
    while len(met) == 1 and isinstance(met[0][0], SCALERS):
        layers.append(met[0][0])
        met = first_met(model, len(inputs), x, layers)[place]
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
    if scale is None:
        return None
    paths = tuple(path_to(model, layer) for layer in layers)
    return Behind(tuple(layers), scale, factor, shift, paths, _expression(x, place))


def _expression(x: Any, place: int) -> str:
    """Returns code for one input of a nest `x`; empty where the nest is a deep one."""
    if not keras.tree.is_nested(x):
        return "x"
    keys = (
        sorted(x) if isinstance(x, dict) else range(len(x)) if isinstance(x, list | tuple) else ()
    )
    parts = x.values() if isinstance(x, dict) else x
    if not keys or any(keras.tree.is_nested(part) for part in parts):
        return ""
    return f"x[{list(keys)[place]!r}]"
