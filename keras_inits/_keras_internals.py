"""Every use of what Keras does not promise to keep, each with a check and the versions tried.

Names: Keras up to 3.15 looks strings such as `"initkit_he"` up among its custom objects. From 3.16
on `keras.initializers.get` asks a private dict alone. Tried with Keras 3.12.0, 3.15.1 and
3.16.0.dev2026102704; `python scripts/test_versions.py` tries them again.
"""

import functools
import importlib
import math
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._errors import InputError

# --- names ---------------------------------------------------------------------------------------

_TABLE = "ALL_OBJECTS_DICT"  # in the module that defines `keras.initializers.get`, since 3.0


def enter_strings(strings: dict[str, type[keras.initializers.Initializer]]) -> None:
    """Makes strings mean initializers wherever Keras takes an initializer.

    Args:
        strings: classes by string. They should be registered as custom objects already; where
            Keras asks these for strings too, there is nothing left to do.
    """
    if not strings_are_custom_objects():
        table = _string_table()
        if table is None:
            _warn_once()
        else:
            table.update(strings)


@functools.cache
def strings_are_custom_objects() -> bool:
    """Returns whether this Keras looks strings up among its custom objects (3.15 and before)."""
    return _finds_probe(keras.saving.get_custom_objects())


@functools.cache
def _string_table() -> dict[str, Any] | None:
    """Returns the dict in which `keras.initializers.get` looks strings up, None where it hides."""
    table = getattr(keras.initializers.get, "__globals__", {}).get(_TABLE)
    return table if isinstance(table, dict) and _finds_probe(table) else None


class _Probe(keras.initializers.Initializer):
    """Never used: stands in a table for as long as it takes to see whether Keras finds it."""


def _finds_probe(table: dict[str, Any]) -> bool:
    name = "initkit_probe"
    table[name] = _Probe
    try:
        return isinstance(keras.initializers.get(name), _Probe)
    except Exception:  # whatever a future Keras says of a string that it does not know
        return False
    finally:
        table.pop(name, None)


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        f"Keras {keras.__version__} does not let other packages name initializers, so strings "
        'such as kernel_initializer="initkit_he" raise an error. Everything else works: '
        'kernel_initializer=keras_inits.get("initkit_he") or keras_inits.HeInit(), '
        "configurations, saved models, keras_inits.initialize. Update keras-inits.",
        stacklevel=2,
    )


# --- Keras 2 -------------------------------------------------------------------------------------


def refuse_strings_in_keras_2(strings: Iterable[str]) -> None:
    """Lets layers of Keras 2 say what is wrong with our strings, instead of that they are unknown.

    Keras 2 is `tf_keras`, which is also `tf.keras` where TF_USE_LEGACY_KERAS is set; Keras has
    loaded it then. Nothing is done where it is not loaded. Its table of custom objects is public.
    """
    if (tf_keras := sys.modules.get("tf_keras")) is None:
        return
    table: dict[str, type] = getattr(getattr(tf_keras, "utils", None), "get_custom_objects", dict)()
    for string in strings:
        table[string] = type("OfKeras3", (_OfKeras3,), {"string": string})


class _OfKeras3:
    """What one of our strings means to Keras 2: an error that says so.

    Attributes:
        string: the string.
    """

    string = ""

    def __init__(self) -> None:
        raise InputError(
            f"{self.string!r} names an initializer of Keras 3, and this layer is one of Keras 2 "
            "(`tf_keras`, or `tf.keras` with TF_USE_LEGACY_KERAS set): make the layer with "
            "`import keras`, and unset TF_USE_LEGACY_KERAS where it is set."
        )

    @classmethod
    def from_config(cls, config: Any, **_: Any) -> "_OfKeras3":
        """Raises the error: Keras 2 makes its objects here."""
        return cls()


# --- memory --------------------------------------------------------------------------------------


