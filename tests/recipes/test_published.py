"""Each recipe, weight by weight, against the formulas of the published code."""

import fnmatch
import math

import keras
import pytest
from keras import layers, ops
from wiring.hub import BACKBONES

import keras_inits
from keras_inits._initialize.plan import plan
from keras_inits._layers import owned_weights
from keras_inits._recipes import find
from keras_inits._schemes.laws import expected_stddev

ONES, ZEROS = "ones", "zeros"
# sqrt(1 - 2 c phi(c) / (2 Phi(c) - 1)) at c = 3 and at 2, from SciPy's truncnorm
CUT_AT_3, CUT_AT_2 = 0.98657838, 0.87962566


def laws(model, recipe):
    """Returns for each weight the recipe's law: its standard deviation, or that it is constant."""
    weights = owned_weights(model)
    steps = plan(weights, find(recipe).on(model, weights))
    return {step.owned.path: law(step) for step in steps}


def law(step):
    name = type(step.initializer).__name__.removesuffix("Init").lower()
    if name == "constant":
        return f"constant {float(step.initializer.value):.4f}"
    return name if name in (ONES, ZEROS) else expected_stddev(step.initializer, step.geometry)


def check(found, expected):
    """Compares laws with a table of patterns of paths, of which the first that fits counts."""
    used = set()
    for path, value in found.items():
        pattern = next((p for p in expected if fnmatch.fnmatchcase(path, p)), None)
        assert pattern, f"no expectation for {path}"
        used.add(pattern)
        same = value if isinstance(value, str) else pytest.approx(value, rel=1e-6)
        assert expected[pattern] == same, path
    assert used == set(expected)


@pytest.fixture(scope="module")
def hub():
    keras_hub = pytest.importorskip("keras_hub")
    made = {}

    def model(name):
        if name not in made:
            made[name] = BACKBONES[name](keras_hub.models)
        return made[name]

    return model


# Of the table's sizes: width d = 16, feed-forward part f = 32, N = 3 blocks.
D, F, N = 16, 32, 3
NORMS = {"*gamma": ONES, "*beta": ZEROS, "*bias": ZEROS}


@pytest.mark.parametrize("recipe", ["gpt2", "megatron"])
def test_gpt2(hub, recipe):
    # transformers, modeling_gpt2.py: initializer_range 0.02; c_proj 0.02 / sqrt(2 n_layer)
    check(
        laws(hub("GPT2"), recipe),
        {
            **NORMS,
            "token_embedding/embeddings": 0.02,
            "position_embedding/embeddings": 0.02,
            "*attention_output/kernel": 0.02 / math.sqrt(2 * N),
            "*feedforward_output_dense/kernel": 0.02 / math.sqrt(2 * N),
            "*kernel": 0.02,
        },
    )


def test_gpt2_with_the_positions_of_openai(hub):
    recipe = keras_inits.recipe("gpt2", stddev=0.04, position_stddev=0.01)
    found = laws(hub("GPT2"), recipe)
    assert found["position_embedding/embeddings"] == 0.01
    assert found["token_embedding/embeddings"] == 0.04


def test_mitchell(hub):
    # OLMo, model.py: std d^-1/2; (2 d (l+1))^-1/2 and (2 f (l+1))^-1/2; cut at 3 of these
    expected = {"*/scale": ONES, "token_embedding/*": CUT_AT_3 / math.sqrt(D)}
    for block in range(N):
        layer = f"transformer_layer_{block}"
        depth = 2 * (block + 1)
        expected[f"{layer}/*attention_output/kernel"] = CUT_AT_3 / math.sqrt(depth * D)
        expected[f"{layer}/feedforward_output_dense/kernel"] = CUT_AT_3 / math.sqrt(depth * F)
    expected["*kernel"] = CUT_AT_3 / math.sqrt(D)
    check(laws(hub("Llama"), "mitchell"), expected)


def test_torchtitan(hub):
    # torchtitan, llama3/model.py: w1 is the gate, w3 the up-projection, w2 the way out
    expected = {
        "*/scale": ONES,
        "token_embedding/embeddings": 1.0,
        "token_embedding/reverse_embeddings": CUT_AT_3 / math.sqrt(D),
    }
    for block in range(N):
        layer, deep = f"transformer_layer_{block}", 0.02 / math.sqrt(2 * (block + 1))
        expected[f"{layer}/*attention_output/kernel"] = deep
        expected[f"{layer}/feedforward_output_dense/kernel"] = deep
        expected[f"{layer}/feedforward_intermediate_dense/kernel"] = deep
        expected[f"{layer}/feedforward_gate_dense/kernel"] = 0.02
    expected["*kernel"] = 0.02
    check(laws(hub("Llama"), "torchtitan"), expected)
    flat = laws(hub("Llama"), keras_inits.recipe("torchtitan", by_depth=False))
    same = [v for path, v in flat.items() if path.endswith("attention_output/kernel")]
    assert same == [pytest.approx(0.02 / math.sqrt(2 * N))] * N


