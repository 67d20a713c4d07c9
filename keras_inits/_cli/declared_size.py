"""How much memory a saved model says that it takes, before anything of it is made."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import h5py

# Arguments whose product is the number of a layer's units, by any class of Keras.
_UNITS = ("units", "filters", "output_dim", "value_dim", "num_heads")


def from_config(config: Any) -> int:
    """Returns the bytes of weights that a model's configuration declares, at least.

    Every layer counts its kernel as far as units and incoming features are known, and its units
    where they are not: a bound from below, so that no model is refused that could be loaded.

    >>> dense = {"class_name": "Dense", "config": {"units": 10**6},
    ...          "build_config": {"input_shape": [None, 10**6]}}
    >>> from_config({"class_name": "Sequential", "config": {"layers": [dense]}})
    4000000000000
    """
    return int(sum(_width(layer["config"]) * _weights(layer) for layer in _layers(config)))


def _layers(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yields whatever in a configuration has one of its own, such as layers in models."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            if isinstance(part.get("config"), Mapping):
                yield part
            waiting += _parts(part)
        elif isinstance(part, list | tuple):
            waiting += part


def _parts(part: Mapping[str, Any]) -> Iterable[Any]:
    config = part.get("config")
    chain = config.get("layers") if isinstance(config, Mapping) else None
    if part.get("class_name") == "Sequential" and isinstance(chain, list):
        return _with_inputs(chain)
    return part.values()


def from_hdf5(file: Path | IO[bytes]) -> int:
    """Returns the bytes that the weights in an HDF5 file take once they are read.

    Those of an optimizer do not count: they are not read where the model is not compiled.
    """
    total = 0

    def add(name: str, found: Any) -> None:
        nonlocal total
        of_optimizer = name.partition("/")[0] in ("optimizer", "optimizer_weights")
        if isinstance(found, h5py.Dataset) and found.shape is not None and not of_optimizer:
            total += math.prod(found.shape) * found.dtype.itemsize

    with h5py.File(file, "r") as opened:
        opened.visititems(add)
    return total


def _weights(layer: Mapping[str, Any]) -> int:
    config = layer["config"]
    units = math.prod(max(1, _integer(config.get(name))) for name in _UNITS)
    if rows := _integer(config.get("input_dim")):  # an Embedding has a row for each entry
        return units * rows
    if hidden := _integer(config.get("hidden_dim")):  # a model of Keras Hub
        return hidden * _integer(config.get("vocabulary_size"))
    if not any(_integer(config.get(name)) for name in _UNITS):
        return 0
    taps = math.prod(max(1, number) for number in _integers(config.get("kernel_size")))
    if str(layer.get("class_name")).startswith("Separable"):
        taps = 1  # its filters are pointwise
    groups = max(1, _integer(config.get("groups")))
    return units * taps * max(1, _features(layer.get("build_config"), config) // groups)


def _width(config: Mapping[str, Any]) -> float:
    """Returns the bytes of one weight; of a mixed policy those of its float32 variables."""
    policy = config.get("dtype")
    if isinstance(policy, Mapping):
        policy = policy.get("config", {}).get("name")
    name = str(policy)
    if name in ("float16", "bfloat16"):
        return 2
    return 0.5 if "int4" in name or "int8" in name or "float8" in name else 4


def _features(built: Any, config: Mapping[str, Any]) -> int:
    shape = built.get("input_shape") if isinstance(built, Mapping) else None
    if not isinstance(shape, list | tuple) or not shape:
        return 1
    first = config.get("data_format") == "channels_first" and len(shape) > 1
    return _integer(shape[1 if first else -1])


def _with_inputs(layers: Iterable[Any]) -> list[Any]:
    """Returns the layers of a chain, each with an input shape: its own, or from the one before."""
    features, chain = 1, []
    for layer in layers:
        if not (isinstance(layer, Mapping) and isinstance(layer.get("config"), Mapping)):
            chain.append(layer)
            continue
        config = layer["config"]
        if not layer.get("build_config"):
            layer = {**layer, "build_config": {"input_shape": [None, features]}}
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        if isinstance(shape, list | tuple) and shape:
            features = max(1, _integer(shape[-1]))
        elif units := max(_integer(config.get(name)) for name in ("units", "filters")):
            features = units
        elif layer.get("class_name") == "Flatten":
            features = 1  # unknown from here on
        chain.append(layer)
    return chain


def _integers(value: Any) -> list[int]:
    return [_integer(v) for v in value] if isinstance(value, list | tuple) else [_integer(value)]


def _integer(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 < value < math.inf else 0
