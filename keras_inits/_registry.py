"""The names: one table from strings to schemes, kept in step with Keras's own registry."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import keras

from keras_inits._errors import InputError, InputTypeError, near_matches, question
from keras_inits._foreign_names import FOREIGN, WHOLE_NET, plain
from keras_inits._keras_internals import enter_strings, refuse_strings_in_keras_2

PACKAGE = "initkit"
PREFIX = f"{PACKAGE}_"
_SUFFIX = "Init"

_Scheme = TypeVar("_Scheme", bound=type[keras.initializers.Initializer])
_schemes: dict[str, type[keras.initializers.Initializer]] = {}
_nameless: list[type[keras.initializers.Initializer]] = []
_whole_net = dict(WHOLE_NET)  # names that set a model, by the call that does it


def scheme(cls: _Scheme) -> _Scheme:
    """Class decorator that makes an initializer usable by name.

    `HeUniformInit` becomes `"initkit_he_uniform"` for people and `"initkit>he_uniform"` for saved
    files.

    Raises:
        ValueError: the class is not called `...Init`, bears the name of a Keras class (Keras would
            put its own in its place on loading), or its string means another initializer already.
    """
    if not re.fullmatch(rf"([A-Z][a-z0-9]*)+{_SUFFIX}", cls.__name__):
        raise ValueError(f"A scheme is named in CamelCase and ends in {_SUFFIX!r}: {cls.__name__}")
    if hasattr(keras.initializers, cls.__name__):
        raise ValueError(f"Keras has an initializer named {cls.__name__}: choose another name")
    name = name_of(cls)
    known = _schemes.get(name) or keras.saving.get_registered_object(name)
    if known is not None and known.__qualname__ != cls.__qualname__:
        raise ValueError(f"{name!r} already names {known!r}")
    _schemes[name] = cls
    _enter(name, cls)
    return cls


def nameless(cls: _Scheme) -> _Scheme:
    """Class decorator for an initializer of saved files that says nothing by its name alone."""
    _nameless.append(cls)
    _enter_for_files(cls)
    return cls


def starts_a_whole_net(name: str, call: str) -> None:
    """Lets `get` say of a name that it sets a model, and by which call."""
    _whole_net[name] = call


def name_of(cls: type[Any]) -> str:
    """Returns the string for an initializer class: ours by its name, Keras's in snake case.

    >>> name_of(keras.initializers.HeNormal)
    'he_normal'
    """
    stem = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix(_SUFFIX)).lower()
    return PREFIX + stem if cls.__name__.endswith(_SUFFIX) else stem


def register() -> None:
    """Makes every name known to Keras, again if someone has cleared its registry.

    `import keras_inits` does this. It is needed only after
    `keras.saving.get_custom_objects().clear()`.

    >>> register()
    >>> type(keras.initializers.get("initkit_he")).__name__
    'HeInit'
    """
    for name, cls in _schemes.items():
        _enter(name, cls)
    for cls in _nameless:
        _enter_for_files(cls)


def names() -> tuple[str, ...]:
    """Returns the name of every scheme, in alphabetical order.

    >>> "initkit_he" in names()
    True
    """
    return tuple(sorted(_schemes))


def get(spec: Any) -> Any:
    """Returns the initializer that `spec` means: `keras.initializers.get` with better errors.

    Args:
        spec: what Keras takes (a name, a config, a class, an instance, an array), or the name of
            one of our schemes without its prefix, such as `"he"`, where Keras has no such name.

    Returns:
        An initializer; a new one unless `spec` is an instance.

    Raises:
        InputError: a name that nobody registered; the message lists near matches, and for another
            library's name (`kaiming_normal_`, `msra`) ours, with how its law differs.
        InputTypeError: something that cannot be an initializer.

    >>> get("initkit_he") == get("he")
    True
    """
    if isinstance(spec, str):
        spec = {"class_name": spec, "config": {}}
    if isinstance(spec, Mapping) and "class_name" in spec:
        name = spec.get("registered_name") or spec["class_name"]
        if not isinstance(name, str):
            raise InputTypeError(f"`class_name` must be a name. Received: spec={spec!r}")
        spec = {"config": {}, **spec}
        if not _known_to_keras(name):
            if PREFIX + name not in _schemes:
                raise InputError(_unknown(name))
            spec = {**spec, "class_name": PREFIX + name}
    elif not callable(spec) and not hasattr(spec, "__array__"):
        raise InputTypeError(
            "An initializer is given as a name, a config with `class_name`, a class, an instance "
            f"or an array. Received: spec={spec!r} of type {type(spec).__name__}"
        )
    try:
        found = keras.initializers.get(spec)
        if not callable(found) or isinstance(found, keras.Layer):
            raise TypeError("it cannot be called with a shape")
        return found
    except InputError:
        raise
    except (TypeError, ValueError) as error:  # a configuration with other arguments, for one
        raise InputTypeError(
            f"Keras can make no initializer of this: {' '.join(str(error).split())[:200]} "
            f"Received: spec={spec!r}"
        ) from error


def _enter(name: str, cls: type[keras.initializers.Initializer]) -> None:
    # Keras resolves a saved file through `package>name`, and a bare string through the name alone.
    # The table must hold the class: of an instance Keras would silently drop the arguments.
    keras.saving.get_custom_objects()[name] = cls
    _enter_for_files(cls)
    strings = {name: cls, f"{PACKAGE}>{name.removeprefix(PREFIX)}": cls}
    enter_strings(strings)
    refuse_strings_in_keras_2(strings)


def _enter_for_files(cls: type[keras.initializers.Initializer]) -> None:
    keras.saving.register_keras_serializable(PACKAGE, name_of(cls).removeprefix(PREFIX))(cls)


def _known_to_keras(name: str) -> bool:
    if keras.saving.get_registered_object(name) is not None:
        return True
    try:
        # A configuration, for Keras 3.16 makes of the string "constant" what it refuses to make of
        # a configuration without a value.
        keras.initializers.get({"class_name": name, "config": {}})
    except (KeyError, TypeError, ValueError):
        return PREFIX + name not in _schemes and _is_string_of_keras(name)
    return True


def _is_string_of_keras(name: str) -> bool:
    try:
        keras.initializers.get(name)
    except ValueError:
        return False
    except (KeyError, TypeError):  # it has required arguments
        return True
    return True


def _unknown(name: str) -> str:
    end = "`keras_inits.names()` and `keras-inits list` list the names of this library."
    head = f"No initializer has this name. Received: {name!r}. "
    if ours := next((n for n, cls in _schemes.items() if cls.__name__ == name), None):
        return f"{head}{question([ours])}{end}"
    stem = plain(name)
    if call := _whole_net.get(stem):
        return f"{head}It starts a whole net, not one weight: {call}. {end}"
    # By the form that `plain` gives: a prefix that all have in common would make all alike.
    known = {each.removeprefix(PREFIX): [each] for each in names()}
    for builtin in dir(keras.initializers):
        if builtin.islower() and re.match("(?!get|serialize|deserialize)[a-z]", builtin):
            known.setdefault(builtin, []).append(builtin)
    if foreign := FOREIGN.get(stem):
        spelled = re.sub("[- ]", "_", name.strip().lower())
        meant = [foreign.ours, *(known.get(stem, []) if spelled == stem else [])]
        return f"{head}{question(meant)}{foreign.law} {end}"
    for other, foreign in FOREIGN.items():
        known[other] = [foreign.ours, *(n for n in known.get(other, []) if n != foreign.ours)]
    known |= {f"{each}_init": meant for each, meant in known.items()}  # of classes
    begun = [each for each in known if each.startswith(f"{stem}_")]
    near = [stem] if stem in known else [*near_matches(stem, known), *begun]
    meant = list(dict.fromkeys(n for each in near for n in known[each]))
    return f"{head}{question(meant[:3])}{end}"