def test_neox(hub):
    # gpt-neox, init_functions.py; attention and feed-forward part stand side by side in a block
    small, end = math.sqrt(2 / (5 * D)), 2 / N / math.sqrt(D)
    check(
        laws(hub("GPTNeoX"), "neox"),
        {
            "*gamma": ONES,
            "*beta": ZEROS,
            "*bias": ZEROS,
            "token_embedding/embeddings": small,
            "*attention_output/kernel": end,
            "*feedforward_output_dense/kernel": end,
            "*kernel": small,
        },
    )


def glorot(fan_in, fan_out, gain=1.0):
    return gain * math.sqrt(2 / (fan_in + fan_out))


def deepnorm_of(part, beta):
    return {
        f"{part}*query/kernel": glorot(D, D),
        f"{part}*key/kernel": glorot(D, D),
        f"{part}*value/kernel": glorot(D, D, beta),
        f"{part}*attention_output/kernel": glorot(D, D, beta),
        f"{part}*feedforward_intermediate_dense/kernel": glorot(D, F, beta),
        f"{part}*feedforward_output_dense/kernel": glorot(F, D, beta),
    }


def own_stddev(stddev):
    return stddev * CUT_AT_2  # Keras Hub's tables: a truncated normal, cut at 2


def test_deepnorm_of_encoder_and_decoder(hub):
    # Wang et al. 2022, figure 2, with N = M = 3
    encoder, decoder = 0.87 * (N**4 * N) ** (-1 / 16), (12 * N) ** (-1 / 4)
    check(
        laws(hub("Bart"), "deepnorm"),
        {
            **NORMS,
            "*embeddings": own_stddev(0.02),
            **deepnorm_of("transformer_encoder", encoder),
            **deepnorm_of("transformer_decoder", decoder),
        },
    )


def test_deepnorm_of_an_encoder_alone(hub):
    found = laws(hub("Bert"), "deepnorm")
    expected = deepnorm_of("transformer_layer", (8 * N) ** (-1 / 4))
    check({path: v for path, v in found.items() if "layer" in path and "kernel" in path}, expected)


def test_vit(hub):
    # vit_jax, models_vit.py; flax's Conv is LeCun's truncated normal with the variance asked for
    backbone = hub("ViT")
    head = layers.Dense(10, name="head")
    model = keras.Model(backbone.inputs, head(backbone.output[:, 0]))
    check(
        laws(model, keras_inits.recipe("vit", classes=10)),
        {
            "*gamma": ONES,
            "*beta": ZEROS,
            "*class_token": ZEROS,
            "*position_embedding/embeddings": 0.02,
            "*patch_embedding/kernel": (8 * 8 * 3) ** -0.5,
            "*mlp/dense_1/kernel": glorot(D, F),
            "*mlp/dense_2/kernel": glorot(F, D),
            "*mlp/*bias": 1e-6,
            "head/kernel": ZEROS,
            "head/bias": "constant -2.3026",
            "*bias": ZEROS,
            "*kernel": glorot(D, D),
        },
    )


def test_resnet50():
    # torchvision, resnet.py: kaiming_normal_(fan_out), zero_init_residual; Goyal et al.: fc 0.01
    keras.utils.clear_session(free_memory=False)
    model = keras.applications.ResNet50(weights=None, classes=10, input_shape=(32, 32, 3))
    expected = {
        "conv*_3_bn/gamma": ZEROS,
        "*gamma": ONES,
        "*beta": ZEROS,
        "*moving_mean": ZEROS,
        "*moving_variance": ONES,
        "*bias": ZEROS,
        "predictions/kernel": 0.01,
        "conv1_conv/kernel": math.sqrt(2 / (7 * 7 * 64)),
    }
    for stage, width in zip(range(2, 6), (64, 128, 256, 512), strict=True):
        for conv, taps, outputs in ((0, 1, 4 * width), (1, 1, width), (2, 9, width)):
            expected[f"conv{stage}_*_{conv}_conv/kernel"] = math.sqrt(2 / (taps * outputs))
        expected[f"conv{stage}_*_3_conv/kernel"] = math.sqrt(2 / (4 * width))
    check(laws(model, "resnet"), expected)
    kept = laws(model, keras_inits.recipe("resnet", zero_gamma=False))
    assert kept["conv2_block1_3_bn/gamma"] == ONES


def residual_convolutions(blocks):
    """Returns a net of residual blocks of two convolutions, without normalization."""
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(16, 3, padding="same", name="stem")(x)
    for block in range(blocks):
        h = layers.Conv2D(32, 3, padding="same", activation="relu", name=f"in_{block}")(x)
        h = layers.Conv2D(16, 3, padding="same", name=f"out_{block}")(h)
        x = layers.add([x, h])
    h = layers.Conv2D(32, 3, 2, padding="same", activation="relu", name="in_wide")(x)
    h = layers.Conv2D(24, 3, padding="same", name="out_wide")(h)
    x = layers.add([layers.Conv2D(24, 1, 2, name="shortcut")(x), h])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(10, name="head")(x))


