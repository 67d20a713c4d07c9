"""Time and memory of `diagnose` beside a plain forward and backward pass, on ResNet50.

python benchmarks/diagnose.py [batch]
"""

import resource
import sys

import keras
import numpy as np
import tensorflow as tf
from timing import best

import keras_inits


def main(batch: int) -> None:
    model = keras.applications.ResNet50(weights=None)
    x = np.random.default_rng(0).standard_normal((batch, 224, 224, 3), dtype="float32")

    def plain() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(x, training=True)))
        tape.gradient(loss, [weight.value for weight in model.trainable_weights])

    cases = {
        "forward and backward": plain,
        "diagnose, no Jacobian": lambda: keras_inits.diagnose(model, x, jacobian_samples=0),
        "diagnose": lambda: keras_inits.diagnose(model, x),
    }
    base = None
    for name, run in cases.items():
        seconds = best(run)
        base = base or seconds
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{name:24} {seconds:7.2f} s {seconds / base:5.2f} x {peak:6.2f} GiB peak so far")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 16)
