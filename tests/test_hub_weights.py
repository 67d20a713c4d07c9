"""Every weight of every layer of Keras and Keras Hub is known, or a named exception."""

import ast
import inspect
import pathlib

import keras
import numpy as np
import pytest
from keras import layers
from more_hub import GEMMA3N_TEXT, MORE
from versions import HAS_RENORM
from wiring.hub import BACKBONES, GROUPED

from keras_inits import audit, initialize, portable
from keras_inits._layers import Default, Unknown, geometry, hub, owned_weights

# --- keras.layers -------------------------------------------------------------------------------

# Arguments of classes that cannot do without, and the shape of what each takes.
ARGUMENTS = {
    "Attention": {"use_scale": True, "score_mode": "concat"},
    "BatchNormalization": {"renorm": True} if HAS_RENORM else {},
    "Bidirectional": (layers.LSTM(3),),
    "Dense": (4,),
    "EinsumDense": ("abc,cd->abd", (None, 4), None, "d"),
    "Embedding": (10, 4),
    "GroupNormalization": {"groups": 2},
    "GroupQueryAttention": (4, 2, 1),
    "MultiHeadAttention": (2, 4),
    "RNN": (layers.GRUCell(3),),
    "ReversibleEmbedding": (10, 4, False),
    "SpectralNormalization": (layers.Dense(3),),
    "StackedRNNCells": ([layers.LSTMCell(3), layers.LSTMCell(4)],),
    "TimeDistributed": (layers.Dense(3),),
    "STFTSpectrogram": ("log", 16, 8, 16),
    **dict.fromkeys(("GRU", "GRUCell", "LSTM", "LSTMCell", "SimpleRNN", "SimpleRNNCell"), (3,)),
    **{
        f"{kind}{rank}D{end}": (4, 3)
        for kind, end in (("Conv", ""), ("Conv", "Transpose"), ("SeparableConv", ""))
        for rank in (1, 2, 3)
    },
    **{f"DepthwiseConv{rank}D": (3,) for rank in (1, 2)},
    **{f"ConvLSTM{rank}D": (4, 3) for rank in (1, 2, 3)},
}
# They run another framework's code, or hold statistics of data.
NOT_BUILT = {"JaxLayer", "FlaxLayer", "TorchModuleWrapper", "Normalization"}


def makes_weights(layer_type):
    """Returns whether a class or one of its bases makes weights in its own code."""
    own = [c for c in layer_type.__mro__ if issubclass(c, layers.Layer) and c is not layers.Layer]
    return any("self.add_weight(" in inspect.getsource(c) for c in own)


def built_layer(name):
    arguments = ARGUMENTS.get(name, ())
    make = getattr(layers, name)
    layer = make(**arguments) if isinstance(arguments, dict) else make(*arguments)
    rank = next((int(n) for n in name if n.isdigit()), 1)
    shape = (2, *(6,) * (rank if "Conv" in name else 1), 4)
    if name == "STFTSpectrogram":
        shape = (2, 64, 1)
    if "ConvLSTM" in name:
        shape = (2, 3, *(6,) * rank, 4)
    if name.endswith("Cell") or name == "StackedRNNCells":
        layer.build((2, 4))
    elif "Attention" in name:
        tensor = keras.KerasTensor(shape)
        layer(
            *(([tensor, tensor],) if name in ("Attention", "AdditiveAttention") else [tensor] * 2)
        )
    else:
        layer(keras.KerasTensor(shape, "int32" if "Embedding" in name else "float32"))
    return layer


def unknown_weights(model):
    return {
        f"{type(owned.layer).__name__}.{owned.weight.name}"
        for owned in owned_weights(model)
        if keras.backend.is_float_dtype(owned.weight.dtype)
        and isinstance(geometry(owned.layer, owned.weight), Unknown)
    }


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, each in vars(layers).items()
        if inspect.isclass(each) and (name in ARGUMENTS or makes_weights(each))
        if name not in NOT_BUILT and each.__name__ == name  # Convolution2D is Conv2D
    ),
)
def test_every_weight_of_a_layer_of_keras_is_known(name):
    layer = built_layer(name)
    assert layer.weights
    assert unknown_weights(layer) == set()


# --- keras_hub ----------------------------------------------------------------------------------


FAST = ["DINOV2", "GptOss", "Mixtral", "Qwen3_5Moe", "RWKV7"]
BASES = {"", "FeaturePyramid"}  # classes that cannot be built
CONFIGURED = {**BACKBONES, **MORE}


@pytest.fixture(scope="module")
def keras_hub():
    return pytest.importorskip("keras_hub")


@pytest.mark.filterwarnings("ignore:.*unbuilt state", "ignore:.*mask", "ignore:.*rwkv_ops")
@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in CONFIGURED]
)
def test_every_weight_of_a_backbone_is_known(keras_hub, name):
    model = CONFIGURED[name](keras_hub.models)
    assert unknown_weights(model) == set()


def test_every_backbone_is_walked(keras_hub):
    exported = {
        getattr(keras_hub.models, name)
        for name in dir(keras_hub.models)
        if name.endswith("Backbone")
    }
    configured = {name.split()[0].replace("Swin", "SwinTransformer") for name in CONFIGURED}
    names = {cls.__name__.removesuffix("Backbone") for cls in exported}
    assert names - configured <= BASES, names - configured


