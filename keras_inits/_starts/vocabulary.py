"""`extend_vocabulary`: a model with more tokens, whose rows are about the mean of the old ones."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from rich.table import Table

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits._initialize.seeds import root_seed
from keras_inits._keras_internals import all_layers, of_keras
from keras_inits._layers.kinds import Kind, is_a
from keras_inits._reporting import Report, plain_text
from keras_inits._starts.chains import head_layers
from keras_inits._wiring.inputs import symbolic_inputs

_SHARE = 1e-9  # of the covariance: Hewitt 2021, and the code of transformers
_KEYS = ("input_dim", "vocabulary_size")


@dataclass(frozen=True, eq=False)
class VocabularyReport(Report):
    """What `extend_vocabulary` did.

    Attributes:
        model: the name of the model.
        seed: the root seed of the new rows.
        old: how many tokens there were.
        new: how many there are.
        extended: the paths of the weights that got rows.

    >>> tokens = keras.Input((5,), dtype="int32")
    >>> model = keras.Model(tokens, keras.layers.Embedding(10, 4)(tokens))
    >>> _, report = extend_vocabulary(model, 12, seed=0)
    >>> report.old, report.new, len(report.extended)
    (10, 12, 1)
    """

    model: str
    seed: int
    old: int
    new: int
    extended: tuple[str, ...]

    def heading(self) -> str:
        """Returns the model and the sizes."""
        return f"{self.model}: {self.old} tokens, now {self.new}, seed {self.seed}"

    def table(self) -> Table:
        """Returns the weights that got rows."""
        table = Table(title=plain_text(self.heading()), box=None, pad_edge=False)
        table.add_column("extended", overflow="fold")
        for path in self.extended:
            table.add_row(plain_text(path))
        return table


def extend_vocabulary(
    model: keras.Model, size: int, *, seed: int | None = None
) -> tuple[keras.Model, VocabularyReport]:
    r"""Returns a copy of `model` with `size` tokens, and a report.

    Layers of Keras cannot change their size: the model is made anew from its configuration, with
    the new size where the old one stood, and takes all weights over. The rows of new tokens are
    drawn from $N(\mu, 10^{-9} \Sigma)$, the mean and covariance of the old rows: so the logit of a
    new token is at most about the mean of the others, and the old tokens keep their share. The same
    is done for a head with as many units as there are tokens, its bias included, and for a table
    that is tied to the logits.

    The copy is not compiled, and `trainable` of its layers is that of the configuration.

    Args:
        model: a built model that can be made from its configuration, with at least one Embedding;
            the size of the vocabulary is that of its largest.
        size: how many tokens the copy has.
        seed: root of the seeds of the new rows; None takes a new one, which the report gives.

    Returns:
        The new model, and what was extended.

    Raises:
        InputError: a model that is not built or has no embedding, a size that is not larger, a
            model whose configuration does not say the size.

    >>> tokens = keras.Input((5,), dtype="int32")
    >>> model = keras.Model(tokens, keras.layers.Embedding(10, 4)(tokens))
    >>> larger, report = extend_vocabulary(model, 12, seed=0)
    >>> tuple(larger.weights[0].shape), report.extended[0].split("/")[-1]
    ((12, 4), 'embeddings')

    Reference:
        Hewitt, Initializing new word embeddings for pretrained language models, 2021,
        https://nlp.stanford.edu/~johnhew/vocab-expansion.html
    """
    _checks.built(model, "extended")
    tables = [each for each in all_layers(model, itself=True) if is_a(each, Kind.EMBEDDING)]
    if not tables:
        raise InputError(f"The model {model.name!r} has no Embedding: nothing to extend.")
    old = max(int(table.input_dim) for table in tables)
    size = _checks.integer("size", size, minimum=1)
    if size <= old:
        raise InputError(
            f"`size` must be larger than the {old} tokens there are. Received: size={size}"
        )
    root = root_seed(seed)
    larger = _rebuilt(model, old, size)
    generator = np.random.default_rng(root)
    if len(larger.weights) != len(model.weights):
        raise InputError(
            f"The configuration of {model.name!r} gives a model with other weights: "
            f"{len(larger.weights)} and not {len(model.weights)}."
        )
    extended = []
    for weight, new in zip(model.weights, larger.weights, strict=True):
        if weight.shape == new.shape:
            new.assign(weight)
            continue
        if not keras.backend.is_float_dtype(weight.dtype):
            raise InputError(
                f"{weight.path!r} holds {weight.dtype} in the place of other numbers: extend the "
                "model as it was before `quantize`."
            )
        values = np.asarray(ops.convert_to_numpy(weight), "float64")
        for axis, (was, wanted) in enumerate(zip(weight.shape, new.shape, strict=True)):
            if was == wanted:
                continue
            if (was, wanted) != (old, size):
                raise InputError(f"{weight.path!r} would change from {was} to {wanted} entries.")
            rows = new_rows(np.moveaxis(values, axis, 0), size - old, generator)
            values = np.moveaxis(np.concatenate([np.moveaxis(values, axis, 0), rows]), 0, axis)
            extended.append(new.path)
        new.assign(ops.cast(values, new.dtype))
    if not extended:
        raise InputError(
            f"The configuration of {model.name!r} does not say its number of tokens, {old}."
        )
    return larger, VocabularyReport(larger.name, root, old, size, tuple(extended))


def new_rows(
    rows: NDArray[np.float64], count: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    r"""Returns `count` draws from $N(\mu, 10^{-9} \Sigma)$ of the mean and covariance of `rows`.

    No covariance matrix is made: $X_c^T z / \sqrt{n}$ has that covariance for a normal $z$.
    """
    mean = rows.mean(axis=0)
    centered = (rows - mean).reshape(len(rows), -1)
    draws = generator.standard_normal((count, len(rows))) @ centered / math.sqrt(len(rows))
    return np.asarray(mean + math.sqrt(_SHARE) * draws.reshape(count, *rows.shape[1:]))


def _rebuilt(model: Any, old: int, size: int) -> Any:
    """Returns the model made from its configuration with another number of tokens."""
    heads = {found.name for found in head_layers(model)}
    # Code of the model's own, registered or not, is trusted: it runs in this process already.
    classes = {
        type(layer).__name__: type(layer)
        for layer in all_layers(model, itself=True)
        if not of_keras(layer)
    }
    try:
        with keras.saving.custom_object_scope(classes):
            config = copy.deepcopy(keras.saving.serialize_keras_object(model))
            build = config.pop("build_config", None)
            config.pop("compile_config", None)
            _resize(config, old, size, heads)
            larger = keras.saving.deserialize_keras_object(config, safe_mode=False)
            if not larger.built and build:
                larger.build_from_config(build)
    except (TypeError, ValueError, NotImplementedError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise InputError(
            f"The model {model.name!r} cannot be made from its configuration: {reason}"
        ) from error
    if not larger.built:
        _run_once(model, larger)
    return larger


def _run_once(model: Any, larger: Any) -> None:
    """Builds a model by a call on what `model` takes."""
    try:
        for arguments, named in symbolic_inputs(model, None):
            larger(*arguments, **named)
            if larger.built:
                return
    except Exception as error:  # the code of a user, on symbolic tensors
        reason = f": {error}"
    else:
        reason = "."
    raise InputError(f"The model {model.name!r} cannot be built from its configuration{reason}")


def _resize(config: Any, old: int, size: int, heads: set[str]) -> None:
    """Changes the number of tokens wherever a configuration gives it; shapes are found anew."""
    if isinstance(config, list | tuple):
        for each in config:
            _resize(each, old, size, heads)
    if not isinstance(config, dict):
        return
    inner = config.get("config")
    if isinstance(inner, dict):
        config.pop("build_config", None)
        if inner.get("name") in heads and inner.get("units") == old:
            inner["units"] = size
        for key in _KEYS:
            if inner.get(key) == old:
                inner[key] = size
    for value in config.values():
        _resize(value, old, size, heads)
