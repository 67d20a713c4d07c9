"""Which layers `pretrain` trains, in which order, and why it leaves the others alone."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import LeftAlone, owned_weights, role
from keras_inits._layers.activations import activation_name
from keras_inits._layers.kinds import PLAIN_MAPS, Kind, kind
from keras_inits._wiring import Wiring


@dataclass(frozen=True)
class Plan:
    """A layer with a kernel: how it is trained, or why not."""

    layer: Any
    path: str
    place: int = 0  # among the layers that are trained: names count what a process has made
    activation: Callable[[Any], Any] | None = None
    before: str | None = None
    reason: str = ""
    meant: bool = False

    @property
    def description(self) -> str:
        """What decides the layer's training, for one that is trained; names count layers made."""
        layer = self.layer
        how = [
            f"{name} {getattr(layer, name)}"
            for name in ("strides", "padding")
            if hasattr(layer, name)
        ]
        shape = "x".join(map(str, layer.kernel.shape))
        return ", ".join(
            [f"{type(layer).__name__} {shape}", activation_name(self.activation), *how]
        )


def plans_of(model: Any, found: Wiring) -> list[Plan]:
    """Returns what to do with each layer that has a kernel, in the order of its first call."""
    heads = {id(found.subjects[call.index]) for call in found.heads}
    kernels: dict[int, Any] = {}
    for owned in owned_weights(model):
        is_kernel = isinstance(role(owned.layer, owned.weight), KernelGeometry | LeftAlone)
        if (
            is_kernel
            and owned.weight.name != "bias"
            and kind(owned.layer) is not Kind.NORMALIZATION
        ):
            kernels.setdefault(id(owned.layer), owned.layer)
    plans = []
    for call in found.calls:
        layer = found.subjects[call.index]
        if id(layer) in kernels:
            del kernels[id(layer)]
            plans.append(_plan(found, call, layer, id(layer) in heads))
    plans += [Plan(e, e.path, reason=_no_autoencoder(e)) for e in kernels.values()]
    places = itertools.count()
    return [plan if plan.reason else replace(plan, place=next(places)) for plan in plans]


def _no_autoencoder(layer: Any) -> str:
    return f"there is no autoencoder for {type(layer).__name__} here"


def _plan(found: Wiring, call: Any, layer: Any, is_head: bool) -> Plan:
    if not layer.trainable:
        return Plan(layer, call.path, reason="it is frozen (trainable=False)", meant=True)
    if is_head:
        reason = "the last layer: what it should give out, labels say"
        return Plan(layer, call.path, reason=reason, meant=True)
    if call.kind not in PLAIN_MAPS or getattr(layer, "groups", 1) != 1 or call.over_time:
        return Plan(layer, call.path, reason=_no_autoencoder(layer))
    answer = role(layer, layer.kernel)
    if isinstance(answer, LeftAlone):
        return Plan(layer, call.path, reason=answer.reason, meant=True)
    if set(np.ravel(getattr(layer, "dilation_rate", 1))) != {1}:
        return Plan(layer, call.path, reason="its kernel is dilated")
    if getattr(layer, "padding", "") == "causal":
        return Plan(layer, call.path, reason="its padding is causal")
    between = [
        c for c in found.calls if c.signals == (call.index,) and c.kind is Kind.NORMALIZATION
    ]
    if between and not call.activation:
        reason = f"{between[0].path!r} stands between its kernel and its activation"
        return Plan(layer, call.path, reason=reason)
    return Plan(layer, call.path, 0, found.activation_function(call), _before(found, call))


def _before(found: Wiring, call: Any) -> str | None:
    """Returns the activation that makes what a call takes; None if it takes the data."""
    at = call.signals[0] if call.signals else -1
    through = (Kind.RESHAPING, Kind.NOISE, Kind.IDENTITY, Kind.POOLING, Kind.PADDING)
    while at >= 0:
        source = found.calls[at]
        if source.activation:
            return str(source.activation)
        if source.kind not in through or len(set(source.signals)) != 1:
            return activation_name(None)
        at = source.signals[0]
    return None
