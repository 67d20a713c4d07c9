"""Models of others: every weight is accounted for, and none left alone without a reason."""

import keras
import numpy as np
import pytest

import keras_inits

APPLICATIONS = [
    "EfficientNetB0",
    "MobileNetV2",
    "ResNet50",
    "ConvNeXtTiny",
    "DenseNet121",
    "NASNetMobile",
]
DATA = {"normalization/mean", "normalization/variance", "normalization/count"}
# What may keep its values, by model, and words of the reason.
LEFT_ALONE = {"EfficientNetB0": dict.fromkeys(DATA, ("statistics of the data", "int64"))}
SIZES = {"num_layers": 2, "num_heads": 2, "hidden_dim": 32, "vocabulary_size": 200}


def accounted_for(model, left_alone=()):
    """Checks that each weight of `model` is drawn as meant, or left alone for a known reason."""
    report = keras_inits.initialize(model, seed=1)
    assert len(report.rows) == len({id(weight) for weight in model.weights})
    for row in report.rows:
        if row.left_alone:
            assert any(reason in row.left_alone for reason in left_alone[row.path])
        elif row.geometry:
            values = np.prod(row.shape)
            assert abs(row.stddev / row.target_stddev - 1) < 5 / (2 * values) ** 0.5, row.path
        else:
            assert row.scheme, row.path
            if row.target_stddev is not None:  # constants have none, to the last bit
                assert row.stddev == pytest.approx(row.target_stddev, rel=0.3, abs=1e-7), row.path
    assert {row.path for row in report.left_alone} == set(left_alone)
    assert keras_inits.audit(model).findings == ()
    return report


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications(name):
    keras.utils.clear_session()  # gives the memory of the last one back
    accounted_for(getattr(keras.applications, name)(weights=None), LEFT_ALONE.get(name, {}))


def test_mobilenet_has_depthwise_kernels_and_says_what_follows():
    model = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, weights=None)
    report = accounted_for(model)
    depthwise = [row for row in report.rows if "depthwise" in row.path and row.geometry]
    assert len(depthwise) == 17
    assert {row.geometry.fan_in for row in depthwise} == {9}
    notes = [row.note for row in keras_inits.initialize(model, "auto", seed=1).rows]
    # A ReLU up to 6 lets through a little less than half.
    assert sum("ReLU" in note and "takes the scale away" in note for note in notes) == 35
    assert sum(note.startswith("end of a branch") for note in notes) == 10


def bert(models):
    return models.BertMaskedLM(
        models.BertBackbone(intermediate_dim=64, max_sequence_length=16, **SIZES)
    )


def gpt2(models):
    return models.GPT2CausalLM(
        models.GPT2Backbone(intermediate_dim=64, max_sequence_length=16, **SIZES)
    )


def vit(models):
    sizes = {name: size for name, size in SIZES.items() if name != "vocabulary_size"}
    backbone = models.ViTBackbone(image_shape=(32, 32, 3), patch_size=8, mlp_dim=64, **sizes)
    return models.ViTImageClassifier(backbone, num_classes=5)


def whisper(models):
    return models.WhisperBackbone(
        intermediate_dim=64,
        max_encoder_sequence_length=16,
        max_decoder_sequence_length=16,
        **SIZES,
    )


# The sinusoids of Whisper's encoder are made once and frozen.
HUB = {
    bert: {},
    gpt2: {},
    vit: {},
    whisper: {"encoder_position_embedding/embeddings": ("frozen",)},
}


@pytest.mark.parametrize(
    "make",
    [gpt2, whisper, *(pytest.param(make, marks=pytest.mark.slow) for make in (bert, vit))],
    ids=lambda make: make.__name__,
)
def test_keras_hub(make):
    keras_hub = pytest.importorskip("keras_hub")
    accounted_for(make(keras_hub.models), HUB[make])
