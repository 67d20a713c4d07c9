"""What recipes bring to deep nets, measured by `compare`: the table of docs/recipes.md.

    python benchmarks/recipes.py --out runs/recipes [--blocks 6 24 60] [--seeds 20] [--part NAME]

Small nets on MNIST, averaged to 7 x 7 pixels, 100 steps of 64 images, every scheme from the same
seeds and with the same batches. Each part sets a recipe next to the start that it is meant to
improve on:

`plain`: h + Dense(Dense(h, relu)) of width 32 without normalization, SGD, at two learning rates: He
everywhere; He with the ends of branches over the root of their number, a recipe of two lines;
`fixup`.
`zero gamma`: h + BN(Conv(ReLU(BN(Conv(h))))), 32 channels of 1 x 1 on the pixels as channels, SGD
0.1: `resnet` with and without zero gammas at the ends of branches.
`depth scaling`: h + Dense(Dense(LN(h), relu)) of width 32 on the mean of the embeddings of seven
tokens, which are rows of pixels, Adam 0.001: `megatron` of standard deviation d^-1/2, flat, and
with its ends scaled.
`deepnorm`: transformers on these tokens with the normalization behind the sum, LN(alpha x + f(x)),
width 16, Adam 0.001: Xavier everywhere where alpha is 1; and with DeepNorm's alpha Xavier, and
`deepnorm`.

With --out finished runs are kept, and a killed call resumes.
"""

import argparse
import functools
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

import keras_inits
from keras_inits import GlorotInit, XavierInit
from keras_inits.datasets import load_mnist

SIDE, STEPS, BATCH, WIDTH, NARROW = 7, 100, 64, 32, 16


def small(images):
    """Images averaged over squares of 4 x 4 pixels, `(count, 49)`."""
    squares = images.reshape(-1, SIDE, 28 // SIDE, SIDE, 28 // SIDE)
    return squares.mean(axis=(2, 4)).reshape(-1, SIDE**2)


def tokens(images):
    """A token for each of seven rows: which it is, and which pixels are bright, `(count, 7)`."""
    bright = small(images).reshape(-1, SIDE, SIDE) > 0.2
    patterns = (bright * 2 ** np.arange(SIDE)).sum(axis=2)
    return (patterns + 2**SIDE * np.arange(SIDE)).astype("int32")


def plain(blocks):
    x = inputs = keras.Input((SIDE**2,))
    x = layers.Dense(WIDTH)(x)
    for _ in range(blocks):
        x = layers.add([x, layers.Dense(WIDTH)(layers.Dense(WIDTH, "relu")(x))])
    return keras.Model(inputs, layers.Dense(10)(layers.ReLU()(x)))


def convolutional(blocks):
    inputs = keras.Input((SIDE**2,))
    x = layers.Reshape((1, 1, SIDE**2))(inputs)
    x = layers.ReLU()(_normalized_convolution(x))
    for _ in range(blocks):
        h = layers.ReLU()(_normalized_convolution(x))
        x = layers.ReLU()(layers.add([x, _normalized_convolution(h)]))
    return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))


def _normalized_convolution(x):
    return layers.BatchNormalization()(layers.Conv2D(WIDTH, 1, use_bias=False)(x))


