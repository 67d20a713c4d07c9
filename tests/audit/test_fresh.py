"""Fresh models of `keras.applications`: no finding."""

import keras
import pytest

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
