"""The values that a model is given: finite, varied, and of a scale that a first kernel can take.

A kernel drawn for inputs of unit size multiplies any other size into its outputs, and its gradient
once more: the curvature of the loss, which bounds the learning rate, goes with the square of the
input (LeCun, Bottou, Orr, Müller 1998, "Efficient BackProp", section 4.3,
https://doi.org/10.1007/3-540-49430-8_2).
"""

from dataclasses import dataclass

import numpy as np

from keras_inits._reporting import Finding

# A hundred times the curvature of unit inputs begins here; below it the optimizers' defaults do.
WEAK = 10.0
# Pixels 0..255 have 74 (MNIST) to 147 (uniform); hundreds of times the curvature and more.
STRONG = 50.0
OFFSET = 10.0  # |mean| / std: past it 99 % of a feature's second moment is its mean
FAR_OFFSET = 100.0  # 10,000 in curvature, and two of the seven digits of float32 are gone
SPREAD = 100.0  # the largest feature's size over the median one's: 10,000 in curvature
BLANK = 0.3  # of the pictures; one class of four, of which nothing is drawn, has less
BARE = 0.02  # ones in the others; photographs and scans that are not overexposed have fewer 255
TINY_INPUT = 1e-2  # largest absolute value; the output is that of the biases alone
# Root mean square from which on the curvature is a hundredth of that of unit inputs: under gradient
# descent a hundred steps do what one could. Long trials tell, since rows of length 1 are as small.
SMALL_INPUT = 0.1
# Of unit size, or of the largest feature's where that is smaller: a feature that varies by less has
# no part in what the first kernel makes.
LOST = 1e-3
# Of 256 values of a log-normal distribution with a deviation of 2 this is some 30; a column between
# its least value and one that is a mistake has more.
TAIL = 100.0
ENOUGH = 64  # rows of which the middle says something

NORMALIZATION = (
    "norm = keras.layers.Normalization(); norm.adapt(x); "
    "model = keras.Sequential([norm, model]), and compile again"
)


@dataclass(frozen=True)
class Scale:
    """How far the features of an input are from zero mean and unit size.

    Attributes:
        rms: the root mean square of all values.
        offset: the median of |mean| / standard deviation, over features that vary.
        spread: the largest feature's root mean square over the median's.
        largest: the largest absolute value.
        low: the least value.
        high: the largest value.
        pixels: whether the values are whole numbers from 0 to 255 of a picture.
        centered: whether they may be such less their mean, which published weights of some nets
            (VGG, ResNet) are made for.
        lost: how many features vary by next to nothing beside the others.
        tail: the median over features of the range of all values over that of the middle 90 %.
    """

    rms: float
    offset: float
    spread: float
    largest: float
    low: float
    high: float
    pixels: bool
    centered: bool = False

    lost: int = 0
    tail: float = 1.0

    @property
    def suspicion(self) -> str | None:
        """`"strong"`, `"weak"` or `"small"` (to be proved by trial steps) or None."""
        if self.centered:
            return "weak"
        if self.rms >= STRONG or self.largest <= TINY_INPUT or self.offset >= FAR_OFFSET:
            return "strong"
        if self.spread >= SPREAD and self.rms >= WEAK:
            return "strong"
        if self.rms >= WEAK or (self.offset >= OFFSET and self.rms >= 1):
            return "weak"
        odd = self.offset >= OFFSET or self.lost or self.tail >= TAIL
        return "small" if 0 < self.rms <= SMALL_INPUT or odd else None


def features(x: np.ndarray) -> np.ndarray:
    """Returns `x` as `(samples, features)`: pooled over all axes but the last where there are more.

    >>> features(np.zeros((2, 8, 8, 3))).shape
    (128, 3)
    """
    x = np.asarray(x, np.float64)
    return x.reshape(len(x), -1) if x.ndim < 3 else x.reshape(-1, x.shape[-1])


