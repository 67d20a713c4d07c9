"""Nets of others: what their papers say that they are made of, and what is found."""

import collections
import functools
import warnings

import keras
import pytest
from wiring.hub import BACKBONES

import keras_inits

# Sums of each stream, kernels, and not understood calls. By hand from the papers: ResNet 3+4+6+3
# blocks in stages; MobileNetV2 and V3, EfficientNet: blocks of stride 1 that keep their width;
# Xception 12 of 14 modules; ConvNeXt 3+3+9+3; DenseNet, VGG and Inception have none.
APPLICATIONS = {
    "ResNet50": ([3, 4, 6, 3], 54, 0),
    "MobileNetV2": ([1, 2, 3, 2, 2], 53, 0),
    "ConvNeXtTiny": ([3, 3, 9, 3], 59, 0),
}
SLOW_APPLICATIONS = {
    "EfficientNetB0": ([1, 1, 2, 2, 3], 82, 0),
    "Xception": ([1, 1, 9, 1], 41, 0),
    "DenseNet121": ([], 121, 0),
    "VGG16": ([], 16, 0),
    "ResNet101": ([3, 4, 23, 3], 105, 0),
    "ResNet152": ([3, 8, 36, 3], 156, 0),
    "ResNet50V2": ([3, 4, 6, 3], 54, 0),
    "InceptionV3": ([], 95, 0),
    "InceptionResNetV2": ([10, 20, 10], 245, 0),
    "MobileNet": ([], 28, 0),
    "MobileNetV3Small": ([1, 2, 1, 2], 54, 0),
    "MobileNetV3Large": ([1, 1, 2, 3, 1, 2], 64, 0),
    "EfficientNetV2B0": ([1, 1, 2, 4, 7], 92, 0),
}
# Streams, sums and attentions of three layers a stack. Post-LN starts a stream at each sum.
PRE, POST = ([6], 3), ([1] * 6, 3)
HUB = {
    "Albert": POST,
    "BASNet": ([2, 2, 2, 8, 1], 0),
    "Bart": ([1] * 15, 9),
    "Bert": POST,
    "Bloom": PRE,
    "CLIP": ([6, 6], 6),
    "DINOV2": PRE,
    "DINOV3": PRE,
    "DeepLabV3": ([2, 2, 2, 2], 0),
    "DeiT": PRE,
    "DenseNet": ([], 0),
    "DistilBert": POST,
    "ESM": PRE,
    "ESM2": PRE,
    "EfficientNet": ([2, 1], 0),
    "Electra": POST,
    "FNet": ([1] * 6, 0),
    "Falcon": PRE,
    "GPT2": PRE,
    "GPTNeoX": ([3], 3),  # attention and feed-forward side by side
    "Gemma": PRE,
    "Gemma3": PRE,
    "GptOss": PRE,
    "Llama": PRE,
    "Llama3": PRE,
    "MiT": ([2, 4], 3),
    "Mistral": PRE,
    "Mixtral": PRE,
    "MobileNet": ([1, 1], 0),
    "Moonshine": ([4, 6], 6),  # two layers a stack
    "OPT": PRE,
    "Phi3": PRE,
    "Qwen": PRE,
    "Qwen2": PRE,
    "Qwen3": PRE,
    "Qwen3Moe": PRE,
    "QwenMoe": PRE,
    "ResNet basic": ([2, 2, 2], 0),
    "ResNet bottleneck": ([2, 2, 2], 0),
    "ResNet pre-activation": ([2, 2, 2], 0),
    "Roberta": POST,
    "RoformerV2": POST,
    "SigLIP": ([6, 1, 6], 7),  # and the head that pools by attention
    "SmolLM3": PRE,
    "Swin": ([4, 4], 4),
    "T5": ([6, 9], 9),
    "T5Gemma": ([4, 6], 6),
    "VGG": ([], 0),
    "ViT": PRE,
    "ViTDet": PRE,
    "Whisper": ([6, 9], 9),
    "XLMRoberta": POST,
    "Xception": ([1], 0),
    "XLNet": POST,
}
# Branches whose end is not said: a Fourier transform, and experts that a router weighs.
NO_END = {"FNet", "GptOss", "Mixtral", "Qwen3Moe", "QwenMoe"}
FAST = {"Bert", "GPT2", "Llama", "ViT", "GPTNeoX", "Whisper"}
# What is not understood: a Fourier transform; kernels by constants; operations of TensorFlow.
NOT_UNDERSTOOD = {"FNet": {"fft2"}, "ViTDet": {"einsum bhwc,hkc->bhwk", "einsum bhwc,wkc->bhwk"}}


