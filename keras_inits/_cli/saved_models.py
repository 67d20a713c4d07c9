"""`keras-inits audit` and `keras-inits diagnose`: what is wrong with a saved model."""

import contextlib
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import tyro
from rich.console import Console

from keras_inits._audit import audit
from keras_inits._checks import integer
from keras_inits._cli.loading import load_model
from keras_inits._cli.names import by_name, set_rate
from keras_inits._errors import InputError
from keras_inits._files import write_whole
from keras_inits._optional import require
from keras_inits._reporting import encode

_STYLE = re.compile(r"\x1b\[[0-9;]*m")  # as in what Keras says of an error in a call
# How errors of `diagnose` name its arguments, and how they are called here.
_OPTIONS = {
    "`x`": "`--data`",
    "`y`": "`--labels`",
    "give data": "give --data",
    "Received: x of": "Received: an array of",
}

Imports = Annotated[
    tyro.conf.UseAppendAction[tuple[str, ...]],
    tyro.conf.arg(name="import", metavar="MODULE"),
]


def audit_model(
    model: tyro.conf.Positional[Path],
    json: tyro.conf.FlagCreatePairsOff[bool] = False,
    imports: Imports = (),
    unsafe: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Find what is wrong with the weights that a saved model starts from.

    Exit code 1 if anything is.

    Args:
        model: a saved model, MODEL.keras or MODEL.h5.
        json: print the report as JSON.
        imports: a module or .py file whose classes or functions the model uses; may be repeated.
        unsafe: run the Python code of Lambda layers; only for files from people you trust.
    """
    report = audit(load_model(model, imports=imports, unsafe=unsafe))
    if json:
        print(_json(report))
    else:
        Console().print(report)
    sys.exit(1 if report.findings else 0)


def diagnose_model(
    model: tyro.conf.Positional[Path],
    data: Path | None = None,
    labels: Path | None = None,
    loss: str | None = None,
    optimizer: str | None = None,
    learning_rate: float | None = None,
    png: Path | None = None,
    json: Path | None = None,
    batch: int = 32,
    imports: Imports = (),
    unsafe: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Find why a saved model does not train: data, targets, loss, signal, gradient.

    Exit code 1 if anything is found.

    Args:
        model: a saved model, MODEL.keras or MODEL.h5.
        data: a batch as a .npy file, or as .npz for several inputs by name; made up if none.
        labels: the targets of the batch, in files of the same kinds.
        loss: what the targets are for, by the name that Keras has for it; that of the file if none.
        optimizer: the one to train with, by name; that of the file if none.
        learning_rate: its step size; its own default if none.
        png: where to draw signal and gradient over depth; a .png file.
        json: where to write the whole report.
        batch: how many samples to look at.
        imports: a module or .py file whose classes or functions the model uses; may be repeated.
        unsafe: run the Python code of Lambda layers; only for files from people you trust.
    """
    from keras_inits._diagnose import diagnose, draw_input  # slow to load

    integer("--batch", batch, minimum=1)
    if labels is not None and data is None:
        raise InputError("`--labels` needs the data that they belong to: give --data")
    if png is not None:
        _check_png(png)
    loaded = load_model(
        model, imports=imports, unsafe=unsafe, compiled=labels is not None and loss is None
    )
    _compile(loaded, loss, optimizer, learning_rate)
    if data is None:
        _refuse_strings(loaded)
    y = None if labels is None else _arrays("--labels", labels, batch)
    with _by_options():
        x = draw_input(loaded, batch) if data is None else _arrays("--data", data, batch)
        if y is not None:
            _check_labels(loaded, x, y)
        try:
            report = diagnose(loaded, x, y)
        except InputError:
            raise
        except Exception:
            if data is not None:
                _run_alone(model, loaded, x)
            raise
    print(report)
    if y is None:
        print("\nWithout --labels neither targets, loss nor learning rate are looked at.")
    if json is not None:
        report.to_json(json)
    if png is not None:
        from keras_inits import plots  # matplotlib is an extra

        write_whole(png, plots.figure_bytes(plots.depth_figure(report)))
    sys.exit(0 if report.ok else 1)


def _compile(
    model: Any, loss: str | None, optimizer: str | None, learning_rate: float | None
) -> None:
    """Compiles `model` with what was given, and with its own for the rest."""
    if loss is None and optimizer is None and learning_rate is None:
        return
    own = getattr(model, "optimizer", None) or "rmsprop"  # the default of `compile`
    chosen = by_name("--optimizer", own if optimizer is None else optimizer, keras.optimizers)
    set_rate(chosen, learning_rate)
    given = getattr(model, "loss", None) if loss is None else by_name("--loss", loss, keras.losses)
    model.compile(optimizer=chosen, loss=given)


def _check_png(path: Path) -> None:
    if path.suffix.lower() != ".png":
        raise InputError(f"`--png` must be a file that ends with .png. Received: --png {path}")
    require("`--png`", "matplotlib")


@contextlib.contextmanager
def _by_options() -> Iterator[None]:
    """Says of an argument of `diagnose` that is wrong which option it comes from."""
    try:
        yield
    except InputError as error:
        text = str(error)
        for argument, option in _OPTIONS.items():
            text = text.replace(argument, option)
        raise InputError(text) from error


def _refuse_strings(model: Any) -> None:
    for tensor in keras.tree.flatten(getattr(model, "inputs", None) or []):
        if "string" in str(tensor.dtype):
            raise InputError(
                f"The input {tensor.name!r} of this model is text, which cannot be made up: "
                "give --data TEXTS.npy, an array of strings of shape "
                f"{tuple(size or 'n' for size in tensor.shape)}".replace("'n'", "n")
            )


def _run_alone(path: Path, model: Any, x: Any) -> None:
    """Calls a model as its user would, and says what its own layers raise."""
    try:
        model(keras.tree.map_structure(keras.ops.convert_to_tensor, x), training=True)
    except Exception as error:
        said = _STYLE.sub("", str(error)).partition("Arguments received")[0]
        raise InputError(
            f"`model` {path} cannot be called with `--data`: {type(error).__name__}: "
            f"{' '.join(said.split())}"
        ) from error


def _check_labels(model: Any, x: Any, y: Any) -> None:
    if getattr(model, "loss", None) is None:
        raise InputError(
            "`--labels` needs a loss, and this file was saved without one: give --loss, such as "
            "--loss sparse_categorical_crossentropy"
        )
    samples = {len(array) for array in keras.tree.flatten(x)}
    if samples != {len(array) for array in keras.tree.flatten(y)}:
        raise InputError(
            "`--data` and `--labels` must have as many samples. Received: "
            f"{sorted(samples)} samples, {[len(a) for a in keras.tree.flatten(y)]} labels"
        )


def _arrays(name: str, path: Path, rows: int) -> Any:
    """Returns the first rows of the array in a `.npy` file, or of those in an `.npz` by name.

    A single array in an `.npz` is as one in a `.npy`, whatever its name.
    """
    if not path.is_file():
        raise InputError(f"`{name}` must be a file that exists. Received: {name} {path}")
    if not _is_of_numpy(path):
        raise InputError(
            f"`{name}` must be a .npy file, as `numpy.save` writes it, or an .npz, as "
            f"`numpy.savez` does. Received: {name} {path}. A table of numbers becomes one so: "
            f"`numpy.save({path.stem + '.npy'!r}, "
            f"numpy.loadtxt({path.name!r}, delimiter=',', skiprows=0))`"
        )
    try:
        # Mapped, so that only the rows asked for are read, whatever size the file declares.
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            return _rows(name, found, rows)
        with found:
            read = {key: _rows(f"{name}[{key!r}]", found[key], rows) for key in found.files}
            return read if len(read) > 1 else next(iter(read.values()))
    except InputError:
        raise
    except Exception as error:  # a file from outside: damaged in any way, or pickled
        raise InputError(
            f"`{name}` must be a .npy file of numbers or strings, as `numpy.save` writes it. "
            f"Received: {name} {path} ({type(error).__name__}: {error})"
        ) from error


def _is_of_numpy(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"\x93NUMPY" or zipfile.is_zipfile(path)


def _rows(name: str, array: Any, rows: int) -> Any:
    if array.ndim == 0 or len(array) == 0:
        raise InputError(
            f"`{name}` must have an axis of samples, and at least one. Received: an array of "
            f"shape {array.shape}"
        )
    # In this machine's order of bytes: torch takes no other.
    return np.array(array[:rows], array.dtype.newbyteorder("="))


def _json(report: Any) -> str:
    return json.dumps(encode(report.to_dict()), indent=1, allow_nan=False)
