"""`pretrain`: greedy, layer by layer, without labels."""

import contextvars
import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits._files import (
    read_arrays,
    read_json,
    refuse_other_settings,
    write_arrays,
    write_whole,
)
from keras_inits._initialize.seeds import root_seed, weight_seed
from keras_inits._keras_internals import calls_through
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import LeftAlone, owned_weights, role
from keras_inits._layers.activations import activation_name
from keras_inits._layers.kinds import PLAIN_MAPS, Kind, kind
from keras_inits._progress import Clock, Progress
from keras_inits._reporting import encode
from keras_inits._starts.autoencoder import Batches, DenoisingAutoencoder, Noise, decoder_for
from keras_inits._starts.examples import check_taken, finite, finite_number_of, first_examples
from keras_inits._starts.pretrain_report import PretrainReport, PretrainRow
from keras_inits._wiring import Wiring, wiring

_BATCH = 256  # examples that are passed through the model at a time, to see what a layer gets


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
    settings = _Settings(epochs, batch_size, noise, level, optimizer)
    settings.new_optimizer()  # a mistake in it is said before anything is done
    data = finite(first_examples(finite_number_of(x), 2**62))
    check_taken(model, data)
    plans = _plans(model, wiring(model))
    trained = [plan for plan in plans if not plan.reason]
    store = _Store(None if out is None else _checks.path("out", out))
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


@dataclass(frozen=True)
class _Settings:
    epochs: int
    batch_size: int
    noise: Noise
    level: float
    optimizer: Any

    def new_optimizer(self) -> Any:
        """Returns an optimizer of its own for one layer."""
        given = _checks.identified("optimizer", self.optimizer, keras.optimizers.get, "adam")
        return type(given).from_config(given.get_config())


@dataclass(frozen=True)
class _Plan:
    """A layer with a kernel: how it is trained, or why not."""

    layer: Any
    path: str
    place: int = 0  # among the layers that are trained: names count what a process has made
    activation: Callable[[Any], Any] | None = None
    before: str | None = None
    reason: str = ""
    meant: bool = False

    @property
    def description(self) -> str:
        """What decides the layer's training, for one that is trained; names count layers made."""
        layer = self.layer
        how = [
            f"{name} {getattr(layer, name)}"
            for name in ("strides", "padding")
            if hasattr(layer, name)
        ]
        shape = "x".join(map(str, layer.kernel.shape))
        return ", ".join(
            [f"{type(layer).__name__} {shape}", activation_name(self.activation), *how]
        )


