import dataclasses
import json

import numpy as np
import pytest
from pictures import assert_drawn

from keras_inits import Comparison
from keras_inits._errors import InputError
from keras_inits._reporting import Report
from keras_inits.plots import comparison_figure, plot_differences
from keras_inits.plots._training import COLORS

LABELS = ("he", "xavier", "stuck", "a scheme with quite a long label, diverging")


def result(seeds=8, epochs=4):
    """Four schemes: a good one, one just behind, one at chance, one half of whose runs diverge."""
    random = np.random.default_rng(0)
    rise = np.linspace(0.6, 0.9, epochs)
    noise = 0.002 * random.normal(size=(4, seeds, epochs))
    accuracy = np.stack([rise, rise - 0.05, np.full(epochs, 0.1), rise])[:, None] + noise
    accuracy[2] = 0.1
    loss = 1.0 - accuracy
    loss[3, ::2, 1:] = np.nan
    accuracy[3, ::2, 1:] = 0.1
    return Comparison(
        schemes=LABELS,
        seeds=tuple(range(seeds)),
        history={"loss": loss, "test_loss": loss + 0.1, "test_accuracy": accuracy},
        metric="test_accuracy",
        chance={"test": 0.1},
        samples={"test": 1000},
        trainer="population",
        notes=("Something that a reader must know.",),
        settings={"seed": 0, "batches": "shared"},
    )


def only(comparison, *labels):
    keep = [comparison.schemes.index(label) for label in labels]
    plain = comparison.to_dict()
    plain["schemes"] = labels
    plain["history"] = {m: v[keep].tolist() for m, v in comparison.history.items()}
    return Comparison.from_dict(plain)


def test_final_and_best_values_are_those_of_each_run():
    comparison = result()
    np.testing.assert_array_equal(comparison.final(), comparison.values()[..., -1])
    assert np.all(comparison.best()[3, ::2] > 0.5)  # before they diverged
    assert np.all(comparison.best("loss")[3, ::2] > 0.3)
    assert comparison.higher_is_better()
    assert not comparison.higher_is_better("test_loss")
    with pytest.raises(ValueError, match=r"`metric` must be one of .*Received: metric='speed'"):
        comparison.final("speed")


def test_failures_are_counted():
    comparison = result()
    assert comparison.diverged().sum(axis=1).tolist() == [0, 0, 0, 4]
    assert comparison.stuck().sum(axis=1).tolist() == [0, 0, 8, 0]
    assert comparison.failed().sum(axis=1).tolist() == [0, 0, 8, 4]
    assert comparison.intervals("loss")[LABELS[3]].count == 4
    unknown = Comparison.from_dict({**comparison.to_dict(), "chance": {}})
    assert unknown.stuck() is None


def test_the_target_is_what_a_middling_living_scheme_ends_with():
    comparison = result()
    assert comparison.common_target() == pytest.approx(0.9, abs=0.06)
    epochs = comparison.epochs_to(0.84)
    assert np.isinf(epochs[2]).all()
    assert (epochs[0] <= 4).all()


def test_the_words_say_what_is_supported_and_what_is_not():
    two = only(result(), "he", "xavier")
    said = " ".join(two.conclusions())
    assert "he beats xavier by 0.0495 (95 % 0.0478 to 0.0514" in said
    assert "Not told apart" not in said
    assert "Something that a reader must know." in said
    assert "the intervals cover the initial weights alone" in said
    same = Comparison.from_dict(
        {**two.to_dict(), "history": {m: v[[0, 0]].tolist() for m, v in two.history.items()}}
    )
    assert "ended equal in every seed" in " ".join(same.conclusions())
    everything = " ".join(result().conclusions())
    assert "4 of 8 runs diverged" in everything
    assert "stuck: 8 of 8 runs never left chance." in everything
    few = " ".join(only(result(seeds=4), "he", "xavier").conclusions())
    assert "4 seeds are too few" in few
    assert "he and xavier" not in few  # nothing could be told of them
    assert "One seed supports no conclusion" in " ".join(result(seeds=1).conclusions())


@pytest.mark.parametrize("seeds", [1, 2, 8])
def test_the_summary_fits_80_columns(seeds):
    text = result(seeds).summary()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert all(label.split(",")[0] in " ".join(text.split()) for label in LABELS[:3])


def test_json_is_json_and_comes_back(tmp_path):
    comparison = result()
    text = comparison.to_json(tmp_path / "result.json")
    assert (tmp_path / "result.json").read_text() == text

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    back = Comparison.from_dict(json.loads(text, parse_constant=refuse))
    for metric in comparison.metrics:
        np.testing.assert_array_equal(back.values(metric), comparison.values(metric))
    assert back.summary() == comparison.summary()


