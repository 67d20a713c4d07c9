"""What `initialize(model, "auto")` makes of deep nets, next to Keras's defaults and AnyInit.

    python benchmarks/auto.py [--seeds 20] [--part residual plain kernels time] [--nets ResNet50]

`residual`: h + Dense(Dense(h, relu)), width 64: standard deviation of the output, of an input of 1;
median, least and largest over seeds. `plain`: 50 Dense layers of width 256: factors by which signal
and gradient change from the first pre-activation to the last. `kernels`: nets of
`keras.applications` without their normalizations, on white noise and on smooth images; root mean
square of each kernel's output: the least and the largest of the medians over seeds, and of auto
also divided by what was asked. `time`: seconds, next to building. AnyInit (`pip install anyinit`)
is left out if it is not installed; a net that it does not take shows a dash.
"""

import argparse
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import keras_inits
from keras_inits._layers import owned_weights

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
]
APPLICATIONS = ("VGG16", "ResNet50", "ResNet50V2", "MobileNetV2", "DenseNet121", "ConvNeXtTiny",
                "Xception", "InceptionResNetV2", "MobileNetV3Small", "EfficientNetB0")  # fmt: skip


class Gone(layers.Identity):
    """What stands in a normalization's place."""

    def call(self, inputs, training=None, mask=None):  # noqa: D102
        return inputs

    def compute_output_spec(self, inputs, **kwargs):  # noqa: D102
        return keras.KerasTensor(inputs.shape, inputs.dtype)


def without_normalizations(model):
    gone = (layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization)

    def clone(layer):
        if isinstance(layer, gone):
            return Gone(name=layer.name)
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=clone)


def by_defaults(model, seed):
    keras.utils.set_random_seed(seed)
    keras_inits.initialize(model, "own", seed=seed)


def by_auto(model, seed):
    return keras_inits.initialize(model, "auto", seed=seed)


def by_anyinit(model, seed):
    import anyinit

    anyinit.initialize(model, seed=seed)


def ways():
    found = {"keras": by_defaults, "auto": by_auto}
    try:
        import anyinit

        if hasattr(anyinit, "initialize"):
            found["anyinit"] = by_anyinit
    except ImportError:
        pass
    return found


def residual_net(blocks, relu):
    x = inputs = keras.Input((64,))
    for _ in range(blocks):
        x = x + layers.Dense(64)(layers.Dense(64, "relu")(x))
        x = layers.ReLU()(x) if relu else x
    return keras.Model(inputs, x)


def rms(tensor):
    return float(np.sqrt(np.mean(np.square(tensor, dtype="float64"))))


def residual(seeds):
    data = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    print("residual, output std: median (least, largest)")
    for blocks in (24, 60, 200):
        for relu in (False, True):
            model = residual_net(blocks, relu)
            cells = []
            for name, way in ways().items():
                try:
                    found = []
                    for seed in range(seeds):
                        way(model, seed)
                        found.append(float(np.std(model(data))))
                    cells.append(f"{name} {np.median(found):.3g} ({min(found):.3g}, "
                                 f"{max(found):.3g})")  # fmt: skip
                except Exception as error:  # whatever another library says of a net
                    cells.append(f"{name} - {type(error).__name__}")
            print(f"  {blocks:4} blocks{', ReLU' if relu else '':7}", "; ".join(cells), flush=True)


def plain(seeds):
    data = tf.random.stateless_normal((32, 256), [0, 0])
    print("plain, 50 layers: signal and gradient, median over seeds; the worst factor")
    for name in ACTIVATIONS:
        stack = [layers.Dense(256, name) for _ in range(50)]
        model = keras.Sequential([keras.Input((256,)), *stack, layers.Dense(10)])
        cells = []
        for label, way in ways().items():
            try:
                found = []
                for seed in range(seeds):
                    way(model, seed)
                    found.append(_ends(model, data, seed))
                median, worst = np.median(found, axis=0), np.exp(np.abs(np.log(found)).max())
                cells.append(f"{label} {median[0]:.3g}, {median[1]:.3g}; {worst:.3g}")
            except Exception as error:
                cells.append(f"{label} - {type(error).__name__}")
        print(f"  {name:14}", " | ".join(cells), flush=True)


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
    return rms(sums[-1]) / rms(sums[0]), rms(first) / rms(last)


def kernel_outputs(model, data):
    """Returns the root mean square at each kernel layer's first call, before its activation."""
    found, watched = {}, {}
    for owned in owned_weights(model):
        if owned.weight.name in ("kernel", "pointwise_kernel") and hasattr(
            owned.layer, "activation"
        ):
            watched[id(owned.layer)] = (owned.layer, owned.layer.activation, owned.path)
    for layer, function, path in watched.values():

        def recording(values, function=function, path=path):
            found.setdefault(path, rms(keras.ops.convert_to_numpy(values)))
            return values if function is None else function(values)

        layer.activation = recording
    try:
        model(data, training=False)
    finally:
        for layer, function, _ in watched.values():
            layer.activation = function
    return found


def kernels(seeds, names=APPLICATIONS):
    print("kernels, rms: least and largest median; of auto over what was asked, share within 2")
    rng = np.random.default_rng(0)
    for name in names:
        keras.utils.clear_session()
        whole = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3))
        pixels = any(isinstance(layer, layers.Rescaling) for layer in whole.layers)
        for kind, side in (("white", 96), ("smooth", 12)):
            data = rng.normal(size=(2, side, side, 3)).astype("float32")
            data = data.repeat(96 // side, 1).repeat(96 // side, 2)
            data = data * 60 + 127 if pixels else data
            model = without_normalizations(whole)  # with the initializers of its layers
            cells = []
            for label, way in ways().items():
                try:
                    cells.append(f"{label} {_of_kernels(model, way, data, seeds)}")
                except Exception as error:
                    cells.append(f"{label} - {type(error).__name__}")
            print(f"  {name:18}{kind:8}", "; ".join(cells), flush=True)


def _of_kernels(model, way, data, seeds):
    made, ratios = [], []
    for seed in range(seeds):
        report = way(model, seed)
        found = kernel_outputs(model, data)
        made.append(list(found.values()))
        if way is by_auto:
            asked = {row.path: row.second_moment for row in report.rows if row.second_moment}
            ratios.append([found[path] / asked[path] ** 0.5 for path in found if path in asked])
    median = np.median(made, axis=0)
    text = f"{median.min():.2g} to {median.max():.2g}"
    if ratios:
        ratio = np.median(ratios, axis=0)
        near = np.mean((ratio > 0.5) & (ratio < 2))
        text += f", {near:.0%} of {len(ratio)} ({ratio.min():.2g} to {ratio.max():.2g})"
    return text


def seconds(seeds):
    print("time, least of 5")
    keras.applications.VGG16(weights=None)  # Keras's own first steps
    building, setting = [], []
    for seed in range(5):
        begun = time.perf_counter()
        model = keras.applications.ResNet50(weights=None)
        built = time.perf_counter()
        by_auto(model, seed)
        building.append(built - begun)
        setting.append(time.perf_counter() - built)
    print(f"  ResNet50: built in {min(building):.2f} s, set by auto in {min(setting):.2f} s")


PARTS = {"residual": residual, "plain": plain, "kernels": kernels, "time": seconds}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--part", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--nets", nargs="*", default=APPLICATIONS, help="of the part `kernels`")
    arguments = parser.parse_args()
    for part in arguments.part:
        more = (arguments.nets,) if part == "kernels" else ()
        PARTS[part](arguments.seeds, *more)


if __name__ == "__main__":
    main()