class _Store:
    """The layers that are done, in a folder; or nowhere."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def open(self, settings: _Settings, data: Any, plans: Sequence[_Plan], seed: int | None) -> int:
        """Returns the root seed, after checking that the folder holds no other settings."""
        if self._folder is None:
            return root_seed(seed)
        digest = hashlib.blake2b(digest_size=16)
        for leaf in keras.tree.flatten(data):
            digest.update(str(leaf.shape).encode() + np.ascontiguousarray(leaf).tobytes())
        config = settings.new_optimizer().get_config()
        config["name"] = type(keras.optimizers.get(settings.optimizer)).__name__
        asked = encode(
            {
                **vars(replace(settings, optimizer=str(config))),
                "data": digest.hexdigest(),
                "layers": "; ".join(plan.description for plan in plans),
            }
        )
        path = self._folder / "settings.json"
        if not path.exists():
            asked["seed"] = root_seed(seed)
            write_whole(path, json.dumps(asked, indent=1))
            return int(asked["seed"])
        saved = read_json(path)
        asked["seed"] = saved["seed"] if seed is None else root_seed(seed)
        refuse_other_settings(path, saved, asked)
        return int(saved["seed"])

    def read(self, plan: _Plan) -> PretrainRow | None:
        """Sets a layer to what the folder holds, and returns its row; None if it holds nothing."""
        path = self._path(plan)
        if path is None or not path.exists():
            return None
        kept = read_arrays(path)
        for weight in plan.layer.weights:
            if weight.shape != kept[weight.name].shape:
                raise InputError(f"{path} holds a layer of another shape. Choose another `out`.")
            weight.assign(kept[weight.name])
        before, error, noisy = map(float, kept["errors"])
        decoder, loss = map(str, kept["decoder"])
        return PretrainRow(plan.path, decoder, loss, before, error, noisy)

    def write(self, plan: _Plan, row: PretrainRow) -> None:
        """Keeps a layer that is done."""
        if (path := self._path(plan)) is not None:
            weights = {w.name: ops.convert_to_numpy(w) for w in plan.layer.weights}
            write_arrays(
                path,
                errors=np.array([row.error_before, row.error, row.error_noisy]),
                decoder=np.array([row.decoder, row.loss]),
                **weights,
            )

    def _path(self, plan: _Plan) -> Path | None:
        return None if self._folder is None else self._folder / f"layer-{plan.place}.npz"


def _plans(model: Any, found: Wiring) -> list[_Plan]:
    """Returns what to do with each layer that has a kernel, in the order of its first call."""
    heads = {id(found.subjects[call.index]) for call in found.heads}
    kernels: dict[int, Any] = {}
    for owned in owned_weights(model):
        is_kernel = isinstance(role(owned.layer, owned.weight), KernelGeometry | LeftAlone)
        if (
            is_kernel
            and owned.weight.name != "bias"
            and kind(owned.layer) is not Kind.NORMALIZATION
        ):
            kernels.setdefault(id(owned.layer), owned.layer)
    plans = []
    for call in found.calls:
        layer = found.subjects[call.index]
        if id(layer) in kernels:
            del kernels[id(layer)]
            plans.append(_plan(found, call, layer, id(layer) in heads))
    plans += [_Plan(e, e.path, reason=_no_autoencoder(e)) for e in kernels.values()]
    places = itertools.count()
    return [plan if plan.reason else replace(plan, place=next(places)) for plan in plans]


def _no_autoencoder(layer: Any) -> str:
    return f"there is no autoencoder for {type(layer).__name__} here"


def _plan(found: Wiring, call: Any, layer: Any, is_head: bool) -> _Plan:
    if not layer.trainable:
        return _Plan(layer, call.path, reason="it is frozen (trainable=False)", meant=True)
    if is_head:
        reason = "the last layer: what it should give out, labels say"
        return _Plan(layer, call.path, reason=reason, meant=True)
    if call.kind not in PLAIN_MAPS or getattr(layer, "groups", 1) != 1 or call.over_time:
        return _Plan(layer, call.path, reason=_no_autoencoder(layer))
    answer = role(layer, layer.kernel)
    if isinstance(answer, LeftAlone):
        return _Plan(layer, call.path, reason=answer.reason, meant=True)
    if set(np.ravel(getattr(layer, "dilation_rate", 1))) != {1}:
        return _Plan(layer, call.path, reason="its kernel is dilated")
    if getattr(layer, "padding", "") == "causal":
        return _Plan(layer, call.path, reason="its padding is causal")
    between = [
        c for c in found.calls if c.signals == (call.index,) and c.kind is Kind.NORMALIZATION
    ]
    if between and not call.activation:
        reason = f"{between[0].path!r} stands between its kernel and its activation"
        return _Plan(layer, call.path, reason=reason)
    return _Plan(layer, call.path, 0, found.activation_function(call), _before(found, call))


def _before(found: Wiring, call: Any) -> str | None:
    """Returns the activation that makes what a call takes; None if it takes the data."""
    at = call.signals[0] if call.signals else -1
    through = (Kind.RESHAPING, Kind.NOISE, Kind.IDENTITY, Kind.POOLING, Kind.PADDING)
    while at >= 0:
        source = found.calls[at]
        if source.activation:
            return str(source.activation)
        if source.kind not in through or len(set(source.signals)) != 1:
            return activation_name(None)
        at = source.signals[0]
    return None


def _trained(
    model: Any,
    plan: _Plan,
    data: Any,
    settings: _Settings,
    root: int,
    store: _Store,
    tell: Callable[[int], None],
) -> PretrainRow:
    """Trains one layer, or reads it from the folder."""
    if (kept := store.read(plan)) is not None:
        return kept
    begun = time.monotonic()
    inputs = _inputs_of(model, plan.layer, data)
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
    before = encoder.error(inputs, _BATCH)
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
    row = PretrainRow(
        plan.path,
        decoder.activation,
        decoder.loss,
        before,
        encoder.error(inputs, _BATCH),
        encoder.error(inputs, _BATCH, noisy=True),
        time.monotonic() - begun,
    )
    store.write(plan, row)
    return row


_watched: contextvars.ContextVar[Any] = contextvars.ContextVar("watched", default=None)


class _Seen(BaseException):
    """What came into the layer that is watched."""


def _inputs_of(model: Any, layer: Any, data: Any) -> NDArray[Any] | str:
    """Returns what a layer gets for each example at its first call, or why it cannot be seen."""
    pieces = []
    count = len(keras.tree.flatten(data)[0])
    token = _watched.set(layer)
    try:
        with calls_through(keras.layers.Layer, "__call__", _watch):
            for start in range(0, count, _BATCH):
                rows = slice(start, start + _BATCH)
                try:
                    model(keras.tree.map_structure(lambda leaf, rows=rows: leaf[rows], data))
                except _Seen as seen:
                    pieces.append(np.asarray(ops.convert_to_numpy(seen.args[0]), "float32"))
                else:
                    return "no pass comes to it"
    finally:
        _watched.reset(token)
    return np.concatenate(pieces)


def _watch(plain: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
    if layer is _watched.get():
        raise _Seen(args[0] if args else next(iter(kwargs.values())))
    return plain(layer, *args, **kwargs)
