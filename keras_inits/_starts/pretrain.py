"""`pretrain`: greedy, layer by layer, without labels."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import keras

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits._initialize.seeds import weight_seed
from keras_inits._progress import Clock, Progress
from keras_inits._starts.autoencoder import Batches, DenoisingAutoencoder, Noise, decoder_for
from keras_inits._starts.examples import check_taken, finite, finite_number_of, first_examples
from keras_inits._starts.layer_inputs import BATCH, inputs_of
from keras_inits._starts.pretrain_plans import Plan, plans_of
from keras_inits._starts.pretrain_report import PretrainReport, PretrainRow
from keras_inits._starts.pretrain_store import Settings, Store
from keras_inits._wiring import wiring


def pretrain(
    model: keras.Model,
    x: Any,
    *,
    epochs: int = 8,
    batch_size: int = 50,
    noise: Noise = "masking",
    level: float = 0.25,
    optimizer: Any = "adam",
    seed: int | None = None,
    out: Path | str | None = None,
    on_progress: Callable[[Progress], object] = lambda progress: None,
) -> PretrainReport:
    r"""Trains the layers of `model` one after the other, each to reconstruct what comes into it.

    Each Dense layer and convolution but the last is made the encoder of a denoising autoencoder
    with tied weights, $r = W^T f(W \tilde x + b) + c$, where $\tilde x$ is $x$ with noise: the
    decoder's bias $c$ is thrown away afterwards. What it is trained on is what the layers before
    it, trained already, give for `x`. Labels are not needed.

    Inputs in 0 to 1, and the outputs of sigmoids, are decoded by a sigmoid and compared by
    cross-entropy; all others by a linear decoder and the squared error; both summed over the
    inputs. Weights start as they are: draw them by `initialize` first. Frozen layers stay.

    Args:
        model: a built model that shows its calls (see `keras_inits.wiring`).
        x: data without labels, as in `calibrate`; all of it is held in memory, and what one layer
            gets of it.
        epochs: how often each layer sees the data.
        batch_size: examples a step.
        noise: `"masking"` sets a share of the inputs to 0, redrawn at each step; `"normal"` adds
            normal values.
        level: that share, or the standard deviation.
        optimizer: any that `compile` takes; each layer has its own copy.
        seed: root of the seeds of noise and order; None takes a new one, which the report gives.
        out: a folder: layers that are done are kept there, and a call with the same settings
            resumes after them.
        on_progress: called with a `Progress` after each epoch; its unit is an epoch of a layer.

    Returns:
        A row for each layer with a kernel: decoder, loss, reconstruction errors, or why it was left
        alone.

    Raises:
        InputError: a model that is not built, no data or data that the model does not take, an
            argument out of range, an `out` that holds other settings.
        InputTypeError: something that is no model, no data or no seed.

    >>> import numpy as np
    >>> hidden = keras.layers.Dense(4, "sigmoid")
    >>> model = keras.Sequential([keras.Input((8,)), hidden, keras.layers.Dense(2, "softmax")])
    >>> x = np.random.default_rng(0).random((100, 8)) < 0.5
    >>> report = pretrain(model, x.astype("float32"), epochs=2, seed=0)
    >>> [(row.decoder, row.left_alone[:8]) for row in report.rows]
    [('sigmoid', ''), ('', 'the last')]

    Reference:
        Bengio et al., Greedy layer-wise training of deep networks, NIPS 2007
        Vincent et al., Extracting and composing robust features with denoising autoencoders,
        ICML 2008, https://doi.org/10.1145/1390156.1390294
    """
    _checks.built(model, "pre-trained")
    epochs = _checks.integer("epochs", epochs, minimum=1)
    batch_size = _checks.integer("batch_size", batch_size, minimum=1)
    _checks.choice("noise", noise, get_args(Noise))
    level = _checks.real("level", level)
    if not 0 <= level < (1 if noise == "masking" else math.inf):
        limit = "from 0 below 1" if noise == "masking" else "of at least 0"
        raise InputError(f"`level` must be a number {limit}. Received: level={level!r}")
    _checks.function("on_progress", on_progress, "a function of a `Progress`")
    settings = Settings(epochs, batch_size, noise, level, optimizer)
    settings.new_optimizer()  # a mistake in it is said before anything is done
    data = finite(first_examples(finite_number_of(x), 2**62))
    check_taken(model, data)
    plans = plans_of(model, wiring(model))
    trained = [plan for plan in plans if not plan.reason]
    store = Store(None if out is None else _checks.path("out", out))
    root = store.open(settings, data, trained, seed)
    clock = Clock(0, len(trained) * epochs, on_progress)
    rows, done = [], 0
    for plan in plans:
        if plan.reason:
            rows.append(PretrainRow(plan.path, left_alone=plan.reason, meant=plan.meant))
            continue

        def tell(epoch: int, before: int = done) -> None:
            clock.tell(before + epoch)

        rows.append(_trained(model, plan, data, settings, root, store, tell))
        done += epochs
        clock.tell(done)
    return PretrainReport(
        model=model.name,
        seed=root,
        examples=len(keras.tree.flatten(data)[0]),
        epochs=epochs,
        noise=f"{noise} noise {level:g}",
        rows=tuple(rows),
    )


def _trained(
    model: Any,
    plan: Plan,
    data: Any,
    settings: Settings,
    root: int,
    store: Store,
    tell: Callable[[int], None],
) -> PretrainRow:
    """Trains one layer, or reads it from the folder; returns its row of the report.

    Args:
        model: the model.
        plan: the layer.
        data: what the model takes.
        settings: how layers are trained.
        root: the root of all seeds.
        store: the layers that are done.
        tell: takes the number of epochs of this layer that are done.
    """
    if (kept := store.read(plan)) is not None:
        return kept
    begun = time.monotonic()
    inputs = inputs_of(model, plan.layer, data)
    if isinstance(inputs, str):
        return PretrainRow(plan.path, left_alone=inputs)
    if not hasattr(plan.layer, "strides"):
        inputs = inputs.reshape(-1, inputs.shape[-1])  # of a sequence each step is an example
    decoder = decoder_for(inputs, plan.before)
    seed = weight_seed(root, f"layer/{plan.place}") % 2**31
    encoder = DenoisingAutoencoder(
        plan.layer, plan.activation, decoder, inputs.shape[1:], settings.noise, settings.level, seed
    )
    shape = tuple(encoder(inputs[:1]).shape)
    if shape[1:] != inputs.shape[1:]:
        reason = f"its transposed convolution gives {shape[1:]}, not {inputs.shape[1:]}"
        return PretrainRow(plan.path, left_alone=reason)
    before = encoder.error(inputs, BATCH)
    # TensorFlow's XLA draws slowly on a processor; JAX compiles everything.
    jit = False if keras.backend.backend() == "tensorflow" else "auto"
    encoder.compile(optimizer=settings.new_optimizer(), loss=encoder.loss_of, jit_compile=jit)
    after_epoch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: tell(epoch + 1))
    encoder.fit(
        Batches(inputs, settings.batch_size, seed),
        epochs=settings.epochs,
        shuffle=False,  # Keras would draw the order of the batches from Python's global generator
        verbose=0,
        callbacks=[after_epoch],
    )
    encoder.settle(plan.layer)
    row = PretrainRow(
        plan.path,
        decoder.activation,
        decoder.loss,
        before,
        encoder.error(inputs, BATCH),
        encoder.error(inputs, BATCH, noisy=True),
        time.monotonic() - begun,
    )
    store.write(plan, row)
    return row
