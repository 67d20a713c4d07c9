import hashlib
import http.server
import itertools
import shutil
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from keras_inits.datasets import DataError, _idx, _tfds

tensorflow_datasets = pytest.importorskip("tensorflow_datasets")
RECORDS = "mnist-train.tfrecord-00000-of-00001"


@pytest.fixture
def use_folder(monkeypatch):
    """Lets TFDS keep its data in the folder that it is given."""

    def use(folder):
        monkeypatch.setattr(tensorflow_datasets.core.constants, "DATA_DIR", str(folder))
        return Path(folder, "mnist", "3.0.1")

    return use


@pytest.fixture
def through(monkeypatch):
    """Sends every request to a proxy on this machine, so that no name is ever looked up."""

    def use(port):
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")

    return use


@pytest.fixture
def silent_port():
    """A port where something listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def serve(monkeypatch):
    """Serves a folder on this machine, and answers every other path with 503."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def send_error(self, code, *args):
            super().send_error(503 if code == 404 else code, *args)

        def log_message(self, *args):
            pass

    servers = []

    def start(folder):
        handler = partial(Handler, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed_port(silent_port):
    """A port where nothing listens: one that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("split", ["train", "test"])
def test_original_order_is_the_one_tfds_shuffles_by(split, tmp_path):
    from tensorflow_datasets.core.shuffle import Shuffler

    shuffler = Shuffler(tmp_path, split)
    for index in range(1000):
        shuffler.add(index, str(index).encode())
    stored = [int(data) for _, data in shuffler]
    assert stored != sorted(stored)
    assert _tfds.original_order(split, 1000).tolist() == stored


def test_a_host_that_refuses_is_said_within_ten_seconds(use_folder, through, closed_port, tmp_path):
    use_folder(tmp_path)
    through(closed_port)
    start = time.monotonic()
    with pytest.raises(DataError, match=r"TFDS cannot reach its host \S+ \(ProxyError\)"):
        _tfds.load(None, print)
    assert time.monotonic() - start < 10
    assert not list(tmp_path.glob("mnist/*"))


def test_a_host_that_is_silent_is_said_within_ten_seconds(
    use_folder, through, silent_port, tmp_path, monkeypatch
):
    assert _tfds.PROBE_SECONDS < 10
    monkeypatch.setattr(_tfds, "PROBE_SECONDS", 1.0)  # what is waited here
    use_folder(tmp_path)
    through(silent_port)
    start = time.monotonic()
    with pytest.raises(DataError, match=r"TFDS cannot reach its host \S+ \("):
        _tfds.load(None, print)
    assert 0.9 < time.monotonic() - start < 10


def test_a_lookup_that_hangs_is_cut_off(monkeypatch):
    released = threading.Event()

    def hang(*args, **options):
        released.wait(30)
        raise OSError

    monkeypatch.setattr(_tfds, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr("socket.getaddrinfo", hang)
    start = time.monotonic()
    with pytest.raises(DataError, match=r"no answer within 0\.2 seconds"):
        _tfds._probe("http://host.invalid/file")
    assert time.monotonic() - start < 5
    released.set()


def test_only_a_host_that_has_the_file_counts_as_reached(serve, tmp_path):
    (tmp_path / "file").write_text("here")
    url = serve(tmp_path)
    _tfds._probe(url + "file")
    with pytest.raises(DataError, match="HTTP 503"):
        _tfds._probe(url + "other")


def test_files_that_data_dir_lacks_are_said(use_folder, through, closed_port, tmp_path):
    use_folder(tmp_path)
    through(closed_port)
    lines = []
    with pytest.raises(DataError, match="cannot reach"):
        _tfds.load(tmp_path, lines.append)
    assert all(f"{name}.gz" in lines[0] for name in _idx.FILES)


def test_tfds_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(DataError, match=r'pip install "keras-inits\[experiments\]"'):
        _tfds.load(None, print)


@pytest.mark.parametrize("content", [None, "", '{"name": "mnist", '])
def test_a_cache_without_sound_info_is_named(use_folder, tmp_path, content):
    folder = use_folder(tmp_path)
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "dataset_info.json").write_text(content)
    with pytest.raises(DataError, match=f"damaged.* Delete the folder {tmp_path / 'mnist'}"):
        _tfds.load(None, print)


@pytest.fixture(scope="session")
def official(mnist_dir, tmp_path_factory):
    """The four packed files whose checksums TFDS knows."""
    if all((mnist_dir / f"{name}.gz").is_file() for name in _idx.FILES):
        return mnist_dir
    pytest.skip("no official .gz files: set KERAS_INITS_MNIST_DIR")


@pytest.fixture(scope="session")
def prepared(official, tmp_path_factory):
    """What TFDS makes of them: its folder, what it printed aside."""
    root = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensorflow_datasets.core.constants, "DATA_DIR", str(root))
        _tfds.load(official, print)
    return root


@pytest.mark.slow
def test_tfds_gives_the_official_files_to_the_last_bit(
    prepared, use_folder, through, closed_port, mnist_dir
):
    use_folder(prepared)
    through(closed_port)  # what is prepared needs no network
    lines = []
    for ours, theirs in zip(_tfds.load(None, lines.append), _idx.load(mnist_dir), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert not lines


def cut(path):
    path.write_bytes(path.read_bytes()[:-100_000])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def swap(path):
    """Two sound records in each other's place, which only the checksum of the whole can tell."""
    import tensorflow as tf

    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    records[:2] = records[1::-1]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "DataLossError"),
        (flip, "DataLossError"),
        (swap, "should have the SHA-256"),
        (Path.unlink, "NotFoundError"),
    ],
)
def test_damaged_records_are_named(prepared, use_folder, tmp_path, damage, reason):
    folder = use_folder(tmp_path)
    shutil.copytree(prepared / "mnist", tmp_path / "mnist")
    damage(folder / RECORDS)
    with pytest.raises(DataError, match=f"{reason}.* Delete the folder {folder}"):
        _tfds.load(None, print)


