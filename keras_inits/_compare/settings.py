"""What decides the numbers of a run, as plain data: by it, kept runs are known again."""

import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_inits._compare.code import code_digest
from keras_inits._compare.configuration import attempt, normalized, says_all, serialized
from keras_inits._compare.models import (
    compiled_model,
    flat_layers,
    is_random_state,
    takes_scheme,
)
from keras_inits._compare.plan import Plan
from keras_inits._compare.starts import Start, start_settings
from keras_inits._compare.weights import GivenWeights, by_model, left_alone


def run_settings(plan: Plan, template: keras.Model, digest: str | None = None) -> dict[str, Any]:
    """Returns, ready for JSON, what decides the numbers of a run besides scheme and run number.

    The model and what it is compiled with count by their configuration, with the names that Keras
    numbers through a process (`dense_7`) numbered through the model; where configurations do not
    tell all (custom classes and functions), by a digest of the code as well. Frozen weights and
    others that no scheme draws count by their values, data by a digest.

    Args:
        plan: what the runs share.
        template: a model of the plan.
        digest: of the data; computed if None.
    """
    model, compiled = normalized(_configuration(template)), _compile_configuration(template)
    complete = says_all(_configuration(template)) and says_all(compiled)
    compiled = normalized(compiled)
    if takes_scheme(plan.build):  # which are the scheme, kept by label, or in the code of `build`
        model = _without_initializers(model)
    settings: dict[str, Any] = {
        "model": model,
        "optimizer": compiled.get("optimizer"),
        "loss": compiled.get("loss"),
        "metrics": compiled.get("metrics"),
        "compile": {k: v for k, v in compiled.items() if k not in ("optimizer", "loss", "metrics")},
        "as_built": _as_built(plan, template),
        "code": None,
        "data": plan.data.digest() if digest is None else digest,
        "batch_size": plan.batch_size,
        "steps": plan.steps,
        "shuffle": plan.shuffle,
        "batches": plan.batches,
        "seed": plan.seed,
        "versions": _versions(),
    }
    if takes_scheme(plan.build) or not complete:
        options = plan.options
        settings["code"] = code_digest(
            plan.build,
            *dict.fromkeys(type(layer) for layer in [template, *flat_layers(template)]),
            *_own_functions([options.loss, options.metrics, options.optimizer]),
        )
        settings["versions"]["python"] = "{}.{}".format(*sys.version_info)  # of the bytecode
    return dict(_plain(settings))


def scheme_settings(scheme: Any) -> Any:
    """Returns, ready for JSON, what a scheme is."""
    if isinstance(scheme, GivenWeights):
        return {"class_name": "GivenWeights", "code": code_digest(scheme.draw)}
    if isinstance(scheme, Start):
        return {**start_settings(scheme), "scheme": scheme_settings(scheme.scheme)}
    if by_model(scheme):  # what that draws follows from the model and the version
        return {"class_name": scheme}
    config = serialized(scheme)
    if config is None:
        return {"class_name": type(scheme).__name__, "code": code_digest(scheme)}
    found = {**normalized(config)}
    if not says_all(config):
        found["code"] = code_digest(type(scheme))
    return _plain(found)


def _configuration(model: keras.Model) -> dict[str, Any]:
    config = serialized(model)
    if config is None or not isinstance(config.get("config"), Mapping):
        config = {"class_name": type(model).__name__, "module": "", "config": {}}
    shapes = [[list(v.shape), str(v.dtype)] for v in model.weights]
    return {**config, "weights": shapes}


def _compile_configuration(model: keras.Model) -> dict[str, Any]:
    config = attempt(model.get_compile_config)
    if config is None:  # what cannot be serialized is known by its code
        return {"optimizer": {"class_name": type(model.optimizer).__name__, "module": ""}}
    return dict(config)


def _without_initializers(config: Any) -> Any:
    if isinstance(config, Mapping):
        kept = {k: v for k, v in config.items() if not str(k).endswith("initializer")}
        return {k: _without_initializers(v) for k, v in kept.items()}
    return [_without_initializers(v) for v in config] if isinstance(config, list) else config


def _as_built(plan: Plan, template: keras.Model) -> str:
    """Returns a digest of the weights that start as `build` makes them, or that they are random."""
    digest = _as_built_digest(template, plan)
    values = _as_built_values(template, plan)
    # Statistics and steps start from one number; only weights that vary might be drawn anew.
    if any(value.size and np.any(value != value.flat[0]) for value in values):
        again = compiled_model(plan)
        if _as_built_digest(again, plan) != digest:
            return "drawn anew by each build"
    return digest


def _as_built_digest(model: keras.Model, plan: Plan) -> str:
    return code_digest(_as_built_values(model, plan))


def _as_built_values(model: keras.Model, plan: Plan) -> list[Any]:
    variables = [v for v in model.non_trainable_variables if not is_random_state(v)]
    if not takes_scheme(plan.build):
        equal = set(left_alone(model))
        variables += [v for v in model.trainable_variables if v.path in equal]
    return [keras.ops.convert_to_numpy(v) for v in variables]


def _own_functions(values: Any) -> Iterator[Any]:
    """Yields what in compile arguments is no plain value, with its class."""
    for value in keras.tree.flatten(values):
        if value is None or isinstance(value, str | int | float | bool):
            continue
        yield type(value) if hasattr(value, "get_config") else value


def _versions() -> dict[str, str]:
    backend = keras.backend.backend()
    return {
        package: str(importlib.import_module(package).__version__)
        for package in ("keras_inits", "keras", backend)
    }


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=_by_type))


def _by_type(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return f"{type(value).__module__}.{type(value).__qualname__}"
