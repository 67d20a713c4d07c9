import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from pictures import assert_drawn

import keras_inits as ki
from keras_inits import plots
from keras_inits.plots._training import COLORS


@pytest.fixture(scope="module", params=[10, 41, pytest.param(200, marks=pytest.mark.slow)])
def report(request):
    dense = [
        keras.layers.Dense(32, "relu", kernel_initializer=ki.XavierInit(seed=i))
        for i in range(request.param)
    ]
    model = keras.Sequential([keras.Input((32,)), *dense])
    return ki.diagnose(model, np.random.default_rng(0).standard_normal((16, 32)))


def test_the_line_is_the_measured_root_mean_square_on_a_log_axis(report):
    ax = plots.plot_depth(report)
    line, *_ = ax.lines
    measured = [layer.output.second_moment**0.5 for layer in report.layers]
    np.testing.assert_allclose(line.get_ydata(), np.where(np.array(measured) > 0, measured, np.nan))
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "root mean square of the signal"
    assert {text.get_text() for text in ax.get_legend().get_texts()} >= {"measured", "theory"}


def test_the_band_holds_two_standard_deviations_of_the_theory(report):
    ax = plots.plot_depth(report)
    (band,) = (c for c in ax.collections if c.get_label() == "theory, 95 %")
    heights = band.get_paths()[0].vertices[:, 1]
    last = report.layers[-1]
    edge = last.predicted_second_moment**0.5 * np.exp(last.predicted_deviation)
    assert np.isclose(heights, edge, rtol=1e-5).any()


def test_there_is_one_histogram_a_layer_up_to_40(report):
    figure = plots.plot_histograms(report)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == min(40, len(report.layers))


def test_the_heat_map_has_a_column_a_layer(report):
    ax = plots.plot_heat_map(report)
    assert ax.images[0].get_array().shape == (6, len(report.layers))


def test_the_figure_makes_a_png_with_a_heat_map_for_many_layers(report):
    figure = plots.depth_figure(report)
    assert len(figure.axes) == (2 if len(report.layers) < 40 else 5)
    assert_drawn(figure, COLORS[1])  # the measured signal
    for ax in figure.axes[:1]:
        (measured, *_) = ax.lines
        assert len(measured.get_ydata()) == len(report.layers)


def test_the_histograms_of_several_models_have_a_row_each(report):
    figure = plots.histogram_figure({"one": report, "two": report})
    assert [row.get_suptitle() for row in figure.subfigs] == ["one", "two"]
    for row in figure.subfigs:
        assert len(row.axes) == len(report.layers)
        assert len({ax.get_xlim() for ax in row.axes}) == 1
    assert figure.subfigs[0].axes[0].get_title() == "layer 1"
