"""A saved model from a file that may be anything: a model, or a sentence that says what to do."""

import importlib
import importlib.util
import inspect
import json
import logging
import os
import re
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import keras

from keras_inits._cli.declared_size import from_config, from_hdf5
from keras_inits._compare.memory import free_memory
from keras_inits._errors import InputError
from keras_inits._foreign_messages import left_out
from keras_inits._reporting import plain_text

_LONGEST = 200  # characters of what others say that fit into a sentence
_WEIGHTS = "model.weights.h5"
_JSON_IN_MEMORY = 10  # bytes of Python objects for a byte of JSON, roughly: small strings and dicts

_FROM_KERAS_2 = (
    "where `pip install tf-keras` has been run, so: `import tf_keras; "
    "tf_keras.models.load_model({name!r}, compile=False).save_weights('model.weights.h5')`; then "
    "build the same model with Keras 3, `model.load_weights('model.weights.h5')` and "
    "`model.save('model.keras')`"
)
_WITHOUT_COMPILING = (
    "This is about its loss, metrics or optimizer, and its layers can be loaded: give --loss, and "
    "--optimizer and --learning-rate if it is not RMSprop at its default rate"
)
# What Keras says of a name that nobody registered, in `.keras` and `.h5` files.
_UNREGISTERED = re.compile(
    r"Could not locate (?:class|function) '([^']+)'"
    r"|Cannot deserialize object of type `([^`]+)`"
    r"|Unknown \w+: '([^']+)'"
    r"|Could not interpret \w+ identifier: ([^\s{].{0,100})"
    r"|Could not interpret \w+ identifier: {.*'class_name': 'function', 'config': '(\w+)'"
    r"|Could not interpret \w+ identifier: {.*'class_name': '(\w+)'"
)


def load_model(
    path: Path, *, imports: Sequence[str] = (), unsafe: bool = False, compiled: bool = False
) -> Any:
    """Returns the model that a file holds.

    Args:
        path: a `.keras` or `.h5` file.
        imports: modules, by name or as `.py` files, whose classes and functions the model uses.
        unsafe: whether to run the Python code that Lambda layers carry.
        compiled: whether loss and optimizer are loaded too.

    Raises:
        InputError: there is no such file, it is damaged or no model, it declares more memory than
            there is, or Keras cannot load it; the message says what to do.
    """
    objects = {name: found for module in imports for name, found in _objects(module).items()}
    _check(path)

    def load(*, compiled: bool) -> Any:
        return keras.models.load_model(
            path, custom_objects=objects, compile=compiled, safe_mode=not unsafe
        )

    # Losses and optimizers that are missing are asked for; metrics and states are not used.
    with warnings.catch_warnings(), left_out("absl", _of_keras):
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
        try:
            return load(compiled=compiled)
        except Exception as error:  # a file from outside can break Keras in any way
            reason = _reason(path, error, imports)
            if compiled:
                with suppress(Exception):
                    load(compiled=False)
                    reason += f". {_WITHOUT_COMPILING}"
            raise InputError(f"`model` {path} {reason}") from error


def _of_keras(record: logging.LogRecord) -> bool:
    return Path(record.pathname).is_relative_to(Path(keras.__file__).parent)


def _objects(module: str) -> dict[str, Any]:
    """Returns the classes and functions of a module by name, so that none need be registered."""
    option = f"`--import` {module}"
    try:
        if module.endswith(".py"):
            loaded = _from_file(Path(module))
        else:
            if os.getcwd() not in sys.path:  # as `python -m` has it, and a script does not
                sys.path.insert(0, os.getcwd())
            loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise InputError(f"{option} needs {error.name}, which is not installed") from error
        raise InputError(
            f"{option} must be a module that Python finds from the current folder, or a .py file"
        ) from error
    except (Exception, SystemExit) as error:  # as of a script that ends in `sys.exit()`
        raise InputError(f"{option} fails: {type(error).__name__}: {error}") from error
    return {
        name: value
        for name, value in vars(loaded).items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and not name.startswith("_")
    }


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"`--import` must be a file or a module. Received: {str(path)!r}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _check(path: Path) -> None:
    """Raises an InputError if Keras need not even try to read `path`."""
    name = f"`model` {path}"
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            raise InputError(
                f"{name} is a SavedModel folder: it holds a graph and no layers, so that there is "
                "nothing to look into. If `model.export` made it, save the model itself: "
                "`model.save('model.keras')`. If Keras 2 made it, convert it "
                + _FROM_KERAS_2.format(name=str(path))
            )
        raise InputError(f"`model` must be a file. Received: the folder model={str(path)!r}")
    if not path.exists():
        raise InputError(f"`model` must be a file that exists. Received: model={str(path)!r}")
    with path.open("rb") as file:  # whose OSError names the file
        start = file.read(8)
    if zipfile.is_zipfile(path):
        _check_suffix(path, (".keras",))
        _check_archive(path)
    elif h5py.is_hdf5(path):
        _check_suffix(path, (".h5", ".hdf5"))
        _check_hdf5(path)
    else:
        what = "is empty" if not start else f"begins with {start!r}"
        raise InputError(
            f"{name} is no saved model, or it is damaged: it should be a .keras file, which is a "
            f"zip archive, or an HDF5 file, .h5, and {what}. Copy or save it again"
        )