def normalized_branches(blocks):
    inputs = keras.Input((SIDE,), dtype="int32")
    x = ops.mean(layers.Embedding(SIDE * 2**SIDE, WIDTH)(inputs), axis=1)
    for _ in range(blocks):
        h = layers.Dense(WIDTH, "relu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(WIDTH)(h)
    return keras.Model(inputs, layers.Dense(10)(layers.LayerNormalization()(x)))


def transformer(blocks, alpha):
    inputs = keras.Input((SIDE,), dtype="int32")
    x = layers.Embedding(SIDE * 2**SIDE, NARROW)(inputs)
    for _ in range(blocks):
        x = layers.LayerNormalization()(alpha * x + layers.MultiHeadAttention(2, NARROW // 2)(x, x))
        h = layers.Dense(2 * NARROW, "relu")(x)
        x = layers.LayerNormalization()(alpha * x + layers.Dense(NARROW)(h))
    return keras.Model(inputs, layers.Dense(10)(ops.mean(x, axis=1)))


def post_norm(blocks):
    return transformer(blocks, alpha=1.0)


def deep_norm(blocks):
    return transformer(blocks, alpha=(2 * blocks) ** 0.25)


SCALED = keras_inits.recipe(
    {"kernel": "he", "branch_end": lambda place: XavierInit((2 / place.branches) ** 0.5)}
)
MEGATRON = keras_inits.recipe("megatron", stddev=WIDTH**-0.5)
FLAT = keras_inits.recipe({r: law for r, law in MEGATRON.table().items() if r != "branch_end"})
XAVIER = keras_inits.recipe(
    {**dict.fromkeys(keras_inits.recipe("deepnorm").table(), GlorotInit()), "bias": "zeros"}
)
GAMMA_1 = keras_inits.recipe("resnet", zero_gamma=False)

STARTS = {"He": "he", "He, ends / √L": SCALED, "fixup": "fixup"}

# By name: data, optimizer, and for each way to build a net the starts.
PARTS = {
    "plain, SGD 0.02": (small, keras.optimizers.SGD(0.02), {plain: STARTS}),
    "plain, SGD 0.1": (small, keras.optimizers.SGD(0.1), {plain: STARTS}),
    "zero gamma": (small, keras.optimizers.SGD(0.1), {
        convolutional: {"gamma 1": GAMMA_1, "resnet": "resnet"},
    }),
    "depth scaling": (tokens, keras.optimizers.Adam(1e-3), {
        normalized_branches: {"flat": FLAT, "megatron": MEGATRON},
    }),
    "deepnorm": (tokens, keras.optimizers.Adam(1e-3), {
        post_norm: {"Xavier, alpha 1": XAVIER},
        deep_norm: {"Xavier": XAVIER, "deepnorm": "deepnorm"},
    }),
}  # fmt: skip


def measured(name, blocks, images, args):
    """Returns by scheme its accuracies on the test images, and how many runs failed."""
    inputs, optimizer, builds = PARTS[name]
    found = {}
    for number, (build, schemes) in enumerate(builds.items()):
        folder = name.replace(",", "").replace(" ", "-")
        out = args.out and args.out / folder / f"{blocks}-{number}"
        result = keras_inits.compare(
            functools.partial(build, blocks),
            schemes,
            (
                (inputs(images.train_images), images.train_labels),
                (inputs(images.test_images[:1000]), images.test_labels[:1000]),
            ),
            epochs=1,
            steps_per_epoch=STEPS,
            batch_size=BATCH,
            seeds=args.seeds,
            optimizer=optimizer,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            execution=keras_inits.Execution(out=out),
        )
        for note in result.notes:
            print(note)
        for scheme, values, failed in zip(
            result.schemes, result.final(), result.failed(), strict=True
        ):
            found[scheme] = values, int(failed.sum())
    return found


def cell(values, failed):
    interval = keras_inits.mean_interval(values)
    text = f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    return text + (f", {failed} of {len(values)} failed" if failed else "")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--blocks", type=int, nargs="+", default=[6, 24, 60])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--data-dir", type=Path)
    args = parser.parse_args()
    keras_inits.one_thread_per_operation()
    images = load_mnist(data_dir=args.data_dir)
    rows = {}
    for name in args.part:
        for blocks in args.blocks:
            start = time.monotonic()
            for scheme, (values, failed) in measured(name, blocks, images, args).items():
                rows.setdefault((name, scheme), []).append(cell(values, failed))
                print(f"{name}, {scheme}, {blocks} blocks: {rows[name, scheme][-1]}", flush=True)
            print(f"{time.monotonic() - start:.0f} s", flush=True)
    heads = ["net", "start", *(f"{blocks} blocks" for blocks in args.blocks)]
    print("", " | ".join(heads), "", sep="| ")
    print("|" + "---|" * len(heads))
    for (name, scheme), cells in rows.items():
        print(f"| {name} | {scheme} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
