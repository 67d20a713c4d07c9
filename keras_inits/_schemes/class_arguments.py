"""Arguments that a class of a family fixes, and the description of those that it inherits."""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

# The first section of a Google docstring that may follow "Args:", or the first example.
_AFTER_ARGUMENTS = re.compile(r"^(?:Returns:|Raises:|Reference:|>>> )", re.MULTILINE)
_ARGUMENTS = re.compile(r"^Args:\n((?:(?:[ \t].*)?(?:\n|\Z))*)", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w+):.*(?:\n {5,}.*)*", re.MULTILINE)


def fix(cls: type[Any], fixed: Mapping[str, Any]) -> None:
    """Gives `cls` the `__init__` of its base without the arguments that are fixed.

    Args:
        cls: a class without an `__init__` of its own.
        fixed: values of arguments of the inherited `__init__`.

    Raises:
        TypeError: the class has its own `__init__`, or its base does not have such an argument.
    """
    inherited = inspect.signature(cls.__init__)
    unknown = fixed.keys() - inherited.parameters.keys()
    if unknown or "__init__" in vars(cls):
        raise TypeError(
            f"{cls.__name__} can fix arguments of the `__init__` that it inherits, and only of "
            f"that. Received: {', '.join(f'{k}={v!r}' for k, v in fixed.items())}"
        )
    left = [p for name, p in inherited.parameters.items() if name not in fixed]
    signature = inherited.replace(parameters=left)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        try:
            given = signature.bind(self, *args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{cls.__name__}.__init__() {error}") from None
        del given["self"]
        super(cls, self).__init__(**given, **fixed)

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__module__ = cls.__module__
    cls.__init__ = __init__


def described(cls: type[Any], bases: Iterable[type[Any]]) -> str | None:
    """Returns the docstring of `cls` with a complete Args section.

    An argument that the class does not describe is described as in the nearest of `bases`.

    Args:
        cls: the class; None is returned if it has no docstring of its own.
        bases: the classes whose descriptions it inherits, nearest first.
    """
    own = vars(cls).get("__doc__")
    if not own:
        return own  # type: ignore[no-any-return]
    text = inspect.cleandoc(own)
    entries: dict[str, str] = {}
    for base in (*reversed(tuple(bases)), cls):
        entries |= _entries(base.__doc__)
    listed = [entries[name] for name in inspect.signature(cls).parameters if name in entries]
    if found := _ARGUMENTS.search(text):
        before, after = text[: found.start()], text[found.end() :]
    else:
        following = _AFTER_ARGUMENTS.search(text)
        end = following.start() if following else len(text)
        before, after = text[:end], text[end:]
    arguments = "Args:\n" + "\n".join(listed) if listed else ""
    return "\n\n".join(part for part in (before.strip(), arguments, after.strip()) if part)


def _entries(docstring: str | None) -> dict[str, str]:
    """Returns the entries of the Args section, by the name of the argument."""
    section = _ARGUMENTS.search(inspect.cleandoc(docstring or ""))
    return {e.group(1): e.group() for e in _ENTRY.finditer(section.group(1))} if section else {}
