"""What each layer is: one table from classes to kinds, read through the classes' bases."""

import enum
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import keras
from keras import layers

_T = TypeVar("_T")


class Kind(enum.StrEnum):
    """What a layer does to a signal."""

    # maps by a kernel
    DENSE = "dense"
    CONVOLUTION = "convolution"
    EINSUM = "einsum"
    DEPTHWISE = "depthwise convolution"
    SEPARABLE = "separable convolution"
    TRANSPOSED = "transposed convolution"
    MAP = "map"  # an operation that sums over an axis of a weight, or of a function of one
    EMBEDDING = "embedding"
    POSITION = "position embedding"
    ATTENTION = "attention"
    RECURRENT = "recurrent"  # a whole sequence
    CELL = "recurrent cell"  # one step
    # what stands between them
    ACTIVATION = "activation"
    ELEMENTWISE = "elementwise"  # any other function of single values
    NORMALIZATION = "normalization"
    NOISE = "noise"
    RESHAPING = "reshaping"
    PADDING = "padding"  # or cropping, or masking: zeros come in or values go, the rest is kept
    POOLING = "pooling"
    UPSAMPLING = "upsampling"
    IDENTITY = "identity"
    ROTATION = "rotation"  # of pairs of values, by their position
    SCALING = "scaling"  # by a learned or a fixed factor
    SHIFT = "shift"  # by a bias or a constant
    CUT = "cut"  # no gradient comes back
    SUM = "sum"  # branches of which one may be silent: the others go on
    PRODUCT = "product"
    CONTRACTION = "contraction"  # a product of two signals, summed over an axis
    CONCATENATION = "concatenation"
    # what holds other layers or functions
    WRAPPER = "wrapper"
    OVER_TIME = "wrapper over time"  # its layer runs once a step
    MODEL = "model"
    FUNCTION = "function"
    FOREIGN = "foreign"  # runs a framework's own code
    INPUT = "input"
    PREPROCESSING = "preprocessing"
    UNKNOWN = "unknown"


# Plain maps: every output is one sum over a window of inputs, by one matrix for each tap.
PLAIN_MAPS = frozenset({Kind.DENSE, Kind.CONVOLUTION})
# Layers with one kernel between what comes in and what goes out.
KERNELS = PLAIN_MAPS | {
    Kind.EINSUM,
    Kind.DEPTHWISE,
    Kind.SEPARABLE,
    Kind.TRANSPOSED,
    Kind.MAP,
}
# Values come out as they went in: each is kept, moved, repeated, or (noise) kept on average. Of
# padding and cropping the values inside are kept.
KEEPS_SCALE = frozenset(
    {Kind.NOISE, Kind.RESHAPING, Kind.PADDING, Kind.UPSAMPLING, Kind.IDENTITY, Kind.ROTATION}
)