def unsafe_empty(shape: tuple[int, ...], dtype: str) -> tuple[Any, NDArray[Any]]:
    """Returns a new tensor of TensorFlow's on the CPU, and a flat writable array of its memory.

    TensorFlow takes tensors for constant. Writing to this one is sound as long as nothing has read
    it: fill the array first, then use the tensor, and keep no reference to the array. Without
    `tf.raw_ops.Empty` or DLPack the two lie in an array and a copy is made later.

    Tried with TensorFlow 2.21.

    Args:
        shape: the shape of the tensor.
        dtype: float32 or float64.
    """
    # By name, since the plugin needs no TensorFlow: here it is the backend, and loaded.
    tf = importlib.import_module("tensorflow")
    try:
        with tf.device("CPU:0"):
            tensor = tf.raw_ops.Empty(shape=shape, dtype=dtype)
        view = np.from_dlpack(tensor)
    except (AttributeError, TypeError, BufferError, RuntimeError):
        array = np.empty(math.prod(shape), dtype)
        return array.reshape(shape), array
    memory = np.ctypeslib.as_ctypes_type(dtype) * view.size
    return tensor, np.ctypeslib.as_array(memory.from_address(view.ctypes.data))


# --- the graph of a functional model -------------------------------------------------------------


def next_operations(operation: Any) -> list[Any]:
    """Returns the layers and operations that take the output of `operation`, in order.

    Empty at the end of a model, and for layers that no functional or Sequential model calls: the
    graph has no public face but its serialized form. Tried with Keras 3.15.1.
    """
    return [node.operation for node in getattr(operation, "_outbound_nodes", ())]


def producer(tensor: Any) -> Any:
    """Returns the layer or operation that made a symbolic tensor. Tried with Keras 3.15.1."""
    return tensor._keras_history.operation


# --- the layers inside a layer -------------------------------------------------------------------


def inner_layers(layer: keras.layers.Layer, *, itself: bool = False) -> list[keras.layers.Layer]:
    """Returns every layer inside `layer`, at any depth, each once.

    Those that subclassed models, attention, cells and wrappers keep in their attributes are among
    them: `Model.layers` has those at the top alone. Tried with Keras 3.15.1.
    """
    return layer._flatten_layers(include_self=itself)  # type: ignore[no-any-return]


# --- following a model by its symbolic calls ------------------------------------------------------
# Tried with Keras 3.15.1. Keras has no hooks on layers and operations. All calls of layers go
# through `Layer.__call__`, all operations on `KerasTensor`s through `Operation.symbolic_call`, and
# all added losses through `Layer.add_loss`; the names are public, that nothing goes around them is
# not promised. `tests/wiring/test_tracing.py` fails where something does.

Hook = Callable[..., Any]

_lock = threading.Lock()


@dataclass(eq=False)
class _Replaced:
    """A replaced method.

    Attributes:
        plain: the method itself.
        call: what stands in its place.
        users: by hook, how many ask for it; the same one is called once, however many do.
    """

    plain: Any
    call: Any
    users: dict[Hook, int]


_replaced: dict[tuple[Any, str], _Replaced] = {}


@contextmanager
def calls_through(owner: Any, method: str, hook: Hook) -> Iterator[None]:
    """Lets every call of a method, or of a function of a module, go through a function.

    The method is replaced once, however many ask for it at the same time, and put back when the
    last one leaves.

    Args:
        owner: the class that has the method, or the module.
        method: its name.
        hook: called as `hook(next, instance, *args, **kwargs)`, where `next` is the hook below, or
            the method itself. It is called for every thread: it should ask a `ContextVar` whether
            the call is its business.
    """
    entered = False
    try:
        with _lock:
            _add(owner, method, hook)
            entered = True
        yield
    finally:
        if entered:
            with _lock:
                _remove(owner, method, hook)


