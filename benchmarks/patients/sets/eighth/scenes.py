"""Pictures of one bright disc on a wavy ground, what is to be found in them, and its scores."""

import numpy as np


def scenes(rng, n, size=16, noise=0.08):
    """Returns pictures in [0, 1], masks of 0 and 1, and rows of center and radius in pixels.

    Pictures and masks are `(n, size, size, 1)`; the rows hold row, column and radius.
    """
    center = rng.uniform(0.25 * size, 0.75 * size, (n, 2))
    radius = rng.uniform(0.12 * size, 0.25 * size, n)
    grid = np.arange(size)
    gap = (grid[None, :, None] - center[:, 0, None, None]) ** 2
    gap = gap + (grid[None, None] - center[:, 1, None, None]) ** 2
    mask = (gap < radius[:, None, None] ** 2).astype("float32")
    phase = rng.uniform(0, 2 * np.pi, n)
    ground = 0.3 + 0.1 * np.sin(0.7 * grid[None, :, None] + phase[:, None, None])
    x = ground + 0.35 * mask + noise * rng.standard_normal(mask.shape)
    place = np.concatenate([center, radius[:, None]], 1)
    return np.clip(x, 0, 1)[..., None].astype("float32"), mask[..., None], place


def overlapping(truth, threshold=0.5):
    """Returns the score of masks: what both mark, of what either marks."""

    def score(made):
        marked, known = made > threshold, truth[-len(made) :] > 0.5
        return float((marked & known).sum() / max(1, (marked | known).sum()))

    return score


def nearest(labels):
    """Returns the score of codes: how often the nearest other one is of the same class."""

    def score(made):
        known = labels[-len(made) :]
        codes = made / (np.linalg.norm(made, axis=1, keepdims=True) + 1e-9)
        alike = codes @ codes.T - 4 * np.eye(len(codes))
        return float((known[alike.argmax(1)] == known).mean())

    return score


def noised(rng, x, levels=100):
    """Returns pictures with noise mixed in, the steps of each, and the noise: as in diffusion."""
    step = rng.integers(0, levels, len(x))
    signal = np.cos(0.5 * np.pi * (step + 1) / (levels + 1)).reshape(-1, 1, 1, 1)
    noise = rng.standard_normal(x.shape)
    return signal * x + np.sqrt(1 - signal**2) * noise, step, noise
