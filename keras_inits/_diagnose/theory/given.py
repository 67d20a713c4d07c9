"""A node with what theory knows of its inputs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.theory.laws import Moments
from keras_inits._diagnose.theory.nodes import Net, Node
from keras_inits._wiring.steps import Step


@dataclass(frozen=True)
class Given:
    """A node and what reaches it.

    Attributes:
        net: all nodes.
        node: this one.
        moments: of its signals.
        laws: of all nodes so far.
    """

    net: Net
    node: Node
    moments: tuple[Moments, ...]
    laws: Mapping[int, Moments]

    @property
    def step(self) -> Step | None:
        """The call with its arguments; None in a net of recorded calls alone."""
        wiring, place = self.net.wiring, self.node.place
        return None if wiring is None or place is None else wiring.step(place)


def known(net: Net, node: Node, laws: Mapping[int, Moments]) -> tuple[Moments | None, ...]:
    """Returns what is known of each signal of a node: by theory, or else by measurement."""
    found: list[Moments | None] = []
    for place, source in enumerate(node.sources):
        law = laws.get(source) if source is not None else None
        if law is None and source is not None and source >= 0:
            call = net.nodes[source].call
            law = None if call is None else _measured(call.output)
        if law is None and place == 0 and node.call is not None and node.call.inputs is not None:
            law = _measured(node.call.inputs)
        found.append(law)
    return tuple(found)


def _measured(statistics: Any) -> Moments | None:
    moment = statistics.second_moment
    if not math.isfinite(moment):
        return None
    return Moments(moment, statistics.mean, gaussian=False, before=moment, measured=True)


def mean_square(weight: Any) -> float:
    """Returns the mean square of a weight, 0 of none."""
    if weight is None:
        return 0.0
    return float(np.mean(np.square(keras.ops.convert_to_numpy(weight).astype(np.float64))))
