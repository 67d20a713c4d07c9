"""What softmax weights of random scores do, next to attentions drawn at random."""

import math

import numpy as np
import pytest

from keras_inits._diagnose.theory.attention import of_weights

UNITS, WIDTH, DRAWS = 16, 8, 200


def drawn(tokens, *, normalized):
    """Returns means over random attentions: of squared values, and of gradients at the queries.

    In units of the values' mean square, and of what the gradient at the values, the values and the
    keys would give together if they were independent.
    """
    rng, mixed, back = np.random.default_rng(0), [], []
    for _ in range(DRAWS):
        x = rng.normal(size=(2, tokens, UNITS))
        if normalized:
            x /= np.sqrt(np.mean(x**2, axis=-1, keepdims=True))
        kernels = rng.normal(size=(3, UNITS, WIDTH)) / math.sqrt(UNITS)
        query, key, value = x[0] @ kernels[0], x[1] @ kernels[1], x[1] @ kernels[2]
        weights = np.exp(query @ key.T / math.sqrt(WIDTH))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed.append(np.mean((weights @ value) ** 2))
        at_weights = rng.normal(size=(tokens, WIDTH)) @ value.T / math.sqrt(WIDTH)
        at_scores = weights * (at_weights - np.sum(weights * at_weights, -1, keepdims=True))
        back.append(np.mean((at_scores @ key) ** 2))
    return np.mean(mixed), np.mean(back)


@pytest.mark.parametrize("normalized", [False, True], ids=["as they are", "of one length"])
@pytest.mark.parametrize("tokens", [10, 40])
def test_narrow_attention_gives_what_theory_says(tokens, normalized):
    dimension = WIDTH / (1 + 2 * WIDTH / UNITS)  # of two independent normal kernels
    found = of_weights(tokens, 1.0, dimension, UNITS if normalized else math.inf)
    mixed, back = drawn(tokens, normalized=normalized)
    assert found.of_values(UNITS) == pytest.approx(mixed, rel=0.12)
    assert found.of_keys(UNITS) == pytest.approx(back, rel=0.2)
    if tokens == 40:  # negative controls: values and keys that had nothing in common
        assert found.squares < 0.7 * mixed
        assert found.slopes < 0.7 * back


def test_equal_scores_make_equal_weights():
    found = of_weights(10, 0.0)
    assert found.squares == pytest.approx(0.1)
    assert found.slopes == pytest.approx(0.1 * 0.9)
    assert found.of_values(UNITS) == pytest.approx(0.1)


def test_causal_weights_are_means_over_positions():
    means = np.mean([of_weights(n, 0.5) for n in range(1, 9)], axis=0)
    np.testing.assert_allclose(of_weights(8, 0.5, causal=True), means, rtol=1e-9)
