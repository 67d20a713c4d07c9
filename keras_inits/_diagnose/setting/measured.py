"""What a few runs of a case's model and loss show, other than the trial steps."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.seen.watching import watching
from keras_inits._diagnose.setting import compiling
from keras_inits._diagnose.setting.between import (
    batches,
    epsilons,
    moving_statistics,
    norms,
    regularizers,
)
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.end import asked, own_loss, probabilities
from keras_inits._diagnose.setting.entrance import filled
from keras_inits._diagnose.setting.entrance.entrances import embeddings
from keras_inits._diagnose.setting.plain import BINARY, CATEGORICAL, SPARSE, UNREAD, targets_of
from keras_inits._diagnose.setting.rate import rates
from keras_inits._diagnose.setting.rate.schedules import inner
from keras_inits._diagnose.setting.remedies import on_loss
from keras_inits._diagnose.setting.target import pace, sample_weights
from keras_inits._diagnose.setting.target.guess import guess
from keras_inits._diagnose.setting.trials.steps import BATCH
from keras_inits._diagnose.setting.trials.tries import UNTAUGHT, Tries
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding


def weights_of(case: Case) -> list[np.ndarray | None]:
    """Returns the sample weights of each output that has a loss; None where there are none."""
    given = keras.tree.map_structure(
        lambda t: None if t is None else ops.convert_to_numpy(t), case.sample_weight
    )
    return sample_weights.of_parts(given, case.places)


def own_losses(case: Case, inputs: int) -> list[Finding]:
    """Returns what is wrong with losses that are not of Keras, each of one output."""
    flat, found = keras.tree.flatten(case.y), []
    for index, ((goal, end, kind), place) in enumerate(zip(case.parts, case.places, strict=True)):
        if kind.name == "other":
            y = ops.convert_to_numpy(flat[place])
            loss = asked.as_fit(case.losses[index])
            own = own_loss.check(asked.Asked(y, goal, end, loss, inputs))
            place = (end.layer,) if len(case.parts) > 1 else ()
            own = [replace(f, where=(*f.where, *place)) for f in own]
            found += [compiling.with_arguments_of_loss(f, case, index) for f in own]
    return found


def penalties(tries: Tries) -> list[Finding]:
    """Returns the findings that penalties on weights or activity outweigh the loss at the start.

    Penalties on activity are those of one batch of `fit`.
    """
    case = tries.case
    given = (case.x, case.y, case.sample_weight)
    some = keras.tree.map_structure(lambda t: None if t is None else t[:BATCH], given)
    found = (
        regularizers.penalty(
            *norms.of_penalties(case.copy, *given), l1=regularizers.l1_of(case.model)
        ),
        regularizers.activity(*norms.of_activity(case.copy, *some), case.model),
    )
    return [finding for finding in found if finding]


def decay(tries: Tries) -> list[Finding]:
    """Returns the finding that the optimizer's decay leaves nothing of the weights."""
    found = regularizers.decay(inner(tries.optimizer), tries.rate.value)
    return [found] if found else []


def outputs(case: Case, x: Any, *, training: bool = False) -> list[np.ndarray]:
    """Returns what the copies make of `x`."""
    made = keras.tree.flatten(case.copy.outputs(x, training=training))
    return [np.asarray(ops.convert_to_numpy(t), np.float64) for t in made]


def runs(case: Case, inputs: list[np.ndarray]) -> list[Finding]:
    """Returns what a run shows of masks, of samples that mix, of normalizations and of ends.

    And of outputs that have no weight in the compiled loss.
    """
    found = _unknown_ends(case)
    found += sample_weights.outputs_without(case.model, case.places) if case.own else []
    found += batches.mixed(case.x, lambda x: outputs(case, x))
    if filled.attends(case.model):
        read = [
            given
            for given, met in zip(inputs, case.met, strict=True)
            if embeddings(met) or given.ndim == 3
        ]
        found += filled.hidden(read, lambda: outputs(case, case.x))
    if slow := moving_statistics.slow(case.model):
        predicted = outputs(case, case.x)
        with watching(moving_statistics.OfTheBatch(slow)):
            fitted = outputs(case, case.x)
        found += [f for f in (moving_statistics.finding(case.model, slow, fitted, predicted),) if f]
    if large := epsilons.suspects(case.model):
        met = epsilons.Met(large)
        with watching(met):
            outputs(case, case.x, training=True)
        found += [f for f in (epsilons.finding(case.model, large, met),) if f]
    return found


def _unknown_ends(case: Case) -> list[Finding]:
    """Returns the findings that ends without a known activation give no probabilities in `fit`."""
    losses = (*BINARY, *CATEGORICAL, *SPARSE)
    ends = {
        place: (end, kind)
        for place, (_, end, kind) in zip(case.places, case.parts, strict=True)
        if kind.name in losses and not kind.from_logits and end.activation in UNREAD
    }
    if not ends:
        return []
    made = outputs(case, case.x, training=True)
    found = (
        probabilities.outside(made[place], *of) for place, of in ends.items() if place < len(made)
    )
    return [finding for finding in found if finding]


def forgotten(tries: Tries) -> list[Finding]:
    """Returns the finding that filling at the end of sequences makes a net forget them."""
    case, own = tries.case, tries.own
    if not filled.remembers(case.model) or own.end < UNTAUGHT * (tries.best or own.start):
        return []
    flat = keras.tree.flatten(case.x)
    for index, tensor in enumerate(flat):
        x = ops.convert_to_numpy(tensor)
        lengths = filled.tails(x)
        if lengths is None:
            continue

        def made_of(given: np.ndarray, index: int = index) -> list[np.ndarray]:
            nest = [*flat[:index], ops.convert_to_tensor(given), *flat[index + 1 :]]
            return outputs(case, keras.tree.pack_sequence_as(case.x, nest))

        if sizes := filled.forgotten(x, lengths, made_of):
            return [filled.forgotten_finding(lengths, x.shape[1], sizes)]
    return []