@pytest.mark.slow
def test_a_damaged_download_is_an_error_and_leaves_nothing_prepared(official, use_folder, tmp_path):
    folder = use_folder(tmp_path / "tfds")
    manual = tmp_path / "manual"
    shutil.copytree(official, manual)
    cut(manual / "train-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match=r"could not prepare MNIST: .*checksum"):
        _tfds.load(manual, print)
    assert not folder.exists()


@pytest.mark.slow
def test_a_download_is_prepared_and_checked(official, use_folder, serve, tmp_path, monkeypatch):
    folder = use_folder(tmp_path)
    mnist = tensorflow_datasets.image_classification.MNIST
    url = serve(official)
    infos = {url + info.filename: info for info in mnist.url_infos.values()}
    monkeypatch.setattr(mnist, "URL", url)
    monkeypatch.setattr(mnist, "url_infos", infos)
    lines = []
    downloaded = _tfds.load(None, lines.append)
    assert any(str(folder) in line for line in lines)
    hashes = [hashlib.sha256(_idx.encode(values)).hexdigest() for values in downloaded]
    assert hashes == [file.sha256 for file in _idx.FILES.values()]


@pytest.mark.slow
def test_a_run_killed_while_preparing_leaves_no_broken_cache(
    official, use_folder, through, closed_port, tmp_path, monkeypatch
):
    folder = use_folder(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    load = "import sys, pathlib; from keras_inits.datasets import _tfds; "
    load += "_tfds.load(pathlib.Path(sys.argv[1]), print)"
    run = subprocess.Popen(
        [sys.executable, "-c", load, str(official)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in itertools.takewhile(lambda _: run.poll() is None, range(600)):
        if list(tmp_path.glob("mnist/incomplete.*")):
            break
        time.sleep(0.1)
    time.sleep(1)
    run.kill()
    assert run.wait() == -9
    assert list(tmp_path.glob("mnist/incomplete.*"))  # it was killed half-way
    assert not folder.exists()
    through(closed_port)
    with pytest.raises(DataError, match="cannot reach"):  # and it isn't taken for prepared
        _tfds.load(None, print)