def _add(owner: Any, method: str, hook: Hook) -> None:
    if (owner, method) not in _replaced:
        plain, users = getattr(owner, method), dict[Hook, int]()

        def call(instance: Any, *args: Any, **kwargs: Any) -> Any:
            return _next(plain, tuple(users))(instance, *args, **kwargs)

        _replaced[owner, method] = _Replaced(plain, call, users)
        setattr(owner, method, call)
    users = _replaced[owner, method].users
    users[hook] = users.get(hook, 0) + 1


def _next(plain: Any, hooks: tuple[Hook, ...]) -> Callable[..., Any]:
    if not hooks:
        return plain  # type: ignore[no-any-return]
    below = _next(plain, hooks[:-1])
    return lambda *args, **kwargs: hooks[-1](below, *args, **kwargs)


def _remove(owner: Any, method: str, hook: Hook) -> None:
    replaced = _replaced[owner, method]
    replaced.users[hook] -= 1
    if not replaced.users[hook]:
        del replaced.users[hook]
    if not replaced.users:
        del _replaced[owner, method]
        # Another library may have put its own method on top meanwhile: then that one stays.
        if getattr(owner, method) is replaced.call:
            setattr(owner, method, replaced.plain)


@contextmanager
def symbolic_calls_through(
    layer_call: Hook, operation_call: Hook, add_loss: Hook
) -> Iterator[None]:
    """Lets calls of layers, operations on `KerasTensor`s and added losses go through functions."""
    with (
        calls_through(keras.layers.Layer, "__call__", layer_call),
        calls_through(keras.Operation, "symbolic_call", operation_call),
        calls_through(keras.layers.Layer, "add_loss", add_loss),
        calls_through(
            keras.layers.MultiHeadAttention, "_compute_attention", _attention_by_operations
        ),
    ):
        yield


def _attention_by_operations(
    plain: Any, layer: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any
) -> Any:
    """Computes attention by an operation of `keras.ops` where the layer itself cannot.

    Keras 3.16 computes it by the backend's own function, which takes no symbolic tensors.
    """
    try:
        return plain(layer, query, key, value, *args, **kwargs)
    except Exception:
        if not isinstance(query, keras.KerasTensor) or len(query.shape) != 4:
            raise
    return keras.ops.dot_product_attention(query, key, value), None


def other_calls(layer: Any) -> tuple[Callable[..., Any], ...]:
    """Returns another way to call a layer of Keras's on symbolic tensors, if it may need one.

    Grouped attention of Keras 3.16 repeats keys and values by the backend's own function, which
    takes none. Masks, which carry no signal, are left out.
    """
    if not isinstance(layer, keras.layers.GroupQueryAttention):
        return ()

    def call(query: Any, value: Any, key: Any = None, **_: Any) -> Any:
        gate = layer._gate_dense(query) if getattr(layer, "use_gate", False) else None
        queries = layer._query_dense(query)
        keys = layer._key_dense(value if key is None else key)
        values = layer._value_dense(value)
        keys, values = (keras.ops.repeat(t, layer.num_repeats, axis=2) for t in (keys, values))
        mixed = keras.ops.dot_product_attention(queries, keys, values)
        return layer._output_dense(mixed if gate is None else keras.ops.multiply(mixed, gate))

    return (call,)


# --- watching a running model --------------------------------------------------------------------
# Tried with Keras 3.12.0 and 3.15.1. Keras keeps masks and logits as attributes of tensors, and the
# seed of draws without a seed in its global state.

_TENSOR_NOTES = ("_keras_mask", "_keras_logits")


def copy_tensor_notes(source: Any, target: Any) -> None:
    """Copies what Keras keeps on a tensor (its mask, the logits behind softmax) to a copy of it."""
    for name in _TENSOR_NOTES:
        if (value := getattr(source, name, None)) is not None:
            setattr(target, name, value)


def logits_of(tensor: Any) -> Any:
    """Returns the logits that Keras computes cross-entropy from; None where there are none."""
    return getattr(tensor, "_keras_logits", None)


