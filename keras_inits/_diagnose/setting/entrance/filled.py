"""Sequences filled up to one length: whether what is real in them reaches the output."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.seen.watching import watching_values
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

LONG_FILLING = 10  # a shorter filling is no long way to remember
SHARE = 0.3  # of the steps, in half of the samples
# What differs between samples at the output, against the same with the filling in front.
LOST = 0.02
HIDDEN = 0.02  # the share of queries that see a real step, on average, of which it is not seen
SEEN_FILLING = 0.5  # and that of the filling, of which it is

THIN = 0.7  # of the steps are filling: a mean over all is less than a third of that of the words
MASKED_SHARE = 0.5  # of the samples
TAUGHT = 0.5  # of the loss that a mask leaves, without it

L = keras.layers
MEAN = L.GlobalAveragePooling1D
_ATTENTION = (L.MultiHeadAttention, L.GroupQueryAttention)


def remembers(model: keras.Model) -> bool:
    """Returns whether a model has a recurrent layer."""
    return any(isinstance(layer, L.RNN) for layer in all_layers(model))


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


def forgotten(
    x: np.ndarray, lengths: np.ndarray, outputs: Callable[[np.ndarray], list[np.ndarray]]
) -> dict[str, float] | None:
    """Returns how far outputs differ between samples, as they are and with the filling in front.

    None where what is real reaches them.
    """
    sizes = [
        [float(np.sqrt(made.astype(float).var(0).mean())) for made in outputs(given)]
        for given in (x, in_front(x, lengths))
    ]
    pairs = list(zip(*sizes, strict=True))
    if not all(b > 0 and np.isfinite(b) and a < LOST * b for a, b in pairs):
        return None
    return {"behind": pairs[0][0], "front": pairs[0][1]}


def forgotten_finding(lengths: np.ndarray, steps: int, sizes: dict[str, float]) -> Finding:
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


def real(x: np.ndarray, value: float) -> np.ndarray | None:
    """Returns which steps a mask hides that are no filling; None if they are, in most samples.

    Filling is one run of steps, at the end or at the beginning.

    >>> real(np.array([[[0.0], [0.0], [7.0], [0.0]]]), 0.0)
    array([[ True,  True, False,  True]])
    """
    if x.ndim not in (2, 3):
        return None
    hidden = (x == value).reshape(*x.shape[:2], -1).all(-1)
    tail = np.logical_and.accumulate(hidden[:, ::-1], 1)[:, ::-1]
    head = np.logical_and.accumulate(hidden, 1)
    both = (hidden & ~tail).any(1) & (hidden & ~head).any(1)
    return hidden if both.mean() > MASKED_SHARE else None


def masking(layer: Any) -> float | None:
    """Returns the value of the steps that a layer hides; None if it hides none."""
    if isinstance(layer, L.Masking):
        return float(layer.mask_value)
    return 0.0 if isinstance(layer, L.Embedding) and layer.mask_zero else None


def masks(layer: Any) -> bool:
    """Returns whether a layer hides steps by their value."""
    return masking(layer) is not None


class Pooled:
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
        if isinstance(layer, MEAN) and fits and kwargs.get("mask") is None:
            kwargs = {**kwargs, "mask": self._real}
        return original(layer, *args, **kwargs)


def thinned(x: np.ndarray) -> float:
    """Returns the share of filling, zeros at the ends of rows, in the median row.

    >>> thinned(np.array([[0, 5, 0, 7, 0, 0, 0, 0]]))
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


def thinned_finding(layer: keras.Layer, share: float, losses: tuple[float, ...]) -> Finding:
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


