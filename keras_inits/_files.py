"""Files that are written whole or not at all, and the state that a later call goes on from."""

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_inits._errors import InputError


def write_whole(path: Path, content: bytes | str) -> None:
    """Writes `content` to `path`; whoever reads meanwhile, or after a crash, finds old or new."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())  # mkstemp makes files that only the owner reads
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_all(folder: Path, files: Mapping[str, bytes | str]) -> list[Path]:
    """Writes files by name to a folder, each whole, and returns them."""
    for name, content in files.items():
        write_whole(folder / name, content)
    return [folder / name for name in files]


def read_json(path: Path) -> Any:
    """Returns what a JSON file of state holds.

    Raises:
        ValueError: a damaged file.
    """
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise damaged(path, error) from error


def write_arrays(path: Path, *arrays: Any, **named: Any) -> None:
    """Writes arrays to an `.npz` file, whole; those without a name become `arr_0`, `arr_1`, ..."""
    buffer = io.BytesIO()
    np.savez(buffer, *arrays, **named)
    write_whole(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, Any]:
    """Returns what `write_arrays` wrote.

    Raises:
        ValueError: a damaged file.
    """
    try:
        with np.load(path) as archive:
            return dict(archive)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise damaged(path, error) from error


def without_nan(value: Any) -> Any:
    """Returns plain data with strings for the numbers that JSON has not.

    >>> without_nan({"cost": [1.0, float("inf")], "out": Path("runs")})
    {'cost': [1.0, 'Infinity'], 'out': 'runs'}
    """
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    return str(value) if isinstance(value, Path) else value


def damaged(path: Path, error: Exception) -> InputError:
    """Returns the error that says that a file of state cannot be read."""
    return InputError(f"{path} is damaged ({error}). Delete it to train what it held again.")


def refuse_other_settings(path: Path, saved: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raises a `ValueError` if `path` holds what was computed with other settings."""
    if different := [key for key in saved if saved[key] != asked.get(key)]:
        raise InputError(
            f"{path} holds runs with other settings: "
            + ", ".join(f"{key}={_short(saved[key])}" for key in different)
            + ". Choose another `out`, or delete that folder. Received: "
            + ", ".join(f"{key}={_short(asked.get(key))}" for key in different)
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
