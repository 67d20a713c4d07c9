"""mup-transfer: the best learning rate over the width, in muP and without."""

import dataclasses

import numpy as np
import pytest

from keras_inits.experiments import MupTransferConfig, MupTransferResult, mup_transfer
from keras_inits.experiments.mup_transfer import EXPERIMENT, best_rates, small

SMALL = {"widths": (8, 16), "rates": (-9, -6, -3), "steps": 8, "seeds": 2, "batch_size": 16}


def quiet(*_):
    pass


def config(**changes):
    return MupTransferConfig(source="digits", **{**SMALL, **changes})


@pytest.fixture(scope="module")
def result():
    return mup_transfer.run(config(), report=quiet)


def made(standard, mup, rates=(0, 1, 2, 3, 4)):
    """A result with losses whose lowest points are given, `(widths, seeds)` each."""
    grid = np.asarray(rates, float)
    lowest = np.array([standard, mup], float)[..., None]
    losses = np.exp((grid - lowest) ** 2)
    asked = config(rates=rates, seeds=lowest.shape[2])
    data = {"source": "idx", "description": "MNIST", "comparable": True}
    return MupTransferResult(asked, {}, data, losses)


def test_images_are_averaged_over_squares():
    image = np.arange(784, dtype="float32").reshape(28, 28)
    (found,) = small(image.reshape(1, -1)).reshape(1, 7, 7)
    assert found[0, 0] == image[:4, :4].mean()
    assert found[6, 2] == image[24:, 8:12].mean()
    digits = np.ones((3, 64), "float32")
    assert small(digits) is digits


def test_the_best_rate_is_the_lowest_point_of_a_parabola():
    losses = np.exp([(x - 1.3) ** 2 for x in range(4)])
    assert best_rates(losses, (0, 1, 2, 3)) == pytest.approx(1.3)
    assert best_rates(losses[2:], (2, 3)) == 2  # an end of the grid
    assert best_rates(np.array([2.0, 1.0, np.inf]), (0, 1, 2)) == 1
    assert np.isnan(best_rates(np.full(3, np.inf), (0, 1, 2)))


def test_what_the_paper_says_is_no_finding():
    found = made([[3.0, 3.2], [1.0, 1.4]], [[2.0, 2.2], [2.1, 2.2]])
    assert found.ok
    assert found.shift("standard").mean == pytest.approx(-1.9)
    assert found.shift("mup").mean == pytest.approx(0.05)
    text = " ".join(found.page().supported)
    assert "Standard: from 8 to 16 units the best rate moves by -1.90 octaves" in text


@pytest.mark.parametrize(
    ("standard", "mup", "wrong"),
    [
        ([[3.0, 3.0], [2.9, 3.0]], [[2.0, 2.0], [2.0, 2.0]], ["standard"]),
        ([[3.0, 3.0], [1.0, 1.0]], [[2.0, 2.0], [0.9, 0.7]], ["mup"]),
    ],
)
def test_another_outcome_is_a_finding(standard, mup, wrong):
    assert [where for f in made(standard, mup).findings for where in f.where] == wrong


def test_a_wide_net_that_diverges_at_the_narrow_ones_rate_is_said():
    found = made([[3.0, 3.0], [1.0, 1.0]], [[2.0, 2.0], [2.0, 2.0]])
    found.losses[0, -1, :, 3:] = np.inf
    assert found.price("standard").count == 0
    assert "some runs of the wide one diverge" in " ".join(found.page().supported)


@pytest.mark.slow
def test_a_run_measures_every_width_rate_and_seed(result):
    assert result.losses.shape == (2, 2, 2, 3)
    assert np.isfinite(result.losses).all()
    assert len(np.unique(result.losses)) == result.losses.size
    assert MupTransferResult.from_dict(result.to_dict()) == result
    page = result.page()
    assert "muP" in page.summary()
    assert "NOT comparable" in page.unsupported[0]
    left, right = page.pictures[0].draw().axes
    assert [len(ax.get_lines()) for ax in (left, right)] == [4, 4]  # a line and a ring a width


@pytest.mark.slow
def test_a_second_call_resumes_and_another_recipe_is_refused(result, tmp_path):
    asked = config(out=tmp_path)
    first = mup_transfer.run(asked, report=quiet)
    np.testing.assert_allclose(first.losses, result.losses, rtol=1e-3)
    kept = sorted((tmp_path / "state").glob("*.json"))
    assert len(kept) == 2 * 2 * 2
    text = kept[0].read_text()
    kept[0].write_text(text.replace(repr(float(first.losses[1, 1, 0, 0])), "0.125"))
    again = mup_transfer.run(asked, report=quiet)
    assert again.losses[1, 1, 0, 0] == 0.125  # read, not trained
    with pytest.raises(ValueError, match="steps=8"):
        mup_transfer.run(dataclasses.replace(asked, steps=12), report=quiet)


@pytest.mark.parametrize(
    "wrong",
    [
        {"widths": (8,)},
        {"widths": (16, 8)},
        {"widths": 8},
        {"widths": (0, 8)},
        {"rates": (1, 1, 2)},
        {"rates": (0.1, 1, 2)},
        {"optimizer": "sdg"},
        {"steps": 2},
    ],
)
def test_a_wrong_configuration_is_refused(wrong):
    with pytest.raises(ValueError, match="Received"):
        config(**wrong)


def test_the_quick_form_is_valid():
    assert EXPERIMENT.quick_form(MupTransferConfig()).widths == (32, 128)
