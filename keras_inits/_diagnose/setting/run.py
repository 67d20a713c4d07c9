"""`examine`: the setting of a training, before the first step."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.batch import SAMPLES
from keras_inits._diagnose.setting import by_steps, compiling
from keras_inits._diagnose.setting.between import (
    batches,
    dropouts,
    epsilons,
    hidden,
    moving_statistics,
    noise,
)
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.end import linearity, output, own_loss, unread
from keras_inits._diagnose.setting.end.asked import Asked
from keras_inits._diagnose.setting.entrance import adopted, lookups, masked, scales
from keras_inits._diagnose.setting.entrance.entrances import (
    Meeting,
    embeddings,
    first_met,
    kinds,
)
from keras_inits._diagnose.setting.entrance.rescaled import behind
from keras_inits._diagnose.setting.entrance.scales import Suspect
from keras_inits._diagnose.setting.order import MISMATCHES, UNUSABLE, Setting, ordered
from keras_inits._diagnose.setting.target import (
    pairs,
    sample_weights,
    tails,
    targets,
    without_loss,
)
from keras_inits._diagnose.setting.target.guess import guess
from keras_inits._foreign_messages import sentence
from keras_inits._reporting import Finding


def examine(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    loss: Any = None,
    sample_weight: Any = None,
    trials: bool = True,
) -> Setting:
    """Returns what is wrong with data, targets, end, loss and optimizer of a training.

    The model is left as it is: the trial steps are done on copies of its variables. They cost, on a
    batch of 32, 20 steps for the compiled rate and as many for each change that is to be proved; of
    small models, as many for each of four other rates.

    Args:
        model: a built model; the optimizer is the compiled one.
        x: a batch, an array or a nest of arrays as the model takes them.
        y: targets; without them the data alone are looked at.
        loss: what `compile` takes; the compiled loss if None.
        sample_weight: as `fit` takes it.
        trials: whether to try steps.
    """
    setting = _examined(model, x, y, loss, sample_weight, trials=trials)
    kept = tuple(compiling.with_other_arguments(f, model) for f in setting.findings)
    return replace(setting, findings=kept)


def best_guess(
    model: keras.Model, x: Any, y: Any, loss: Any, *, sample_weight: Any = None
) -> float | None:
    """Returns the compiled loss of the best guess that is the same for all samples.

    None where it is not known, or the model does not take a part of the batch.

    Args:
        model: a built model.
        x: a batch, an array or a nest of arrays as the model takes them.
        y: targets.
        loss: what `compile` was given.
        sample_weight: as `fit` takes it.
    """
    case = Case.of(model, x, y, loss, own=True, sample_weight=sample_weight)
    return None if isinstance(case, str) else _best_guess(case)


def _examined(
    model: keras.Model, x: Any, y: Any, loss: Any, sample_weight: Any, *, trials: bool
) -> Setting:
    inputs = [ops.convert_to_numpy(t)[:SAMPLES] for t in keras.tree.flatten(x)]
    meetings = first_met(model, len(inputs), x)
    found, suspects = _of_inputs(model, inputs, meetings, x, y)

    def without_steps(*notes: str, usable: bool = True) -> Setting:
        return Setting(ordered([*found, *scales.unproved(suspects)]), notes, usable=usable)

    if any(f.kind in UNUSABLE for f in found):
        return without_steps(usable=False)
    chosen = getattr(model, "loss", None) if loss is None else loss
    if y is None or chosen is None:
        return without_steps()
    case = Case.of(model, x, y, chosen, own=loss is None, sample_weight=sample_weight, met=meetings)
    if isinstance(case, str):
        return without_steps(case)
    if model.weights and not model.trainable_weights and loss is None:
        return Setting((_frozen(model),))
    at_end = dropouts.at_end(model, [kind.name for _, _, kind in case.parts])
    found += [*_of_case(case, inputs), *(at_end or dropouts.by_rate(model))]
    if not suspects:
        found += adopted.check(case)
    wrong = bool(at_end) or any(f.kind in MISMATCHES for f in found)
    if wrong or not trials or getattr(model, "optimizer", None) is None:
        usable = all(np.isfinite(goal.values).all() for goal, _, _ in case.parts)
        return without_steps(usable=usable)
    try:
        return by_steps.judged(case, _best_guess(case), found, suspects)
    except Exception as error:  # whatever the model's own code raises: the rest stands
        why = f"{type(error).__name__}: {sentence(error)[:200]}"
        return without_steps(f"no steps were tried: {why}")


def _of_inputs(
    model: keras.Model, inputs: list[np.ndarray], meetings: list[list[Meeting]], x: Any, y: Any
) -> tuple[list[Finding], list[Suspect]]:
    """Returns what is wrong with inputs, and those of a suspicious scale."""
    names = [""] if len(inputs) == 1 else [f"input {i}" for i in range(len(inputs))]
    met_first = [kinds(met) for met in meetings]
    found, suspects = scales.check(inputs, names, met_first, behind(model, inputs, meetings, x), y)
    for given, name, met in zip(inputs, names, meetings, strict=True):
        tables = embeddings(met)
        found += lookups.check(given, tables, name) or lookups.unknown(given, tables, name)
        for layer, _ in met:
            if isinstance(layer, keras.layers.Discretization):
                found += lookups.binned(given, layer, name)
    return found, suspects


def _of_case(case: Case, inputs: list[np.ndarray]) -> Iterator[Finding]:
    """Yields what is wrong with targets, ends, losses and layers, as far as no steps are needed."""
    yield from _of_ends(case, alone=not _answers_alike(case.model, inputs))
    yield from list(_of_own_losses(case, len(inputs))) or pairs.check(case)
    yield from unread.check(case)
    yield from without_loss.check(case)
    yield from batches.check(case)
    yield from masked.of_attention(case, inputs)
    yield from moving_statistics.check(case)
    yield from epsilons.check(case)
    yield from hidden.softmax(case)
    yield from noise.check(case.model)
    yield from linearity.check(case)
    yield from tails.check(case)


def _of_own_losses(case: Case, inputs: int) -> Iterator[Finding]:
    """Yields what is wrong with losses that are not of Keras, each of one output."""
    for index, asked in Asked.each(case, inputs):
        place = (asked.end.layer,) if len(case.parts) > 1 else ()
        for found in own_loss.check(asked):
            named = replace(found, where=(*found.where, *place))
            yield compiling.with_arguments_of_loss(named, case, index)


def _of_ends(case: Case, *, alone: bool) -> Iterator[Finding]:
    """Yields what is wrong with targets, end, loss and sample weights of each output.

    Args:
        case: the training.
        alone: whether one target for all samples is a fault.
    """
    left_out = sample_weights.left_out(case.weights)
    # Beside the residual of an equation, one number for all is the condition at its edge.
    alone = alone and not any(targets.are_none(goal, kind) for goal, _, kind in case.parts)
    for index, (part, weighed) in enumerate(zip(case.parts, case.weights, strict=True)):
        own = [f for f in targets.check(*part) if alone or not targets.is_alone(f)]
        if not any(f.kind == "labels" for f in own):
            own += output.check(*part)
        yield from (compiling.with_arguments_of_loss(f, case, index) for f in own)
        if weighed is not None and not left_out(weighed):
            yield from sample_weights.check(weighed, part[0])


def _best_guess(case: Case) -> float | None:
    """Returns the loss of the best guess that is the same for all samples; None if not known."""
    known = [guess(t, k, w) for (t, _, k), w in zip(case.parts, case.weights, strict=True)]
    return None if None in known else float(sum(value or 0.0 for value in known))


def _answers_alike(model: keras.Model, inputs: Sequence[np.ndarray]) -> bool:
    """Returns whether one target for all samples may be meant.

    So it is where two inputs are compared (the better one stands first in each pair), and where
    what judges them is frozen (a generator learns what its discriminator takes for real).
    """
    pair = len(inputs) > 1 and len({given.shape for given in inputs}) == 1
    last = _last_with_weights(model)
    return pair or (last is not None and not last.trainable_weights)


def _last_with_weights(model: keras.Model) -> keras.Layer | None:
    for layer in reversed(model.layers):
        found = _last_with_weights(layer) if isinstance(layer, keras.Model) else layer
        if found is not None and found.weights:
            return found
    return None


def _frozen(model: keras.Model) -> Finding:
    return Finding(
        kind="no gradient",
        where=("model",),
        evidence=f"none of its {len(model.weights)} weights is trainable",
        consequence="Nothing is learned",
        remedy=(
            "model.trainable = True, and trainable = True for the layers that are to learn; then "
            "compile again"
        ),
    )