def hidden(tries: Tries) -> list[Finding]:
    """Returns the finding that a mask hides steps that are no filling, and say something."""
    case, best = tries.case, tries.untaught
    if not best:
        return []
    for tensor, met in zip(keras.tree.flatten(case.x), case.met, strict=True):
        masks = [layer for layer, _ in met if filled.masks(layer)]
        if not masks or len(masks) < sum(map(filled.masks, all_layers(case.model))):
            continue  # other layers mask as well
        steps = filled.real(ops.convert_to_numpy(tensor), filled.masking(masks[0]) or 0.0)
        if steps is None:
            continue
        with watching(filled.Unmasked(masks)):
            other = tries.attempt(tries.rate.value, steps=tries.longer, copy=tries.new_copy())
        if other.end <= filled.TAUGHT * best and other.end <= filled.TAUGHT * tries.own_longer.end:
            losses = len(other.losses), tries.own_longer.end, other.end
            return [filled.real_finding(masks[0], steps, losses)]
    return []


def thinned(tries: Tries) -> list[Finding]:
    """Returns the finding that a mean over the steps takes filling for words."""
    case, best = tries.case, tries.untaught
    pools = [la for la in all_layers(case.model) if isinstance(la, filled.MEAN)]
    if not best or len(pools) != 1 or tries.own_longer.end < filled.TAUGHT * best:
        return []
    for tensor, met in zip(keras.tree.flatten(case.x), case.met, strict=True):
        tables, x = embeddings(met), ops.convert_to_numpy(tensor)
        if not tables or x.ndim != 2 or any(map(filled.masks, tables)):
            continue
        share = filled.thinned(x)
        if share < filled.THIN:
            continue
        with watching(filled.Pooled(tables)):
            other = tries.attempt(tries.rate.value, steps=tries.longer, copy=tries.new_copy())
        if other.end <= filled.TAUGHT * min(best, tries.own_longer.end):
            losses = len(other.losses), tries.own_longer.end, other.end
            return [filled.thinned_finding(pools[0], share, losses)]
    return []


def weight_size(tries: Tries) -> list[Finding]:
    """Returns the finding that weights of mean 1 teach what these do not."""
    case, own = tries.case, tries.own
    mean = sample_weights.unusual(weights_of(case))
    if mean is None:
        return []
    scaled = keras.tree.map_structure(
        lambda w: None if w is None else ops.cast(w, keras.config.floatx()) / mean,
        case.sample_weight,
    )
    other = tries.attempt(own.rate, sample_weight=scaled)
    if rates.fall(other) < rates.FALLS or rates.fall(own) > 0.25 * rates.fall(other):
        return []
    proof = (
        f"in {len(own.losses)} steps on a copy the loss goes from {own.start:.3g} to {own.end:.3g}"
        f", with weights of mean 1 from {other.start:.3g} to {other.end:.3g}"
    )
    return [sample_weights.size_finding(mean, proof)]


def target_scale(tries: Tries) -> list[Finding]:
    """Returns the findings that targets are too large or too small to be reached."""
    case, own, best = tries.case, tries.own, tries.best
    if not best:
        return []
    found = []
    flat = keras.tree.flatten(case.y)
    weights = weights_of(case)
    for index, weighed, (goal, _, kind) in zip(case.places, weights, case.parts, strict=True):
        if kind.name not in ("mean_squared_error", "mean_absolute_error") or goal.one_hot:
            continue
        squared = kind.name == "mean_squared_error"
        later = None
        if tries.longer and pace.far(goal, own, best, squared=squared):
            still = pace.far(goal, tries.own_longer, best, squared=squared, times=1.0)
            later = tries.own_longer if still else None
        if later is None and not pace.suspicious(goal):
            continue
        scaled = pace.standardized(goal)
        given = [*flat]
        given[index] = ops.cast(ops.convert_to_tensor(scaled), flat[index].dtype)
        steps = tries.longer if later else 0
        other = tries.attempt(own.rate, y=keras.tree.pack_sequence_as(case.y, given), steps=steps)
        again = best - (guess(goal, kind, weighed) or 0.0)
        again += guess(targets_of(scaled), kind, weighed) or 1.0
        if later and other.end > pace.HALF * again:
            later = later if pace.far(goal, later, best, squared=squared) else None
        found += [pace.finding(goal, own, best, other, again, later)]
    return [each for each in found if each]


def undefined(tries: Tries) -> list[Finding]:
    """Returns the finding that the loss is not finite although outputs and targets are."""
    case, own = tries.case, tries.own
    if not np.isfinite(own.added[0] + own.penalties[0]):
        found = regularizers.undefined(case.model, own.added[0], own.penalties[0])
        return [found] if found else []
    case.copy.reset()
    made = keras.tree.flatten(case.copy.outputs(case.x, training=False))
    goals = [goal.values for goal, _, _ in case.parts]
    values = [*(ops.convert_to_numpy(part) for part in made), *goals]
    if not all(np.isfinite(part).all() for part in values if part.dtype.kind == "f"):
        return []
    start = own.start
    return [
        on_loss(
            evidence=f"the loss is {start:g} before the first step, of finite outputs and targets",
            consequence="Every weight is NaN after one step",
            remedy=(
                "Look in the loss for a logarithm, a root or a quotient of what may be 0 or "
                "negative, such as targets in the place of predictions (Keras calls loss(y_true, "
                "y_pred)): keras.ops.softplus(x) + 1e-6 in the place of x makes it positive"
            ),
            numbers={"start": start},
        )
    ]
