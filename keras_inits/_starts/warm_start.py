"""`warm_start`: the weights of a trained model in a new one of another size."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits import _checks
from keras_inits._errors import InputError, InputFileError, InputTypeError, did_you_mean
from keras_inits._initialize.initialize import initialize
from keras_inits._initialize.seeds import root_seed
from keras_inits._keras_internals import all_layers
from keras_inits._layers import owned_weights
from keras_inits._starts.alike import computes_alike
from keras_inits._starts.transfer import Transfer
from keras_inits._starts.warm_start_report import WarmStartReport


def warm_start(
    model: keras.Model,
    source: keras.Model | str | Path,
    *,
    layers: Mapping[str, str] | None = None,
    noise: float = 0.0,
    seed: int | None = None,
) -> WarmStartReport:
    r"""Sets the weights of `model` to those of a trained model, cut or widened where sizes differ.

    Weights are paired by their paths, without the numbers that Keras makes up; heads with heads. A
    weight that

    - has the same shape is taken;
    - is smaller along some axes is cut by weight selection: of each axis every (old / new)-th unit,
      or evenly spread ones; gates and heads each by themselves;
    - is larger is widened by Net2Net where the model is a chain of Dense layers and convolutions:
      added units copy random ones, and what takes them shares their weights. A layer that
      the source does not have becomes the identity, where its activation allows it, as ReLU after
      ReLU does. A chain that was widened and deepened alone computes what the source computes;
    - has no counterpart, or a head with another number of classes, is drawn afresh by its layer's
      own initializer.

    Frozen weights stay. A quantized layer is taken as it is, by one that is quantized in the same
    way, or not at all. Copies get the same gradients as what they copy: give `noise`, or train with
    dropout.

    Args:
        model: a built model.
        source: a built model, or the path of a `.keras` file.
        layers: names of layers of `model` to names of layers of `source`, where the paths do not
            say it.
        noise: standard deviation of what is added to the weights of added units, as a share of that
            of the kernel.
        seed: root of the seeds of what is drawn; None takes a new one, which the report gives.

    Returns:
        A row for each weight, and whether the model computes what the source does: where no number
        of the source is missing, both are run on random inputs to see it.

    Raises:
        InputError: a model that is not built, or a source that shares no weight with it.
        InputTypeError: something that is no model.

    >>> def net(width):
    ...     hidden = keras.layers.Dense(width, "relu")
    ...     return keras.Sequential([keras.Input((3,)), hidden, keras.layers.Dense(2)])
    >>> report = warm_start(net(8), net(5), seed=0)
    >>> [row.how for row in report.rows], report.preserves
    (['widened', 'widened', 'widened', 'taken'], True)

    Reference:
        Xu et al., Initializing models with larger ones, ICLR 2024, https://arxiv.org/abs/2311.18823
        Chen et al., Net2Net, ICLR 2016, https://arxiv.org/abs/1511.05641
    """
    _checks.built(model, "started")
    if isinstance(source, str | Path):
        source = _loaded(Path(source))
    if not isinstance(source, keras.layers.Layer):
        raise InputTypeError(
            "`source` must be a built Keras model or the path of a `.keras` file. "
            f"Received: source of type {type(source).__name__}"
        )
    _checks.built(source, "a source")
    noise = _checks.real("noise", noise, minimum=0)
    expected = "a dict from names of layers of `model` to names of the source's"
    names = dict(_checks.instance("layers", {} if layers is None else layers, Mapping, expected))
    _check_names(model, names, "model")
    _check_names(source, names.values(), "source")
    root = root_seed(seed)
    transfer = Transfer(model, source, names, np.random.default_rng(root), noise)
    if not transfer.shares:
        remedy = "give `layers`, names to names"
        if transfer.obstacle:
            remedy = f"{transfer.obstacle}. Give both as they were before `quantize`"
        raise InputError(
            f"No weight of the source {source.name!r} fits one of {model.name!r}: {remedy}. "
            f"Received: weights {_first_paths(model)} and "
            f"{_first_paths(source)}"
        )
    initialize(model, "own", seed=root)
    for (_, values), owned in zip(transfer.steps, transfer.owned, strict=True):
        if values is not None:
            owned.weight.assign(ops.cast(values, owned.weight.dtype))
    return WarmStartReport(
        model=model.name,
        source=source.name,
        seed=root,
        preserves=computes_alike(model, source) if transfer.may_preserve() else False,
        unused=transfer.unused(),
        rows=tuple(row for row, _ in transfer.steps),
    )


def _check_names(model: Any, names: Iterable[str], what: str) -> None:
    known = {layer.name for layer in all_layers(model, itself=True)}
    for name in names:
        if name not in known:
            raise InputError(
                f"`layers` must give names of layers of the {what} {model.name!r}. "
                f"{did_you_mean(name, known)}Received: {name!r}"
            )


def _loaded(file: Path) -> Any:
    try:
        return keras.models.load_model(file, compile=False)
    except (ValueError, OSError, TypeError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise InputFileError(
            "`source` must be a model, or the path of a `.keras` file that Keras loads. "
            f"Received: source={str(file)!r}. {reason}"
        ) from error


def _first_paths(model: Any) -> str:
    """Returns the first few paths of a model's weights, for a message."""
    return ", ".join(repr(owned.path) for owned in owned_weights(model)[:3]) or "none"
