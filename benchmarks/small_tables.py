"""Small tables of real numbers: "auto" beside Keras's own start, He and LeCun, on held-out rows.

    python benchmarks/small_tables.py [--seeds 20] [--epochs 40] [--tables diabetes wine]

Tables that scikit-learn brings along, each column standardized, a quarter of the rows held out; two
hidden layers of 64 ReLUs. A row gives the loss that Keras's own start ends with, and the paired
differences of the others from it with intervals of 95 %: below 0 they end lower.
"""

import argparse

import keras
import numpy as np
from auto import print_header, print_row
from keras import layers
from sklearn import datasets

import keras_inits

STARTS = {"Keras's own": "own", '"auto"': "auto", "He": "he", "LeCun": "lecun"}
TABLES = ("diabetes", "breast_cancer", "wine", "digits")
ENDS = {  # by the number of classes; 0 for a measurement
    0: (1, None, "mse"),
    2: (1, "sigmoid", "binary_crossentropy"),
    3: (3, "softmax", "sparse_categorical_crossentropy"),
    10: (10, "softmax", "sparse_categorical_crossentropy"),
}


def table(name):
    """Returns training and test rows with their targets, and the number of classes."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    classes = 0 if name == "diabetes" else len(np.unique(y))
    order = np.random.default_rng(0).permutation(len(x))
    x, y, train = x[order], y[order], len(x) * 3 // 4
    x = (x - x[:train].mean(0)) / (x[:train].std(0) + 1e-9)
    if not classes:
        y = ((y - y[:train].mean()) / y[:train].std()).astype("float32")
    x = x.astype("float32")
    return (x[:train], y[:train]), (x[train:], y[train:]), classes


def compared(name, optimizer, arguments):
    train, test, classes = table(name)
    units, activation, loss = ENDS[classes]

    def net():
        hidden = [layers.Dense(64, "relu") for _ in range(2)]
        inputs = keras.Input(train[0].shape[1:])
        return keras.Sequential([inputs, *hidden, layers.Dense(units, activation)])

    return keras_inits.compare(
        net,
        STARTS,
        (train, test),
        epochs=arguments.epochs,
        seeds=arguments.seeds,
        batch_size=32,
        optimizer=optimizer,
        loss=loss,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--tables", nargs="+", default=TABLES, choices=TABLES)
    arguments = parser.parse_args()
    print_header("table, optimizer", STARTS)
    optimizers = (keras.optimizers.Adam(), keras.optimizers.RMSprop(), keras.optimizers.SGD(0.01))
    for name in arguments.tables:
        for optimizer in optimizers:
            result = compared(name, optimizer, arguments)
            losses = dict(zip(result.schemes, result.final("test_loss"), strict=True))
            own = losses.pop("Keras's own")
            apart = [values - own for values in losses.values()]
            spans = [1.96 * d.std(ddof=1) / len(d) ** 0.5 for d in apart]
            cells = [f"{d.mean():+.3f} ±{s:.3f}" for d, s in zip(apart, spans, strict=True)]
            print_row(f"{name}, {type(optimizer).__name__}", [f"{own.mean():.3f}", *cells])


if __name__ == "__main__":
    main()