def test_it_is_a_report_like_the_others():
    comparison = result()
    assert isinstance(comparison, Report)
    assert not comparison.ok
    kinds = [(f.kind, f.where, f.numbers["failed"]) for f in comparison.findings]
    assert kinds == [("diverged", (LABELS[3],), 4), ("never left chance", ("stuck",), 8)]
    with pytest.raises(AssertionError, match="stuck: 8 of 8 runs never left chance"):
        comparison.assert_ok()
    assert only(result(), "he", "xavier").ok
    assert str(comparison) == comparison.summary()
    assert "4 of 8 runs diverged" in comparison._repr_html_()
    assert comparison == result()
    assert comparison != result(seeds=4)


def test_weights_stay_out_of_json():
    kept = dataclasses.replace(result(), weights={("he", 0): (np.ones(3),)})
    assert "weights" not in kept.to_dict()
    assert Comparison.from_dict(kept.to_dict()).weights == {}


def test_labels_are_text_and_no_markup():
    two = only(result(), "he", "xavier")
    odd = Comparison.from_dict({**two.to_dict(), "schemes": ["[b]he[/b]", "x[/]"]})
    assert "[b]he[/b] - x[/]" in odd.summary()


def test_a_result_of_version_0_1_still_reads():
    plain = result().to_dict()
    plain["settings"] = {"root_seed": 5, "batches": "shared", "model": [["Dense"], [3, 4]]}
    assert plain["history"]["loss"][3][0][1] == "NaN"
    plain["history"]["loss"][3][0][1] = "Infinity"
    old = Comparison.from_dict(json.loads(json.dumps(plain)))
    assert old.seed == 5
    assert np.isinf(old.values("loss")[3, 0, 1])
    assert old.diverged()[3, 0]


@pytest.mark.parametrize(
    "change",
    [
        {"history": {}},
        {"history": {"loss": [1.0]}},
        {"history": 3},
        {"seeds": ["a"]},
        {"schemes": ["one", "two"]},
    ],
)
def test_json_of_something_else_is_refused(change):
    with pytest.raises(InputError):
        Comparison.from_dict({**result().to_dict(), **change})


def test_the_frame_has_a_row_for_each_scheme_seed_and_epoch():
    pytest.importorskip("pandas")
    comparison = result()
    frame = comparison.to_frame()
    assert len(frame) == comparison.values().size
    row = frame[(frame.scheme == "xavier") & (frame.seed == 3) & (frame.epoch == 2)]
    assert row.test_accuracy.item() == comparison.values()[1, 3, 1]


def test_the_forest_plot_leaves_failed_schemes_out_and_says_so():
    axes = plot_differences(result())
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert "he - xavier" in names
    assert not any("stuck" in name for name in names)
    assert "stuck" in axes.get_title()
    thick = [line for line in axes.get_lines() if line.get_linewidth() == 2]
    interval = next(line for line in thick if line.get_ydata()[0] == len(names) - 1)
    difference = result().differences()[0]
    np.testing.assert_allclose(
        interval.get_xdata(), [difference.interval.low, difference.interval.high]
    )


@pytest.mark.parametrize(("seeds", "filled"), [(6, False), (8, True)])
def test_a_mark_is_filled_where_the_corrected_test_finds_a_difference(seeds, filled):
    # Each pair differs in one sign at all seeds: p = 2 / 2^seeds, three times that corrected.
    one, less = np.linspace(0.8, 0.9, seeds), np.linspace(0.1, 0.12, seeds)
    accuracy = np.stack([one, one - less, one - 3 * less])[..., None]
    history = {"loss": 1 - accuracy, "test_accuracy": accuracy}
    measured = dataclasses.replace(
        result(seeds, 1), schemes=("a", "b", "c"), seeds=tuple(range(seeds)), history=history
    )
    assert all(difference.p < 0.05 for difference in measured.differences())
    marks = [line for line in plot_differences(measured).get_lines() if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() != "white" for line in marks] == [filled] * 3


@pytest.mark.parametrize("metric", ["test_accuracy", "loss"])
@pytest.mark.parametrize("seeds", [1, 8])
def test_the_figure_is_drawn_in_spite_of_nan(seeds, metric):
    measured = result(seeds)
    figure = comparison_figure(measured, metric)
    assert_drawn(figure, *COLORS[: len(LABELS)])
    curves = figure.axes[0]
    assert curves.get_ylabel() == metric.replace("_", " ")
    values = np.ma.masked_invalid(measured.values(metric)).mean(axis=1)
    for line, mean in zip(curves.lines, values, strict=True):
        np.testing.assert_allclose(np.ma.filled(line.get_ydata(), -1), np.ma.filled(mean, -1))
    assert len(figure.axes) == (2 if seeds > 1 else 1)


def test_a_summary_is_text_in_jupyter_too(monkeypatch):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert "he - xavier" in result().summary()
