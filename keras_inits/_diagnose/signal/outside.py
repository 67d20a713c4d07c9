"""Values that leave the backend inside a model: the gradient stays behind."""

from keras_inits._diagnose.seen.calls import UNKNOWN
from keras_inits._diagnose.signal.evidence import Evidence, Found
from keras_inits._diagnose.signal.lost import STUCK, is_taught_elsewhere
from keras_inits._reporting import Finding

_MOST_TRIED = 4  # layers, each of which costs a pass


def check(evidence: Evidence) -> Found:
    """Yields the last layer that the loss depends on, and that no operation leads from.

    There values leave the backend, and the gradient stays behind: `.numpy()` in a model that runs
    eagerly, `tf.numpy_function`. Layers whose outputs nobody uses leave the loss as it is.
    """
    led_on = evidence.made_from.union(*(cut.origins for cut in evidence.cuts))
    used = [index in led_on or evidence.is_alive(index) for index in range(len(evidence.calls))]
    for index in reversed(range(len(used))):
        used[index] = used[index] or any(used[i] for i in evidence.leads_to[index] if i > index)
    unused = [
        index
        for index, is_used in enumerate(used)
        if not (is_used or is_taught_elsewhere(evidence, index)) and _unmoved(evidence, index)
    ]
    if evidence.again is None or not unused or not any(used):
        return
    loss = evidence.again().objective
    if loss != evidence.again().objective:  # noise
        return
    for index in unused[: -_MOST_TRIED - 1 : -1]:
        if evidence.without(index).objective != loss:
            yield index, _left_behind(evidence, index)
            return


def _unmoved(evidence: Evidence, index: int) -> bool:
    """Returns whether a call has weights and no gradient comes to any, by its states either."""
    own = evidence.own_weights(index)
    return bool(own) and not any(weight.gradient_norm > 0 for weight in own)


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
        consequence=STUCK,
        remedy=f"{between} compute by keras.ops, and not by NumPy",
    )
