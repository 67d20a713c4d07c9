import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from pictures import assert_drawn

from keras_inits import InputError, plots
from keras_inits.plots._training import COLORS

RUNS = np.array([[4.0, 2.0, 1.0], [6.0, 4.0, 1.0]])


def test_the_line_is_the_mean_and_the_band_one_standard_deviation():
    ax = plots.plot_training_curves({"he": RUNS}, ylabel="cost")
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xydata(), [[1, 5], [2, 3], [3, 1]])
    (band,) = ax.collections
    edges = band.get_paths()[0].vertices
    assert edges[:, 1].max() == np.float64(5 + 2**0.5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "cost")
    assert [text.get_text() for text in ax.texts] == ["he"]
    later = plots.plot_training_curves({"he": RUNS}, ylabel="cost", first=0)
    np.testing.assert_allclose(later.lines[0].get_xdata(), [0, 1, 2])


def test_one_run_has_no_band():
    assert not plots.plot_training_curves({"he": RUNS[0]}, ylabel="cost").collections


def test_published_values_are_circles_in_the_colour_of_their_label():
    ax = plots.plot_training_curves(
        {"he": RUNS, "xavier": RUNS}, {"xavier": [3.0, 2.0, 1.0, 0.5]}, ylabel="cost", log=True
    )
    circles = next(line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata()))
    np.testing.assert_array_equal(circles.get_ydata(), [3, 2, 1])
    assert to_rgba(circles.get_markeredgecolor()) == to_rgba(ax.lines[1].get_color())
    assert ax.get_yscale() == "log"


def test_the_figure_has_both_metrics_and_makes_a_png():
    curves = {"he": {"cost": RUNS, "accuracy": RUNS / 10}}
    figure = plots.training_figure(curves, {})
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "training cross-entropy (nats)",
        "test accuracy",
    ]
    assert_drawn(figure, COLORS[0])
    with pytest.raises(AssertionError, match="nothing is drawn"):  # there is one label
        assert_drawn(figure, COLORS[1])


def test_boundaries_show_every_point_and_title():
    grid = np.linspace(-1, 1, 5)
    probability = np.tile(np.linspace(0, 1, 5), (5, 1))
    points, labels = np.array([[0.1, 0.2], [-0.3, 0.4], [0.5, -0.6]]), np.array([0, 1, 1])
    figure = plots.boundary_figure({"a": probability, "b": probability}, grid, points, labels)
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    for ax in figure.axes:
        drawn = np.concatenate([line.get_xydata() for line in ax.lines])
        np.testing.assert_array_equal(drawn, points)
        assert_drawn(figure, *(line.get_color() for line in ax.lines))


def test_many_decades_have_powers_of_ten_alone():
    few = plots.plot_training_curves({"he": RUNS}, ylabel="cost", log=True)
    many = plots.plot_training_curves({"he": RUNS ** np.array([-9, 1, 9])}, ylabel="cost", log=True)
    assert "2" in [label.get_text() for label in few.get_yticklabels()]
    assert all("10^" in label.get_text() for label in many.get_yticklabels())


def test_names_with_dollars_brackets_and_escapes_are_drawn_as_they_are():
    name = "$x^$ [/b]\x1b[31m"
    figure = Figure()
    ax = plots.plot_training_curves({name: [[1.0, 2.0]]}, ylabel="cost", ax=figure.subplots())
    plots.figure_bytes(figure)  # broken mathematics would raise here
    assert ax.texts[0].get_text() == r"\$x^\$ [/b]\x1b[31m"


GRID = np.linspace(-1, 1, 3)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: plots.wiring_figure("net"), "wiring"),
        (lambda: plots.plot_wiring(None), "wiring"),
        (lambda: plots.plot_histograms(3), "report"),
        (lambda: plots.histogram_figure({}), "reports"),
        (lambda: plots.histogram_figure({"he": 3}), "reports"),
        (lambda: plots.plot_heat_map({}), "report"),
        (lambda: plots.depth_figure(None), "report"),
        (lambda: plots.plot_coordinates(3), "result"),
        (lambda: plots.coordinate_figure(), "coordinate_figure"),
        (lambda: plots.coordinate_figure(3), "results"),
        (lambda: plots.plot_rates(RUNS, (8, 16), (0.1, 1.0)), "losses"),
        (lambda: plots.plot_rates(np.ones((2, 3, 4)), (8, 16), (0.1, 1.0)), "losses"),
        (lambda: plots.plot_rates(np.ones((2, 3, 4)), 8, (0.1, 1.0)), "widths"),
        (lambda: plots.transfer_figure({}, (8, 16), (0.1, 1.0)), "losses"),
        (lambda: plots.transfer_figure({"mup": [["a"]]}, (8, 16), (0.1, 1.0)), "losses"),
        (lambda: plots.plot_training_curves([RUNS], ylabel="cost"), "curves"),
        (lambda: plots.plot_training_curves({"he": 3.0}, ylabel="cost"), "curves"),
        (lambda: plots.plot_training_curves({"he": [[1, 2], [3]]}, ylabel="cost"), "curves"),
        (lambda: plots.plot_training_curves({"he": RUNS}, ylabel="cost", ax=3), "ax"),
        (lambda: plots.plot_training_curves({"he": RUNS}, ylabel="cost", log="y"), "log"),
        (lambda: plots.plot_training_curves({"he": RUNS}, [1.0], ylabel="cost"), "published"),
        (lambda: plots.training_figure({"he": RUNS}, {}), "curves"),
        (lambda: plots.boundary_figure({"he": RUNS}, GRID, RUNS, [0, 1]), "probabilities"),
        (lambda: plots.boundary_figure({"he": np.ones((3, 3))}, GRID, RUNS, [0]), "points"),
        (lambda: plots.plot_differences(RUNS), "result"),
        (lambda: plots.comparison_figure(None), "result"),
        (lambda: plots.figure_bytes(RUNS), "figure"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(call, named):
    with pytest.raises(InputError, match=named):
        call()
