"""Values that layers take as names: numbers that an embedding looks up, and bins.

An embedding takes whole numbers, from 0 to the last of its rows; bins want values on both sides of
their bounds.
"""

from collections.abc import Sequence

import keras
import numpy as np

from keras_inits._diagnose.setting.entrance import filled
from keras_inits._reporting import Finding

FEWEST_VALUES = 8  # of an input that varies
FEWEST_STEPS, FEWEST_WORDS, VOCABULARY = 5, 500, 50  # of what is taken for text
# The commonest word of a language makes up some 6 %; of texts whose vocabulary was cut to 1,000
# words, the unknown one 10 % to 40 %.
ONE_WORD = 0.8
ONE_BIN = 0.99  # of the values; rare events are commoner than the rest


def check(x: np.ndarray, tables: Sequence[keras.layers.Embedding], name: str = "") -> list[Finding]:
    """Returns what is wrong with an input that goes into embeddings.

    Args:
        x: the input.
        tables: what it goes into.
        name: of the input, where the model has several.
    """
    if not tables or x.dtype.kind not in "fiu" or not x.size:
        return []
    what = name or "the input"
    if x.dtype.kind == "f" and (fractions := float((x != np.round(x)).mean())) > 0:
        return [
            Finding(
                kind="input values",
                where=("input",),
                evidence=(
                    f"{fractions:.0%} of the values of {what} are fractions, {x.min():.4g} to "
                    f"{x.max():.4g}, and {tables[0].name} looks up rows by whole numbers"
                ),
                consequence="They are cut to whole numbers: most of what they say is lost",
                remedy=(
                    "Give the numbers of the words as they are, not scaled; or, for measurements, "
                    f"replace {tables[0].name} by a Dense layer"
                ),
                numbers={"fractions": fractions},
            )
        ]
    rows = min(int(table.input_dim) for table in tables)
    outside = float(((x < 0) | (x >= rows)).mean())
    if not outside:
        return []
    return [
        Finding(
            kind="input values",
            where=("input",),
            evidence=(
                f"{outside:.2g} of the values of {what}, {x.min():.4g} to {x.max():.4g}, are not "
                f"among the {rows} rows of {tables[0].name}, 0 to {rows - 1}"
            ),
            consequence="On a CPU the call fails; on a GPU their embedding is 0",
            remedy=(
                f"{tables[0].name} with input_dim={int(x.max()) + 1}"
                if x.min() >= 0
                else "Number the words from 0"
            ),
            numbers={"outside": outside, "rows": rows},
        )
    ]


def unknown(
    x: np.ndarray, tables: Sequence[keras.layers.Embedding], name: str = ""
) -> list[Finding]:
    """Returns the finding that nearly all words of an input are one, such as that for unknown ones.

    Zeros at both ends of a row are filling, and 0 between others may stand for nothing.

    Args:
        x: the input.
        tables: what it goes into.
        name: of the input, where the model has several.
    """
    words = x.ndim == 2 and x.dtype.kind in "fiu" and x.shape[1] >= FEWEST_STEPS
    if not words or not tables or min(int(t.input_dim) for t in tables) < VOCABULARY:
        return []
    kinds, counts = np.unique(x[filled.said(x)], return_counts=True)
    if counts.sum() < FEWEST_WORDS or kinds[counts.argmax()] == 0:
        return []
    share, word = float(counts.max() / counts.sum()), float(kinds[counts.argmax()])
    if share < ONE_WORD:
        return []
    return [
        Finding(
            kind="input values",
            where=("input",),
            evidence=(
                f"{share:.0%} of {counts.sum()} words of {name or 'the input'} are {word:g} (limit "
                f"{ONE_WORD:.0%}), of a vocabulary of {int(tables[0].input_dim)} of which "
                f"{len(kinds)} are met"
            ),
            consequence="Next to nothing tells the samples apart; 1 is often the unknown word",
            remedy=(
                "Look at how the vocabulary is made: adapt it to these texts, spelled and split as "
                "they are looked up"
            ),
            numbers={"share": share, "word": word},
        )
    ]


def binned(x: np.ndarray, layer: keras.layers.Discretization, name: str = "") -> list[Finding]:
    """Returns the finding that all values of an input fall into one of a layer's bins.

    Args:
        x: the input.
        layer: that bins it.
        name: of the input, where the model has several.
    """
    bounds = np.asarray(layer.bin_boundaries or (), float)
    if x.dtype.kind not in "fiu" or len(np.unique(x)) < FEWEST_VALUES or not bounds.size:
        return []
    share = float(np.bincount(np.digitize(x.ravel(), bounds)).max() / x.size)
    if share < ONE_BIN:
        return []
    return [
        Finding(
            kind="input values",
            where=("input", layer.name),
            evidence=(
                f"{share:.0%} of the values of {name or 'the input'}, {x.min():.4g} to "
                f"{x.max():.4g}, fall into one of the {len(bounds) + 1} bins of {layer.name}, with "
                f"bounds from {bounds.min():.4g} to {bounds.max():.4g}"
            ),
            consequence="What comes out of it is the same for all samples",
            remedy=(
                f"Give the input in the unit of the bounds, not scaled; or let {layer.name} find "
                "bounds, Discretization(num_bins=...) and adapt(x)"
            ),
            numbers={"share": share, "bins": len(bounds) + 1},
        )
    ]


def within(x: np.ndarray, tables: Sequence[keras.layers.Embedding]) -> np.ndarray:
    """Returns the input with numbers outside of the tables moved to their nearest row."""
    rows = min(int(table.input_dim) for table in tables)
    return np.asarray(np.clip(x, 0, rows - 1), x.dtype)
