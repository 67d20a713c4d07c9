"""Time and memory of `diagnose` compared with a plain forward and backward pass, on ResNet50.

    TF_NUM_INTRAOP_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/diagnose.py [batch]

Processor seconds, which other programs disturb least; threads that wait for others would count.
"""

import resource
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from timing import paired_ratio

import keras_inits


def main(batch: int) -> None:
    model = keras.applications.ResNet50(weights=None)
    x = np.random.default_rng(0).standard_normal((batch, 224, 224, 3), dtype="float32")

    def plain() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(x, training=True)))
        tape.gradient(loss, [weight.value for weight in model.trainable_weights])

    cases = {
        "diagnose, no Jacobian": lambda: keras_inits.diagnose(model, x, jacobian_samples=0),
        "diagnose": lambda: keras_inits.diagnose(model, x),
    }
    plain()
    print(f"forward and backward: {_peak():.2f} GiB peak")
    for name, run in cases.items():
        seconds, base, ratio = paired_ratio(run, plain, repeats=5, clock=time.process_time)
        print(f"{name}: {seconds:.2f} s, plain {base:.2f} s, {ratio:.2f} x, {_peak():.2f} GiB peak")


def _peak() -> float:
    """Returns the most memory that this process ever held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16)
