"""What tables of embeddings should start with: "auto" beside each layer's own start and others.

    python benchmarks/auto_tables.py [--seeds 8] [--epochs 6] [--tasks factors] [--data FOLDER]

MNIST in the form of tables. `factors`: an image is a user and a pixel an item, its value a rating;
the product of two rows of 16 and two biases give it, a fifth of the entries is known. `categories`:
the means of 12 squares of an image, of 8 levels each, say which digit it is; `numbers beside`: six
of them as numbers; `ones among zeros`: without tables, each level as a vector. `sequence flat`,
`sequence LSTM`: 16 patches of an image, each one of 64 kinds. What each start ends with on test
data, and paired differences with intervals.
"""

import argparse
import itertools

import keras
import numpy as np
from keras import layers

import keras_inits

FACTORS, LEVELS, KINDS = 16, 8, 64
SQUARES = [(row, column) for row in (1, 2, 4, 5) for column in (2, 3, 4)]  # of 7 x 7


def rating():
    user = keras.Input((), dtype="int32", name="user")
    item = keras.Input((), dtype="int32", name="item")

    def rows(of, count, width, name):
        return layers.Embedding(count, width, name=name)(of)

    made = layers.Dot(-1)([rows(user, 1000, FACTORS, "users"), rows(item, 784, FACTORS, "items")])
    made = made + rows(user, 1000, 1, "user_bias") + rows(item, 784, 1, "item_bias")
    return keras.Model({"user": user, "item": item}, made)


def digit(categories):
    given = keras.Input((12,))
    codes = layers.Lambda(lambda x: keras.ops.cast(x, "int32"), name="codes")(given)
    read = [layers.Embedding(LEVELS, 8, name=f"table_{i}")(codes[:, i]) for i in range(categories)]
    if categories < 12:
        read.append((given[:, categories:] - 2.0) / 2.0)
    x = layers.Concatenate()(read)
    for _ in range(2):
        x = layers.Dense(64, "relu")(x)
    return keras.Model(given, layers.Dense(10)(x))


def coded():
    given = keras.Input((12,))
    codes = layers.Lambda(lambda x: keras.ops.cast(x, "int32"), name="codes")(given)
    x = layers.Flatten()(keras.ops.one_hot(codes, LEVELS))
    for _ in range(2):
        x = layers.Dense(64, "relu")(x)
    return keras.Model(given, layers.Dense(10)(x))


def sequence(lstm):
    given = keras.Input((16,), dtype="int32")
    x = layers.Embedding(KINDS, 32 if lstm else 8)(given)
    if lstm:
        x = layers.Bidirectional(layers.LSTM(24))(x)
    else:
        x = layers.Dense(64, "relu")(layers.Flatten()(x))
    return keras.Model(given, layers.Dense(10)(x))


def patches(images):
    return np.float32(images).reshape(-1, 4, 7, 4, 7).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 49)


def kinds(images, centres):
    """Returns the nearest of `centres` for each patch."""
    found = patches(images)
    return np.int32(np.argmin(np.sum(centres**2, -1) - 2 * found @ centres.T, axis=-1))


def centres_of(images):
    """Returns means of patches that are alike (Lloyd's algorithm)."""
    known = patches(images).reshape(-1, 49)
    centres = known[np.random.default_rng(0).choice(len(known), KINDS, replace=False)]
    for _ in range(8):
        nearest = np.argmin(np.sum(centres**2, -1) - 2 * known @ centres.T, axis=-1)
        taken = [known[nearest == kind] for kind in range(KINDS)]
        centres = np.stack(
            [t.mean(0) if len(t) else c for t, c in zip(taken, centres, strict=True)]
        )
    return centres


def ratings(images, train, rng):
    users, items = np.divmod(rng.permutation(1000 * 784), 784)
    part = slice(0, 1000 * 784 // 5) if train else slice(-50_000, None)
    x = {"user": np.int32(users[part]), "item": np.int32(items[part])}
    return x, np.float32(images[users[part], items[part]])


def squares(images):
    means = np.float32(images).reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4))
    picked = np.stack([means[:, row, column] for row, column in SQUARES], axis=1)
    return np.float32(np.minimum(picked * 10 // 1, LEVELS - 1))


def with_rows(stddev):
    """Returns the start "auto", but for tables of this standard deviation."""
    rows = keras.initializers.RandomNormal(stddev=stddev)

    def start(model, *, seed):
        overrides = {
            weight.path: rows
            for weight in model.weights
            if weight.path.endswith("embeddings") and weight.shape[-1] > 1
        }
        return keras_inits.initialize(model, "auto", overrides=overrides, seed=seed)

    return keras_inits.Start(start)


def with_long_codes(model, *, seed):
    """Sets a model as "auto", but for a first kernel as if it read any features."""
    report = keras_inits.initialize(model, "auto", seed=seed)
    first = next(layer for layer in model.layers if isinstance(layer, layers.Dense))
    first.kernel.assign(first.kernel * 10.0)
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--tasks", nargs="*", help="all if none are named")
    parser.add_argument("--data", help="the folder of the four files of MNIST")
    given = parser.parse_args()
    data = keras_inits.datasets.load_mnist(data_dir=given.data)
    flat = data.train_images[:1000]
    rated = [ratings(flat, train, np.random.default_rng(0)) for train in (True, False)]
    count = 10_000
    seen = [
        (squares(images[:count]), labels[:count])
        for images, labels in (
            (data.train_images, data.train_labels),
            (data.test_images, data.test_labels),
        )
    ]
    half = count // 2
    centres = centres_of(data.train_images[:half])
    tokens = [(kinds(data.train_images[:half], centres), data.train_labels[:half]),
              (kinds(data.test_images[:half], centres), data.test_labels[:half])]  # fmt: skip
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    of_factors = {"logits of 0.3": with_rows((0.3 / FACTORS) ** 0.25)}
    of_one = {"rows of 1": with_rows(1.0)}
    long_codes = {"as other features": keras_inits.Start(with_long_codes)}
    tasks = {
        "factors": (rating, rated, of_factors, "mse", "mse"),
        "categories": (lambda: digit(12), seen, of_one, crossentropy, "accuracy"),
        "numbers beside": (lambda: digit(6), seen, of_one, crossentropy, "accuracy"),
        "ones among zeros": (coded, seen, long_codes, crossentropy, "accuracy"),
        "sequence flat": (lambda: sequence(lstm=False), tokens, of_one, crossentropy, "accuracy"),
        "sequence LSTM": (lambda: sequence(lstm=True), tokens, of_one, crossentropy, "accuracy"),
    }
    optimizers = {
        "Adam": keras.optimizers.Adam(1e-3),
        "SGD 0.01, momentum": keras.optimizers.SGD(0.01, 0.9),
        "SGD 0.05, momentum": keras.optimizers.SGD(0.05, 0.9),
    }
    for (name, task), (label, optimizer) in itertools.product(tasks.items(), optimizers.items()):
        if given.tasks and name not in given.tasks:
            continue
        build, samples, others, loss, metric = task
        result = keras_inits.compare(
            build,
            {"own": "own", "auto": "auto", **others},
            samples,
            epochs=given.epochs,
            seeds=given.seeds,
            optimizer=optimizer,
            loss=loss,
            metrics=[metric],
            metric=f"test_{metric}",
        )
        print(f"{name}, {label}\n{result}\n", flush=True)


if __name__ == "__main__":
    main()
