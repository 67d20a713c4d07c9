"""A loss that starts far above that of a guess, and how long it stays there."""

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.setting.plain import CROSS_ENTROPIES
from keras_inits._diagnose.setting.target.guess import even_guess, terms
from keras_inits._diagnose.setting.trials import weighing
from keras_inits._diagnose.setting.trials.steps import Trial
from keras_inits._diagnose.setting.trials.tries import Tries
from keras_inits._keras_internals import all_layers
from keras_inits._reporting import Finding

# Logits of unit size cost half a nat or so; ten times a guess is logits in the tens.
CROSS_ENTROPY = 10.0
# Outputs of unit size, targets of a tenth of it: what default initializers give.
DISTANCE = 100.0
# Of outputs that differ between samples so many times as much as the targets the square is less,
# and one only if it is still so after the longer trial.
WIDE = 5.0
LARGE_KERNEL = 3.0  # times He's deviation, sqrt(2 / fan_in)
# Logits of unit size have 1.2 to 1.5 times the loss of logits of 0.
EVEN_LOGITS = 1.5
NEAR_GUESS = 3.0  # times the loss of a guess: near enough to begin to learn


def check(tries: Tries) -> list[Finding]:
    """Returns the finding that the loss starts far above a guess, and stays there.

    What a longer trial makes up for, and other kernels would do no faster, is no fault: such as the
    mean of targets, which the bias of the output learns.
    """
    case, own = tries.case, tries.own
    losses = {kind.name for _, _, kind in case.parts}
    weights = case.weights
    counts = [terms(targets, kind) for targets, _, kind in case.parts]
    means = [
        count * (1.0 if each is None else float(each.mean()))
        for each, count in zip(weights, counts, strict=True)
    ]
    guesses = [even_guess(kind, end.units) for _, end, kind in case.parts]
    even = [None if value is None else value * m for value, m in zip(guesses, means, strict=True)]
    classes = losses <= set(CROSS_ENTROPIES)
    wide = bool(tries.longer) and not classes and _wide(tries)
    high = bool(tries.best) and own.start - own.penalties[0] > NEAR_GUESS * (tries.best or 0.0)
    uncut = 0.0
    if high and classes:
        case.copy.reset()
        uncut = case.uncut(case.copy, case.x, case.y)
    found = start_finding(
        own,
        tries.best,
        own.penalties[0],
        uncut=uncut,
        limit=CROSS_ENTROPY if classes else WIDE**2 if wide else DISTANCE,
        layers=_large(case.model),
        even=None if None in even else float(sum(value or 0.0 for value in even)),
    )
    if found is None or not tries.longer:
        return [found] if found else []
    longer = tries.own_longer
    if longer.of_data > NEAR_GUESS * (tries.best or 0.0):
        return [found]
    if own.start - own.penalties[0] <= DISTANCE * (tries.best or 0.0) and not classes:
        return []
    other = tries.redrawn(tries.longer)
    return [found] if weighing.clearly_lower(other, longer) else []


def _large(model: keras.Model) -> tuple[str, ...]:
    """Returns the names of layers whose kernels are far larger than what keeps a signal's size.

    Rows of embeddings are compared with vectors of length 1.
    """
    found = []
    for layer in all_layers(model):
        embeds = isinstance(layer, keras.layers.Embedding)
        kernel = layer.embeddings if embeds else getattr(layer, "kernel", None)
        if isinstance(layer, keras.Model) or kernel is None or len(kernel.shape) < 2:
            continue
        size = float(np.sqrt(np.square(ops.convert_to_numpy(kernel).astype(float)).mean()))
        fan = kernel.shape[-1] if embeds else np.prod(kernel.shape[:-1])
        found += [layer.name] if size >= LARGE_KERNEL * np.sqrt((1 if embeds else 2) / fan) else []
    return tuple(found)


def _wide(tries: Tries) -> bool:
    """Returns whether the outputs are what is large, by what differs between samples."""
    case = tries.case
    if len(case.parts) != 1 or case.outputs != 1 or not tries.best:
        return False
    case.copy.reset()
    (made,) = case.predict(case.x)
    return bool(made.std() >= WIDE * case.parts[0][0].values.std() > 0)


def start_finding(
    own: Trial,
    best: float | None,
    penalties: float = 0.0,
    *,
    limit: float,
    layers: tuple[str, ...] = (),
    even: float | None = None,
    uncut: float = 0.0,
) -> Finding | None:
    """Returns the finding that the loss starts far above a guess, and stays there in first steps.

    Args:
        own: the trial at the compiled rate.
        best: the loss of the best constant guess.
        penalties: what penalties on weights add to the loss at the start.
        limit: how many times the loss of a guess it may be.
        layers: the names of those with large weights.
        even: that of logits that are all 0, where the loss is a cross-entropy.
        uncut: the loss at the start as its logits have it; 0 if that is not known.
    """
    start = max(own.start - penalties, uncut)
    if not best or start <= limit * best or own.end - penalties <= NEAR_GUESS * best:
        return None
    whole = max(own.start, uncut)
    cut = f" (probabilities are cut off: {own.start:.3g})" if uncut > 1.01 * own.start else ""
    evidence = (
        f"the loss starts at {whole:.3g}{cut}, {whole / best:.3g} times the {best:.3g} of the "
        f"best constant guess (limit {limit:g}), and is {own.end:.3g} after {len(own.losses)} "
        "steps on a copy"
    )
    if even is not None and start <= EVEN_LOGITS * even:
        return Finding(
            kind="loss at the start",
            where=("output",),
            evidence=(
                f"{evidence}; outputs that take all classes for equally frequent have {even:.3g}"
            ),
            consequence=(
                "The classes are far from equally frequent: the first steps are spent on the bias "
                "of the output, and rare classes are swamped meanwhile"
            ),
            remedy="keras_inits.fit_output_bias(model, y)",
            numbers={"start": own.start, "guess": best, "after": own.end, "even": even},
        )
    return Finding(
        kind="loss at the start",
        where=("output", *layers),
        evidence=evidence + (f"; the weights of {', '.join(layers)} are large" if layers else ""),
        consequence=(
            "The outputs are far too large: the weights are first spent on making them small"
        ),
        remedy=(
            'Draw the kernels at a smaller scale (kernel_initializer="glorot_uniform", the '
            'default, or "initkit_he" before ReLU)'
        ),
        numbers={"start": whole, "guess": best, "after": own.end},
    )
