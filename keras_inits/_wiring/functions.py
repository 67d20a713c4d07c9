"""TensorFlow's own functions on symbolic tensors: `tf.matmul(x, w)` in the `call` of a layer.

`keras.KerasTensor` is refused by them. TensorFlow asks its dispatchers before it raises the error;
ours answers while a model is traced, with Keras's operation of the same meaning, or with one that
is not understood but has the right shape. JAX and torch have no such place.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

Arguments = dict[str, Any]

_ONE = dict.fromkeys(("x", "input", "features", "logits"), "x")
_TWO = {"x": "x1", "y": "x2"}
_REDUCED = {"input_tensor": "x", "axis": "axis", "keepdims": "keepdims"}


def _same(names: str, renamed: Mapping[str, str]) -> dict[str, tuple[str, Mapping[str, str]]]:
    """Returns the rows of functions that have Keras's names."""
    return {name: (name, renamed) for name in names.split()}


# Keras's function, and its arguments by the names of TensorFlow's.
_TABLE: dict[str, tuple[str, Mapping[str, str]]] = {
    **_same("exp log log1p expm1 sqrt rsqrt square abs sign sin cos tan round floor ceil", _ONE),
    **_same("tanh sigmoid softplus softsign erf relu relu6 elu selu", _ONE),
    **_same("add subtract multiply divide maximum minimum", _TWO),
    **_same("less greater less_equal greater_equal equal not_equal logical_and logical_or", _TWO),
    "_add_dispatch": ("add", _TWO),  # the operator `+`
    "truediv": ("divide", _TWO),
    "floordiv": ("floor_divide", _TWO),
    "floor_div": ("floor_divide", _TWO),  # the operator `//`
    "floor_mod": ("mod", _TWO),
    "neg": ("negative", _ONE),
    "swish": ("silu", _ONE),
    "pow": ("power", _TWO),
    "reduce_mean": ("mean", _REDUCED),
    "reduce_sum": ("sum", _REDUCED),
    "reduce_max": ("max", _REDUCED),
    "reduce_min": ("min", _REDUCED),
    "reduce_prod": ("prod", _REDUCED),
    "reduce_any": ("any", _REDUCED),
    "reduce_all": ("all", _REDUCED),
    "reduce_std": ("std", _REDUCED),
    "reduce_variance": ("var", _REDUCED),
    "reduce_logsumexp": ("logsumexp", _REDUCED),
    "concat": ("concatenate", {"values": "xs", "axis": "axis"}),
    "stack": ("stack", {"values": "x", "axis": "axis"}),
    "unstack": ("unstack", {"value": "x", "num": "num", "axis": "axis"}),
    "reshape": ("reshape", {"tensor": "x", "shape": "newshape"}),
    "transpose": ("transpose", {"a": "x", "perm": "axes"}),
    "expand_dims": ("expand_dims", {"input": "x", "axis": "axis"}),
    "squeeze": ("squeeze", {"input": "x", "axis": "axis"}),
    "gather": ("take", {"params": "x", "indices": "indices", "axis": "axis"}),
    "cast": ("cast", {"x": "x", "dtype": "dtype"}),
    "tile": ("tile", {"input": "x", "multiples": "repeats"}),
    "where": ("where", {"condition": "condition", "x": "x1", "y": "x2"}),
    "clip_by_value": ("clip", {"t": "x", "clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "stop_gradient": ("stop_gradient", {"input": "variable"}),
    "tensordot": ("tensordot", {"a": "x1", "b": "x2", "axes": "axes"}),
    "softmax": ("softmax", {"logits": "x", "axis": "axis"}),
    "log_softmax": ("log_softmax", {"logits": "x", "axis": "axis"}),
    "leaky_relu": ("leaky_relu", {"features": "x", "alpha": "negative_slope"}),
    "gelu": ("gelu", {"features": "x", "approximate": "approximate"}),
    "norm": ("norm", {"tensor": "x", "axis": "axis", "keepdims": "keepdims"}),
    "pad": ("pad", {"tensor": "x", "paddings": "pad_width"}),
    "argmax": ("argmax", {"input": "x", "axis": "axis"}),
    "depth_to_space": ("depth_to_space", {"input": "x", "block_size": "block_size"}),
    "space_to_depth": ("space_to_depth", {"input": "x", "block_size": "block_size"}),
}
# Without these Keras's function takes another default than TensorFlow's.
_DEFAULTS: dict[str, Arguments] = {"gather": {"axis": 0}, "gelu": {"approximate": False}}
_IGNORED = frozenset({"name", "num", "output_type", "out_type", "dtype_hint", "validate_indices"})
_LARGEST = 10**7  # entries of a matrix of means over segments: 40 MB in float32
_WHOLE = frozenset({"newshape", "axes", "axis", "repeats", "pad_width"})


class Function(keras.Operation):
    """A function of the backend that is not understood: it has a name and a shape."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(name=_name(function))
        self.function = function

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the function makes of the backend's own tensors."""
        return self.function(*args, **kwargs)


@functools.cache
def let_tensorflow_ask(traced: Callable[[], bool]) -> None:
    """Lets TensorFlow's functions be answered for on symbolic tensors, while a trace runs.

    Args:
        traced: whether this thread traces a model.
    """
    if keras.backend.backend() != "tensorflow":
        return
    try:  # not public; without it layers that call TensorFlow stay not understood
        from tensorflow.python.util.dispatch import GlobalOpDispatcher
    except ImportError:
        return

    class Dispatcher(GlobalOpDispatcher):
        def handle(self, op: Any, args: Any, kwargs: Any) -> Any:
            leaves = keras.tree.flatten((args, kwargs))
            if not traced() or not any(isinstance(t, keras.KerasTensor) for t in leaves):
                return self.NOT_SUPPORTED
            return answer(op, args, kwargs)

    Dispatcher().register()


def answer(function: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any]) -> Any:
    """Returns what Keras's operation of the same meaning gives for symbolic tensors."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    given = {
        name: value
        for name, value in bound.arguments.items()
        if name not in _IGNORED and not _is_default(bound.signature.parameters[name], value)
    }
    found = _translated(_name(function), given)
    return Function(function)(*args, **kwargs) if found is NotImplemented else found


def _translated(name: str, given: Arguments) -> Any:
    if name in _WRITTEN:
        function = _WRITTEN[name]
        takes = given.keys() <= inspect.signature(function).parameters.keys()
        return function(**given) if takes else NotImplemented
    if name not in _TABLE:
        return NotImplemented
    target, renamed = _TABLE[name]
    given = _DEFAULTS.get(name, {}) | given
    if not given.keys() <= renamed.keys():
        return NotImplemented
    named = {renamed[key]: value for key, value in given.items()}
    plain = {key: _plain(value) if key in _WHOLE else value for key, value in named.items()}
    return getattr(keras.ops, target)(**plain)


def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    swapped = (keras.ops.swapaxes(t, -1, -2) if swap else t
               for t, swap in ((a, transpose_a), (b, transpose_b)))  # fmt: skip
    return keras.ops.matmul(*swapped)


def _split(value: Any, num_or_size_splits: Any, axis: int = 0) -> Any:
    parts = _plain(num_or_size_splits)
    at = parts if isinstance(parts, int) else tuple(np.cumsum(parts)[:-1].tolist())
    return keras.ops.split(value, at, axis=_plain(axis))


def _einsum(equation: str, inputs: Iterable[Any]) -> Any:
    return keras.ops.einsum(equation, *inputs)


def _l2_normalize(x: Any, axis: Any = None) -> Any:
    return NotImplemented if axis is None else keras.ops.normalize(x, axis=_plain(axis))


def _segment_sum(data: Any, segment_ids: Any, num_segments: Any) -> Any:
    ids = keras.ops.convert_to_tensor(segment_ids)
    return keras.ops.segment_sum(data, ids, _plain(num_segments))


def _segment_mean(data: Any, segment_ids: Any, num_segments: Any) -> Any:
    if isinstance(segment_ids, keras.KerasTensor) or len(data.shape) != 2:
        return NotImplemented
    ids, count = np.asarray(segment_ids), _plain(num_segments)
    if ids.size * count > _LARGEST:
        return NotImplemented
    weights = (ids == np.arange(count)[:, None]).astype("float32")
    return keras.ops.matmul(weights / np.maximum(weights.sum(1, keepdims=True), 1), data)


# A trace has a number for each size: what asks for shapes is answered by numbers.
_WRITTEN: dict[str, Callable[..., Any]] = {
    "matmul": _matmul,
    "split": _split,
    "einsum": _einsum,
    "l2_normalize": _l2_normalize,
    "unsorted_segment_sum": _segment_sum,
    "unsorted_segment_mean": _segment_mean,
    "shape": lambda input: tuple(input.shape),
    "rank": lambda input: len(input.shape),
    "convert_to_tensor": lambda value: value,
    "identity": lambda input: input,
}


def _plain(value: Any) -> Any:
    """Returns sizes and axes as numbers, whatever array holds them."""
    if isinstance(value, list | tuple):
        return tuple(_plain(part) for part in value)
    if not hasattr(value, "__array__") or isinstance(value, keras.KerasTensor):
        return value
    found = np.asarray(value).tolist()
    return tuple(found) if isinstance(found, list) else found


def _is_default(parameter: inspect.Parameter, value: Any) -> bool:
    default = parameter.default
    return default is value or (isinstance(value, bool | int | float | str) and value == default)


def _name(function: Callable[..., Any]) -> str:
    return str(inspect.unwrap(function).__name__).removesuffix("_with_dispatch").removesuffix("_v2")
