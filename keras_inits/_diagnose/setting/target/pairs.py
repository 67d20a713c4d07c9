"""Labels of pairs, against a loss of the user's own that takes them the other way round."""

import keras
import numpy as np

from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.end import asked
from keras_inits._diagnose.setting.reading import drawn
from keras_inits._reporting import Finding

ALIKE = 1e-3  # of what the outputs of pairs differ by: those of pairs of one and the same
FEWEST = 8  # pairs of each label
# Standard errors by which those to be brought together are further apart. A net as drawn keeps
# distances, roughly; that they say nothing of the labels at first is no fault.
ERRORS = 5.0


def check(case: Case) -> list[Finding]:
    """Returns the finding that a loss drives like pairs apart, and brings unlike ones together.

    Contrastive losses are written for 1 = "the same" as well as for 1 = "different". What the loss
    makes of either label is asked of it, where the output is a distance: the same for all pairs of
    one and the same.
    """
    flat = keras.tree.flatten(case.x)
    goal, _, kind = case.parts[0]
    two = len(flat) == 2 and flat[0].shape == flat[1].shape
    if len(case.parts) != 1 or kind.name != "other" or not two or not goal.binary:
        return []
    if _learns_what_distance_means(case):
        return []
    made = case.predict(case.x)[0]
    alike = case.predict(keras.tree.pack_sequence_as(case.x, [flat[0], flat[0]]))[0]
    labels = goal.values.reshape(-1)
    if made.size != len(labels) or not alike.std() <= ALIKE * made.std():
        return []
    wants = _brought_together(case, goal.values, alike, made)
    if wants is None:
        return []
    far = np.abs(made - alike).reshape(-1)
    near, apart = far[labels == wants], far[labels != wants]
    if min(len(near), len(apart)) < FEWEST:
        return []
    error = np.sqrt(near.var() / len(near) + apart.var() / len(apart))
    if not near.mean() - apart.mean() > ERRORS * error:
        return []
    errors = (near.mean() - apart.mean()) / error
    return [
        Finding(
            kind="labels",
            where=("targets", "loss"),
            evidence=(
                f"the loss brings pairs with label {wants} together; before the first step their "
                f"outputs are {near.mean():.3g} away from that of a pair of one and the same, "
                f"those of the others {apart.mean():.3g}: {errors:.2g} "
                f"standard errors less (limit {ERRORS:g})"
            ),
            consequence=(
                "Like pairs are driven apart, and others together: the loss takes 1 for the "
                "other kind"
            ),
            remedy="y = 1 - y; or exchange y and 1 - y in the loss",
            numbers={"together": float(near.mean()), "apart": float(apart.mean())},
        )
    ]


def _learns_what_distance_means(case: Case) -> bool:
    """Returns whether weights stand behind both inputs: training may turn what they give round."""
    found = drawn(case.model, case.x)
    return found is None or any(
        call.weights and all(found.graph.descends(call.index, at) for at in (-1, -2))
        for call in found.calls
    )


def _brought_together(case: Case, y: np.ndarray, alike: np.ndarray, made: np.ndarray) -> int | None:
    """Returns the label whose loss grows with the distance, where that of the other falls."""
    loss = asked.Loss(case.losses[0])
    grows = []
    for label in (0, 1):
        rows = y.reshape(-1) == label
        if not rows.any():
            return None
        ends = alike[rows], np.broadcast_to(made.mean(), alike[rows].shape)
        try:
            near, far = (loss(*(v.astype("float32") for v in (y[rows], end))) for end in ends)
        except asked.RefusedError:
            return None
        grows.append(near < far)
    return None if grows[0] == grows[1] else int(grows[1])