_TABLE: dict[Kind, tuple[type, ...]] = {
    Kind.DENSE: (layers.Dense,),
    Kind.CONVOLUTION: (layers.Conv1D, layers.Conv2D, layers.Conv3D),
    Kind.EINSUM: (layers.EinsumDense,),
    Kind.DEPTHWISE: (layers.DepthwiseConv1D, layers.DepthwiseConv2D),
    Kind.SEPARABLE: (layers.SeparableConv1D, layers.SeparableConv2D),
    Kind.TRANSPOSED: (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
    Kind.EMBEDDING: (layers.Embedding,),
    Kind.ATTENTION: (
        layers.Attention,  # AdditiveAttention is one
        layers.MultiHeadAttention,
        layers.GroupQueryAttention,
    ),
    Kind.RECURRENT: (layers.RNN,),
    Kind.CELL: (layers.SimpleRNNCell, layers.GRUCell, layers.LSTMCell, layers.StackedRNNCells),
    Kind.ACTIVATION: (
        layers.Activation,
        layers.ReLU,
        layers.LeakyReLU,
        layers.PReLU,
        layers.ELU,
        layers.Softmax,
    ),
    Kind.NORMALIZATION: (
        layers.BatchNormalization,
        layers.LayerNormalization,
        layers.GroupNormalization,
        layers.RMSNormalization,
        layers.UnitNormalization,
    ),
    Kind.NOISE: (
        layers.Dropout,  # the spatial ones are Dropouts
        layers.AlphaDropout,
        layers.GaussianDropout,
        layers.GaussianNoise,
    ),
    Kind.RESHAPING: (layers.Flatten, layers.Reshape, layers.Permute, layers.RepeatVector),
    Kind.PADDING: (
        *(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D),
        *(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D),
        layers.Masking,
    ),
    Kind.POOLING: tuple(
        getattr(layers, f"{how}Pooling{rank}D")
        for how in ("Average", "Max", "GlobalAverage", "GlobalMax")
        for rank in (1, 2, 3)
    ),
    Kind.UPSAMPLING: (layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D),
    Kind.IDENTITY: (layers.Identity, layers.ActivityRegularization),
    Kind.SUM: (layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Subtract),
    Kind.PRODUCT: (layers.Multiply, layers.Dot),
    Kind.CONCATENATION: (layers.Concatenate,),
    Kind.WRAPPER: (layers.Wrapper, layers.Bidirectional, layers.SpectralNormalization),
    Kind.OVER_TIME: (layers.TimeDistributed,),
    Kind.MODEL: (keras.Model,),
    Kind.FUNCTION: (layers.Lambda,),
    Kind.FOREIGN: (
        *(layers.FlaxLayer, layers.JaxLayer),
        *(layers.TFSMLayer, layers.TorchModuleWrapper),
    ),
    Kind.INPUT: (layers.InputLayer,),
    Kind.PREPROCESSING: (
        *(layers.CategoryEncoding, layers.CenterCrop, layers.Discretization),
        *(layers.HashedCrossing, layers.Hashing, layers.MelSpectrogram),
        *(layers.Normalization, layers.Pipeline, layers.Rescaling, layers.Resizing),
        *(layers.STFTSpectrogram, layers.TextVectorization),
        *(layers.IntegerLookup, layers.StringLookup),
    ),
}
# Newer than Keras 3.12, or with a base that Keras has no public name for.
_NAMED: dict[Kind, tuple[str, ...]] = {
    Kind.EMBEDDING: ("keras>ReversibleEmbedding", "keras_hub>ReversibleEmbedding"),
    Kind.POSITION: ("keras_hub>PositionEmbedding",),
    # No Kind.DENSE: it multiplies by the signs of the kernel's larger entries times the mean size
    # (Ma et al. 2024, section 2, https://arxiv.org/abs/2402.17764), which no rule reads off.
    Kind.MAP: ("keras>TernaryDense",),
    Kind.CELL: ("keras>ConvLSTMCell",),
    Kind.ROTATION: ("keras_hub>RotaryEmbedding",),
    Kind.POOLING: tuple(
        f"keras>Adaptive{how}Pooling{rank}D" for how in ("Average", "Max") for rank in (1, 2, 3)
    ),
    Kind.PREPROCESSING: (
        "keras>BaseImagePreprocessingLayer",
        "keras>IndexLookup",
        "keras_hub>PreprocessingLayer",
    ),
    # Both leave whole examples out (Huang et al. 2016), as DropPath does elsewhere.
    Kind.NOISE: ("keras>StochasticDepth", "keras_hub>DropPath", "keras_hub>DINOV2DropPath",
                 "keras_hub>DINOV3DropPath"),
    Kind.SCALING: ("keras>LayerScale", "keras_hub>LayerScale2d", "keras_hub>DINOV2LayerScale",
                   "keras_hub>DINOV3LayerScale",
                   "keras_hub>Multiplier"),
    Kind.NORMALIZATION: tuple(
        f"keras_hub>{name}"
        for name in (
            "EdRecRMSNormalization",
            "Gemma3nRMSNorm",
            "Gemma4FrozenNorm",
            "Gemma4VNorm",
            "GptOssLayerNormalization",
            "LlamaLayerNorm",
            "MistralLayerNormalization",
            "MixtralLayerNormalization",
            "Phi3LayerNorm",
            "QKNorm",
            "Qwen3LayerNorm",
            "Qwen3MoeLayerNorm",
            "Qwen3_5LayerNorm",
            "QwenLayerNorm",
            "QwenMoeLayerNorm",
            "RMSNormalization",
            "RmsNorm2d",
            "RoformerNorm",
            "T5LayerNorm",
        )
    ),
}  # fmt: skip
_BY_NAME = {name: kind for kind, names in _NAMED.items() for name in names}


def by_name(layer_type: type, known: Mapping[str, _T]) -> _T | None:
    """Returns what `known` has for a class or the nearest of its bases, or None.

    A name is the top package and the class, such as `"keras_hub>PositionEmbedding"`. So neither a
    private module nor an optional package is imported to know its layers.
    """
    for base in layer_type.__mro__:
        package = base.__module__.partition(".")[0]
        if (found := known.get(f"{package}>{base.__name__}")) is not None:
            return found
    return None


@functools.singledispatch
def kind(layer: Any) -> Kind:
    """Returns what a layer is; a subclass is what its base is, unless it is registered itself.

    For a layer of your own, register a function:

        @kind.register(MyNormalization)
        def _(layer):
            return Kind.NORMALIZATION

    >>> class Wide(layers.Dense):
    ...     pass
    >>> kind(Wide(4))
    <Kind.DENSE: 'dense'>
    """
    return by_name(type(layer), _BY_NAME) or Kind.UNKNOWN


def _always(answer: Kind) -> Callable[[Any], Kind]:
    return lambda layer: answer


def is_named(layer: Any) -> bool:
    """Returns whether a layer's own class, and no base of it, is one that is known by name."""
    package = type(layer).__module__.partition(".")[0]
    return f"{package}>{type(layer).__name__}" in _BY_NAME


for _kind, _types in _TABLE.items():
    for _type in _types:
        kind.register(_type, _always(_kind))


def is_a(layer: Any, *kinds: Kind) -> bool:
    """Returns whether a layer is of one of these kinds."""
    return kind(layer) in kinds


# What these do is said by the names of their classes alone.
_BY_CLASS = frozenset({Kind.ACTIVATION, Kind.POOLING, Kind.SUM, Kind.PRODUCT})


def class_name(subject: Any) -> str:
    """Returns the name of the class of a layer or operation.

    Of a layer of the user's own that is an activation, a pooling or a merging one of Keras, with
    its `call`, that is the name of Keras's.

    >>> class Shrink(layers.MaxPooling2D):
    ...     pass
    >>> class_name(Shrink()), class_name(layers.LSTM(2))
    ('MaxPooling2D', 'LSTM')
    """
    cls: Any = type(subject)
    if isinstance(subject, keras.layers.Layer) and kind(subject) in _BY_CLASS:
        nearest = next(c for c in cls.__mro__ if c.__module__.partition(".")[0] == "keras")
        cls = nearest if nearest.call is cls.call else cls
    return str(cls.__name__)


def classes(*kinds: Kind) -> tuple[type, ...]:
    """Returns Keras's classes of these kinds, for a `functools.singledispatch` of your own."""
    return tuple(layer for each in kinds for layer in _TABLE[each])
