"""A wiring as text and as a picture."""

import functools
import itertools

import keras
import pytest
from keras import layers
from matplotlib.backends.backend_agg import FigureCanvasAgg
from wiring.hub import BACKBONES

from keras_inits import plots, wiring


@functools.cache
def resnet():
    net = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), include_top=False)
    return wiring(net)


@functools.cache
def gpt2():
    sizes = {"num_layers": 12, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32}
    models = pytest.importorskip("keras_hub").models
    return wiring(models.GPT2Backbone(vocabulary_size=50, max_sequence_length=16, **sizes))


@functools.cache
def plain():
    stack = (layers.Dense(4, "tanh") for _ in range(60))
    return wiring(keras.Sequential([keras.Input((4,)), *stack]))


NETS = [resnet, gpt2, plain]


@pytest.mark.parametrize("make", NETS)
def test_the_text_fits_80_columns_and_names_every_kernel(make):
    found = make()
    text = found.summary()
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[0] == found.heading()
    folded = "".join(text.split())
    for call in found.maps:
        assert str(call.index) in text
        assert call.path.split("/")[-1][:12] in folded
    for stream in found.streams:
        assert f"{len(stream.sums)} sum" in text


def test_names_are_text_and_never_markup():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="a[red]b")])
    assert "a[red]b" in wiring(model).summary()


def drawn(axes):
    """The boxes of all texts, in pixels."""
    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    return [(t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in axes.texts]


@pytest.mark.parametrize("make", NETS)
def test_a_picture_has_every_kernel_and_sum_and_no_two_texts_overlap(make):
    found = make()
    axes = plots.plot_wiring(found, fold=False)
    texts = drawn(axes)
    circles = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(circles) == len(found.sums)
    shown = [text for text, _ in texts]
    tail = [c.path.split("/")[-1][-8:] for c in found.maps if not found.attention_role(c)]
    assert all(any(name in text for text in shown) for name in tail)
    assert sum(text in ("query", "key", "value", "out") for text in shown) == 4 * len(
        found.attentions
    )
    for (one, a), (other, b) in itertools.combinations(texts, 2):
        assert not a.overlaps(b), (one, other)


def test_equal_blocks_in_a_row_are_drawn_once():
    x = inputs = keras.Input((16,))
    for i in range(12):
        y = layers.Dense(16, "relu" if i < 9 else "gelu", name=f"block_{i}_in")(x)
        x = x + layers.Dense(16, name=f"out_{i}_with_a_name_longer_than_its_own_box")(y)
    axes = plots.plot_wiring(wiring(keras.Model(inputs, layers.Dense(3, name="head")(x))))
    texts = drawn(axes)
    shown = [text for text, _ in texts]
    assert [text for text in shown if text.startswith("×")] == ["× 9", "× 3"]
    inner = [text for text in shown if text.startswith("block")]
    assert inner == ["block_0_in → relu", "block_9_in → gelu"]
    assert shown.count("…with_a_name_longer_than_its_own_box") == 2  # cut between words
    assert sum(line.get_marker() == "o" for line in axes.lines) == 2
    assert "head" in shown
    for (one, a), (other, b) in itertools.combinations(texts, 2):
        assert not a.overlaps(b), (one, other)


def test_a_picture_can_be_drawn_into_axes():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert plots.plot_wiring(wiring(BACKBONES["VGG"](pytest.importorskip("keras_hub").models)),
                             axes) is axes  # fmt: skip
    assert len(axes.texts) > 4