def set_logits(tensor: Any, logits: Any) -> None:
    """Sets the logits that Keras computes cross-entropy from."""
    tensor._keras_logits = logits


def mask_of(tensor: Any) -> Any:
    """Returns the mask that Keras keeps on a tensor; None where there is none."""
    if (mask := getattr(tensor, "_keras_mask", None)) is not None:
        return mask
    # Arrays of JAX take no attributes: there is a table of masks by the identities of arrays.
    module = sys.modules.get("keras.src.backend.common.tensor_attributes")
    return module and module.get_tensor_attr(tensor, "_keras_mask")


def copy_mask(source: Any, target: Any) -> None:
    """Copies the mask that Keras keeps on a tensor to a copy of it."""
    module = sys.modules.get("keras.src.backend.common.tensor_attributes")
    if module is not None and (mask := mask_of(source)) is not None:
        module.set_tensor_attr(target, "_keras_mask", mask)


@contextmanager
def activations_through(
    softmax: Hook, sigmoid: Hook, entropy: Hook, attention: Hook
) -> Iterator[None]:
    """Lets softmax, sigmoid, cross-entropies and attention of this backend go through functions.

    The layers, losses and `keras.ops` all look them up in one module of the backend. Tried with
    Keras 3.15.1 on JAX and torch.
    """
    module: Any = sys.modules[f"keras.src.backend.{keras.backend.backend()}.nn"]
    names = {
        "softmax": softmax,
        "sigmoid": sigmoid,
        "categorical_crossentropy": entropy,
        "sparse_categorical_crossentropy": entropy,
        "binary_crossentropy": entropy,
        "dot_product_attention": attention,
    }
    with ExitStack() as stack:
        for name, hook in names.items():
            if hasattr(module, name):
                stack.enter_context(calls_through(module, name, hook))
        yield


def global_seed_state() -> Any:
    """Returns the variable that seeds draws without a seed; None if nothing was drawn yet."""
    module = sys.modules.get("keras.src.backend.common.global_state")
    generator = module and module.get_global_attribute("global_seed_generator")
    return getattr(generator, "state", None)


def forget_global_seed() -> None:
    """Lets the seed of draws without a seed be made anew, as in a fresh process."""
    module = sys.modules.get("keras.src.backend.common.global_state")
    if module is not None:
        module.set_global_attribute("global_seed_generator", None)


def all_layers(model: keras.Model) -> list[keras.Layer]:
    """Returns a model's layers at any depth, those inside other layers too."""
    return list(model._flatten_layers(include_self=False))


def operation_callbacks() -> Any:
    """Returns TensorFlow's module of callbacks on eager operations; None where there is none.

    It has no public name; TensorFlow's own debugger (tf.debugging.experimental) is built on it.
    Tried with TensorFlow 2.18 to 2.21.
    """
    try:
        module = importlib.import_module("tensorflow.python.framework.op_callbacks")
    except ImportError:
        return None
    wanted = ("add_op_callback", "remove_op_callback")
    return module if all(callable(getattr(module, name, None)) for name in wanted) else None


# --- losses --------------------------------------------------------------------------------------


def loss_weights_of(model: keras.Model) -> Any:
    """Returns the `loss_weights` that a model was compiled with; None where there are none.

    `get_compile_config` has them as well, and fails for losses that cannot be written down. Tried
    with Keras 3.15.1.
    """
    return getattr(getattr(model, "_compile_loss", None), "_user_loss_weights", None)


# --- optimizers ----------------------------------------------------------------------------------


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """Returns the place of a variable, as `update_step` is given it, among those of `build`.

    On TensorFlow that may be the tensor inside of Keras's variable, or its copy on one device.
    Every optimizer of Keras's asks for its own state so. Tried with Keras 3.15.1 on TensorFlow and
    JAX.
    """
    return optimizer._get_variable_index(variable)  # type: ignore[no-any-return]
