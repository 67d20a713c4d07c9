"""`calibrate` next to AnyInit's empirical mode and the `lsuv` package: sizes and seconds.

`python benchmarks/calibrate.py [blocks]` (60 of width 64; the others take minutes there). `pip
install anyinit lsuv torch` first; what is not installed is left out. Seconds are those of the
processors, which a busy machine changes less than those of the clock.
"""

import contextlib
import importlib.util
import io
import sys
import time

import keras
import numpy as np

import keras_inits

WIDTH, EXAMPLES = 64, 256


def net(blocks):
    inputs = keras.Input((WIDTH,))
    x = inputs
    for block in range(blocks):
        inner = keras.layers.Dense(WIDTH, "relu", name=f"in_{block}")(x)
        x = x + keras.layers.Dense(WIDTH, name=f"out_{block}")(inner)
    return keras.Model(inputs, x)


def second_moments(model, x, blocks):
    """Returns the second moment of each kernel's output before its activation, by NumPy."""
    h = z = x.astype("float64")
    found = []
    for block in range(blocks):
        for name in (f"in_{block}", f"out_{block}"):
            kernel, bias = (np.asarray(keras.ops.convert_to_numpy(w), "float64")
                            for w in model.get_layer(name).weights)  # fmt: skip
            z = (h if name.startswith("in") else np.maximum(z, 0)) @ kernel + bias
            found.append(np.mean(z**2))
        h = h + z
    return np.array(found)


def with_lsuv(blocks, x):
    """Returns the seconds of the `lsuv` package for the same net in PyTorch, and its moments."""
    import torch
    from lsuv.lsuvinit import LSUVinit

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.out = torch.nn.Linear(WIDTH, WIDTH), torch.nn.Linear(WIDTH, WIDTH)

        def forward(self, h):
            return h + self.out(torch.relu(self.inner(h)))

    model, found = torch.nn.Sequential(*(Block() for _ in range(blocks))), []
    batch = torch.tensor(x)
    begun = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        LSUVinit(model, batch, std_tol=0.02, verbose=False)
    seconds = time.process_time() - begun
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(lambda _, __, z: found.append(float((z**2).mean())))
    with torch.no_grad():
        model(batch)
    return seconds, np.array(found)


def main():
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    x = np.random.default_rng(0).normal(size=(EXAMPLES, WIDTH)).astype("float32")
    keras_inits.calibrate(net(2), x, seed=0)  # Keras's own first steps
    print(f"{'':18}{'seconds':>9}{'times':>7}   second moments, least and most; off by at most")
    seconds = {}
    # `lsuv` draws orthogonal weights, AnyInit normal ones.
    for name, scheme in (("orthogonal", "initkit_orthogonal"), ("normal", "initkit_xavier")):
        model = net(blocks)
        begun = time.process_time()
        keras_inits.calibrate(model, x, scheme=scheme, seed=0)
        seconds[name] = time.process_time() - begun
        _print(f"ours, {name}", seconds[name], second_moments(model, x, blocks), seconds[name])
    if importlib.util.find_spec("lsuv") and importlib.util.find_spec("torch"):
        _print("lsuv", *with_lsuv(blocks, x), seconds["orthogonal"])
    if importlib.util.find_spec("anyinit"):
        import anyinit

        model = net(blocks)
        begun = time.process_time()
        anyinit.initialize(model, "empirical", x, seed=0)
        took = time.process_time() - begun
        _print("anyinit", took, second_moments(model, x, blocks), seconds["normal"])


def _print(name, seconds, moments, ours):
    off = np.abs(moments - 1).max()
    print(
        f"{name:18}{seconds:9.2f}{seconds / ours:7.1f}   "
        f"{moments.min():.4f} {moments.max():.4f}; {off:.2%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
