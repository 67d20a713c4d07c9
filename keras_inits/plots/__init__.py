"""Results drawn with matplotlib. Every `plot_...` takes and returns Axes; none shows a window."""

from keras_inits.plots._mup import coordinate_figure, plot_coordinates, plot_rates, transfer_figure
from keras_inits.plots._signal import (
    depth_figure,
    histogram_figure,
    plot_depth,
    plot_heat_map,
    plot_histograms,
)
from keras_inits.plots._training import (
    boundary_figure,
    comparison_figure,
    figure_bytes,
    plot_differences,
    plot_training_curves,
    training_figure,
)
from keras_inits.plots._wiring import plot_wiring, wiring_figure

__all__ = [
    "boundary_figure",
    "comparison_figure",
    "coordinate_figure",
    "depth_figure",
    "figure_bytes",
    "histogram_figure",
    "plot_coordinates",
    "plot_depth",
    "plot_differences",
    "plot_heat_map",
    "plot_histograms",
    "plot_rates",
    "plot_training_curves",
    "plot_wiring",
    "training_figure",
    "transfer_figure",
    "wiring_figure",
]


def __dir__() -> list[str]:
    return sorted(__all__)
