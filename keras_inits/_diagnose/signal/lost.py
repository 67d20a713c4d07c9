"""Where a gradient is lost altogether: None, or 0 everywhere."""

from collections.abc import Sequence

from keras_inits._diagnose.seen.calls import Call, Cut
from keras_inits._diagnose.seen.statistics import WeightReport
from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.remedies import reference
from keras_inits._diagnose.signal.stuck import scales_of, waits_for_partner
from keras_inits._layers.activations import activation_name
from keras_inits._reporting import Finding

_ROUNDING = 1e-5  # of a gradient that reaches equal tokens in another order of sums
STUCK = "No weight before it ever moves"


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


def check(evidence: Evidence) -> Found:
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
    if ends and not moved and not any(map(evidence.is_alive, ends)):
        is_zero = any(evidence.calls[end].gradient is not None for end in ends)
        yield None, _of_the_loss(is_zero=is_zero)
        return
    last = max((i for i, taught in enumerate(learns) if taught), default=None)
    cuts = [] if last is None else [cut for cut in evidence.cuts if last in cut.origins]
    if cuts and not any(map(_any_gradient, evidence.calls)):
        yield last, _behind(evidence, last or 0, cuts)
        return
    for index in (i for i, taught in enumerate(learns) if taught):
        if evidence.is_alive(index):
            if not evidence.calls[index].composite and _own_gradient_is_zero(evidence, index):
                yield index, _inside(evidence, index)
            continue
        takers = [j for j in evidence.leads_to[index] if evidence.is_alive(j)]
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
        or is_taught_elsewhere(evidence, index)
        or any(_waits(evidence, taker) for taker in takers)
        or _innocent(evidence, takers[0])
        or _is_unread(evidence, index, learns)
        or waits_for_partner(evidence, index)
        or _comes_with_the_first_step(evidence, index, takers[0])
        or _is_dropped(evidence, index, takers[0])
    )


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
    before, after = evidence.again(), evidence.without(index)
    if before.objective != after.objective or before.objective != evidence.again().objective:
        return False
    return before.calls[taker].output.second_moment != after.calls[taker].output.second_moment


def _taught_otherwise(evidence: Evidence, index: int) -> bool:
    """Returns whether a call's weights learn from a loss that it adds, and all before it learn.

    So do the codes of a residual quantizer: what it hands on is taken off again.
    """
    call = evidence.calls[index]
    weights = evidence.own_weights(index)
    if not all(evidence.is_alive(i) for i in call.before if 0 <= i < index):
        return False
    if evidence.loss is None:  # what it adds did not go back
        return bool(weights) and call.adds_loss
    return bool(weights) and all(weight.gradient_norm > 0 for weight in weights)


def is_taught_elsewhere(evidence: Evidence, index: int) -> bool:
    """Returns whether a gradient comes to other calls of the layer, and of all layers before it.

    So it does to a critic whose slope is part of the loss (Gulrajani et al. 2017): what rectifiers
    make of that pass has no part in the slope, and the weights learn by it all the same.
    """
    taught = {id(call.layer) for i, call in enumerate(evidence.calls) if evidence.is_alive(i)}
    calls = [index, *(i for i in evidence.calls[index].before if 0 <= i < index)]
    layers = (evidence.calls[i].layer for i in calls)
    return all(id(layer) in taught for layer in layers if layer.trainable_weights)


def _innocent(evidence: Evidence, index: int) -> bool:
    """Returns whether a call is given zeros, which stops its gradient, or loses its own as well."""
    inputs = evidence.calls[index].inputs
    silent = inputs is not None and inputs.second_moment == 0
    return silent or _own_gradient_is_zero(evidence, index)


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
    return any(
        weight.norm == 0 and weight.gradient_norm > 0 for weight in scales_of(evidence, index)
    )


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
    return not any(evidence.is_alive(source) for source in call.before)


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
        consequence=STUCK,
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
        consequence=STUCK,
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
    name = activation_name(getattr(call.layer, "activation", None))
    one = call.output.units == 1 and name == "softmax"
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
