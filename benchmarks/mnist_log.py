"""An epoch of the MNIST log: one model by `reproduce`, by stock `fit` and by a plain NumPy loop.

    python benchmarks/mnist_log.py [FOLDER WITH THE FOUR IDX FILES]

All train softmax regression on batches of one size and test after each epoch. Stock `fit`: arrays,
`batch_size=100`, `validation_data`, everything else at its default.
"""

import dataclasses
import sys
import time
from collections.abc import Callable
from statistics import median

import keras
import numpy as np

from keras_inits import initialize
from keras_inits.datasets import ImageDataset, load_mnist
from keras_inits.experiments import MnistLogConfig, mnist_log

EPOCHS, ROUNDS = 6, 3
CONFIG = MnistLogConfig(schemes=("xavier",), seeds=1, epochs=EPOCHS)


def per_epoch(train: Callable[[Callable[[], None]], object]) -> float:
    """Median seconds between the calls that `train` makes after each epoch, the first left out."""
    ends: list[float] = []
    train(lambda: ends.append(time.perf_counter()))
    return median(np.diff(ends))


def pipeline(folder: str | None, trainer: str) -> Callable[[Callable[[], None]], object]:
    config = dataclasses.replace(CONFIG, data_dir=folder, trainer=trainer)
    return lambda tick: mnist_log.run(
        config, report=lambda line: None, on_progress=lambda progress: tick()
    )


def stock_fit(data: ImageDataset) -> Callable[[Callable[[], None]], object]:
    def train(tick: Callable[[], None]) -> None:
        model = mnist_log.build(data.train_images.shape[1])
        initialize(model, "xavier", seed=0)
        model.compile(
            optimizer=keras.optimizers.SGD(CONFIG.learning_rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        model.fit(
            data.train_images,
            data.train_labels,
            batch_size=CONFIG.batch_size,
            epochs=EPOCHS,
            validation_data=(data.test_images, data.test_labels),
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: tick())],
            verbose=0,
        )

    return train


def numpy_loop(data: ImageDataset) -> Callable[[Callable[[], None]], object]:
    x, one_hot = data.train_images, np.eye(10, dtype="float32")[data.train_labels]

    def train(tick: Callable[[], None]) -> None:
        random = np.random.default_rng(0)
        kernel = random.standard_normal((x.shape[1], 10), "float32") / np.float32(28)
        bias = random.standard_normal(10, "float32")
        for _ in range(EPOCHS):
            order = random.permutation(len(x))
            for start in range(0, len(x), CONFIG.batch_size):
                rows = order[start : start + CONFIG.batch_size]
                images = x[rows]
                logits = images @ kernel + bias
                share = np.exp(logits - logits.max(axis=1, keepdims=True))
                share /= share.sum(axis=1, keepdims=True)
                error = (share - one_hot[rows]) / np.float32(len(rows))
                kernel -= np.float32(CONFIG.learning_rate) * (images.T @ error)
                bias -= np.float32(CONFIG.learning_rate) * error.sum(axis=0)
            np.mean((data.test_images @ kernel + bias).argmax(axis=1) == data.test_labels)
            tick()

    return train


def main() -> None:
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    data = load_mnist(data_dir=folder)
    ways = {
        "reproduce mnist-log": pipeline(folder, "population"),
        "reproduce mnist-log --trainer fit": pipeline(folder, "fit"),
        "stock fit": stock_fit(data),
        "NumPy loop": numpy_loop(data),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, train in ways.items():
            seconds[name].append(per_epoch(train))
    ours = np.array(seconds["reproduce mnist-log"])
    for name, values in seconds.items():
        ratio = median(ours / np.array(values))
        print(
            f"{name:34} {median(values):6.3f} s per epoch; the population takes {ratio:.2f} of it"
        )


if __name__ == "__main__":
    main()
