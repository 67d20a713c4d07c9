"""The time of `wiring` compared with building the model. `python benchmarks/wiring.py`."""

import time

import keras

import keras_inits

MODELS = ("ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121", "ConvNeXtTiny")
RUNS = 5


def seconds(function):
    begun = time.perf_counter()
    result = function()
    return time.perf_counter() - begun, result


def main():
    print(f"{'':16}{'build':>8}{'wiring':>8}   seconds, least of {RUNS}")
    keras.applications.VGG16(weights=None)  # Keras's own first steps
    for name in MODELS:
        build, model = min(
            (seconds(lambda name=name: getattr(keras.applications, name)(weights=None))
             for _ in range(RUNS)), key=lambda pair: pair[0],
        )  # fmt: skip
        found = min(seconds(lambda model=model: keras_inits.wiring(model))[0] for _ in range(RUNS))
        print(f"{name:16}{build:8.3f}{found:8.3f}   {found / build:.0%}")


if __name__ == "__main__":
    main()
