"""What a remedy keeps of the arguments of `compile`: only what it is about may change."""

import dataclasses
import inspect
import json
import keyword
import re
from typing import Any

import keras

from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.plain import BINARY, CATEGORICAL, CROSS_ENTROPIES, loss_kind
from keras_inits._keras_internals import compile_arguments, jit_by_default
from keras_inits._reporting import Finding

# A loss as this package writes it in a remedy.
_LOSS = re.compile(r'loss=(?:"(?P<name>\w+)"|keras\.losses\.(?P<cls>\w+)\((?P<arguments>[^()]*)\))')
_COMPILE = "model.compile("
_NEW_END = (".activation = ", "activation=", "No activation", "Dense(")
_FOCAL = {"BinaryCrossentropy", "CategoricalCrossentropy"}  # those that have such a form


def with_arguments_of_loss(finding: Finding, case: Case, part: int) -> Finding:
    """Returns a finding on one output, whose remedy changes no more of the loss than it must.

    A new loss is given what the old one was told and it can be told as well, such as
    `label_smoothing`, `gamma` or `from_logits`; the other outputs keep theirs. Where sparse
    cross-entropy cannot be told it, the targets become rows instead.

    Args:
        finding: on the output.
        case: the training.
        part: which of its parts the output is.
    """
    loss = case.losses[part]
    remedy = finding.remedy
    found = _LOSS.search(remedy)
    if found is None:
        return finding
    name = loss_kind(found["name"]).class_name if found["name"] else found["cls"]
    told = dict(part.split("=") for part in (found["arguments"] or "").split(", ") if part)
    new_end = any(mark in remedy for mark in _NEW_END)
    rows = ""
    if name == "SparseCategoricalCrossentropy" and not new_end and _needs_rows(loss):
        units = int(finding.numbers.get("units", 0))
        rows = f"y = keras.utils.to_categorical(y, {units}); " if units > 1 else ""
        name = "CategoricalCrossentropy" if rows else name
    new = _expression(name, told, loss, new_end=new_end) or found[0].removeprefix("loss=")
    if case.outputs > 1 and case.own and _COMPILE in remedy:
        new = _in_nest(case, new, part)
    remedy = rows + remedy[: found.start()] + f"loss={new}" + remedy[found.end() :]
    return dataclasses.replace(finding, remedy=remedy)


def with_other_arguments(finding: Finding, model: keras.Model) -> Finding:
    """Returns a finding whose remedy, if it compiles, repeats all that it is not about."""
    start = finding.remedy.find(_COMPILE)
    if start < 0:
        return finding
    more, unknown = _others(model, finding.remedy)
    if not more and not unknown:
        return finding
    end = _closing(finding.remedy, start + len(_COMPILE))
    remedy = finding.remedy[:end] + "".join(f", {part}" for part in more) + finding.remedy[end:]
    if unknown:
        remedy += f"  # and with your own {' and '.join(unknown)} as before"
    return dataclasses.replace(finding, remedy=remedy)


def _needs_rows(loss: Any) -> bool:
    """Returns whether a loss was told what sparse cross-entropy cannot be told."""
    kind = loss_kind(loss)
    known = kind.name in (*BINARY, *CATEGORICAL)
    return known and (kind.smoothing > 0 or "focal" in kind.name)


def _expression(name: str, told: dict[str, str], loss: Any, *, new_end: bool) -> str:
    """Returns a loss as code, with what the old one was told; empty where that is nothing.

    Args:
        name: of its class.
        told: what the remedy gives it, as code.
        loss: the old one.
        new_end: whether the activation is changed as well, so that logits no longer are.
    """
    old = loss_kind(loss)
    if old.name == "other":
        return ""
    family = old.name in CROSS_ENTROPIES
    if "focal" in old.name and name in _FOCAL:
        name = name.replace("Crossentropy", "FocalCrossentropy")
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    kept = dict(told)
    for key, parameter in inspect.signature(getattr(keras.losses, name)).parameters.items():
        value = config.get(key, parameter.default)
        if key in told or key in ("name", "dtype") or value == parameter.default:
            continue
        if key == "reduction" or (family and not (new_end and key == "from_logits")):
            kept[key] = repr(value)
    if not kept and "Focal" not in name:
        return ""
    return f"keras.losses.{name}({', '.join(f'{key}={value}' for key, value in kept.items())})"


