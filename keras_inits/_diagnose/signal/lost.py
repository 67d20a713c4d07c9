"""Where a gradient is lost altogether: None, or 0 everywhere."""

from collections.abc import Iterator, Sequence

from keras_inits._diagnose.seen.calls import UNKNOWN, Call, Cut
from keras_inits._diagnose.seen.statistics import WeightReport
from keras_inits._diagnose.seen.traits import has_kernel
from keras_inits._diagnose.signal.evidence import Evidence
from keras_inits._diagnose.signal.remedies import redraw, reference
from keras_inits._reporting import Finding

Found = Iterator[tuple[int | None, Finding]]

_ROUNDING = 1e-5  # of a gradient that reaches equal tokens in another order of sums
_MOST_TRIED = 4  # layers, each of which costs a pass
_STUCK = "No weight before it ever moves"


def _straight(operation: str) -> str:
    # Bengio, Léonard, Courville 2013, section 4: the straight-through estimator.
    call = f"keras.ops.{operation}(x)"
    return f"In the place of {call}: x + keras.ops.stop_gradient({call} - x)"


_CHOICE = "In the place of one_hot(argmax(x)): keras.ops.softmax(x / 0.5), sharper the lower 0.5 is"
_COMPARISON = "In the place of x > a: keras.ops.sigmoid((x - a) / 0.1), sharper the lower 0.1 is"
# TensorFlow's names of operations, and what to write instead.
_INSTEAD = {
    **{name: _straight("round") for name in ("Round", "Rint")},
    **{name: _straight(name.lower()) for name in ("Sign", "Floor", "Ceil")},
    "FloorDiv": "In the place of x // a: x / a + keras.ops.stop_gradient(x // a - x / a)",
    **dict.fromkeys(("ArgMax", "ArgMin", "TopKV2"), _CHOICE),
    **dict.fromkeys(("Greater", "GreaterEqual", "Less", "LessEqual"), _COMPARISON),
    "Cast": "Leave out the cast to whole numbers, or cast only what is not to learn",
    "StopGradient": "Leave out keras.ops.stop_gradient; or, if it is meant, say so: "
    "trainable = False for the layers before it",
}


def no_gradient(evidence: Evidence) -> Found:
    """Yields the places nearest to the loss behind which weights get no gradient.

    A gradient that is 0 behind weights that start at 0 and themselves have one is no fault: it
    comes with the first step.
    """
    finite = all(
        call.output.finite and (call.gradient is None or call.gradient.finite)
        for call in evidence.calls
    )
    if evidence.loss == 0 or not finite:  # NaN makes zeros behind rectifiers
        return
    learns = _learning(evidence)
    ends = [end for end in evidence.ends if learns[end]]
    moved = any(weight.gradient_norm > 0 for weight in evidence.weights.values())
    # Ends without a loss may be watched, where the layers learn by other calls of theirs.
    if ends and not moved and not any(_alive(evidence, end) for end in ends):
        is_zero = any(evidence.calls[end].gradient is not None for end in ends)
        yield None, _of_the_loss(is_zero=is_zero)
        return
    last = max((i for i, taught in enumerate(learns) if taught), default=None)
    cuts = [] if last is None else [cut for cut in evidence.cuts if last in cut.origins]
    if cuts and not any(map(_any_gradient, evidence.calls)):
        yield last, _behind(evidence, last or 0, cuts)
        return
    for index in (i for i, taught in enumerate(learns) if taught):
        if _alive(evidence, index):
            if not evidence.calls[index].composite and _own_gradient_is_zero(evidence, index):
                yield index, _inside(evidence, index)
            continue
        takers = [j for j in evidence.leads_to[index] if _alive(evidence, j)]
        if takers and not _is_excused(evidence, index, takers, learns):
            yield takers[0], _between(evidence, index, takers[0])


def _is_excused(
    evidence: Evidence, index: int, takers: Sequence[int], learns: Sequence[bool]
) -> bool:
    """Returns whether it is no fault that a call gets no gradient, or another's.

    Args:
        evidence: of the pass.
        index: of the call.
        takers: calls that take what it makes, and get a gradient.
        learns: of each call, whether there is something to train in it or before it.
    """
    return (
        _taught_otherwise(evidence, index)
        or _taught_elsewhere(evidence, index)
        or any(_waits(evidence, taker) for taker in takers)
        or _innocent(evidence, takers[0])
        or _is_unread(evidence, index, learns)
        or _waits_for_partner(evidence, index)
        or _comes_with_the_first_step(evidence, index, takers[0])
        or _is_dropped(evidence, index, takers[0])
    )


