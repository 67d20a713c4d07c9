"""Seconds and peak memory of loading a large model with and without `skip_initialization`.

`python benchmarks/skip_initialization.py [layers] [runs] [dtype]`: 12 layers of 4096 x 4096, which
are 201 million parameters, 2 runs, float32; 60 layers are a billion, and need 9 GB of disk and of
memory, half of that in bfloat16. Each load runs in a process of its own, in turn.
"""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

WIDTH = 4096


def peak_kibibytes():
    """Returns the most memory that this program has had; `ru_maxrss` counts what ran it, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def load(folder, how, dtype, skip):
    import keras

    import keras_inits

    keras.config.set_dtype_policy(dtype)
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])  # Keras's own first steps
    before = peak_kibibytes()
    begun = time.perf_counter()
    with keras_inits.skip_initialization() if skip else nullcontext():
        if how == "load_model":
            keras.models.load_model(folder / "model.keras")
        else:
            config = json.loads((folder / "config.json").read_text())
            model = keras.Sequential.from_config(config)
            model.load_weights(folder / "model.weights.h5")
    seconds = time.perf_counter() - begun
    peak = (peak_kibibytes() - before) / 2**20
    print(json.dumps([seconds, peak]))


def save(folder, layers, dtype):
    """Writes the model to load: whole, its weights, its configuration."""
    import keras

    keras.config.set_dtype_policy(dtype)
    stack = [keras.layers.Dense(WIDTH, kernel_initializer="he_normal") for _ in range(layers)]
    model = keras.Sequential([keras.Input((WIDTH,)), *stack])
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    (folder / "config.json").write_text(json.dumps(model.get_config()))
    print(json.dumps(model.count_params()))


def in_a_process(*arguments):
    """Returns what this program prints with these arguments."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    if sys.argv[1:2] == ["save"]:
        return save(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    if sys.argv[1:2] == ["load"]:
        return load(Path(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5] == "skip")
    given = [*sys.argv[1:], *("12", "2", "float32")[len(sys.argv) - 1 :]]
    layers, runs, dtype = int(given[0]), int(given[1]), given[2]
    with tempfile.TemporaryDirectory() as name:
        parameters = in_a_process("save", name, str(layers), dtype)
        print(f"{parameters:,} parameters in {dtype}, least of {runs}", flush=True)
        for how in ("load_model", "load_weights"):
            found = {"plain": [], "skip": []}
            for which in [*found, *reversed(found)] * (runs // 2) + [*found] * (runs % 2):
                found[which].append(in_a_process("load", name, how, dtype, which))
            for which, numbers in found.items():
                seconds, peak = (min(values) for values in zip(*numbers, strict=True))
                print(f"{how:14}{which:8}{seconds:7.2f} s {peak:6.2f} GiB", flush=True)
    return None


if __name__ == "__main__":
    main()
