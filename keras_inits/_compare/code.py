"""A digest of Python code and of the values it uses: whether a function is still the same."""

import functools
import hashlib
import importlib.metadata
import inspect
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_inits._compare.configuration import normalized, serialized

# What a class holds besides its behaviour.
_NO_BEHAVIOUR = (
    "__annotations__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__static_attributes__",
    "__weakref__",
    "_abc_impl",
)


def code_digest(*things: Any) -> str:
    """Returns a digest of functions, classes and values, and of all that they refer to.

    A function counts with its bytecode, constants, defaults, closure and the globals that it names;
    a class with its methods and those of its bases. Comments and the place in the file do not
    count. What comes from an installed package, this one too, counts by its name and version.

    >>> code_digest(functools.partial(pow, 2)) == code_digest(functools.partial(pow, 2))
    True
    >>> code_digest(functools.partial(pow, 2)) == code_digest(functools.partial(pow, 3))
    False
    """
    hashed = hashlib.blake2b(digest_size=8)
    seen: dict[int, int] = {}
    alive = []  # so that no two things have one id
    stack = list(reversed(things))
    while stack:
        thing = stack.pop()
        if isinstance(thing, bytes):
            hashed.update(len(thing).to_bytes(8) + thing)
            continue
        # Identity of constants, such as equal tuples, is the interpreter's own business.
        if not isinstance(thing, str | int | float | complex | tuple | types.NoneType):
            if id(thing) in seen:
                hashed.update(f"seen {seen[id(thing)]}".encode())
                continue
            seen[id(thing)] = len(seen)
            alive.append(thing)
        stack.extend(reversed(list(_parts(thing))))
    return hashed.hexdigest()


@functools.singledispatch
def _parts(thing: Any) -> Iterator[Any]:
    """Yields what decides how `thing` behaves: bytes, or things that have parts themselves."""
    kind = type(thing)
    yield kind
    if isinstance(thing, keras.Variable | np.generic) or keras.ops.is_tensor(thing):
        yield np.asarray(keras.ops.convert_to_numpy(thing))
    elif _from_package(kind.__module__):
        yield normalized(serialized(thing))  # None, if it counts by its type alone
    else:
        yield dict(getattr(thing, "__dict__", {}))


@_parts.register(str)
@_parts.register(int)
@_parts.register(float)
@_parts.register(complex)
@_parts.register(types.NoneType)
@_parts.register(types.EllipsisType)
def _(thing: Any) -> Iterator[Any]:
    yield repr(thing).encode()


@_parts.register(np.ndarray)
def _(thing: Any) -> Iterator[Any]:
    yield f"{thing.dtype}{thing.shape}".encode()
    yield repr(thing.tolist()).encode() if thing.dtype.hasobject else thing.tobytes()


@_parts.register(tuple)
@_parts.register(list)
def _(thing: Any) -> Iterator[Any]:
    yield f"{type(thing).__name__} {len(thing)}".encode()
    yield from thing


@_parts.register(set)
@_parts.register(frozenset)
def _(thing: Any) -> Iterator[Any]:
    yield from sorted(map(repr, thing))  # whose order differs from process to process


@_parts.register(Mapping)
def _(thing: Any) -> Iterator[Any]:
    yield f"mapping {len(thing)}".encode()
    for key, value in thing.items():
        yield key
        yield value


@_parts.register(types.CodeType)
def _(code: types.CodeType) -> Iterator[Any]:
    yield code.co_code
    yield code.co_names
    yield code.co_consts
    yield code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


@_parts.register(types.FunctionType)
def _(function: types.FunctionType) -> Iterator[Any]:
    yield _name(function)
    yield function.__defaults__
    yield function.__kwdefaults__
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            yield b"empty"
    if _from_package(function.__module__):
        return
    yield function.__code__
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            value = function.__globals__[name]
            yield name
            yield value
            if isinstance(value, types.ModuleType) and not _from_package(value.__name__):
                yield from (
                    getattr(value, inner)
                    for inner in sorted(_names(function.__code__))
                    if hasattr(value, inner)
                )


@_parts.register(types.MethodType)
def _(method: types.MethodType) -> Iterator[Any]:
    yield method.__func__
    yield method.__self__


@_parts.register(functools.partial)
def _(thing: Any) -> Iterator[Any]:
    yield thing.func
    yield thing.args
    yield thing.keywords


@_parts.register(types.ModuleType)
@_parts.register(types.BuiltinFunctionType)
def _(thing: Any) -> Iterator[Any]:
    yield _name(thing)


@_parts.register(type)
def _(kind: type) -> Iterator[Any]:
    for base in inspect.getmro(kind):
        yield _name(base)
        if _from_package(base.__module__):
            continue
        for name, value in sorted(vars(base).items()):
            if name not in _NO_BEHAVIOUR:
                yield name
                yield value


@_parts.register(staticmethod)
@_parts.register(classmethod)
def _(thing: Any) -> Iterator[Any]:
    yield thing.__func__


@_parts.register(property)
def _(thing: property) -> Iterator[Any]:
    yield from (part for part in (thing.fget, thing.fset) if part is not None)


def _names(code: types.CodeType) -> set[str]:
    """Returns the names that code and the functions in it refer to."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _name(thing: Any) -> bytes:
    """Returns the name of a thing, with the version of its package if it comes from one."""
    module = str(getattr(thing, "__module__", None) or getattr(thing, "__name__", ""))
    name = getattr(thing, "__qualname__", getattr(thing, "__name__", ""))
    if not _from_package(module):
        return str(name).encode()  # wherever the user keeps it
    return f"{module}.{name} {_version(module.partition('.')[0])}".encode()


@functools.cache
def _from_package(module: str | None) -> bool:
    """Returns whether a module belongs to Python or an installed package, rather than the user."""
    root = (module or "").partition(".")[0]
    if root == "__main__":  # what runs, a notebook too, is the user's, whatever launched it
        return False
    if root in sys.stdlib_module_names or root == "keras_inits":
        return True
    file = getattr(sys.modules.get(root), "__file__", None)
    return file is not None and bool({"site-packages", "dist-packages"} & set(Path(file).parts))


@functools.cache
def _version(root: str) -> str:
    if root in sys.stdlib_module_names:
        return ""
    module = sys.modules.get(root)
    if isinstance(found := getattr(module, "__version__", None), str):
        return found
    try:
        return importlib.metadata.version(root)
    except importlib.metadata.PackageNotFoundError:
        return ""