def scale_of(x: np.ndarray) -> Scale | None:
    """Returns the scale of an input's features; None where there is none to speak of.

    So it is where nothing varies, and of inputs of zeros and ones.
    """
    table = features(x)
    if ((table == 0) | (table == 1)).all():
        return None
    mean, std = table.mean(0), table.std(0)
    varied = std > 1e-6 * np.abs(mean)
    if not varied.any():
        return None
    sizes = np.sqrt((table**2).mean(0))
    used = sizes[varied]
    whole = bool((table == np.round(table)).all())
    pixels = whole and table.min() >= 0 and 128 <= table.max() <= 255 and np.ndim(x) > 2
    flat = np.ndim(x) == 2 and table.shape[1] >= 64 and table.max() == 255  # flattened pictures
    return Scale(
        float(np.sqrt((table**2).mean())),
        float(np.median(np.abs(mean[varied]) / std[varied])),
        # Of pixels and words, many are rarely set: theirs is no other unit of measure.
        float(used.max() / np.median(used)) if len(used) < 64 else 1.0,
        float(np.abs(table).max()),
        float(table.min()),
        float(table.max()),
        bool(pixels or (flat and whole and table.min() >= 0)),
        np.ndim(x) == 4 and -128 < table.min() < -50 and 50 < table.max() < 160,
        int((std[varied] < LOST * min(1.0, std.max())).sum()) if np.ndim(x) == 2 else 0,
        _tail(table[:, varied]) if np.ndim(x) == 2 and len(table) >= ENOUGH else 1.0,
    )


def _tail(table: np.ndarray) -> float:
    """Returns the range of all values over that of the middle 90 %, the median over columns.

    1 where that middle is one value, as of columns that are rarely set.
    """
    low, high = np.quantile(table, (0.05, 0.95), axis=0)
    middle = np.where(high > low, high - low, np.inf)
    return float(max(1.0, np.median(np.ptp(table, 0) / middle)))


def standardized(x: np.ndarray) -> np.ndarray:
    """Returns `x` with each feature at mean 0 and standard deviation 1; pixels divided by 255."""
    scale = scale_of(x)
    if scale is None:
        return np.asarray(x, np.float32)
    if scale.pixels:
        return np.asarray(np.asarray(x, np.float64) / 255, np.float32)
    table = features(x)
    if scale.tail >= TAIL:
        table = np.clip(table, *np.quantile(table, (0.01, 0.99), axis=0))
    std = table.std(0)
    std[std <= 1e-6 * np.abs(table.mean(0))] = np.inf  # what does not vary becomes 0
    shape = np.shape(x)
    return np.asarray(((table - table.mean(0)) / std).reshape(shape), np.float32)


def scale_finding(scale: Scale, proof: str = "", name: str = "") -> Finding:
    """Returns the finding that an input is not scaled.

    Args:
        scale: of the input.
        proof: what trial steps measured; empty without them.
        name: of the input, where the model has several.
    """
    evidence = (
        f"{name or 'the input'} ranges from {scale.low:.4g} to {scale.high:.4g}, "
        f"root mean square {scale.rms:.3g} (kernels are drawn for 1)"
    )
    if scale.offset >= OFFSET:
        evidence += (
            f"; the mean is {scale.offset:.3g} standard deviations from 0 (limit {OFFSET:g})"
        )
    if scale.spread >= SPREAD:
        evidence += (
            f"; the largest feature is {scale.spread:.3g} times the median one (limit {SPREAD:g})"
        )
    if scale.lost:
        evidence += f"; {scale.lost} features vary by less than {LOST:g} of the others"
    if scale.tail >= TAIL:
        evidence += f"; it ranges {scale.tail:.3g} times as far as its middle 90 % (limit {TAIL:g})"
    remedy = "model = keras.Sequential([keras.layers.Rescaling(1 / 255), model]), and compile again"
    scaled = NORMALIZATION
    if scale.tail >= TAIL:
        scaled = f"x = np.clip(x, *np.quantile(x, (0.01, 0.99), axis=0)); {NORMALIZATION}"
    if scale.rms <= SMALL_INPUT:
        consequence = "The first kernel sees next to nothing; the output is that of the biases"
    elif scale.offset >= OFFSET and scale.rms < 1:
        consequence = (
            "What tells samples apart is small beside what they share, such as prices over the "
            "highest of them: the output is nearly the same for all"
        )
    else:
        consequence = (
            "The first kernel's outputs and gradients grow with it, the largest features decide "
            "alone, and no learning rate fits"
        )
    return Finding(
        kind="input scale",
        where=("input",),
        evidence=evidence + (f"; {proof}" if proof else ""),
        consequence=consequence,
        remedy=f"Scale the input: {remedy if scale.pixels else scaled}",
        numbers={
            "rms": scale.rms,
            "offset": scale.offset,
            "spread": scale.spread,
            "low": scale.low,
            "high": scale.high,
        },
    )