def outside(evidence: Evidence) -> Found:
    """Yields the last layer that the loss depends on, and that no operation leads from.

    There values leave the backend, and the gradient stays behind: `.numpy()` in a model that runs
    eagerly, `tf.numpy_function`. Layers whose outputs nobody uses leave the loss as it is.
    """
    led_on = evidence.made_from.union(*(cut.origins for cut in evidence.cuts))
    used = [index in led_on or _alive(evidence, index) for index in range(len(evidence.calls))]
    for index in reversed(range(len(used))):
        used[index] = used[index] or any(used[i] for i in evidence.leads_to[index] if i > index)
    unused = [
        index
        for index, is_used in enumerate(used)
        if not (is_used or _taught_elsewhere(evidence, index)) and _unmoved(evidence, index)
    ]
    if evidence.again is None or not unused or not any(used):
        return
    loss = evidence.again().objective
    if loss != evidence.again().objective:  # noise
        return
    for index in unused[: -_MOST_TRIED - 1 : -1]:
        if _without(evidence, index).objective != loss:
            yield index, _left_behind(evidence, index)
            return


def _unmoved(evidence: Evidence, index: int) -> bool:
    """Returns whether a call has weights and no gradient comes to any, by its states either."""
    own = evidence.own_weights(index)
    return bool(own) and not any(weight.gradient_norm > 0 for weight in own)


def _without(evidence: Evidence, index: int) -> Evidence:
    """Returns a pass with other values of a call's weights."""
    weights = evidence.calls[index].layer.trainable_weights
    return evidence.with_weights([(w, 0.5 * w.value + 0.1) for w in weights])


def _left_behind(evidence: Evidence, index: int) -> Finding:
    name, behind = evidence.calls[index].name, evidence.calls[index + 1 :]
    takers = [c.name for c in behind if UNKNOWN in c.sources and not c.before and not c.composite]
    between = f"Between {name} and {takers[0]}" if takers else f"Behind {name}"
    return Finding(
        kind="no gradient",
        where=(*takers[:1], name),
        evidence=(
            f"the loss depends on {name}, no gradient comes to it, and no operation was seen that "
            "leads there: values leave the backend, as by .numpy()"
        ),
        consequence=_STUCK,
        remedy=f"{between} compute by keras.ops, and not by NumPy",
    )


def stuck(evidence: Evidence) -> Found:
    """Yields kernels of zeros whose outputs are multiplied by what starts at 0 as well."""
    for index, call in enumerate(evidence.calls):
        other = stuck_with(evidence, index)
        # Of queries and keys each is the other's: named once.
        if other is None or (other < index and stuck_with(evidence, other) == index):
            continue
        name = evidence.calls[other].name
        yield (
            index,
            Finding(
                kind="no gradient",
                where=(call.name, name),
                evidence=(
                    f"its kernel is 0, and so is {name}, by which what it makes is multiplied: the "
                    "gradient of each is 0 because of the other"
                ),
                consequence="Neither ever moves; only one of them may start at 0",
                remedy=redraw(evidence, index),
            ),
        )


def stuck_with(evidence: Evidence, index: int) -> int | None:
    """Returns the call that takes the gradient of a kernel of zeros, and stays at 0 itself.

    So do a factor that starts at 0 (ReZero, Bachlechner et al. 2021) behind a kernel that does too,
    and the keys' kernel of an attention for that of its queries.
    """
    if not _is_still(evidence, index):
        return None
    for taker in evidence.leads_to[index]:
        scales = _scales(evidence, taker)
        still = any(weight.gradient_norm == 0 for weight in scales)
        zeros = still and all(weight.norm == 0 for weight in scales)
        if zeros and _alive(evidence, taker) and not has_kernel(evidence.calls[taker].layer):
            return taker
    other = _scored_against(evidence, index)
    return other if other is not None and _is_still(evidence, other) else None


def _scored_against(evidence: Evidence, index: int) -> int | None:
    """Returns the keys of an attention for its queries, and the reverse; None of other calls."""
    if evidence.picture is None or index not in evidence.picture.places:
        return None
    place = evidence.picture.places[index]
    recorded = {at: call for call, at in evidence.picture.places.items()}
    for attention in evidence.picture.wiring.attentions:
        if place == attention.query != attention.key:
            return recorded.get(-1 if attention.key is None else attention.key)
        if place == attention.key != attention.query:
            return recorded.get(-1 if attention.query is None else attention.query)
    return None


def _waits_for_partner(evidence: Evidence, index: int) -> bool:
    """Returns whether queries are scored against keys of zeros, or keys against such queries.

    They take the gradient of the others for one step alone. Where both do, `stuck` says so.
    """
    other = _scored_against(evidence, index)
    if other is None or evidence.calls[other].output.second_moment != 0:
        return False
    return bool(evidence.own_weights(other))