@functools.cache
def application(name):
    model = getattr(keras.applications, name)(weights=None)
    found = keras_inits.wiring(model)
    kernels = {w.path.rsplit("/", 1)[0] for w in model.weights if "kernel" in w.name}
    assert {call.path for call in found.maps} == kernels
    return found, ([len(s.sums) for s in found.streams], len(found.maps), len(found.unknown))


@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications(name):
    assert application(name)[1] == APPLICATIONS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW_APPLICATIONS)
def test_more_applications(name):
    keras.utils.clear_session()  # gives the memory of the last one back
    assert application.__wrapped__(name)[1] == SLOW_APPLICATIONS[name]


def test_resnet50_kernel_by_kernel():
    found, _ = application("ResNet50")
    ends = [found.calls[end].path for each in found.sums for end in each.branch_ends]
    blocks = [f"conv{stage}_block{i}" for stage, n in zip(range(2, 6), (3, 4, 6, 3), strict=True)
              for i in range(1, n + 1)]  # fmt: skip
    assert ends == [f"{block}_3_bn" for block in blocks]
    assert [found.calls[s.branches[0].kernel].path for s in found.sums] == [
        f"{block}_3_conv" for block in blocks
    ]
    followed = collections.Counter(found.activation_after(c).activation for c in found.maps)
    # conv1, and the first two of each block; the third and the shortcuts meet the sum
    assert followed == {"relu": 1 + 2 * 16, "": 16 + 4, "softmax": 1}
    assert all(found.normalized_after(call) for call in found.maps[:-1])
    assert [call.path for call in found.heads] == ["predictions"]


def backbone(name):
    models = pytest.importorskip("keras_hub").models
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras Hub's layers among each other: T5 and its masks
        model = BACKBONES[name](models)
    return keras_inits.wiring(model)


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in HUB]
)
def test_backbones_of_keras_hub(name):
    found = backbone(name)
    assert ([len(stream.sums) for stream in found.streams], len(found.attentions)) == HUB[name]
    assert {call.type for call in found.unknown} == NOT_UNDERSTOOD.get(name, set())
    without_end = [b for each in found.sums for b in each.branches if b.end is None]
    assert len(without_end) == (3 if name in NO_END else 0)
    for attention in found.attentions:
        assert None not in (attention.query, attention.key, attention.value, attention.out)


@pytest.mark.slow
def test_what_a_layer_does_outside_of_keras_is_said():
    found = backbone("DebertaV3")  # gathers by TensorFlow, along an axis of the batch
    assert {call.type for call in found.unknown} == {"gather"}
    assert len(found.unknown) == 6
    assert [len(stream.sums) for stream in found.streams] == [1] * 6


def test_gpt2_kernel_by_kernel():
    found = backbone("GPT2")
    inner = ("self_attention/attention_output", "feedforward_output_dense")
    ends = [found.calls[end].path for each in found.sums for end in each.branch_ends]
    assert ends == [f"transformer_layer_{i}/{name}" for i in range(3) for name in inner]
    first = {c.path.split("/")[-1]: c for c in found.maps if "transformer_layer_0" in c.path}
    roles = {name: found.attention_role(call) for name, call in first.items()}
    assert roles == {
        "query": "query",
        "key": "key",
        "value": "value",
        "attention_output": "out",
        "feedforward_intermediate_dense": "",
        "feedforward_output_dense": "",
    }
    following = found.activation_after(first["feedforward_intermediate_dense"])
    assert following.activation == "gelu_approximate"
    assert [found.passed(call) for call in found.maps] == [0] * 4 + [1] * 2 + [2] * 4 + [3] * 2 + [
        4
    ] * 4 + [5] * 2


def test_llama_gates_its_feed_forward():
    found = backbone("Llama")
    names = {c.path.split("/")[-1]: c for c in found.maps if "transformer_layer_0" in c.path}
    gate = found.activation_after(names["feedforward_gate_dense"])
    assert gate.activation == "silu"
    assert found.activation_after(names["feedforward_intermediate_dense"]).met.endswith("(product)")


def test_every_backbone_of_the_table_can_be_made():
    assert set(HUB) | {"DebertaV3"} <= set(BACKBONES)
