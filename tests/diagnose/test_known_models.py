"""Models that people use, as they come from their makers, run through and read sensibly."""

import keras
import numpy as np
import pytest

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
