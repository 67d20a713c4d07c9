"""Generated data: of the shape, scale and learnability that the programs were reported with."""

import numpy as np

Rng = np.random.Generator


def blobs(rng: Rng, n: int, features: int, classes: int = 2, informative: int | None = None):
    """Returns points around two random centers for each class, and the classes.

    `informative` of the features tell the classes apart, the others are noise.
    """
    informative = min(features, informative or max(3, classes.bit_length() + 2))
    y = rng.integers(0, classes, n)
    centers = 1.5 * rng.standard_normal((2 * classes, informative))
    x = rng.standard_normal((n, features))
    x[:, :informative] += centers[2 * y + rng.integers(0, 2, n)]
    return x, y


def linear(rng: Rng, n: int, features: int, targets: int = 1, informative: int = 10):
    """Returns normal inputs and targets linear in some of them, of size 100 or so."""
    x = rng.standard_normal((n, features))
    weights = np.zeros((features, targets))
    used = min(informative, features)
    weights[:used] = 100 * rng.random((used, targets))
    y = x @ weights
    return x, y if targets > 1 else y[:, 0]


def moons(rng: Rng, n: int, noise: float = 0.1):
    """Returns points of two half circles that reach into each other."""
    y = rng.integers(0, 2, n)
    angle = np.pi * rng.random(n)
    x = np.stack([np.cos(angle), np.sin(angle)], 1)
    x[y == 1] = [1, 0.5] - x[y == 1]
    return x + noise * rng.standard_normal((n, 2)), y


def pictures(rng: Rng, n: int, size: int, channels: int, classes: int, noise: float = 0.15):
    """Returns pictures in [0, 1]: for each class a wave pattern and a tint, at random shifts."""
    y = rng.integers(0, classes, n)
    grid = 2 * np.pi * np.arange(size) / size
    shift = rng.uniform(0, 2 * np.pi, (2, n))
    rows = np.sin((1 + y % 3)[:, None] * grid + shift[0][:, None])
    columns = np.cos((1 + y // 3 % 3)[:, None] * grid + shift[1][:, None])
    tint = 0.5 + 0.5 * np.cos(2.1 * np.arange(channels) + 2 * np.pi * y[:, None] / classes)
    x = 0.35 * (rows[:, :, None] * columns[:, None])[..., None] * tint[:, None, None]
    x = x + 0.5 + 0.15 * (tint[:, None, None] - 0.5)
    return np.clip(x + noise * rng.standard_normal(x.shape), 0, 1), y


def digits(rng: Rng, n: int, classes: int = 10):
    """Returns pictures like MNIST's, 28 x 28 in 0..255, mostly 0: bars and arcs for each class."""
    y = rng.integers(0, classes, n)
    grid = np.linspace(-1, 1, 28)
    strokes = np.random.default_rng(7).uniform(-0.7, 0.7, (classes, 4, 2))
    x = np.zeros((n, 28, 28))
    moved = strokes[y] + 0.08 * rng.standard_normal((n, 1, 2))
    for i in range(3):
        for t in np.linspace(0, 1, 9):
            point = (1 - t) * moved[:, i] + t * moved[:, i + 1]
            gap = (grid[None, :, None] - point[:, 0, None, None]) ** 2
            gap = gap + (grid[None, None] - point[:, 1, None, None]) ** 2
            x = np.maximum(x, np.exp(-gap / 0.006))
    return np.where(x > 0.1, np.round(255 * x), 0), y


def words(rng: Rng, n: int, length: int, vocabulary: int, classes: int = 2):
    """Returns rows of word numbers, Zipf-distributed; two words of each class tell it."""
    y = rng.integers(0, classes, n)
    x = 2 * classes + (rng.random((n, length)) ** 3 * (vocabulary - 2 * classes)).astype(int)
    where = np.argsort(rng.random((n, length)), 1)[:, :2]
    np.put_along_axis(x, where, 2 * y[:, None] + rng.integers(0, 2, (n, 2)), 1)
    return x, y


def waves(rng: Rng, n: int, length: int, classes: int):
    """Returns noisy sines whose frequency is that of their class, `(n, length, 1)`."""
    y = rng.integers(0, classes, n)
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    x = np.sin(np.arange(length) * (0.1 + 0.15 * y[:, None]) + phase)
    return (x + 0.3 * rng.standard_normal(x.shape))[..., None], y


def series(rng: Rng, n: int, length: int, level: float = 0.0, size: float = 1.0):
    """Returns windows of a noisy season, `(n, length, 1)`, and what follows each."""
    time = np.arange(n + length)
    whole = np.sin(2 * np.pi * time / 12) + 0.5 * np.sin(2 * np.pi * time / 5)
    whole = level + size * (whole + 0.1 * rng.standard_normal(len(time)))
    x = np.stack([whole[i : i + length] for i in range(n)])[..., None]
    return x, whole[length : length + n]


def flowers(rng: Rng, n: int = 150):
    """Returns four lengths in centimeters of flowers of three kinds, and the kinds (as iris)."""
    y = rng.integers(0, 3, n)
    mean = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
    return mean[y] + 0.35 * rng.standard_normal((n, 4)) * [1.2, 1, 1, 0.5], y


def standardized(x):
    """Returns columns of mean 0 and standard deviation 1."""
    return (x - x.mean(0)) / (x.std(0) + 1e-9)


def one_hot(y, classes: int | None = None):
    """Returns rows with a 1 at the class."""
    return np.eye(classes or int(np.max(y)) + 1, dtype="float32")[np.asarray(y)]


def following(rng: Rng, symbols: int, samples: int, steps: int, stray: float):
    """Returns sequences in which each symbol has one that follows, but for a share of stray ones.

    As inputs and, a step later, as targets: both `(samples, steps)`.
    """
    follows = rng.permutation(symbols)
    ids = np.zeros((samples, steps + 1), int)
    ids[:, 0] = rng.integers(0, symbols, samples)
    for t in range(steps):
        lost = rng.random(samples) < stray
        ids[:, t + 1] = np.where(lost, rng.integers(0, symbols, samples), follows[ids[:, t]])
    return ids[:, :-1], ids[:, 1:]
