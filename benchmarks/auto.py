"""What `initialize(model, "auto")` makes of deep nets, next to He, Keras's own and AnyInit.

    python benchmarks/auto.py [--seeds 20] [--part residual diagnosed plain time] [--ways auto]
                              [--kept FILE]

Tables of Markdown. `residual`: h + Dense(Dense(h, relu)), width 64: standard deviation of the
output, of an input of 1; median, least and largest over seeds. `diagnosed`: what `diagnose` finds
in the same nets drawn by He, where, and that standard deviation before and after the first remedy
has been run. `plain`: 50 Dense layers of width 256: factors by which signal and gradient change
from the first pre-activation to the last, medians over seeds, and the worst of both in any seed.
`time`: seconds, next to building. What `auto` makes of published nets is in `auto_kernels.py`.
AnyInit (`pip install anyinit`) is left out if it is not installed; a net that it does not take has
the name of its error.

With `--kept FILE` what has been measured is kept there, and a second call goes on.
"""

import argparse
import functools
import itertools
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from kept import Kept
from keras import layers

import keras_inits

ACTIVATIONS = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softplus",
    "softsign",
    "sparse_plus",
    "squareplus",
    "tanh",
    "tanh_shrink",
    "sin(30 z)",
]
BLOCKS = (24, 60, 200)


def by_defaults(model, seed):
    keras_inits.initialize(model, "own", seed=seed)


def by_he(model, seed):
    keras_inits.initialize(model, "initkit_he", seed=seed)


def by_auto(model, seed):
    return keras_inits.initialize(model, "auto", seed=seed)


def by_anyinit(model, seed):
    import anyinit

    anyinit.initialize(model, seed=seed)


def ways():
    """Returns what sets a model; `auto` comes last, since layers keep its schemes."""
    found = {"Keras": by_defaults, "He": by_he}
    try:
        import anyinit

        if hasattr(anyinit, "initialize"):
            found["AnyInit"] = by_anyinit
    except ImportError:
        pass
    return {**found, "auto": by_auto}


def measured(kept, key, seeds, model, way, figure):
    """Returns `figure(seed)` of a model set by a way, for all seeds, or the text of an error.

    `auto` reads the graph once: after that the layers have its schemes, and draw by them the
    weights that `auto` would. A model is for one way, since schemes stay with layers.
    """
    calls = []

    def measure(seed):
        (by_defaults if calls and way is by_auto else way)(model, seed)
        calls.append(seed)
        return figure(seed)

    return kept.of_seeds(key, seeds, measure)


def residual_net(blocks, relu):
    x = inputs = keras.Input((64,))
    for _ in range(blocks):
        x = x + layers.Dense(64)(layers.Dense(64, "relu")(x))
        x = layers.ReLU()(x) if relu else x
    return keras.Model(inputs, x)


def sine_30(z):
    return keras.ops.sin(30 * z)


def plain_net(activation):
    activation = {"sin(30 z)": sine_30}.get(activation, activation)
    stack = [layers.Dense(256, activation) for _ in range(50)]
    return keras.Sequential([keras.Input((256,)), *stack, layers.Dense(10)])


def rms(tensor):
    return float(np.sqrt(np.mean(np.square(tensor, dtype="float64"))))


def std(tensor):
    return float(np.std(np.asarray(tensor, "float64")))


def print_header(first, names):
    print("|".join(["", f" {first} ", *(f" {name} " for name in names), ""]))
    print("|---" * (1 + len(names)) + "|")


def print_row(first, cells):
    print("|".join(["", f" {first} ", *(f" {cell} " for cell in cells), ""]), flush=True)


def residual(seeds, kept, found):
    data = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    found = {name: way for name, way in found.items() if name != "He"}
    print_header("blocks", found)
    for blocks, relu in itertools.product(BLOCKS, (False, True)):
        cells = []
        for name, way in found.items():
            model = residual_net(blocks, relu)
            key = ("residual", blocks, relu, name)
            stds = measured(kept, key, seeds, model, way, lambda _, model=model: std(model(data)))
            cells.append(stds if isinstance(stds, str) else _spread(stds))
        print_row(f"{blocks}{', ReLU behind the sum' * relu}", cells)