def test_fixup():
    # The authors' fixup_resnet_imagenet.py: conv1 x num_layers^-1/2, downsample not scaled
    branches = 4
    check(
        laws(residual_convolutions(3), "fixup"),
        {
            "*bias": ZEROS,
            "head/kernel": ZEROS,
            "out_*/kernel": ZEROS,
            "in_*/kernel": math.sqrt(2 / (9 * 32)) * branches**-0.5,
            "shortcut/kernel": math.sqrt(2 / 24),
            "stem/kernel": math.sqrt(2 / (9 * 16)),
        },
    )


def test_fixup_of_branches_with_three_kernels():
    x = inputs = keras.Input((16,))
    for _ in range(5):
        h = layers.Dense(32, "relu")(layers.Dense(8, "relu")(x))
        x = layers.add([x, layers.Dense(16)(h)])
    found = laws(keras.Model(inputs, x), "fixup")
    kernels = [value for path, value in found.items() if path.endswith("kernel")]
    block = [math.sqrt(2 / 8) * 5**-0.25, math.sqrt(2 / 32) * 5**-0.25, ZEROS]
    assert kernels == [value if value == ZEROS else pytest.approx(value) for value in block * 5]


def test_dcgan():
    # PyTorch's DCGAN example: N(0, .02) for convolutions, N(1, .02) for gammas, 0 for offsets
    model = keras.Sequential(
        [
            keras.Input((1, 1, 8)),
            layers.Conv2DTranspose(16, 4, name="up"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Conv2DTranspose(3, 4, 2, activation="tanh", name="last"),
        ]
    )
    check(
        laws(model, "dcgan"),
        {
            "*kernel": 0.02,
            "*norm/gamma": 0.02,
            "*norm/beta": ZEROS,
            "*bias": ZEROS,
            "*norm/moving_mean": ZEROS,
            "*norm/moving_variance": ONES,
        },
    )
    keras_inits.initialize(model, "dcgan", seed=1)
    gamma = ops.convert_to_numpy(model.get_layer("norm").gamma)
    assert abs(gamma.mean() - 1) < 5 * 0.02 / math.sqrt(16)


def test_irnn():
    # Le et al. 2015, section 3
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.SimpleRNN(6, activation="relu", name="rnn"),
            layers.Dense(2, name="head"),
        ]
    )
    share = 1 / 6  # of a 6 x 6 identity: sqrt(p (1 - p)) with p = 1 / 6
    check(
        laws(model, "irnn"),
        {
            "*recurrent_kernel": math.sqrt(share * (1 - share)),
            "*kernel": 0.001,
            "*bias": ZEROS,
        },
    )
    keras_inits.initialize(model, "irnn", seed=1)
    recurrent = ops.convert_to_numpy(model.get_layer("rnn").cell.recurrent_kernel)
    assert (recurrent == ops.convert_to_numpy(ops.eye(6))).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*were neither drawn nor loaded")
def test_gpt2_small_at_its_size():
    keras_hub = pytest.importorskip("keras_hub")
    with keras_inits.skip_initialization():
        model = keras_hub.models.GPT2Backbone(50257, 12, 12, 768, 3072)
    assert model.count_params() == 124_439_808  # transformers: GPT2Model of "gpt2"
    ends = 0.02 / math.sqrt(24)
    check(
        laws(model, "gpt2"),
        {
            **NORMS,
            "*_embedding/embeddings": 0.02,
            "*attention_output/kernel": ends,
            "*feedforward_output_dense/kernel": ends,
            "*kernel": 0.02,
        },
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*were neither drawn nor loaded")
def test_vit_b_16_at_its_size():
    keras_hub = pytest.importorskip("keras_hub")
    with keras_inits.skip_initialization():
        backbone = keras_hub.models.ViTBackbone((224, 224, 3), 16, 12, 12, 768, 3072)
        logits = layers.Dense(1000, name="head")(backbone.output[:, 0])
        model = keras.Model(backbone.inputs, logits)
    assert model.count_params() == 86_567_656  # timm: vit_base_patch16_224
    check(
        laws(model, "vit"),
        {
            "*gamma": ONES,
            "*beta": ZEROS,
            "*class_token": ZEROS,
            "*position_embedding/embeddings": 0.02,
            "*patch_embedding/kernel": (16 * 16 * 3) ** -0.5,
            "*mlp/dense_1/kernel": glorot(768, 3072),
            "*mlp/dense_2/kernel": glorot(3072, 768),
            "*mlp/*bias": 1e-6,
            "head/*": ZEROS,
            "*bias": ZEROS,
            "*kernel": glorot(768, 768),
        },
    )
