import keras
import numpy as np
import pytest
from compare.small_models import BUILD, SCHEMES

from keras_inits import compare
from keras_inits._compare.data import TrainingData


@pytest.fixture(scope="session")
def images():
    """330 small images of three classes, told by their brightness; the first 130 are the test."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 330).astype("int32")
    x = (random.normal(size=(330, 8, 8, 2)) + y[:, None, None, None]).astype("float32")
    return TrainingData(x, y, {"test": (x[:130], y[:130])})


def _options():
    return {
        "seeds": 2,
        "epochs": 1,
        "batch_size": 32,  # does not divide 330: the last batch is smaller
        "optimizer": "sgd",
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "metrics": ["accuracy"],
    }


@pytest.fixture
def options():
    """What the tests of training have in common, as keyword arguments of `compare`."""
    return _options()


@pytest.fixture(scope="session")
def whole(images):
    """The runs of the small model, trained in one go."""
    return compare(BUILD, SCHEMES, images, **_options())
