"""How near to what was asked each kernel's output is in published nets, next to others.

    python benchmarks/auto_kernels.py [--seeds 3] [--nets ResNet50 hub/GPT2]
                                      [--ways auto] [--size 96] [--kept FILE]

Nets of `keras.applications` **without their normalizations**, at 96 x 96 pixels on white noise and
on smooth images, and backbones of Keras Hub (small ones that need no download, six layers a stack
and as they are, in training where they have batch normalizations) on random tokens, images or
sound. A row says how many kernels there are, and for `auto` of how many the root mean square of the
output is within a factor of 2 of what was asked, medians over seeds, then single draws; the least
and the largest of the medians. The others ask for no number, or for 1: for them it is the share
within a factor of 2 of 1, and the least and largest.

The nets of Keras Hub come from the tests of this repository. With `--kept FILE` what has been
measured is kept there, and a second call goes on.
"""

import argparse
import inspect
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
from auto import by_auto, print_header, print_row, rms, ways
from kept import Kept
from keras import layers

from keras_inits._layers import owned_weights

GONE = (layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization)
APPLICATIONS = sorted(
    name for name, made in vars(keras.applications).items() if inspect.isfunction(made)
)
LENGTH, TOKENS = 16, 50
# Open sizes that have to fit others of a backbone, by its name and that of the input.
SHAPES = {
    "hub/BLIP2": {"token_ids": (4, 8), "padding_mask": (4, 8)},
    "hub/Gemma3n": {
        "images": (4, 1, 224, 224, 3),
        "input_features": (4, 1, 64, 32),
        "input_features_mask": (4, 1, 64),
    },
    "hub/Moonshine": {"encoder_input_values": (4, 4096, 1), "encoder_padding_mask": (4, 4096)},
    "hub/PARSeq": {"token_ids": (4, 6), "padding_mask": (4, 6)},
    "hub/SAM": {
        "points": (4, 1, 2),
        "labels": (4, 1),
        "boxes": (4, 1, 2, 2),
        "masks": (4, 1, 16, 16, 1),
    },
    "hub/SAM3PromptableConcept": {  # a batch of one: Keras Hub's own masks fit no other
        "boxes": (1, 1, 5),
        "box_labels": (1, 1),
        "padding_mask": (1, 16),
        "pixel_values": (1, 56, 56, 3),
        "token_ids": (1, 16),
    },
}


class Gone(layers.Identity):
    """What stands in a normalization's place."""

    def call(self, inputs, training=None, mask=None):  # noqa: D102
        return inputs

    def compute_output_spec(self, inputs, **kwargs):  # noqa: D102
        return keras.KerasTensor(inputs.shape, inputs.dtype)


def without_normalizations(model):
    def clone(layer):
        if isinstance(layer, GONE):
            return Gone(name=layer.name)
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=clone)


