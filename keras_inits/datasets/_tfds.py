"""MNIST through TensorFlow Datasets, put back into the order of the original files.

TFDS, TensorFlow and what they bring are imported inside the functions: they are optional and take
seconds to load.
"""

import contextlib
import hashlib
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from keras_inits.datasets import _idx
from keras_inits.datasets._image_dataset import DataError, Report

# Give up on the host after 5 seconds; TFDS itself would retry for 205.
PROBE_SECONDS = 5.0


def load(data_dir: Path | None, report: Report) -> _idx.RawMnist:
    """MNIST from what TFDS has prepared, after letting it prepare that if need be.

    Args:
        data_dir: folder with the four official `.gz` files, for a machine without network; None
            leaves TFDS's own folder for such files, `downloads/manual`.
        report: takes the lines for people.

    Raises:
        DataError: TFDS is not installed, cannot reach its host, or has damaged files.
    """
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder("mnist")
    except ImportError as error:
        raise DataError(
            f"TensorFlow Datasets cannot be imported ({error}). "
            'Install it: pip install "keras-inits[experiments]"'
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # its JSON files, which can be damaged in any way
        folder = Path(tfds.core.constants.DATA_DIR, "mnist").expanduser()
        raise _damaged(folder, _short(error)) from error
    # TFDS renames its folder into place once all is there, and reuses whatever is there.
    if not os.path.exists(builder.data_dir):
        _prepare(builder, data_dir, report)
    return _read(builder)


def original_order(split: str, count: int) -> NDArray[np.int64]:
    """The original index of every example that TFDS stores in a split, `(count,)`.

    TFDS sorts the examples by the MD5 of the split's name followed by the key, which for MNIST is
    the index in the original file (`tensorflow_datasets.core.shuffle`, `core.hashing`).

    >>> original_order("train", 5).tolist()
    [4, 0, 3, 1, 2]
    """

    def key(index: int) -> bytes:
        return hashlib.md5(f"{split}{index}".encode(), usedforsecurity=False).digest()

    return np.array(sorted(range(count), key=key), np.int64)


def _prepare(builder: Any, data_dir: Path | None, report: Report) -> None:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    manual = data_dir or Path(builder.data_dir_root, "downloads", "manual")
    missing = {
        info.filename: url
        for url, info in builder.url_infos.items()
        if not (manual / info.filename).is_file()
    }
    if missing:
        if data_dir is not None:
            report(f"{data_dir} lacks {', '.join(missing)}: TFDS has to download that.")
        url = next(iter(missing.values()))
        report(f"TFDS asks its host {urlsplit(url).netloc}: {PROBE_SECONDS:g} seconds at most.")
        _probe(url)
    report(f"TFDS prepares MNIST in {builder.data_dir}, once: about 20 seconds.")
    failures = (
        OSError,  # also every error of requests
        tf.errors.OpError,
        tfds.download.DownloadError,
        tfds.download.download_manager.NonMatchingChecksumError,
        tfds.download.extractor.ExtractError,
    )
    try:
        # TFDS prints its news to stdout, which belongs to the results; its bars go to stderr.
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(manual_dir=manual)
            )
    except failures as error:
        raise DataError(f"TFDS could not prepare MNIST: {error}") from error


def _probe(url: str) -> None:
    """Raises a DataError unless `url` answers soon: TFDS itself tries for 205 seconds."""
    import requests  # as TFDS itself does, so that proxies and certificates are the same

    answer: queue.Queue[str] = queue.Queue()

    def ask() -> None:
        try:
            with requests.get(url, stream=True, timeout=PROBE_SECONDS) as response:
                answer.put("" if response.status_code == 200 else f"HTTP {response.status_code}")
        except (OSError, ValueError) as error:
            answer.put(type(error).__name__)

    # A thread, since looking up a host's name knows no timeout; a daemon, so as not to wait for it.
    threading.Thread(target=ask, daemon=True).start()
    try:
        failure = answer.get(timeout=PROBE_SECONDS)
    except queue.Empty:
        failure = f"no answer within {PROBE_SECONDS:g} seconds"
    if failure:
        raise DataError(
            f"TFDS cannot reach its host {urlsplit(url).netloc} ({failure}). "
            "It needs no network if `data_dir` is a folder with the four official .gz files."
        )


def _read(builder: Any) -> _idx.RawMnist:
    import tensorflow_datasets as tfds

    folder = Path(builder.data_dir)
    # One file after the other, so that the examples come as they are stored.
    in_order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    arrays = []
    try:
        for split, part in (("train", "train"), ("test", "t10k")):
            stored = tfds.as_numpy(
                builder.as_dataset(split=split, batch_size=-1, read_config=in_order)
            )
            order = original_order(split, len(stored["label"]))
            for name, values in (
                (f"{part}-images-idx3-ubyte", stored["image"][..., 0]),
                (f"{part}-labels-idx1-ubyte", stored["label"].astype(np.uint8)),
            ):
                original = np.empty_like(values)
                original[order] = values
                arrays.append(_idx.decode(name, _idx.encode(original), f"{name} from TFDS"))
    except MemoryError:
        raise
    except Exception as error:  # what was prepared can be damaged in any way
        raise _damaged(folder, _short(error)) from error
    return _idx.RawMnist(*arrays)


def _damaged(folder: Path, reason: str) -> DataError:
    return DataError(
        f"what TFDS has prepared of MNIST is damaged: {reason}. "
        f"Delete the folder {folder} and TFDS prepares it again."
    )


def _short(error: Exception) -> str:
    """Returns the first line of an error, with its type where the line alone says little."""
    line = next(iter(str(error).splitlines()), "")[:200]
    return line if isinstance(error, DataError) else f"{type(error).__name__}: {line}"
