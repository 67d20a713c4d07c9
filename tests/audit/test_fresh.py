"""Fresh models of `keras.applications` and Keras Hub: no finding that is not true."""

import warnings

import keras
import pytest
from wiring.hub import BACKBONES

import keras_inits as ki

SLOW = (
    *("ResNet50", "ResNet152V2", "DenseNet121", "EfficientNetV2B0", "ConvNeXtTiny"),
    *("Xception", "MobileNetV2"),
)


@pytest.mark.parametrize(
    "name",
    ["MobileNetV3Small", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)],
)
def test_a_fresh_application_has_no_finding(name):
    model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3))
    report = ki.audit(model)
    assert report.ok, str(report)
    assert report.remarks == ()


# Keras Hub hands one seeded initializer to several kernels. Here Q = K, in whole or in the heads
# that both have: at width 320 a token then attends to itself with weight 0.49 instead of 0.03. Or a
# gate is equal to what it gates: x silu(x) has mean 0.5 and 3 times the second moment. Or experts
# read their own units by the numbers that made them.
ONE_SEED = {"ESM", "ESM2", "RoformerV2", "XLNet", "Gemma", "Gemma3", "Mixtral", "Qwen3Moe",
            "QwenMoe"}  # fmt: skip
FAST = {"Llama", "ESM"}


@pytest.mark.parametrize(
    "name",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in BACKBONES],
)
def test_a_fresh_backbone_has_no_finding_but_of_one_seed(name):
    models = pytest.importorskip("keras_hub").models
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras Hub's layers among each other
        report = ki.audit(BACKBONES[name](models))
    assert {found.kind for found in report.findings} <= {"equal weights", "one seed"}
    assert report.ok == (name not in ONE_SEED), str(report)
