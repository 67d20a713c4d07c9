"""Every use of what Keras does not promise to keep, each with a check and the versions tried."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

# --- watching a running model --------------------------------------------------------------------
# Tried with Keras 3.12.0 and 3.15.1. Keras has no hooks on layers, keeps masks and logits as
# attributes of tensors, and the seed of draws without a seed in its global state.

Hook = Callable[[Any, Any, Any, Any], Any]

_TENSOR_NOTES = ("_keras_mask", "_keras_logits")
_lock = threading.Lock()
_users = 0
_plain_call: Any = None
_hooked_call: Any = None


@contextmanager
def layer_calls_through(hook: Hook) -> Iterator[None]:
    """Lets every `layer(*args, **kwargs)` of the process go through a function.

    `Layer.__call__` is replaced once, however many ask for it at the same time, and put back when
    the last one leaves.

    Args:
        hook: called as `hook(original, layer, args, kwargs)`, where `original` is Keras's own call;
            the same one in all places that may be active together.
    """
    entered = False
    try:
        with _lock:
            _enter(hook)
            entered = True
        yield
    finally:
        if entered:
            with _lock:
                _leave()


def _enter(hook: Hook) -> None:
    global _users, _plain_call, _hooked_call
    if _users == 0:
        plain = keras.layers.Layer.__call__

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            return hook(plain, layer, args, kwargs)

        _plain_call, _hooked_call = plain, call
        keras.layers.Layer.__call__ = call
    _users += 1


def _leave() -> None:
    global _users
    _users -= 1
    # Another library may have put its own call on top meanwhile: then that one stays.
    if _users == 0 and keras.layers.Layer.__call__ is _hooked_call:
        keras.layers.Layer.__call__ = _plain_call


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
    return getattr(tensor, "_keras_mask", None)


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
