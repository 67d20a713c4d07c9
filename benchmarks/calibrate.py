"""`calibrate` next to AnyInit's empirical mode and the `lsuv` package: sizes and seconds.

`python benchmarks/calibrate.py [blocks] [--net dense|convolution] [--width N] [--examples N]`: 60
residual blocks, Dense of width 64 on 256 examples, or 3 x 3 convolutions of 16 channels on 64
pictures of 16 x 16. The others take minutes: `--without anyinit lsuv` leaves them out, as does a
package that is not installed (`pip install anyinit lsuv torch`). Seconds are those of the
processors, which a busy machine changes less than those of the clock; OMP_NUM_THREADS=1,
TF_NUM_INTRAOP_THREADS=1 and TF_NUM_INTEROP_THREADS=1 give one thread to each.

`pass` is one plain forward pass of the model in Keras, the least that any method needs. `lsuv` gets
the tolerance of its standard deviations that means 2 % of the second moment.
"""

import argparse
import contextlib
import importlib.util
import io
import time

import keras
import numpy as np

import keras_inits

SIDE = 16
TOLERANCE = 0.01  # of the standard deviation: 2 % of the second moment


def net(args):
    """Returns h + kernel(kernel(h, relu)), again and again."""
    inputs = keras.Input(_shape(args))

    def kernel(name, activation=None):
        if args.net == "dense":
            return keras.layers.Dense(args.width, activation, name=name)
        return keras.layers.Conv2D(args.width, 3, 1, "same", activation=activation, name=name)

    x = inputs
    for block in range(args.blocks):
        x = x + kernel(f"out_{block}")(kernel(f"in_{block}", "relu")(x))
    return keras.Model(inputs, x)


def _shape(args):
    return (args.width,) if args.net == "dense" else (SIDE, SIDE, args.width)


def second_moments(model, x, blocks):
    """Returns the second moment of each kernel's output before its activation, layer by layer."""
    h, found = keras.ops.convert_to_tensor(x), []
    for block in range(blocks):
        inner = model.get_layer(f"in_{block}")
        inner.activation = keras.activations.linear
        z = inner(h)
        found.append(np.mean(np.square(keras.ops.convert_to_numpy(z), dtype="float64")))
        z = model.get_layer(f"out_{block}")(keras.ops.relu(z))
        found.append(np.mean(np.square(keras.ops.convert_to_numpy(z), dtype="float64")))
        h = h + z
    return np.array(found)


def with_lsuv(args, x):
    """Returns the seconds of the `lsuv` package for the same net in PyTorch, and its moments."""
    import torch
    from lsuv.lsuvinit import LSUVinit

    def kernel():
        if args.net == "dense":
            return torch.nn.Linear(args.width, args.width)
        return torch.nn.Conv2d(args.width, args.width, 3, padding=1)

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.out = kernel(), kernel()

        def forward(self, h):
            return h + self.out(torch.relu(self.inner(h)))

    model, found = torch.nn.Sequential(*(Block() for _ in range(args.blocks))), []
    batch = torch.tensor(x if args.net == "dense" else np.moveaxis(x, -1, 1).copy())
    passes = [0]
    model.register_forward_hook(lambda *_: passes.__setitem__(0, passes[0] + 1))
    begun = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        LSUVinit(model, batch, std_tol=TOLERANCE, verbose=False)
    seconds = time.process_time() - begun
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            layer.register_forward_hook(lambda _, __, z: found.append(float((z**2).mean())))
    print(f"lsuv: {passes[0]} passes, {torch.get_num_threads()} threads")
    with torch.no_grad():
        model(batch)
    return seconds, np.array(found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("blocks", type=int, nargs="?", default=60)
    parser.add_argument("--net", choices=("dense", "convolution"), default="dense")
    parser.add_argument("--width", type=int)
    parser.add_argument("--examples", type=int)
    parser.add_argument("--without", nargs="*", choices=("anyinit", "lsuv"), default=())
    args = parser.parse_args()
    args.width = args.width or (64 if args.net == "dense" else 16)
    args.examples = args.examples or (256 if args.net == "dense" else 64)
    x = np.random.default_rng(0).normal(size=(args.examples, *_shape(args))).astype("float32")
    # Keras's own first steps
    keras_inits.calibrate(net(argparse.Namespace(**{**vars(args), "blocks": 2})), x, seed=0)
    print(f"{'':18}{'seconds':>9}{'times':>7}   second moments, least and most; off by at most")
    seconds = {}
    # `lsuv` draws orthogonal weights, AnyInit normal ones.
    for name, scheme in (("orthogonal", "initkit_orthogonal"), ("normal", "initkit_xavier")):
        model = net(args)
        begun = time.process_time()
        keras_inits.calibrate(model, x, scheme=scheme, seed=0)
        seconds[name] = time.process_time() - begun
        begun = time.process_time()
        model(x)
        plain = time.process_time() - begun
        moments = second_moments(model, x, args.blocks)
        _print(f"ours, {name}", seconds[name], moments, seconds[name])
    print(f"{'pass':18}{plain:9.2f}{plain / seconds['normal']:7.1f}", flush=True)
    packages = {name for name in ("lsuv", "torch", "anyinit") if importlib.util.find_spec(name)}
    packages -= set(args.without)
    if packages >= {"lsuv", "torch"}:
        _print("lsuv", *with_lsuv(args, x), seconds["orthogonal"])
    if "anyinit" in packages:
        import anyinit

        model = net(args)
        begun = time.process_time()
        anyinit.initialize(model, "empirical", x, seed=0)
        took = time.process_time() - begun
        _print("anyinit", took, second_moments(model, x, args.blocks), seconds["normal"])


def _print(name, seconds, moments, ours):
    off = np.abs(moments - 1).max()
    print(
        f"{name:18}{seconds:9.2f}{seconds / ours:7.1f}   "
        f"{moments.min():.4f} {moments.max():.4f}; {off:.2%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
