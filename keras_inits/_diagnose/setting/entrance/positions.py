"""Nets that are blind to the order of the steps they read, and what they learn once they see it.

Attention, sums and means treat the steps of a sequence as a set. What a training gains by positions
is measured on samples that it did not see: of those that it saw, they tell each by heart.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.seen.watching import watching
from keras_inits._diagnose.setting.entrance.entrances import embeddings
from keras_inits._diagnose.setting.trials.tries import FEWEST_PARTED, UNTAUGHT, Tries
from keras_inits._reporting import Finding

FEWEST_STEPS = 3  # in which there is an order to speak of
EQUAL = 1e-3  # of what differs between samples: float32 through some dozens of layers
TAUGHT_BY_ORDER = 0.8  # of the loss of a guess, on samples left out


def check(tries: Tries) -> list[Finding]:
    """Returns the finding that a net needs the order of its steps and cannot see it.

    Args:
        tries: of a model of one input, that an embedding reads.
    """
    case, best = tries.case, tries.untaught
    flat = keras.tree.flatten(case.x)
    if not best or len(flat) != 1:
        return []
    # With a mask the trial would see what the model does not: Keras hands it on with the tensor.
    tables = [t for t in embeddings(case.met[0]) if not t.mask_zero]
    tokens = ops.convert_to_numpy(flat[0])
    if (
        not tables
        or tokens.ndim != 2
        or tokens.shape[1] < FEWEST_STEPS
        or len(tokens) < FEWEST_PARTED
    ):
        return []
    if not _blind(tries, tokens) or tries.own_longer.end < UNTAUGHT * best:
        return []
    blind, _ = tries.left_out()
    with watching(Placed(tables)):
        placed, _ = tries.left_out(copy=tries.new_copy())
    if not placed <= TAUGHT_BY_ORDER * min(best, blind):
        return []
    steps, width = tokens.shape[1], int(tables[0].output_dim)
    return [
        Finding(
            kind="missing positions",
            where=tuple(table.name for table in tables),
            evidence=(
                f"the outputs are the same whatever the order of the {steps} steps; on samples "
                f"left out of {tries.longer} steps on a copy the loss is {blind:.3g}, where a code "
                f"of its place is added to each row {placed:.3g} (limit {TAUGHT_BY_ORDER:g} of it)"
            ),
            consequence="Attention and means see a set: what the order tells cannot be learned",
            remedy=(
                f"Add positions to what {tables[0].name} gives of the tokens: h = h + "
                f"keras.layers.Embedding({steps}, {width})"
                "(keras.ops.cumsum(keras.ops.ones_like(tokens), axis=1) - 1)"
            ),
            numbers={"guess": best, "blind": blind, "placed": placed},
        )
    ]


def _blind(tries: Tries, tokens: np.ndarray) -> bool:
    """Returns whether outputs stay, or move with the steps, where steps change places."""
    order = np.random.default_rng(0).permutation(tokens.shape[1])
    given = tries.case.x

    def made(rows: np.ndarray) -> np.ndarray:
        return tries.case.predict(
            keras.tree.pack_sequence_as(given, [ops.convert_to_tensor(rows)])
        )[0]

    tries.case.copy.reset()
    plain, moved = made(tokens), made(tokens[:, order])
    most = EQUAL * float(np.sqrt(plain.var(0).mean()))
    along = plain.ndim > 2 and plain.shape[1] == tokens.shape[1]
    return most > 0 and bool(np.abs((plain[:, order] if along else plain) - moved).max() <= most)


class Placed:
    """Lets embeddings add a code of its place to each row, of the size of their rows.

    Sines and cosines of Vaswani et al. 2017, section 3.5, https://arxiv.org/abs/1706.03762.

    Args:
        tables: the embeddings.
    """

    def __init__(self, tables: Sequence[keras.layers.Embedding]) -> None:
        self._sizes = {
            id(table): float(np.sqrt(np.square(values).mean()))
            for table in tables
            for values in [np.asarray(ops.convert_to_numpy(table.embeddings), np.float64)]
        }

    def run(self, original: Any, layer: keras.Layer, args: Any, kwargs: Any) -> Any:
        """Calls the layer."""
        made = original(layer, *args, **kwargs)
        size = self._sizes.get(id(layer))
        if size is None:
            return made
        steps, width = made.shape[1:]
        angles = np.arange(steps)[:, None] / 10_000 ** (2 * (np.arange(width) // 2) / width)
        code = np.where(np.arange(width) % 2, np.cos(angles), np.sin(angles))
        return made + ops.cast(np.sqrt(2) * size * code, made.dtype)
