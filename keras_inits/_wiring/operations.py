"""What an operation between layers does: one table from the names of Keras's operations to kinds.

Most operations have no public class, so they are known by the name of their class, as they are in
saved models. What an operation is depends on what it is given too: `multiply` is a product of two
signals, a scaling by a weight or a constant.
"""

import re
from collections.abc import Sequence
from typing import Any

from keras_inits._layers import pooling
from keras_inits._layers.activations import activation_of_operation
from keras_inits._layers.kinds import Kind
from keras_inits._wiring.functions import Function

_NAMES: dict[Kind, str] = {
    Kind.SUM: "Add Subtract Maximum Minimum Fmax Fmin Logaddexp Logaddexp2 Where",
    Kind.PRODUCT: "Multiply Divide TrueDivide DivideNoNan Power Arctan2 Hypot",
    Kind.CONTRACTION: "Matmul Einsum Dot Tensordot Inner Vdot Outer Kron Conv DepthwiseConv "
    "SeparableConv ConvTranspose",
    Kind.CONCATENATION: "Concatenate Stack Hstack Vstack Dstack Append",
    Kind.ELEMENTWISE: "Absolute Abs Fabs Square Sqrt Rsqrt Cbrt Exp Exp2 Expm1 Log Log10 Log1p "
    "Log2 Sin Cos Tan Sinh Cosh Arcsin Arccos Arctan Arcsinh Arccosh Arctanh Sinc Erf Erfc Erfinv "
    "Reciprocal Clip NanToNum Softplus Sigmoid Mish",
    Kind.RESHAPING: "Reshape Transpose Squeeze ExpandDims Ravel Swapaxes Moveaxis Tile Repeat "
    "BroadcastTo Flip Fliplr Flipud Roll Rot90 Split ArraySplit Hsplit Vsplit Dsplit Unstack "
    "GetItem Slice Take TakeAlongAxis Diagonal DepthToSpace SpaceToDepth ExtractPatches "
    "Rearrange Unfold View Meshgrid TopK Sort",
    Kind.IDENTITY: "Cast SaturateCast ConvertToTensor Copy Identity Real",
    Kind.SCALING: "Negative Deg2rad Rad2deg",
    Kind.PADDING: "Pad Tril Triu PadImages CropImages",
    Kind.POOLING: " ".join(pooling.OPERATIONS),
    Kind.UPSAMPLING: "Resize",
    Kind.NORMALIZATION: "LayerNorm RMSNorm BatchNorm Normalize",
    Kind.ATTENTION: "DotProductAttention",
    Kind.CUT: "StopGradient Round Floor Ceil Trunc Sign Signbit Heaviside FloorDivide Argmax "
    "Argmin Argsort Argpartition Equal NotEqual Greater GreaterEqual Less LessEqual Isclose "
    "Isfinite Isinf Isnan IsIn LogicalAnd LogicalNot LogicalOr LogicalXor Any All OneHot Bincount "
    "Digitize SearchSorted CountNonzero Nonzero InTopK MultiHot ZerosLike OnesLike FullLike "
    "EmptyLike Full",
}
# Of their operand these take the shape alone.
_OF_SHAPE = frozenset({"ZerosLike", "OnesLike", "FullLike", "EmptyLike"})
_BY_NAME = {name: kind for kind, names in _NAMES.items() for name in names.split()}
# With one signal these are functions of single values, and no shift or scaling.
_FUNCTIONS = frozenset({"Maximum", "Minimum", "Fmax", "Fmin", "Logaddexp", "Logaddexp2", "Power",
                        "Arctan2", "Hypot"})  # fmt: skip


def operation_kind(operation: Any, operands: Sequence[str]) -> Kind:
    """Returns what an operation does.

    Args:
        operation: an operation of Keras that is no layer.
        operands: for each tensor, variable or number that it is called on `"signal"`, if the
            model's signal comes in there, or `"weight"`, or `"constant"`.
    """
    name = type(operation).__name__
    if name not in _FUNCTIONS and activation_of_operation(operation) is not None:
        return Kind.ACTIVATION
    known = _BY_NAME.get(name, Kind.UNKNOWN)
    signals = operands.count("signal")
    if name == "Take" and "weight" in operands and not signals:
        return Kind.EMBEDDING
    if signals != 1:
        return known
    if name == "Matmul" and list(operands) == ["constant", "signal"]:
        return Kind.POOLING  # sums over places with fixed weights: the neighbours in a graph
    if known is Kind.CONTRACTION:
        return Kind.MAP if operands.count("weight") == 1 else Kind.UNKNOWN
    if known is Kind.SUM:
        # `where(mask, signal, -inf)` keeps some values and replaces the rest.
        if name == "Where":
            return Kind.PADDING
        return Kind.ELEMENTWISE if name in _FUNCTIONS else Kind.SHIFT
    if known is Kind.PRODUCT:
        divides = "Divide" in name and operands[-1] == "signal"
        return Kind.ELEMENTWISE if name in _FUNCTIONS or divides else Kind.SCALING
    return known


def reads_values(subject: Any) -> bool:
    """Returns whether what a layer or operation gives depends on the values that it takes."""
    return type(subject).__name__ not in _OF_SHAPE


def description(operation: Any) -> str:
    """Returns an operation's function by name, with its equation if it has one."""
    if isinstance(operation, Function):
        return str(operation.name)
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(operation).__name__).lower()
    equation = getattr(operation, "subscripts", None)
    return f"{name} {equation}" if equation else name
