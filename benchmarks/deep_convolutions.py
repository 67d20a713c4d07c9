"""Whether deep plain convolution nets want delta-orthogonal kernels in place of those of "auto".

    python benchmarks/deep_convolutions.py [--layers 24] [--seeds 3] [--steps 300]
                                          [--data FOLDER]

Two convolutions of stride 2, then that many 3 x 3 convolutions of 16 channels on 7 x 7 places, the
mean over places, ten logits; MNIST, SGD with momentum .9. Both starts have the same scales: a
delta-orthogonal kernel loses nothing at the edges, which "auto" makes up for. A row says, medians
over seeds (least, largest): the gradient of the first of these kernels over that of the last, the
best test accuracy over the rates.
"""

import argparse
import math

import keras
import numpy as np
from keras import layers

import keras_inits

CHANNELS, SIDE, BATCH = 16, 7, 64
RATES = (0.003, 0.01, 0.03)
SEEN = ((3 * SIDE - 2) / (3 * SIDE)) ** 2  # of the taps, those that lie inside


def net(depth, activation):
    def convolution(stride, name):
        return layers.Conv2D(CHANNELS, 3, stride, "same", activation=activation, name=name)

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            convolution(2, "first"),
            convolution(2, "second"),
            *(convolution(1, f"deep_{i}") for i in range(depth)),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )


def with_auto(model, seed):
    return keras_inits.initialize(model, "auto", seed=seed)


def with_delta(model, seed):
    gains = {
        row.path: row.target_stddev * math.sqrt(row.geometry.fan_in * SEEN)
        for row in with_auto(model, seed).rows
        if "deep_" in row.path and row.geometry
    }
    deltas = {path: keras_inits.DeltaOrthogonalInit(gain) for path, gain in gains.items()}
    keras_inits.initialize(model, "auto", overrides=deltas, seed=seed)


STARTS = {"auto": with_auto, "delta-orthogonal": with_delta}


def first_over_last(model, x, y):
    import tensorflow as tf

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    kernels = [layer.kernel.value for layer in model.layers if "deep_" in layer.name]
    with tf.GradientTape() as tape:
        value = loss(y, model(x))
    first, last = tape.gradient(value, [kernels[0], kernels[-1]])
    return float(tf.norm(first) / tf.norm(last))


def accuracies(model, rates, train, test):
    """Yields the test accuracy after an epoch at each rate, from the weights of the model."""
    weights = model.get_weights()
    for rate in rates:
        model.set_weights(weights)
        model.compile(
            keras.optimizers.SGD(rate, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        model.fit(*train, batch_size=BATCH, verbose=0, shuffle=False)
        yield model.evaluate(*test, batch_size=500, verbose=0)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rates", type=float, nargs="*", default=RATES)
    parser.add_argument("--data", help="the folder of the four files of MNIST")
    given = parser.parse_args()
    data = keras_inits.datasets.load_mnist(data_dir=given.data)
    size = given.steps * BATCH
    x, tx = (
        (images.reshape(-1, 28, 28, 1) - 0.1307) / 0.3081
        for images in (np.float32(data.train_images[:size]), np.float32(data.test_images[:2000]))
    )
    y, ty = data.train_labels[:size], data.test_labels[:2000]
    for activation in ("tanh", "relu"):
        model = net(given.layers, activation)
        for name, start in STARTS.items():
            ratios, best = [], []
            for seed in range(given.seeds):
                start(model, seed)
                ratios.append(first_over_last(model, x[:256], y[:256]))
                best.append(max(accuracies(model, given.rates, (x, y), (tx, ty))))
            words = [f"{np.median(v):.3g} ({min(v):.3g}, {max(v):.3g})" for v in (ratios, best)]
            print(f"| {given.layers} x {activation}, {name} | {' | '.join(words)} |", flush=True)


if __name__ == "__main__":
    main()
