"""What a picture shows, as far as a program can see it."""

import io

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from keras_inits import plots


def assert_drawn(figure, *colors, dpi=100):
    """Fails if the PNG has another size than the figure, or shows nothing in one of the colours."""
    image = imread(io.BytesIO(plots.figure_bytes(figure, dpi=dpi)))
    width, height = figure.get_size_inches() * dpi
    assert abs(image.shape[0] - height) <= 1
    assert abs(image.shape[1] - width) <= 1
    for color in colors:
        distance = np.abs(image[..., :3] - to_rgb(color)).max(axis=-1)
        assert distance.min() < 0.1, f"nothing is drawn in {color}"
