"""Sequences filled up to one length: whether what is real in them reaches the output."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.seen.watching import watching
from keras_inits._diagnose.setting.entrance.entrances import embeddings
from keras_inits._diagnose.setting.trials.tries import TAUGHT, UNTAUGHT, Tries
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

LONG_FILLING = 10  # a shorter filling is no long way to remember
SHARE = 0.3  # of the steps, in half of the samples
# What differs between samples at the output, against the same with the filling in front.
LOST = 0.02
THIN = 0.7  # of the steps are filling: a mean over all is less than a third of that of the words

L = keras.layers


def forgotten(tries: Tries) -> list[Finding]:
    """Returns the finding that filling at the end of sequences makes a net forget them."""
    case, own = tries.case, tries.own
    recurrent = any(isinstance(layer, L.RNN) for layer in all_layers(case.model))
    if not recurrent or own.end < UNTAUGHT * (tries.best or own.start):
        return []
    flat = keras.tree.flatten(case.x)
    for index, x in enumerate(map(ops.convert_to_numpy, flat)):
        lengths = tails(x)
        if lengths is None:
            continue
        moved = [*flat[:index], ops.convert_to_tensor(in_front(x, lengths)), *flat[index + 1 :]]
        behind = _spreads(case.predict(case.x))
        front = _spreads(case.predict(keras.tree.pack_sequence_as(case.x, moved)))
        if all(b < LOST * f < np.inf for b, f in zip(behind, front, strict=True)):
            sizes = {"behind": behind[0], "front": front[0]}
            return [_forgotten(lengths, x.shape[1], sizes)]
    return []


def _spreads(outputs: Sequence[np.ndarray]) -> list[float]:
    """Returns how far each output differs between samples."""
    return [float(np.sqrt(output.var(0).mean())) for output in outputs]


def tails(x: np.ndarray) -> np.ndarray | None:
    """Returns how many of the last steps of each sample are filling; None if that is no matter.

    Filling is zeros, or another value that half of the samples end in.

    >>> tails(np.repeat([[5, 7, 3] + 21 * [0]], 4, 0))
    array([21, 21, 21, 21])
    """
    if x.ndim not in (2, 3) or x.shape[1] < LONG_FILLING or x.dtype.kind not in "fiu":
        return None
    last = x[:, -1].reshape(len(x), -1)
    kinds, counts = np.unique(last, axis=0, return_counts=True)
    if counts.max() < len(x) / 2 or len(np.unique(kinds[counts.argmax()])) > 1:
        return None
    same = (x == kinds[counts.argmax()].flat[0]).reshape(len(x), x.shape[1], -1).all(-1)
    lengths = np.where(same.all(1), 0, (~same)[:, ::-1].argmax(1))
    enough = max(LONG_FILLING, SHARE * x.shape[1])
    return lengths if np.median(lengths) >= enough else None


def in_front(x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns sequences with their filling before what is real.

    >>> in_front(np.array([[5, 7, 0, 0]]), np.array([2]))
    array([[0, 0, 5, 7]])
    """
    steps = np.arange(x.shape[1])
    index = (steps - lengths[:, None]) % x.shape[1]
    return np.asarray(x[np.arange(len(x))[:, None], index])


def _forgotten(lengths: np.ndarray, steps: int, sizes: dict[str, float]) -> Finding:
    """Returns the finding that a recurrent layer forgets what is real while it reads filling."""
    return Finding(
        kind="input padding",
        where=("input",),
        evidence=(
            f"half of the samples end in {np.median(lengths):.0f} or more steps of filling, of "
            f"{steps}; outputs differ between samples by {sizes['behind']:.2g}, with the filling "
            f"in front by {sizes['front']:.2g} (limit {LOST:g} of it)"
        ),
        consequence=(
            "The recurrent layer forgets what it has read before the last step, whose state is the "
            "output"
        ),
        remedy=(
            "Mask it, Embedding(..., mask_zero=True) or keras.layers.Masking(0.0) before the "
            'recurrent layer; or fill in front, keras.utils.pad_sequences(x, padding="pre")'
        ),
        numbers={**sizes, "steps": float(np.median(lengths))},
    )


def thinned(tries: Tries) -> list[Finding]:
    """Returns the finding that a mean over the steps takes filling for words."""
    case, best = tries.case, tries.untaught
    pools = [la for la in all_layers(case.model) if isinstance(la, L.GlobalAveragePooling1D)]
    if not best or len(pools) != 1 or tries.own_longer.end < TAUGHT * best:
        return []
    for tensor, met in zip(keras.tree.flatten(case.x), case.met, strict=True):
        tables, x = embeddings(met), ops.convert_to_numpy(tensor)
        if not tables or x.ndim != 2 or any(table.mask_zero for table in tables):
            continue
        share = filling(x)
        if share < THIN:
            continue
        with watching(_Pooled(tables)):
            other = tries.longer_with()
        own = tries.own_longer.end
        if other.end <= TAUGHT * min(best, own):
            return [_thinned(pools[0], share, (len(other.losses), own, other.end))]
    return []


def filling(x: np.ndarray) -> float:
    """Returns the share of filling, zeros at the ends of rows, in the median row.

    >>> filling(np.array([[0, 5, 0, 7, 0, 0, 0, 0]]))
    0.625
    """
    return float(np.median(1 - said(x).mean(1)))


def said(x: np.ndarray) -> np.ndarray:
    """Returns which steps lie between the first and the last of a row that are not 0.

    >>> said(np.array([[0, 5, 0, 7, 0]]))
    array([[False,  True,  True,  True, False]])
    """
    given = x != 0
    before = np.maximum.accumulate(given, 1)
    return np.asarray(before & np.maximum.accumulate(given[:, ::-1], 1)[:, ::-1])


class _Pooled:
    """Lets means over the steps leave out filling, zeros of what an embedding reads.

    Args:
        tables: the embeddings.
    """

    def __init__(self, tables: Sequence[keras.layers.Embedding]) -> None:
        self._tables = {id(table) for table in tables}
        self._real: Any = None

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls the layer."""
        if id(layer) in self._tables:
            self._real = ops.not_equal(args[0], 0)
        fits = self._real is not None and args[0].shape[1:2] == self._real.shape[1:]
        if isinstance(layer, L.GlobalAveragePooling1D) and fits and kwargs.get("mask") is None:
            kwargs = {**kwargs, "mask": self._real}
        return original(layer, *args, **kwargs)


def _thinned(layer: keras.Layer, share: float, losses: tuple[float, ...]) -> Finding:
    """Returns the finding that a mean over all steps is one over filling."""
    steps, own, other = losses
    return Finding(
        kind="input padding",
        where=(layer.name, "input"),
        evidence=(
            f"{share:.0%} of the steps of half of the samples are filling (0), and {layer.name} "
            f"takes their mean with the others; {steps:.0f} steps on a copy lead to a loss of "
            f"{own:.3g}, and to {other:.3g} where filling is left out (limit {TAUGHT:g} of it)"
        ),
        consequence="What the words say is thinned out: the mean is nearly that of the filling",
        remedy=f"Embedding(..., mask_zero=True), which {layer.name} follows; or shorter rows",
        numbers={"share": share, "end": own, "better_end": other},
    )