def _check_suffix(path: Path, suffixes: tuple[str, ...]) -> None:
    if path.suffix not in suffixes:
        raise InputError(
            f"`model` must end in {' or '.join(suffixes)}, since Keras goes by that: rename the "
            f"file. Received: model={str(path)!r}"
        )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Says of a file that it is damaged where reading it fails, whatever is raised."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # as many kinds as there are ways to damage a file
        raise InputError(_damaged(path, error)) from error


def _check_archive(path: Path) -> None:
    with _reading(path), zipfile.ZipFile(path) as archive:
        if "config.json" not in archive.namelist():
            raise InputError(
                f"`model` {path} is a zip archive without config.json, no saved model. "
                "Save the model again: `model.save('model.keras')`"
            )
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        _check_memory(path, _JSON_IN_MEMORY * sizes["config.json"])
        _check_memory(path, sum(n for name, n in sizes.items() if name != _WEIGHTS))
        _check_memory(path, from_config(json.loads(archive.read("config.json"))))
        if _WEIGHTS in sizes:
            with archive.open(_WEIGHTS) as weights:
                _check_memory(path, from_hdf5(weights))


def _check_hdf5(path: Path) -> None:
    with _reading(path):
        with h5py.File(path) as file:
            config = file.attrs.get("model_config")
        if config is not None:
            _check_memory(path, from_config(json.loads(config)))
        _check_memory(path, from_hdf5(path))
    if config is None:
        raise InputError(
            f"`model` {path} holds weights, and not the model. Build the model in Python, "
            "`model.load_weights(...)`, `model.save('model.keras')`, and give that file"
        )


def _check_memory(path: Path, needed: int) -> None:
    free = free_memory()
    if needed > free:
        raise InputError(
            f"`model` {path} declares {needed / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB of "
            "memory are free: it was not read. If the file is sound, use a larger machine"
        )


def _reason(path: Path, error: Exception, imports: Sequence[str]) -> str:
    first = _innermost(error)
    text = str(first)
    old = ""
    if _saved_by(path).startswith(("1.", "2.")):
        old = f"was saved by Keras 2, and Keras {keras.__version__} cannot read it. Convert it "
        old += _FROM_KERAS_2.format(name=str(path))
    if "Lambda" in text and re.search(r"arbitrary code|safe_mode|unsafe", text):
        return (
            "has a Lambda layer, whose Python code runs when it is loaded. If you trust whoever "
            "made the file: --unsafe. (Loading it then runs that code with your rights.)"
        )
    if (found := _UNREGISTERED.search(text)) is not None:
        name = next(group for group in found.groups() if group)
        tried = f" (nor is it in {', '.join(imports)})" if imports else ""
        own = (
            f"uses {name!r}, which Keras does not know{tried}. Give the module that defines it: "
            "--import my_module"
        )
        return f"{own}. If Keras 2 has it: the file {old}" if old else own
    if old:
        return old
    return (
        f"cannot be loaded by Keras {keras.__version__}: {type(first).__name__}: {_line(text)} "
        "Load it in Python, `keras.models.load_model(...)`, to see more"
    )


def _innermost(error: BaseException) -> BaseException:
    """Returns the error that the others, which Keras wraps around it, are about."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _saved_by(path: Path) -> str:
    """Returns the version of Keras that saved a file, as far as the file says."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                metadata: Mapping[str, Any] = json.loads(archive.read("metadata.json"))
                return str(metadata.get("keras_version", ""))
        with h5py.File(path) as file:
            version = file.attrs.get("keras_version", "")
            return version.decode() if isinstance(version, bytes) else str(version)
    except Exception:  # it is damaged, which the error at hand says better
        return ""


def _damaged(path: Path, error: Exception) -> str:
    return (
        f"`model` {path} is damaged: {type(error).__name__}: {_line(str(error))} "
        "Copy or save it again"
    )


def _line(text: str) -> str:
    """Returns the first lines of a message in one, of `_LONGEST` characters at most."""
    one = " ".join(plain_text(text).plain.split())
    one = one if len(one) <= _LONGEST else f"{one[:_LONGEST]}..."
    return one if one.endswith((".", "...")) else f"{one}."