def _comes_with_the_first_step(evidence: Evidence, index: int, taker: int) -> bool:
    """Returns whether a call gets a gradient once the weights that start at 0 have moved.

    So do the queries of an attention between learned tokens that all start at 0, and as one.
    """
    after = evidence.after_zeros
    if after is None or len(after.calls) != len(evidence.calls):
        return False
    own, behind = after.calls[index].gradient, after.calls[taker].gradient
    if own is None or behind is None:
        return False
    return own.second_moment > _ROUNDING**2 * behind.second_moment


def _is_dropped(evidence: Evidence, index: int, taker: int) -> bool:
    """Returns whether what a call changes of its taker's output is left out of the model's outputs.

    So are the outputs at the places of a context behind the last block: queries, and their
    normalization, are computed for them and play no part.
    """
    if evidence.again is None or not evidence.own_weights(index):
        return False
    before, after = evidence.again(), _without(evidence, index)
    if before.objective != after.objective or before.objective != evidence.again().objective:
        return False
    return before.calls[taker].output.second_moment != after.calls[taker].output.second_moment


def _is_still(evidence: Evidence, index: int) -> bool:
    """Returns whether a call has a kernel of zeros, puts out zeros, and gets no gradient."""
    call = evidence.calls[index]
    if call.composite or call.gradient is None or not has_kernel(call.layer):
        return False
    weights = evidence.own_weights(index)
    still = bool(weights) and not any(weight.norm or weight.gradient_norm for weight in weights)
    return still and call.output.second_moment == 0 and call.gradient.second_moment == 0


def _taught_otherwise(evidence: Evidence, index: int) -> bool:
    """Returns whether a call's weights learn from a loss that it adds, and all before it learn.

    So do the codes of a residual quantizer: what it hands on is taken off again.
    """
    call = evidence.calls[index]
    weights = evidence.own_weights(index)
    if not all(_alive(evidence, i) for i in call.before if 0 <= i < index):
        return False
    if evidence.loss is None:  # what it adds did not go back
        return bool(weights) and bool(call.layer.losses)
    return bool(weights) and all(weight.gradient_norm > 0 for weight in weights)


def _taught_elsewhere(evidence: Evidence, index: int) -> bool:
    """Returns whether a gradient comes to other calls of the layer, and of all layers before it.

    So it does to a critic whose slope is part of the loss (Gulrajani et al. 2017): what rectifiers
    make of that pass has no part in the slope, and the weights learn by it all the same.
    """
    taught = {id(call.layer) for i, call in enumerate(evidence.calls) if _alive(evidence, i)}
    calls = [index, *(i for i in evidence.calls[index].before if 0 <= i < index)]
    layers = (evidence.calls[i].layer for i in calls)
    return all(id(layer) in taught for layer in layers if layer.trainable_weights)


def _innocent(evidence: Evidence, index: int) -> bool:
    """Returns whether a call is given zeros, which stops its gradient, or loses its own as well."""
    inputs = evidence.calls[index].inputs
    silent = inputs is not None and inputs.second_moment == 0
    return silent or _own_gradient_is_zero(evidence, index)


def _alive(evidence: Evidence, index: int) -> bool:
    gradient = evidence.calls[index].gradient
    # What is not finite is lost in another way, and found there.
    return gradient is not None and (not gradient.finite or gradient.second_moment > 0)


def _learning(evidence: Evidence) -> list[bool]:
    """Returns for each call whether it, or what leads to it, has weights that are to move."""
    result: list[bool] = []
    for index, call in enumerate(evidence.calls):
        before = [i for i in {*call.before, *call.made_from} if 0 <= i < index]
        result.append(bool(evidence.own_weights(index)) or any(result[i] for i in before))
    return result


def _is_unread(evidence: Evidence, index: int, learns: Sequence[bool]) -> bool:
    """Returns whether a call reads none of its own weights, and nothing before it learns.

    So does a layer that makes masks, and keeps an embedding for another use of it.
    """
    before = {*evidence.calls[index].before, *evidence.calls[index].made_from}
    if evidence.picture is None or any(learns[i] for i in before if 0 <= i < index):
        return False
    wiring = evidence.picture.wiring
    return not any(wiring.of(weight.path) for weight in evidence.own_weights(index))


def _waits(evidence: Evidence, index: int) -> bool:
    """Returns whether a call has a weight of zeros, which is why nothing comes through it yet."""
    return any(weight.norm == 0 and weight.gradient_norm > 0 for weight in _scales(evidence, index))


