"""The circles: 5 schemes x 20 seeds side by side, next to a plain NumPy loop for one net.

    python benchmarks/circles.py

It also shows why the last digits of one published number cannot be reproduced: for random x 10, two
NumPy loops that differ in the order of summation alone end at different costs.
"""

import time
from statistics import median

import numpy as np

from keras_inits import one_thread_per_operation
from keras_inits.experiments import CirclesConfig, circles
from keras_inits.experiments import _circles_recipe as recipe

ITERATIONS, RATE, ROUNDS = 15_000, 0.01, 3


def numpy_cost(weights: list[np.ndarray], transposed: bool = False) -> float:
    """Returns the cost at the last recorded iteration; `transposed` has samples as columns."""
    x, y = recipe.points(1, 300)
    kernels, biases = [w.copy() for w in weights[::2]], [b.copy() for b in weights[1::2]]
    cost = np.nan
    for iteration in range(ITERATIONS):
        values = [x]
        for number, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
            product = (kernel.T @ values[-1].T).T if transposed else values[-1] @ kernel
            z = product + bias
            values.append(z if number == 2 else np.maximum(0, z))
        logit = values.pop()
        if iteration % 1000 == 0:
            cost = float(np.mean(np.logaddexp(0, logit) - y[:, None] * logit))
        with np.errstate(over="ignore"):
            back = (1 / (1 + np.exp(-logit)) - y[:, None]) / len(x)
        for number in (2, 1, 0):
            value = values[number]
            kernel_back = (back.T @ value).T if transposed else value.T @ back
            bias_back = back.sum(axis=0)
            back = (back @ kernels[number].T) * (value > 0)
            kernels[number] -= RATE * kernel_back
            biases[number] -= RATE * bias_back
    return cost


def main() -> None:
    one_thread_per_operation()
    model = recipe.build()
    draws = {name: recipe.published_draw(scale, model) for name, scale in recipe.SCALES.items()}
    pairs = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        numpy_cost(draws["he"])
        between = time.perf_counter()
        circles.run(CirclesConfig(), report=lambda line: None)
        pairs.append((between - start, time.perf_counter() - between))
    print(f"NumPy loop, one net: {median(a for a, _ in pairs):.2f} s")
    print(f"5 schemes x 20 seeds, and the published draw: {median(b for _, b in pairs):.1f} s")
    print(f"ratio: {median(b / a for a, b in pairs):.1f}")
    for name, draw in draws.items():
        rows, columns = numpy_cost(draw), numpy_cost(draw, transposed=True)
        print(f"{name:13} samples as rows {rows:.9f}, as columns {columns:.9f}")


if __name__ == "__main__":
    main()