def _in_nest(case: Case, new: str, part: int) -> str:
    """Returns the losses of several outputs as code, that of one part new."""
    given, place = case.loss, case.places[part]
    if isinstance(given, dict):
        keys = [key for key, value in given.items() if value is case.losses[part]]
        names = getattr(case.model, "output_names", None) or []
        key = names[place] if place < len(names) and names[place] in given else keys[0]
        return f"{{**model.loss, {json.dumps(key, ensure_ascii=False)}: {new}}}"
    single = not isinstance(given, list | tuple)
    olds = ["model.loss" if single else f"model.loss[{i}]" for i in range(case.outputs)]
    return f"[{', '.join([*olds[:place], new, *olds[place + 1 :]])}]"


def _others(model: keras.Model, remedy: str) -> tuple[list[str], list[str]]:
    """Returns the other arguments of `compile` as code, and the names of those that have none.

    Those that a remedy gives itself are not among them.
    """
    config = compile_arguments(model)
    more, unknown = [], []
    for key in ("loss_weights", "metrics", "weighted_metrics"):
        if config.get(key) is None or f"{key}=" in remedy:
            continue
        try:
            more.append(f"{key}={_code(keras.saving.serialize_keras_object(config[key]))}")
        except Exception:  # a closure, or what refuses to be written down
            unknown.append(key)
    for key, default in (("run_eagerly", False), ("steps_per_execution", 1)):
        if config.get(key, default) != default:
            more.append(f"{key}={config[key]!r}")
    automatic = jit_by_default(model)
    if automatic is not None and config.get("jit_compile", automatic) != automatic:
        more.append(f"jit_compile={config['jit_compile']!r}")
    return more, unknown


def _code(value: Any) -> str:
    """Returns what Keras serialized as the code that a user wrote.

    >>> import keras
    >>> _code(keras.saving.serialize_keras_object({"a": [keras.metrics.F1Score(threshold=0.5)]}))
    '{"a": [keras.metrics.F1Score(threshold=0.5)]}'

    Raises:
        ValueError: it is what has no name.
    """
    if isinstance(value, dict) and "class_name" in value and "config" in value:
        return _object(value)
    if isinstance(value, dict):
        inner = (f"{json.dumps(k, ensure_ascii=False)}: {_code(v)}" for k, v in value.items())
        return f"{{{', '.join(inner)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_code, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise ValueError(f"no code for {value!r}")


def _object(value: dict[str, Any]) -> str:
    """Returns the code of a serialized object or function: its own arguments, without defaults."""
    name, config = value["class_name"], value["config"]
    if name == "__tuple__":
        return _code(config)
    if name == "function":
        name, config = config, None
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"no code for {value!r}")
    module = str(value.get("module") or "")
    public = module if module.startswith("keras.") and not module.startswith("keras.src") else ""
    if config is None and callable(getattr(keras.metrics, name, None)):
        return json.dumps(name)
    if config is None:
        return f"{public}.{name}" if public else name
    made = keras.saving.get_registered_object(str(value.get("registered_name")))
    if public:
        made = getattr(getattr(keras, public.removeprefix("keras."), None), name, None)
    known = {} if made is None else inspect.signature(made).parameters
    named = dict(config)
    if str(named.get("name")).replace("_", "") == name.lower():  # of Keras's making
        del named["name"]
    parts = [
        f"{key}={_code(v)}"
        for key, v in named.items()
        if key != "dtype" and not (key in known and known[key].default == v)
    ]
    return f"{public}.{name}({', '.join(parts)})" if public else f"{name}({', '.join(parts)})"


def _closing(text: str, start: int) -> int:
    """Returns where the parenthesis closes that was opened before `start`."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text)