def constant(x: np.ndarray) -> Finding | None:
    """Returns the finding that all samples are equal, of 8 or more."""
    table = np.asarray(x, np.float64).reshape(len(x), -1)
    if len(table) < 8 or (table != table[0]).any():
        return None
    return Finding(
        kind="input constant",
        where=("input",),
        evidence=f"all {len(table)} samples are equal",
        consequence="The output can only be a constant",
        remedy="Look at how x is loaded and scaled",
        numbers={"samples": len(table)},
    )


def blank(x: np.ndarray) -> Finding | None:
    """Returns the finding that many pictures of zeros and ones hold nothing.

    So it is of bytes that were divided by 255 as whole numbers: of photographs and scans only the
    few values of 255 are left. Planes of boards and the like have more channels than pictures;
    drawings, masks and piano rolls have more ones where they are not empty.
    """
    picture = np.ndim(x) == 4 and x.shape[-1] in (1, 3, 4) and min(x.shape[1:3]) >= 8
    if not picture or len(x) < 16 or not ((x == 0) | (x == 1)).all():
        return None
    table = x.reshape(len(x), -1)
    nothing = (table == 0).all(1)
    empty = float(nothing.mean())
    if empty < BLANK or (empty < 1 and float(table[~nothing].mean()) >= BARE):
        return None
    return Finding(
        kind="input constant",
        where=("input",),
        evidence=(
            f"{empty:.0%} of the pictures are 0 everywhere (limit {BLANK:.0%}), the others hold 0 "
            f"and 1, {float((x == 1).mean()):.2g} of it 1"
        ),
        consequence=(
            "Nothing tells the empty ones apart; whole numbers are cut by // 255 and by "
            'astype("uint8") after a division'
        ),
        remedy='x = x_of_bytes.astype("float32") / 255',
        numbers={"empty": empty},
    )


def padding(x: np.ndarray) -> Finding | None:
    """Returns the finding that one far value, such as -100, stands in for what is missing.

    It is the least or the largest value, makes up 0.5 % or more, and lies 3 times the range of all
    others away from them; these have 10 values or more, so that no flag is taken for one.
    """
    table = features(x)
    values = table[:, (table != table[0]).any(0)].ravel()[:1_000_000]
    if not values.size:
        return None
    for value in (values.min(), values.max()):
        share = float((values == value).mean())
        others = values[values != value]
        if not 0.005 <= share <= 0.98 or len(np.unique(others[:10_000])) < 10 or abs(value) < 1:
            continue
        gap = float(np.abs(others - value).min())
        width = float(np.ptp(others))
        if gap >= 3 * width:
            return Finding(
                kind="input padding",
                where=("input",),
                evidence=(
                    f"{share:.0%} of the values are exactly {value:g}, all others from "
                    f"{others.min():.4g} to {others.max():.4g}"
                ),
                consequence="It is taken for a measurement, and outweighs all of them",
                remedy=(
                    f"Mask it, model = keras.Sequential([keras.layers.Masking({value:g}), model]) "
                    "before recurrent layers, or replace it by the mean of the others"
                ),
                numbers={"value": float(value), "share": share},
            )
    return None


def not_finite(x: np.ndarray, name: str = "") -> Finding:
    """Returns the finding that an input holds NaN or infinity."""
    bad = ~np.isfinite(x)
    return Finding(
        kind="input not finite",
        where=("input",),
        evidence=(
            f"{int(bad.sum())} of {x.size} values of {name or 'the input'} are NaN or infinite, in "
            f"{int(bad.reshape(len(x), -1).any(1).sum())} of {len(x)} samples"
        ),
        consequence="The loss is NaN, and all weights after the first step",
        remedy="keep = np.isfinite(x).reshape(len(x), -1).all(1); x, y = x[keep], y[keep]",
        numbers={"count": int(bad.sum())},
    )
