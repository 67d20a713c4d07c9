"""MNIST's four IDX files: the one gate that every source passes through.

Reference:
    The MNIST database of handwritten digits, LeCun, Cortes and Burges, "File formats":
    http://yann.lecun.com/exdb/mnist/
"""

import gzip
import hashlib
import struct
import zlib
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_inits.datasets._image_dataset import DataError


class IdxFile(NamedTuple):
    """What an IDX file of bytes must hold: its shape, and the SHA-256 of the unpacked file."""

    shape: tuple[int, ...]
    sha256: str


class RawMnist(NamedTuple):
    """The four arrays in the files' own order, uint8: pixels 0 to 255, labels 0 to 9."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


# In the order of RawMnist. SHA-256 of the official files once unpacked; those of the packed files,
# which TFDS publishes, lead to the same bytes.
FILES = {
    "train-images-idx3-ubyte": IdxFile(
        (60_000, 28, 28), "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": IdxFile(
        (60_000,), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
    "t10k-images-idx3-ubyte": IdxFile(
        (10_000, 28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": IdxFile(
        (10_000,), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}

_UNSIGNED_BYTE = 8  # IDX's code for the type of the values


def header(shape: tuple[int, ...]) -> bytes:
    """The bytes that open an IDX file of unsigned bytes: magic number, then the dimensions.

    >>> header((2, 3)).hex()
    '000008020000000200000003'
    """
    return struct.pack(f">HBB{len(shape)}I", 0, _UNSIGNED_BYTE, len(shape), *shape)


def limit(name: str) -> int:
    """The bytes to read of one of MNIST's files: one more than it has, to see that it ends.

    Whatever a packed file unpacks to, no more than that is ever held.
    """
    shape, _ = FILES[name]
    return len(header(shape)) + prod(shape) + 1


def encode(values: NDArray[np.uint8]) -> bytes:
    """The IDX file that holds `values`."""
    return header(values.shape) + values.tobytes()


def decode(name: str, data: bytes, where: str) -> NDArray[np.uint8]:
    """The array in one of MNIST's files, after its checksum has been compared.

    Args:
        name: which file, a key of `FILES`.
        data: its unpacked bytes.
        where: what to call it in an error.

    Returns:
        Values of the shape in `FILES`.

    Raises:
        DataError: not an IDX file, another length, or another SHA-256.
    """
    shape, sha256 = FILES[name]
    start = header(shape)
    size = len(start) + prod(shape)
    if data[:4] != start[:4]:
        raise DataError(
            f"{where} is not the IDX file {name}: it should begin with the bytes "
            f"{start[:4].hex()}. Received: {data[:4].hex() or 'an empty file'}"
        )
    if len(data) != size:
        # No more than one byte too many is ever read: see `limit`.
        found = f"more than {size}" if len(data) > size else str(len(data))
        raise DataError(f"{where} should have {size} bytes unpacked. Received: {found} bytes")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataError(f"{where} should have the SHA-256 {sha256} unpacked. Received: {found}")
    return np.frombuffer(data, np.uint8, offset=len(start)).reshape(shape)


def load(folder: Path) -> RawMnist:
    """MNIST from a folder with the four files, gzipped or not.

    Args:
        folder: holds for each name either `NAME` or `NAME.gz`; `t10k-images.idx3-ubyte`, as some
            archives spell it, will do. Whether a file is gzipped is seen from its first bytes,
            since browsers unpack some downloads and leave the name.

    Raises:
        DataError: a file that is missing, cannot be read, or is not the official one.
    """
    try:
        present = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise DataError(f"`data_dir` cannot be read: {error}") from error
    chosen = {name: [x for x in _spellings(name) if x in present] for name in FILES}
    missing = [name for name, found in chosen.items() if not found]
    if missing:
        raise DataError(
            f"{folder} lacks {', '.join(missing)} (each with or without .gz). "
            f"Found there: {', '.join(present[:12]) or 'nothing'}"
        )
    return RawMnist(*(_read(name, folder / found[0]) for name, found in chosen.items()))


def _spellings(name: str) -> list[str]:
    dotted = name.replace("-idx", ".idx")
    return [name, f"{name}.gz", dotted, f"{dotted}.gz"]


def _read(name: str, path: Path) -> NDArray[np.uint8]:
    try:
        with path.open("rb") as file:
            packed = file.peek(2)[:2] == b"\x1f\x8b"  # gzip's mark; IDX begins with two zeros
            data = (gzip.GzipFile(fileobj=file) if packed else file).read(limit(name))
        return decode(name, data, str(path))
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        raise DataError(f"{path} cannot be unpacked ({error}). Download it again.") from error
    except DataError as error:
        raise DataError(f"{error}. Download it again.") from error