def _scales(evidence: Evidence, index: int) -> list[WeightReport]:
    bias = getattr(evidence.calls[index].layer, "bias", None)
    weights = evidence.calls[index].layer.trainable_weights
    return [evidence.weights[id(w)] for w in weights if id(w) in evidence.weights and w is not bias]


def _own_gradient_is_zero(evidence: Evidence, index: int) -> bool:
    weights = evidence.own_weights(index)
    call = evidence.calls[index]
    if not weights or (call.inputs is not None and not call.inputs.second_moment > 0):
        return False
    if any(abs(weight.gradient_norm) > 0 for weight in weights):
        return False
    if _still_together(evidence, index):
        return True
    # Nor does anything come back from it: else the weights are unused, not cut off.
    return not any(_alive(evidence, source) for source in call.before)


def _still_together(evidence: Evidence, index: int) -> list[WeightReport]:
    """Returns the kernels of a call if they are several, all are 0, and get a gradient of 0."""
    own = evidence.calls[index].layer.trainable_weights
    kernels = [evidence.weights[id(w)] for w in own if len(w.shape) > 1]
    still = all(kernel.norm == kernel.gradient_norm == 0 for kernel in kernels)
    return kernels if still and len(kernels) > 1 else []


def _any_gradient(call: Call) -> bool:
    return call.gradient is not None and call.gradient.second_moment != 0


def _of_the_loss(*, is_zero: bool) -> Finding:
    return Finding(
        kind="no gradient",
        where=("loss",),
        evidence=(
            "the gradient of the loss at the model's output is 0"
            if is_zero
            else "the loss hands no gradient back to the model's output"
        ),
        consequence="No weight ever moves",
        remedy=('Use a loss that is differentiable and depends on the output, such as loss="mse".'),
        numbers={"gradient": 0.0} if is_zero else {},
    )


def _behind(evidence: Evidence, index: int, cuts: Sequence[Cut]) -> Finding:
    name = evidence.calls[index].name
    operations = [cut.operation for cut in cuts]
    return Finding(
        kind="no gradient",
        where=(name,),
        evidence=(
            f"no gradient comes back to {name}, the last layer that could learn: "
            + ", ".join(dict.fromkeys(operations))
        ),
        consequence=_STUCK,
        remedy=_differentiable(operations),
    )


def _between(evidence: Evidence, lost: int, taker: int) -> Finding:
    before, after = evidence.calls[lost], evidence.calls[taker]
    cuts = [cut for cut in evidence.cuts if lost in cut.origins]
    names = ", ".join(dict.fromkeys(cut.operation for cut in cuts))
    inside = next((cut.layer for cut in cuts if cut.layer), "")
    how = f": {names}" + (f" in layer {inside}" if inside else "") if cuts else ""
    none = "None" if before.gradient is None else "0"
    return Finding(
        kind="no gradient",
        where=(after.name, before.name),
        evidence=f"a gradient comes to {after.name} and {none} to {before.name} before it{how}",
        consequence=_STUCK,
        remedy=_differentiable([cut.operation for cut in cuts]),
    )


def _differentiable(operations: Sequence[str]) -> str:
    """Returns the expression to write in the place of operations without a derivative."""
    known = dict.fromkeys(_INSTEAD[name] for name in operations if name in _INSTEAD)
    if not operations or known:
        return "; ".join(known)
    return "Compute it by operations of keras.ops that have a derivative"


def _inside(evidence: Evidence, index: int) -> Finding:
    call = evidence.calls[index]
    one = call.output.units == 1 and _is_softmax(call.layer)
    expression = reference(evidence.model, call)
    before = " and to what precedes it" if call.before else ""
    still = _still_together(evidence, index)
    names = ", ".join(weight.path.split("/")[-1] for weight in still)
    drawn = {**{weight.path: "initkit_xavier" for weight in still}, "*": None}
    return Finding(
        kind="no gradient",
        where=(call.name,),
        evidence=(
            f"a gradient comes to its output, and 0 to its weights{before}"
            + (": softmax over one unit is 1 for every input" if one else "")
            + (f": {names} are 0, the gradient of each because of the others" if still else "")
        ),
        consequence="Neither its weights nor those before it ever move",
        remedy=(
            f"{expression}.activation = keras.activations.sigmoid"
            if one and expression
            else f"keras_inits.initialize(model, overrides={drawn})"
            if still
            else ""
        ),
        numbers={"gradient": 0.0},
    )


def _is_softmax(layer: object) -> bool:
    return getattr(getattr(layer, "activation", None), "__name__", "") == "softmax"
