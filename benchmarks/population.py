"""Populations against a `jax.vmap` of the same nets by hand: seconds per epoch on 2 x 20 models.

    python benchmarks/population.py [FOLDER WITH THE FOUR IDX FILES] [mlp] [cnn] [lstm] [gru] ...

An MLP 784-256-256-10, a small CNN, and recurrent layers over the rows of the images, 2 schemes x 20
seeds, SGD on batches of 100 images of MNIST (random ones without the folder), and the accuracy on
200 others after each epoch of `SAMPLES` images. Every rival is a process of its own, which has
compiled before it is timed; the rounds take turns, since machines drift, and each ratio is the
median over the rounds. `fit` is one model by `compare`'s own loop of `fit`, times 40. Ratios of
processor time are less disturbed by other programs than those of the clock.

The nets by hand are what a user of JAX would write: parameters in a dict, `jax.vmap` of
`jax.value_and_grad`, a step of SGD, `jax.lax.scan` over the batches, all in one `jax.jit` with
donated parameters. Recurrent nets have no version by hand.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

SEEDS, TESTS, BATCH, RATE, ROUNDS = 20, 200, 100, 0.01, 3
# Images of an epoch: by hand, one of the CNN on 6,400 would take ten minutes
SAMPLES = {"mlp": 6400, "cnn": 300, "convlstm": 200}
RECURRENT = ("lstm", "gru", "simple", "bidirectional", "stacked", "convlstm")
SCHEMES = ["he", "xavier"]
RIVALS = {
    "JAX by hand": "jax",
    "population on TensorFlow": "tensorflow",
    "population on JAX": "jax",
    "fit on TensorFlow, x 40": "tensorflow",
    "fit on JAX, x 40": "jax",
}


def images(folder: str, samples: int) -> tuple[Any, Any, Any, Any]:
    """Returns training and test images, flat, and their labels."""
    if not folder:
        random = np.random.default_rng(0)
        x = random.random((samples + TESTS, 784), "float32")
        y = random.integers(0, 10, samples + TESTS)
        return x[:samples], y[:samples], x[samples:], y[samples:]
    from keras_inits.datasets import load_mnist

    data = load_mnist("idx", folder)
    train, test = slice(samples), slice(TESTS)
    return (
        data.train_images[train],
        data.train_labels[train],
        data.test_images[test],
        data.test_labels[test],
    )


def build(net: str) -> Any:
    """Returns a Keras model of flat images."""
    from keras import Input, Sequential, layers

    hidden = {
        "mlp": lambda: [layers.Dense(256, "relu"), layers.Dense(256, "relu")],
        "cnn": lambda: [
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
        ],
        "lstm": lambda: [layers.Reshape((28, 28)), layers.LSTM(32)],
        "gru": lambda: [layers.Reshape((28, 28)), layers.GRU(32)],
        "simple": lambda: [layers.Reshape((28, 28)), layers.SimpleRNN(32)],
        "bidirectional": lambda: [layers.Reshape((28, 28)), layers.Bidirectional(layers.LSTM(32))],
        "stacked": lambda: [
            layers.Reshape((28, 28)),
            layers.LSTM(32, return_sequences=True),
            layers.LSTM(32),
        ],
        "convlstm": lambda: [
            layers.Reshape((7, 4, 28, 1)),  # seven frames of four rows
            layers.ConvLSTM2D(4, 3, padding="same"),
            layers.Flatten(),
        ],
    }[net]
    return Sequential([Input((784,)), *hidden(), layers.Dense(10)])


def ours(net: str, data: Any, trainer: str, turn: Callable[[], None]) -> None:
    """Trains by `compare`, which takes a turn after each epoch."""
    import keras

    from keras_inits import Execution, compare, one_thread_per_operation

    if trainer == "population":
        one_thread_per_operation()
    x, y, tx, ty = data
    alone = trainer == "fit"
    compare(
        lambda: build(net),
        SCHEMES[:1] if alone else SCHEMES,
        ((x, y), (tx, ty)),
        seeds=1 if alone else SEEDS,
        epochs=ROUNDS + 1,
        batch_size=BATCH,
        optimizer=keras.optimizers.SGD(RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        execution=Execution(trainer=trainer, on_progress=lambda progress: turn()),
    )


def by_hand(net: str, data: Any, turn: Callable[[], None]) -> None:
    """Trains the same nets without Keras."""
    import jax
    import jax.numpy as jnp

    x, y, tx, ty = map(jnp.asarray, data)
    shapes = {
        "mlp": [(784, 256), (256, 256), (256, 10)],
        "cnn": [(3, 3, 1, 8), (3, 3, 8, 16), (784, 10)],
    }[net]

    def draw(key: Any, gain: Any) -> Any:
        keys = jax.random.split(key, len(shapes))
        return [
            (jax.random.normal(k, s) * jnp.sqrt(gain / np.prod(s[:-1])), jnp.zeros(s[-1]))
            for k, s in zip(keys, shapes, strict=True)
        ]

    def convolved(h: Any, kernel: Any, bias: Any) -> Any:
        h = jax.lax.conv_general_dilated(
            h, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        h = jax.nn.relu(h + bias)
        return jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def forward(params: Any, h: Any) -> Any:
        *hidden, last = params
        if net == "cnn":
            h = h.reshape(-1, 28, 28, 1)
            for kernel, bias in hidden:
                h = convolved(h, kernel, bias)
            h = h.reshape(h.shape[0], -1)
        else:
            for kernel, bias in hidden:
                h = jax.nn.relu(h @ kernel + bias)
        return h @ last[0] + last[1]

    def loss(params: Any, inputs: Any, targets: Any) -> Any:
        logs = jax.nn.log_softmax(forward(params, inputs))
        return -jnp.take_along_axis(logs, targets[:, None], 1).mean()

    def step(params: Any, rows: Any) -> Any:
        gradient = jax.vmap(jax.value_and_grad(loss), in_axes=(0, None, None))
        losses, gradients = gradient(params, x[rows], y[rows])
        return jax.tree.map(lambda p, g: p - RATE * g, params, gradients), losses

    train = jax.jit(lambda params, rows: jax.lax.scan(step, params, rows), donate_argnums=0)
    hits = jax.vmap(lambda params: (forward(params, tx).argmax(axis=1) == ty).mean())
    test = jax.jit(hits)
    gains = jnp.repeat(jnp.asarray([2.0, 1.0]), SEEDS)
    params = jax.vmap(draw)(jax.random.split(jax.random.key(0), 2 * SEEDS), gains)
    random = np.random.default_rng(0)
    for _ in range(ROUNDS + 1):
        rows = random.permutation(len(x)).astype("int32").reshape(-1, BATCH)
        params, losses = train(params, rows)
        np.asarray(losses), np.asarray(test(params))
        turn()


def work(rival: str, net: str, folder: str, samples: str) -> None:
    """Runs in a process of its own: after each epoch, says so and waits to be asked for another."""
    left = iter(range(ROUNDS))

    def turn() -> None:
        print("done", time.process_time(), flush=True)
        if next(left, None) is not None:
            sys.stdin.readline()

    data = images(folder, int(samples))
    if rival == "JAX by hand":
        by_hand(net, data, turn)
    else:
        ours(net, data, rival.split()[0], turn)


def until_done(process: Any) -> float:
    """Returns the processor seconds of a process when it has finished another epoch."""
    while not (line := process.stdout.readline()).startswith("done "):
        if not line:
            raise SystemExit("a rival has ended before its time")
    return float(line.split()[1])


def measure(
    net: str, rivals: dict[str, str], folder: str, samples: int | None = None
) -> Iterator[tuple[str, float, list[float], list[float]]]:
    """Yields each rival with its seconds before the first epoch's end, and per epoch.

    Those per epoch by the clock, and then those of processors.
    """
    samples = samples or SAMPLES.get(net, 3200)
    workers, firsts, spent = {}, {}, {}
    times: dict[str, list[float]] = {rival: [] for rival in rivals}
    work: dict[str, list[float]] = {rival: [] for rival in rivals}
    for rival, backend in rivals.items():  # one at a time, as all is timed
        begun = time.perf_counter()
        workers[rival] = subprocess.Popen(
            [sys.executable, __file__, "--work", rival, net, folder, str(samples)],
            env=os.environ | {"KERAS_BACKEND": backend},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        spent[rival] = until_done(workers[rival])
        firsts[rival] = time.perf_counter() - begun
    for _ in range(ROUNDS):
        for rival, worker in workers.items():
            begun = time.perf_counter()
            worker.stdin.write("\n")
            worker.stdin.flush()
            before, spent[rival] = spent[rival], until_done(worker)
            many = 2 * SEEDS if rival.startswith("fit") else 1
            times[rival].append((time.perf_counter() - begun) * many)
            work[rival].append((spent[rival] - before) * many)
    for rival, worker in workers.items():
        worker.communicate()
        yield rival, firsts[rival], times[rival], work[rival]


def ratio(ours: list[float], theirs: list[float]) -> float:
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def main() -> None:
    folders = [a for a in sys.argv[1:] if Path(a).is_dir()]
    folder = folders[0] if folders else ""
    for net in [a for a in sys.argv[1:] if a not in folders] or ["mlp", "cnn", *RECURRENT]:
        rivals = {r: b for r, b in RIVALS.items() if net not in RECURRENT or "hand" not in r}
        found = {rival: seconds for rival, *seconds in measure(net, rivals, folder)}
        for rival, (first, times, work) in found.items():
            print(
                f"{net:13} {rival:25} {median(times):7.2f} s per epoch, {median(work):7.2f} s of "
                f"processors; {first:5.1f} s to the end of the first",
                flush=True,
            )
        for ours, theirs in (
            ("population on TensorFlow", "JAX by hand"),
            ("population on TensorFlow", "fit on TensorFlow, x 40"),
            ("population on JAX", "fit on JAX, x 40"),
        ):
            if ours in found and theirs in found:
                clock, processors = map(ratio, found[ours][1:], found[theirs][1:])
                print(
                    f"{net:13} {ours}: {clock:.2f} of {theirs}, {processors:.2f} of its processors"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        main()