class Unmasked:
    """Lets the layers that mask steps hide none.

    Args:
        layers: all that do so in a model.
    """

    def __init__(self, layers: Sequence[keras.Layer]) -> None:
        self._layers = {id(layer) for layer in layers}

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls the layer; the mask stays with the tensor that is not handed on."""
        # Containers compute masks, too.
        kwargs = {name: value for name, value in kwargs.items() if name != "mask"}
        made = original(layer, *args, **kwargs)
        if id(layer) not in self._layers:
            return made
        return ops.copy(args[0] if isinstance(layer, L.Masking) else made)


def real_finding(layer: keras.Layer, hidden: np.ndarray, losses: tuple[float, ...]) -> Finding:
    """Returns the finding that steps which a mask hides say something."""
    steps, as_it_is, shown = losses
    value = masking(layer)
    return Finding(
        kind="input padding",
        where=(layer.name, "input"),
        evidence=(
            f"{layer.name} hides {hidden.mean():.0%} of the steps, all of {value:g}, "
            f"before as well as behind others; {steps:.0f} steps on a copy lead to a loss of "
            f"{as_it_is:.3g}, and to {shown:.3g} where nothing is hidden (limit {TAUGHT:g} of it)"
        ),
        consequence=(
            "What stands between other steps is no filling: hidden, it says nothing, not even of "
            "the time that passes"
        ),
        remedy=(
            f"mask_zero=False in {layer.name}, or 0 for filling alone"
            if isinstance(layer, L.Embedding)
            else f"Leave out {layer.name}, or give it a mask_value that only filling has"
        ),
        numbers={"hidden": float(hidden.mean()), "end": as_it_is, "better_end": shown},
    )


class _Masks:
    """Collects the attention masks that layers are called with."""

    def __init__(self) -> None:
        self.found: list[tuple[keras.Layer, Any]] = []

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        mask = kwargs.get("attention_mask")
        if isinstance(layer, _ATTENTION) and mask is not None:
            self.found.append((layer, mask))
        return original(layer, *args, **kwargs)


def attends(model: keras.Model) -> bool:
    """Returns whether a model has an attention layer that takes a mask."""
    return any(isinstance(layer, _ATTENTION) for layer in all_layers(model))


def hidden(inputs: Sequence[np.ndarray], run: Callable[[], Any]) -> list[Finding]:
    """Returns the findings that a mask hides from attention what is real, not the filling.

    Args:
        inputs: what the model is given, of sequences that it reads: words or measurements. Those
            of zeros and ones are left out, which may say what is filling.
        run: runs it on these and others.
    """
    masks = _Masks()
    with watching_values(masks):
        run()
    found, seen = [], set()
    for layer, tensor in masks.found:
        # Whatever is not 0 is seen; a mask of 0 and -1e9, to be added, says the opposite.
        mask = np.asarray(ops.convert_to_numpy(tensor)) != 0
        if layer.name in seen or mask.ndim < 3 or not mask.size:
            continue
        seen.add(layer.name)
        shown = mask.reshape(len(mask), -1, mask.shape[-1]).mean(1)
        if not mask.any():
            found.append(_masked_finding(layer.name))
        elif (numbers := _shares(shown, inputs)) is not None:
            found.append(_hidden_finding(layer.name, *numbers))
    return found


def _shares(
    shown: np.ndarray, inputs: Sequence[np.ndarray]
) -> tuple[dict[str, float], bool] | None:
    """Returns by which share of queries real steps are seen, and filling, if it is too few.

    And whether the steps are words. None as soon as one input agrees with the mask.
    """
    wrong = None
    for x in inputs:
        if x.ndim not in (2, 3) or x.shape[:2] != shown.shape or ((x == 0) | (x == 1)).all():
            continue
        filling = (x == 0) if x.ndim == 2 else (x == 0).all(-1)
        if not filling.any() or filling.all():
            continue
        real, of_filling = float(shown[~filling].mean()), float(shown[filling].mean())
        if real > of_filling:
            return None
        if real <= HIDDEN and of_filling >= SEEN_FILLING:
            wrong = {"real": real, "filling": of_filling}, x.ndim == 2
    return wrong


def _masked_finding(name: str) -> Finding:
    return Finding(
        kind="input padding",
        where=(name, "input"),
        evidence=f"the attention mask of {name} is 0 everywhere; True, or 1, is what may be seen",
        consequence="It masks all; Keras then averages over all steps, whatever they hold",
        remedy="Leave attention_mask out, or give it 1 where a step may be seen",
        numbers={"real": 0.0, "filling": 0.0},
    )


def _hidden_finding(name: str, numbers: dict[str, float], words: bool) -> Finding:
    real = "keras.ops.not_equal(tokens, 0)"
    if not words:
        real = "keras.ops.any(keras.ops.not_equal(x, 0), axis=-1)"
    return Finding(
        kind="input padding",
        where=(name, "input"),
        evidence=(
            f"the attention mask of {name} shows {numbers['real']:.0%} of the real steps and "
            f"{numbers['filling']:.0%} of the filling (0); True, or 1, is what may be seen"
        ),
        consequence="It attends to filling alone: what the real steps hold does not get through",
        remedy=f"attention_mask={real}[:, None, :]",
        numbers=numbers,
    )
