"""Configurations of Keras objects, made comparable between processes."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from keras_inits._keras_internals import made_up_name

# Whose configurations say all that their objects do.
_COMPLETE = ("keras", "keras_inits", "builtins")
# Plain values that Keras writes as objects.
_VALUES = ("__keras_tensor__", "__tensor__", "__numpy__", "__tuple__", "__ellipsis__", "__bytes__")
_NO_NUMBERS = ("module", "compile_config", "shared_object_id", "object_id")


def serialized(thing: Any) -> dict[str, Any] | None:
    """Returns the configuration of a Keras object; None if it has none."""
    config = attempt(lambda: keras.saving.serialize_keras_object(thing))
    if config is None:
        return None
    return config if isinstance(config, dict) else {"class_name": str(config), "config": {}}


def attempt(configuration: Callable[[], Any]) -> Any:
    """Returns what `configuration` returns, without warnings; None if there is no configuration."""
    try:
        with warnings.catch_warnings():
            # Keras warns of lambdas, which cannot be loaded again. Nothing is loaded here.
            warnings.simplefilter("ignore")
            return configuration()
    except Exception:  # `get_config` may be the user's and fail in any way: the code counts then
        return None


def normalized(config: Any) -> Any:
    """Returns a configuration with the names that Keras made up numbered by their order in it.

    >>> normalized({"class_name": "Dense", "module": "keras.layers", "config": {"name": "dense_7"}})
    {'class_name': 'Dense', 'config': {'name': 'dense#0'}}
    """
    names: dict[str, str] = {}
    count: Counter[str] = Counter()
    for node in _nodes(config):
        inner = node.get("config")
        name = inner.get("name") if isinstance(inner, Mapping) else None
        if not isinstance(name, str) or name in names:
            continue
        if found := made_up_name(name, str(node["class_name"])):
            base, _ = found
            names[name] = f"{base}#{count[base]}"
            count[base] += 1

    def rename(value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get("class_name") == "__lambda__":
                return "a lambda"  # written with its place in the file; its code counts instead
            kept = {k: v for k, v in value.items() if k not in _NO_NUMBERS}
            if "class_name" in kept and isinstance(inner := kept.get("config"), Mapping):
                rest = {k: rename(v) for k, v in kept.items() if k != "config"}
                return {**rest, "config": arguments(inner)}
            return {names.get(k, k): rename(v) for k, v in kept.items()}
        if isinstance(value, list | tuple):
            return [rename(entry) for entry in value]
        return names.get(value, value) if isinstance(value, str) else value

    def arguments(inner: Mapping[str, Any]) -> dict[str, Any]:
        # Keras calls its first layers like arguments and their values: "activation", "dropout",
        # "softmax". The keys here are arguments, and activations are no names of layers.
        return {
            k: v if isinstance(v, str) and k.endswith("activation") else rename(v)
            for k, v in inner.items()
            if k not in _NO_NUMBERS
        }

    return rename(config)


def says_all(config: Any) -> bool:
    """Returns whether a configuration tells all: no class or function but Keras's and ours."""
    for node in _nodes(config):
        root = str(node.get("module") or "").partition(".")[0]
        # Keras writes functions of its own as strings.
        if node["class_name"] not in _VALUES and (
            root not in _COMPLETE or node["class_name"] == "function"
        ):
            return False
    return True


def _nodes(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yields the serialized objects in a configuration, from the outside in."""
    if isinstance(config, Mapping):
        if "class_name" in config and "config" in config:
            yield config
        for value in config.values():
            yield from _nodes(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _nodes(value)
