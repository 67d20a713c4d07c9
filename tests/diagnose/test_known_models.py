"""Models that people use, as they come from their makers, run through and read sensibly."""

import keras
import numpy as np
import pytest
from more_hub import MORE

import keras_inits as ki
from keras_inits._diagnose import standard_input

pytestmark = [
    pytest.mark.slow,
    # KerasHub 0.32 and its dependencies warn on import
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def test_resnet50_is_healthy_and_predicted():
    model = keras.applications.ResNet50(weights=None)
    report = ki.diagnose(model, standard_input(model, 4))
    report.assert_ok()
    ratios = [
        layer.output.second_moment / layer.predicted_second_moment
        for layer in report.layers
        if layer.predicted_second_moment is not None
    ]
    assert len(ratios) > 140
    assert 0.5 < min(ratios) <= max(ratios) < 2


def test_a_small_gpt2_is_healthy():
    hub = pytest.importorskip("keras_hub")
    model = hub.models.GPT2Backbone(
        vocabulary_size=200,
        num_layers=4,
        num_heads=4,
        hidden_dim=64,
        intermediate_dim=256,
        max_sequence_length=32,
    )
    tokens = np.random.default_rng(0).integers(0, 200, (8, 32))
    x = {"token_ids": tokens, "padding_mask": np.ones_like(tokens)}
    report = ki.diagnose(model, x)
    report.assert_ok()
    assert any("self_attention" in layer.name for layer in report.layers)


def test_a_small_vit_is_healthy():
    hub = pytest.importorskip("keras_hub")
    model = hub.models.ViTBackbone(
        image_shape=(32, 32, 3),
        patch_size=8,
        num_layers=4,
        num_heads=4,
        hidden_dim=64,
        mlp_dim=256,
    )
    ki.diagnose(model, standard_input(model, 8)).assert_ok()


def prompted_segmenter(hub):
    random = np.random.default_rng(0)
    prompts = {
        "images": random.standard_normal((4, 64, 64, 3), dtype="float32"),
        "points": random.uniform(0, 64, (4, 2, 2)).astype("float32"),
        "labels": np.ones((4, 2), "float32"),
        "boxes": np.zeros((4, 0, 2, 2), "float32"),  # as Keras Hub says how to give none
        "masks": np.zeros((4, 0, 16, 16, 1), "float32"),
    }
    return MORE["SAM"](hub.models), prompts


def residual_quantizer(hub):
    from keras_hub.src.models.rqvae.rqvae_backbone import RQVAEBackbone

    x = np.random.default_rng(0).standard_normal((32, 10), dtype="float32")
    keras.utils.set_random_seed(0)
    return RQVAEBackbone(10, [32, 16], 8, [16, 32], 64, 2), x


@pytest.mark.parametrize("make", [prompted_segmenter, residual_quantizer])
def test_models_of_many_or_of_quantized_signals_are_healthy(make):
    model, x = make(pytest.importorskip("keras_hub"))
    before = model.get_weights()
    ki.diagnose(model, x).assert_ok()
    if make is residual_quantizer:  # its loss has the shape (1,)
        model.compile("adam")
        report = ki.diagnose(model, x, x)
        report.assert_ok()
        assert report.loss == pytest.approx(1, abs=0.2)  # of targets of variance 1
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