def application(name, size):
    """Returns a net without normalizations, and what it is given."""
    rng = np.random.default_rng(0)
    whole = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))
    pixels = any(isinstance(layer, layers.Rescaling) for layer in whole.layers)
    data = {}
    for kind, patch in (("white", 1), ("smooth", 8)):
        images = rng.normal(size=(2, size // patch, size // patch, 3)).astype("float32")
        images = images.repeat(patch, 1).repeat(patch, 2)
        data[kind] = images * 60 + 127 if pixels else images
    return without_normalizations(whole), data


def backbones():
    # In place of this folder, which has a `wiring` of its own.
    sys.path[0] = str(Path(__file__).parents[1] / "tests")
    import more_hub
    from wiring import hub

    # Of width 16, as in the tests, much is left to chance, and three layers are soon passed.
    wide = {"num_layers": 6, "hidden_dim": 64, "intermediate_dim": 256}
    hub.TEXT.update(wide, num_heads=4)
    hub.GROUPED.update(wide)
    hub.VISION.update(num_layers=6, num_heads=4, hidden_dim=64)
    hub.CLIP.update(wide, num_heads=4)
    more_hub.GATED_DELTA["layer_types"] *= 2
    return {f"hub/{name}": make for name, make in {**hub.BACKBONES, **more_hub.MORE}.items()}


def backbone(make, shapes):
    """Returns a backbone, and what it is given; `shapes` are those of `SHAPES`."""
    import keras_hub

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras Hub's layers among each other
        model = make(keras_hub.models)
    images = any(len(tensor.shape) == 4 for tensor in keras.tree.flatten(model.input))
    kinds = {"white": 1, "smooth": 8} if images else {"": 1}
    return model, {kind: _random_inputs(model, patch, shapes) for kind, patch in kinds.items()}


def _random_inputs(model, patch, shapes):
    """Returns an input of each name; images are equal over patches of so many pixels."""
    rng, made = np.random.default_rng(0), []
    for tensor in keras.tree.flatten(model.input):
        shape = (4, *(LENGTH if size is None else size for size in tensor.shape[1:]))
        if len(shape) == 4 and tensor.shape[1] is None:
            shape = (4, 64, 64, shape[3])  # an image of any size
        shape = shapes.get(tensor.name, shape)
        if "features_mask" in tensor.name:  # of what is to be hidden
            values = np.zeros(shape)
        elif "mask" in tensor.name:
            values = np.ones(shape)
        elif "segment" in tensor.name:
            values = np.zeros(shape)
        elif tensor.name == "boxes":  # parts of the image; SAM3's first is the image's index
            values = rng.uniform(0.2, 0.8, shape)
        elif tensor.name in ("labels", "box_labels"):
            values = np.ones(shape)
        elif "int" in tensor.dtype or "token_ids" in tensor.name:
            values = rng.integers(1, TOKENS, shape)
        else:
            values = rng.normal(size=shape)
        if len(shape) == 4:
            values = values[:, ::patch, ::patch].repeat(patch, 1).repeat(patch, 2)
            values = values[:, : shape[1], : shape[2]]
        made.append(values.astype(tensor.dtype))
    return keras.tree.pack_sequence_as(model.input, made)


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
    # At their start the statistics of a batch normalization are nobody's.
    layers_of = model._flatten_layers()
    training = any(isinstance(layer, layers.BatchNormalization) for layer in layers_of)
    try:
        model(data, training=training)
    finally:
        for layer, function, _ in watched.values():
            layer.activation = function
    return found


def _measure(model, way, data, seed):
    """Returns, by kind of data, the root mean square of each kernel's output and what was asked."""
    report, made = way(model, seed), {}
    rows = {row.path: row.second_moment for row in report.rows} if way is by_auto else None
    for kind, given in data.items():
        found = kernel_outputs(model, given)
        asked = {path: 1.0 if rows is None else rows.get(path) for path in found}
        made[kind] = [[found[path], asked[path] ** 0.5] for path in found if asked[path]]
    return made


def _words(seeds):
    """Returns a cell of the table."""
    shares, draws, ends = [], [], []
    for kind in seeds[0]:
        ratios = np.array([[value / asked for value, asked in seed[kind]] for seed in seeds])
        median = np.median(ratios, axis=0)
        shares.append(f"{np.mean((median > 0.5) & (median < 2)):.0%}")
        draws.append(f"{np.mean((ratios > 0.5) & (ratios < 2)):.0%}")
        ends.append(f"{median.min():.2g} to {median.max():.2g}")
    return f"{', '.join(shares)} ({', '.join(draws)}); {', '.join(ends)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--nets", nargs="*", help="all if none are named")
    parser.add_argument("--ways", nargs="*", default=list(ways()), choices=ways())
    parser.add_argument("--size", type=int, default=96, help="pixels, a multiple of 8")
    parser.add_argument("--kept", type=Path, help="a file of what has been measured")
    arguments = parser.parse_args()
    found = {name: way for name, way in ways().items() if name != "He" and name in arguments.ways}
    kept, hub, size = Kept(arguments.kept), backbones(), arguments.size
    print_header("net", ["kernels", *found])
    for name in arguments.nets or [*APPLICATIONS, *hub]:
        keras.utils.clear_session()
        data = None
        cells, count, model = [], "", None
        for label, way in found.items():

            def measure(seed, name=name, way=way):
                nonlocal model, data
                if model is None:
                    keras.utils.set_random_seed(0)  # of what no way sets
                    if name in hub:
                        model, data = backbone(hub[name], SHAPES.get(name, {}))
                    else:
                        model, data = application(name, size)
                return _measure(model, way, data, seed)

            seeds = kept.of_seeds((name, label, size), arguments.seeds, measure)
            if not isinstance(seeds, str):
                count = len(next(iter(seeds[0].values())))
                seeds = _words(seeds)
            cells.append(seeds)
        print_row(name, [count, *cells])


if __name__ == "__main__":
    main()