def test_every_weight_that_keras_hub_makes_by_name_is_known(keras_hub):
    """Reads the source: also of what the small configurations above leave out."""
    root = pathlib.Path(keras_hub.__file__).parent / "src"
    made = {
        (cls, weight)
        for file in root.rglob("*.py")
        if not file.name.endswith("_test.py") and "metrics" not in file.parts
        for cls, weight in made_weights(file.read_text())
    }
    assert len(made) > 100
    known = {(name.partition(">")[2], weight) for name, weight in known_names()}
    assert made - known == set()


def known_names():
    for name, weights in hub.WEIGHTS.items():
        yield from ((name, weight) for weight in weights)
    yield from (("keras_hub>MaskedLMHead", f"output_{part}") for part in ("kernel", "bias"))


def made_weights(source):
    """Yields the class and the name of each weight of real numbers that source code makes."""
    for cls in ast.walk(ast.parse(source)):
        if not isinstance(cls, ast.ClassDef):
            continue
        for call in ast.walk(cls):
            if getattr(getattr(call, "func", None), "attr", "") not in ("add_weight", "Variable"):
                continue
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if "dtype" not in given or "int" not in ast.unparse(given["dtype"]):
                # Keras calls a weight that is given no name after its class.
                yield cls.name, getattr(given.get("name"), "value", "variable")


def test_the_reading_of_source_finds_weights():
    source = """
class Mine(Layer):
    def build(self, shape):
        self.a = self.add_weight(name="a", shape=shape)
        self.b = self.add_weight(shape)
        self.c = self.add_weight(name="c", dtype="int32")
"""
    assert set(made_weights(source)) == {("Mine", "a"), ("Mine", "variable")}


# --- what the weights are -----------------------------------------------------------------------


def test_experts_are_maps_of_their_own(keras_hub):
    model = BACKBONES["Mixtral"](keras_hub.models)
    ways_in = [
        geometry(owned.layer, owned.weight)
        for owned in owned_weights(model)
        if owned.weight.name == "expert_feedforward_gate_dense"
    ]
    assert len(ways_in) == 3
    for found in ways_in:
        assert (found.fan_in, found.fan_out, found.matrix_shape) == (16, 32, (4, 16, 32))


def test_gate_and_up_projection_of_an_expert_are_two_maps(keras_hub):
    model = BACKBONES["QwenMoe"](keras_hub.models)
    owned = next(o for o in owned_weights(model) if o.weight.name.endswith("gate_dense")
                 and len(o.weight.shape) == 3)  # fmt: skip
    assert geometry(owned.layer, owned.weight).matrix_shape == (8, 16, 8)  # 4 experts


def test_the_filters_of_a_gated_delta_net_sum_over_their_taps(keras_hub):
    model = MORE["Qwen3_5"](keras_hub.models)
    owned = next(o for o in owned_weights(model) if o.weight.name == "conv1d_kernel")
    found = geometry(owned.layer, owned.weight)
    assert (found.fan_in, found.fan_out) == (owned.weight.shape[-1],) * 2


def works(call):
    """Returns whether a call returns: what Keras Hub fails at by itself is not asked of us."""
    try:
        call()
    except Exception:
        return False
    return True


def saved_and_loaded(model, path):
    model.save(path)
    loaded = keras.models.load_model(path)
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, other)))


# Layers of MobileNetV5, Gemma3n and EdRec keep initializers as plain strings.
USED = ["MobileNetV5", "Gemma3n", "Llama3 untied"]
CONFIGURED_TOO = {
    **CONFIGURED,
    "Gemma3n": lambda m: m.Gemma3nBackbone(**GEMMA3N_TEXT),
    "Llama3 untied": lambda m: m.Llama3Backbone(**GROUPED, tie_word_embeddings=False),
}


@pytest.mark.filterwarnings("ignore:.*unbuilt state", "ignore:.*mask")
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize(
    "name", [n if n in USED else pytest.param(n, marks=pytest.mark.slow) for n in CONFIGURED_TOO]
)
def test_a_backbone_is_audited_set_saved_cloned_and_made_portable(keras_hub, name, tmp_path):
    model, path = CONFIGURED_TOO[name](keras_hub.models), tmp_path / "model.keras"
    clones = works(lambda: keras.models.clone_model(model))
    loads = works(lambda: saved_and_loaded(model, path))
    audit(model)
    for scheme in ("initkit_orthogonal", "auto"):
        initialize(model, scheme, seed=0)
        if loads:
            saved_and_loaded(model, path)
        if clones:
            keras.models.clone_model(model)
    portable(model)
    if loads:
        saved_and_loaded(model, path)


# A weight is set to what Keras Hub itself starts it from, whatever it was before.
@pytest.mark.parametrize("name", ["DINOV2", "Gemma", "GptOss", "ViTDet"])
def test_a_weight_that_is_no_kernel_starts_as_in_keras_hub(keras_hub, name):
    model = CONFIGURED[name](keras_hub.models)
    drawn = {"embeddings", "cls_token", "sinks", "interpolated_position_embeddings"}
    fresh = {o.path: keras.ops.convert_to_numpy(o.weight) for o in owned_weights(model)}
    initialize(model, "own", seed=1)
    compared = 0
    for owned in owned_weights(model):
        found = geometry(owned.layer, owned.weight)
        if not isinstance(found, Default) or owned.weight.name in drawn:
            continue
        assert np.array_equal(fresh[owned.path], keras.ops.convert_to_numpy(owned.weight)), (
            owned.path
        )
        compared += 1
    assert compared > 5