def diagnosed(seeds, kept, found):
    data = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    print_header("blocks", ["findings", "places", "output", "with the remedy"])
    for blocks, relu in itertools.product(BLOCKS, (False, True)):
        model = residual_net(blocks, relu)
        key = ("diagnosed", blocks, relu)
        made = measured(
            kept, key, seeds, model, by_he, lambda _, model=model: _remedied(model, data)
        )
        kinds, places = (sorted({words for seed in made for words in seed[i]}) for i in (0, 1))
        outputs = [_spread([seed[i] for seed in made]) for i in (2, 3)]
        name = f"{blocks}{', ReLU behind the sum' * relu}"
        print_row(name, [", ".join(kinds), "; ".join(places), *outputs])


def _remedied(model, data):
    """Returns the findings of a model, their places, and its output before and after a remedy."""
    before = std(model(data))
    findings = keras_inits.diagnose(model, data).findings
    for finding in findings[:1]:
        exec(finding.remedy, {"keras_inits": keras_inits, "model": model})
    after = std(model(data))
    kinds = [finding.kind for finding in findings]
    return kinds, [" to ".join(finding.where[:2]) for finding in findings], before, after


def _spread(values):
    return f"{np.median(values):.3g} ({min(values):.3g}, {max(values):.3g})"


def plain(seeds, kept, found):
    data = tf.random.stateless_normal((32, 256), [0, 0])
    print_header("activation", found)
    for name in ACTIVATIONS:
        cells = []
        for label, way in found.items():
            model = plain_net(name)
            figures = functools.partial(_ends, model, data)
            ends = measured(kept, ("plain", name, label), seeds, model, way, figures)
            cells.append(ends if isinstance(ends, str) else _ends_text(ends))
        print_row(name, cells)


def _ends_text(ends):
    with np.errstate(divide="ignore"):
        worst = np.exp(np.abs(np.log(ends)).max())
    signal, gradient = np.median(ends, axis=0)
    return f"{signal:.2g}, {gradient:.2g}; {worst:.2g}"


def _ends(model, data, seed):
    with tf.GradientTape() as tape:
        signal, sums = data, []
        for layer in model.layers[:-1]:
            sums.append(tf.matmul(signal, layer.kernel) + layer.bias)
            tape.watch(sums[-1])
            signal = layer.activation(sums[-1])
        outputs = model.layers[-1](signal)
        weighed = tf.reduce_sum(outputs * tf.random.stateless_normal(outputs.shape, [seed, 1]))
    first, last = tape.gradient(weighed, [sums[0], sums[-1]])
    with np.errstate(divide="ignore", invalid="ignore"):  # a signal or gradient may be gone
        return np.divide([rms(sums[-1]), rms(first)], [rms(sums[0]), rms(last)]).tolist()


def seconds(seeds, kept, found):
    keras.applications.VGG16(weights=None)  # Keras's own first steps
    building, setting, wiring = [], [], []
    for seed in range(5):
        begun = time.perf_counter()
        model = keras.applications.ResNet50(weights=None)
        built = time.perf_counter()
        by_auto(model, seed)
        set_right = time.perf_counter()
        keras_inits.wiring(model)
        building.append(built - begun)
        setting.append(set_right - built)
        wiring.append(time.perf_counter() - set_right)
    print(
        f"ResNet50, least of 5: built in {min(building):.2f} s, set by auto in {min(setting):.2f} "
        f"s, wiring {min(wiring):.3f} s; medians {np.median(building):.2f}, "
        f"{np.median(setting):.2f}, {np.median(wiring):.3f}"
    )


PARTS = {"residual": residual, "diagnosed": diagnosed, "plain": plain, "time": seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--part", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--ways", nargs="*", default=list(ways()), choices=ways())
    parser.add_argument("--kept", type=Path, help="a file of what has been measured")
    arguments = parser.parse_args()
    found = {name: way for name, way in ways().items() if name in arguments.ways}
    for part in arguments.part:
        PARTS[part](arguments.seeds, Kept(arguments.kept), found)


if __name__ == "__main__":
    main()
