import gzip
import tracemalloc

import numpy as np
import pytest

from keras_inits.datasets import DataError, _idx

IMAGES = "train-images-idx3-ubyte"


@pytest.fixture
def folder(tiny, tmp_path):
    for name, data in tiny.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def rename(folder, spelling):
    for name in _idx.FILES:
        (folder / name).rename(folder / spelling(name))


def pack(folder):
    for name in _idx.FILES:
        (folder / name).write_bytes(gzip.compress((folder / name).read_bytes()))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "spelling",
    [
        lambda name: name,
        lambda name: f"{name}.gz",
        lambda name: name.replace("-idx", ".idx"),
        lambda name: name.replace("-idx", ".idx") + ".gz",
    ],
    ids=["plain", "gz", "dotted", "dotted gz"],
)
def test_files_are_found_by_any_spelling_packed_or_not(folder, tiny, spelling, packed):
    if packed:
        pack(folder)
    rename(folder, spelling)
    for (name, data), values in zip(tiny.items(), _idx.load(folder), strict=True):
        assert values.shape == _idx.FILES[name].shape
        assert values.dtype == np.uint8
        assert _idx.encode(values) == data


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: flip(data, 50), "should have the SHA-256 .* Received: [0-9a-f]{64}"),
        (lambda data: flip(data, 6), "should have the SHA-256"),
        (lambda data: data[:-1], r"should have 112 bytes unpacked. Received: 111 bytes"),
        (lambda data: data + b"\0", "Received: more than 112 bytes"),
        (lambda data: flip(data, 3), "begin with the bytes 00000803. Received: 00000802"),
        (lambda data: b"<!DOCTYPE html>", "begin with the bytes 00000803. Received: 3c21444f"),
        (lambda data: b"", "Received: an empty file"),
        (lambda data: gzip.compress(data)[:-20], "cannot be unpacked"),
        (lambda data: gzip.compress(data)[:-1], "cannot be unpacked"),
        (lambda data: flip(gzip.compress(data), -5), "cannot be unpacked"),
        (lambda data: gzip.compress(data)[:10] + b"\xff" * 40, "cannot be unpacked"),
        (lambda data: flip(gzip.compress(data), 2), "cannot be unpacked"),
    ],
    ids=[
        "flipped pixel",
        "flipped count",
        "cut short",
        "too long",
        "wrong magic",
        "a page of the web",
        "empty",
        "cut gzip",
        "gzip without its last byte",
        "flipped gzip checksum",
        "garbage after the head of a gzip",
        "not quite gzip",
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(folder, damage, message):
    path = folder / IMAGES
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        _idx.load(folder)
    assert str(path) in str(caught.value)
    assert "Download it again." in str(caught.value)


def test_all_missing_files_are_listed_with_what_was_found(folder):
    (folder / IMAGES).unlink()
    (folder / "t10k-labels-idx1-ubyte").rename(folder / "labels.bin")
    with pytest.raises(DataError) as caught:
        _idx.load(folder)
    lacks, found = str(caught.value).split("Found there: ")
    assert f"lacks {IMAGES}, t10k-labels-idx1-ubyte (" in lacks
    assert found == "labels.bin, t10k-images-idx3-ubyte, train-labels-idx1-ubyte"


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"`data_dir` cannot be read.*nowhere"):
        _idx.load(tmp_path / "nowhere")


def test_the_official_files_are_mnist(mnist_dir):
    mnist = _idx.load(mnist_dir)
    assert mnist.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    # Published counts of the digits 0 to 9.
    assert np.bincount(mnist.train_labels).tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    ]
    assert np.bincount(mnist.test_labels).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]


def test_a_file_that_unpacks_to_more_than_is_known_is_given_up(folder, tiny):
    name = next(iter(tiny))
    (folder / name).unlink()
    bomb = gzip.compress(tiny[name] + bytes(50 * 2**20))
    (folder / f"{name}.gz").write_bytes(bomb)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="Received: more than"):
            _idx.load(folder)
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20
    finally:
        tracemalloc.stop()
