"""Files that are written whole or not at all, and the state that a later call resumes from."""

import io
import itertools
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_inits._errors import InputError, InputFileError

MARKER = "experiment.json"  # in a folder of results: which experiment it belongs to

_COUNTER = itertools.count()
# `.result.json.HOST-PID-NUMBER.tmp`; 0.1 wrote `.result.json.abcd1234`.
_TEMPORARY = re.compile(r"\.(.+)\.(?P<host>[^.]*)-(?P<process>\d+)-\d+\.tmp")
_OLD_TEMPORARY = re.compile(r"\..+\.(json|npz|txt|png|html|md)\.[a-z0-9_]{8}")
_DAY = 24 * 60 * 60  # seconds; no write takes that long, on whatever machine it runs


def write_whole(path: Path, content: bytes | str) -> None:
    """Writes `content` to `path`; whoever reads meanwhile, or after a crash, finds old or new.

    Raises:
        InputFileError: the file cannot be written: disk full, read-only, a file in the way.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.parent / f".{path.name}.{_host()}-{os.getpid()}-{next(_COUNTER)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # 0o666 less the umask: as readable as any other file
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputFileError(
            f"{path} could not be written: {reason}. Nothing was changed; free the disk, or choose "
            "another folder."
        ) from error


def make_folder(folder: Path) -> None:
    """Makes a folder, unless it exists.

    Raises:
        InputFileError: it cannot be made, or a file is in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputFileError(
            f"{folder} must be a folder that can be written: {error.strerror}. Choose another one."
        ) from error


def write_all(folder: Path, files: Mapping[str, bytes | str]) -> list[Path]:
    """Writes files by name to a folder, each whole, and returns them."""
    for name, content in files.items():
        write_whole(folder / name, content)
    return [folder / name for name in files]


def remove_temporaries(folder: Path) -> None:
    """Removes what killed runs left half-written in `folder`.

    A temporary file goes if its process is gone from this machine, or after a day.
    """
    for file in folder.glob(".*"):
        found = _TEMPORARY.fullmatch(file.name)
        if found is None and _OLD_TEMPORARY.fullmatch(file.name) is None:
            continue
        try:
            old = time.time() - file.stat().st_mtime > _DAY
            here = found is not None and found["host"] == _host()
            if old or (here and found is not None and not _runs(int(found["process"]))):
                file.unlink()
        except OSError:  # another run was faster, or it is not ours to remove
            continue


def read_json(path: Path) -> Any:
    """Returns what a JSON file of state holds.

    Raises:
        InputError: a damaged file.
    """
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise damaged(path, error) from error


def write_arrays(path: Path, *arrays: Any, **named: Any) -> None:
    """Writes arrays to an `.npz` file, whole; those without a name become `arr_0`, `arr_1`, ...

    Arrays of bfloat16, which NumPy's files do not know, become float32, which holds all of them.
    """
    buffer = io.BytesIO()
    known = {name: _known_to_numpy(array) for name, array in named.items()}
    np.savez(buffer, *map(_known_to_numpy, arrays), **known)
    write_whole(path, buffer.getvalue())


def _known_to_numpy(array: Any) -> Any:
    extended = isinstance(array, np.ndarray) and array.dtype.kind == "V"
    return array.astype("float32") if extended else array


def read_arrays(path: Path) -> dict[str, Any]:
    """Returns what `write_arrays` wrote.

    Raises:
        InputError: a damaged file.
    """
    try:
        # From memory, since NumPy leaves a file open that it cannot read.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return dict(archive)
    except Exception as error:
        # NumPy's, zip's and zlib's readers have no error in common: EOFError, KeyError, BadZipFile,
        # zlib.error, NotImplementedError, MemoryError, ... Whatever fails here is a damaged file.
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception | str) -> InputError:
    """Returns the error that reports that a file of state cannot be read."""
    reason = str(error) if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return InputError(
        f"{path} is damaged ({' '.join(reason.split())[:200]}). "
        "Delete it to train what it held again."
    )


def refuse_other_settings(path: Path, saved: Any, asked: Mapping[str, Any]) -> None:
    """Raises an `InputError` that names the differences if `path` holds results of other settings.

    Args:
        path: where the settings are kept.
        saved: what it holds.
        asked: what a call asks for.
    """
    if not isinstance(saved, Mapping):
        raise damaged(path, "no settings")
    if different := list(itertools.islice(_differences(saved, asked), 4)):
        raise InputError(
            f"{path} holds runs with other settings: "
            + ", ".join(f"{key}={_short(old)}" for key, old, _ in different)
            + ". Choose another `out`, or delete that folder. Received: "
            + ", ".join(f"{key}={_short(new)}" for key, _, new in different)
        )


def refuse_experiment(folder: Path) -> None:
    """Raises an `InputError` if a folder belongs to an experiment, which `reproduce` writes."""
    if (marker := folder / MARKER).exists():
        kept = read_json(marker)
        name = kept.get("experiment") if isinstance(kept, Mapping) else None
        raise InputError(
            f"`out` must be a folder of its own for each comparison; {marker} says that this one "
            f"belongs to the experiment {name}. Choose another. Received: out={str(folder)!r}"
        )


def refuse_other_result(path: Path, belongs: bool) -> None:
    """Raises an `InputError` if there is a result in the way that does not belong to this call.

    Args:
        path: of the result that is to be written.
        belongs: whether what is kept next to it says that it is an earlier result of this call.
    """
    if path.exists() and not belongs:
        raise InputError(
            f"{path} holds the result of something else and is not overwritten. "
            "Choose another `out`, or move that file away."
        )


def _differences(saved: Any, asked: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields where two structures of plain data differ, as deep down as they can be compared."""
    if isinstance(saved, Mapping) and isinstance(asked, Mapping):
        if saved.get("class_name") != asked.get("class_name"):  # whose configurations differ anyway
            yield path, saved.get("class_name"), asked.get("class_name")
            return
        for key in dict.fromkeys([*saved, *asked]):
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(saved.get(key), asked.get(key), inner)
    elif isinstance(saved, list) and isinstance(asked, list) and len(saved) == len(asked):
        for number, (old, new) in enumerate(zip(saved, asked, strict=True)):
            yield from _differences(old, new, f"{path}[{number}]")
    elif saved != asked:
        yield path, saved, asked


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", socket.gethostname())


def _runs(process: int) -> bool:
    if os.name != "posix":  # where signal 0 is no question but an order
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
