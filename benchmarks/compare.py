"""The population against a NumPy loop and stock `fit`: the MNIST log at full size.

    python benchmarks/compare.py [FOLDER WITH THE FOUR IDX FILES]

One NumPy run is one softmax regression for 20 epochs, tested after each. The other lines are both
schemes of one seed, and both of 20 seeds, whole calls of `compare` with all they compile; and stock
`fit` of one model, for a few epochs, scaled up. The rounds take turns, since machines drift; each
line is the median of its rounds. TensorFlow uses one thread per operation, as in
the command line, in `fit` too, which is no slower for it.
"""

import sys
import time
from collections.abc import Callable
from statistics import median

import keras
import numpy as np

from keras_inits import Execution, compare, one_thread_per_operation
from keras_inits._cli.models import builder
from keras_inits.datasets import ImageDataset, load_mnist

EPOCHS, FIT_EPOCHS, BATCH, RATE, ROUNDS = 20, 2, 100, 0.01, 3
SCHEMES = ["random", "xavier"]
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def numpy_run(data: ImageDataset) -> None:
    x, one_hot = data.train_images, np.eye(10, dtype="float32")[data.train_labels]
    random = np.random.default_rng(0)
    kernel = random.standard_normal((x.shape[1], 10), "float32") / np.float32(28)
    bias = random.standard_normal(10, "float32")
    for _ in range(EPOCHS):
        order = random.permutation(len(x))
        cost = 0.0
        for start in range(0, len(x), BATCH):
            rows = order[start : start + BATCH]
            inputs, targets = x[rows], one_hot[rows]
            logits = inputs @ kernel + bias
            exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
            shares = exponentials / exponentials.sum(axis=1, keepdims=True)
            cost -= float(np.log((shares * targets).sum(axis=1) + 1e-30).sum())
            back = (shares - targets) / np.float32(len(rows))
            kernel -= np.float32(RATE) * (inputs.T @ back)
            bias -= np.float32(RATE) * back.sum(axis=0)
        np.mean((data.test_images @ kernel + bias).argmax(axis=1) == data.test_labels)


def population(data: ImageDataset, seeds: int) -> None:
    compare(
        builder("softmax", (data.train_images.shape[1],), 10),
        SCHEMES,
        (
            (data.train_images, data.train_labels),
            (data.test_images, data.test_labels),
        ),
        seeds=seeds,
        epochs=EPOCHS,
        batch_size=BATCH,
        optimizer=keras.optimizers.SGD(RATE),
        loss=LOSS,
        metrics=["accuracy"],
        execution=Execution(trainer="population"),
    )


def stock_fit(data: ImageDataset) -> None:
    model = builder("softmax", (data.train_images.shape[1],), 10)()
    model.compile(optimizer=keras.optimizers.SGD(RATE), loss=LOSS, metrics=["accuracy"])
    model.fit(
        data.train_images,
        data.train_labels,
        batch_size=BATCH,
        epochs=FIT_EPOCHS,
        validation_data=(data.test_images, data.test_labels),
        verbose=0,
    )


def seconds(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    one_thread_per_operation()
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    data = load_mnist("idx" if folder else "auto", folder)
    lines: dict[str, Callable[[], None]] = {
        "NumPy loop, 1 model": lambda: numpy_run(data),
        "compare, 2 schemes x 1 seed": lambda: population(data, 1),
        "compare, 2 schemes x 20 seeds": lambda: population(data, 20),
        f"stock fit, 1 model, scaled from {FIT_EPOCHS} epochs": lambda: stock_fit(data),
    }
    numpy_run(data)  # warms the processor's clock and the memory
    times: dict[str, list[float]] = {line: [] for line in lines}
    for _ in range(ROUNDS):
        for line, call in lines.items():
            times[line].append(seconds(call))
    times = {k: [t * EPOCHS / FIT_EPOCHS for t in v] if "fit" in k else v for k, v in times.items()}
    loop = times["NumPy loop, 1 model"]
    for line, measured in times.items():
        ratio = median(ours / theirs for ours, theirs in zip(measured, loop, strict=True))
        print(f"{line:42} {median(measured):7.2f} s, {ratio:6.2f} times the NumPy loop")


if __name__ == "__main__":
    main()
