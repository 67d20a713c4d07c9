"""The place of every weight of a model: its roles, from the wiring and from what each layer is."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import Default, OwnedWeight, Role, hub, role
from keras_inits._layers.kinds import KERNELS, Kind, kind
from keras_inits._recipes.place import Place
from keras_inits._recipes.trunks import Spot, Trunks
from keras_inits._wiring import Call, Wiring, wiring

_CONVOLUTIONS = frozenset({Kind.CONVOLUTION, Kind.DEPTHWISE, Kind.SEPARABLE, Kind.TRANSPOSED})
_WITH_BIAS = KERNELS | {Kind.CELL, Kind.RECURRENT}
_BENDS = frozenset({Kind.ACTIVATION, Kind.ELEMENTWISE})


def places(model: keras.layers.Layer, weights: Sequence[OwnedWeight]) -> dict[str, Place]:
    """Returns the place of each weight of a model, by path.

    Raises:
        InputError: the model does not say what it takes, or does not run on symbolic tensors.
    """
    return _Finder(wiring(model)).all(weights)


class _Finder:
    def __init__(self, found: Wiring) -> None:
        self.wiring = found
        self.trunks = Trunks(found)
        with_attention = [i for i, trunk in enumerate(self.trunks.trunks) if trunk.attends]
        self.stack_of = {trunk: stack for stack, trunk in enumerate(with_attention)}
        self.stacks = tuple(self.trunks.trunks[i].blocks for i in with_attention)
        self.longest = max(self.trunks.trunks, key=lambda t: t.branches, default=None)
        self.heads = {call.index for call in found.heads}
        # Keys and values of a cross-attention are made outside of the branch that it is in.
        self.spots = {
            call: self.trunks.spots[each.out]
            for each in found.attentions
            for call in (each.key, each.value)
            if call is not None and each.out in self.trunks.spots
        } | self.trunks.spots

    def all(self, weights: Sequence[OwnedWeight]) -> dict[str, Place]:
        roles = {owned.path: role(owned.layer, owned.weight) for owned in weights}
        kernels = {
            owned.path: self._kernel(owned, roles[owned.path])
            for owned in weights
            if isinstance(roles[owned.path], KernelGeometry)
        }
        of_layer = {
            id(owned.layer): kernels[owned.path] for owned in weights if owned.path in kernels
        }
        return {
            owned.path: kernels.get(owned.path)
            or self._other(owned, roles[owned.path], of_layer.get(id(owned.layer)))
            for owned in weights
        }

    def _place(
        self, owned: OwnedWeight, call: Call | None, names: Sequence[str], **more: Any
    ) -> Place:
        spot = self.spots.get(call.index) if call else None
        trunk = self.trunks.trunks[spot.trunk] if spot else self.longest
        return Place(
            path=owned.path,
            shape=tuple(owned.weight.shape),
            names=tuple(dict.fromkeys(names)),
            branch=spot.branch if spot else 0,
            branches=trunk.branches if trunk else 0,
            block=spot.block if spot else 0,
            blocks=trunk.blocks if trunk else 0,
            kernels=len(self._kernels_of(spot)) if spot else 0,
            stack=self.stack_of.get(spot.trunk) if spot else None,
            stacks=self.stacks,
            **more,
        )

    def _kernels_of(self, spot: Spot) -> list[Call]:
        return [c for i in spot.way.calls if (c := self.wiring.calls[i]).is_map]

    # --- kernels ---------------------------------------------------------------------------------

    def _kernel(self, owned: OwnedWeight, geometry: Role) -> Place:
        assert isinstance(geometry, KernelGeometry)
        calls = self.wiring.of(owned.weight)
        table = kind(owned.layer) is Kind.EMBEDDING
        if table and geometry.input_axes and not any(c.kind is Kind.EMBEDDING for c in calls):
            # The table of an untied head; a backbone has it and does not call it.
            width = int(geometry.fan_in)
            return self._place(owned, None, ("head", "kernel"), geometry=geometry, width=width)
        if not calls or all(call.is_unknown for call in calls):
            return self._place(owned, None, (), geometry=geometry)
        call = calls[0]
        if kind(owned.layer) is Kind.CELL:
            return self._place(
                owned,
                call,
                self._cell_names(owned, geometry),
                geometry=geometry,
                width=int(geometry.fan_in),
            )
        lookup = next((c for c in calls if c.kind is Kind.EMBEDDING and not c.backwards), None)
        if lookup is not None:
            # What is looked up comes from the inputs, or it is known beforehand: positions.
            names = ["embedding" if lookup.sources else "position"]
            # The geometry of a table that makes logits too is that of the logits' kernel.
            if geometry.input_axes or self.wiring.tied(lookup):
                names.insert(0, "tied_embedding")
            width = owned.weight.shape[-1]
            return self._place(owned, lookup, names, geometry=geometry, width=width)
        spot = self.spots.get(call.index)
        names = self._kernel_names(call, spot, geometry)
        width = int(geometry.fan_in)
        if spot is not None and not spot.is_shortcut:
            width = self.wiring.calls[spot.sum.call].shape[-1]
        return self._place(owned, call, names, geometry=geometry, width=width)

    def _cell_names(self, owned: OwnedWeight, geometry: KernelGeometry) -> list[str]:
        if owned.weight.name != "recurrent_kernel":
            return ["recurrent_in", "kernel"]
        return [*(["simple_recurrent"] if geometry.blocks == 1 else []), "recurrent", "kernel"]

    def _kernel_names(self, call: Call, spot: Spot | None, geometry: KernelGeometry) -> list[str]:
        names = list(self._attention_names(call))
        in_branch = spot is not None and not spot.is_shortcut
        if spot is not None and in_branch:
            ends = call.index in self._ends(spot)
            if not names and self._is_feed_forward(spot):
                names += ["ffn_out"] if ends else self._way_in(call, spot)
            names += ["branch_end"] if ends else []
            names += ["branch"]
        elif spot is not None:
            names += ["shortcut"]
        if call.index in self.heads and not names:
            names += ["head"]
        if call.kind in _CONVOLUTIONS:
            patch = geometry.taps > 1 and geometry.taps == geometry.output_stride
            graph = self.wiring.graph
            first = not any(graph.behind(s, lambda c: c.is_map) for s in call.signals)
            names += ["patch"] if patch and first and self.wiring.attentions else []
            names += ["convolution"]
        return [*names, "kernel"]

    def _ends(self, spot: Spot) -> set[int]:
        """Returns the last kernels of a branch: several where experts are added up or weighted."""
        if spot.way.kernel is not None:
            return {spot.way.kernel}
        width = self.wiring.calls[spot.sum.call].shape[-1]
        last = self.wiring.graph.behind(spot.way.source, lambda c: c.is_map)
        return {
            each
            for each in last
            if self.wiring.calls[each].shape[-1] == width and not self._is_router(each, spot)
        }

    def _is_router(self, kernel: int, spot: Spot) -> bool:
        """Whether the best of a kernel's outputs are chosen, as the experts for a token are."""
        behind = self.wiring.graph.behind
        return any(
            behind(i, lambda c: c.is_map) == (kernel,)
            for i in spot.way.calls
            if self.wiring.calls[i].type.startswith("top_k")
        )

    def _attention_names(self, call: Call) -> tuple[str, ...]:
        found = self.wiring.attention_role(call)
        if found == "out":
            return ("attention_out",)
        if found in ("query", "key", "value"):
            return (found, "attention_in")
        return ("query_key_value", "attention_in") if found else ()

    def _is_feed_forward(self, spot: Spot) -> bool:
        """Whether a branch is one of a transformer, without attention and without convolution."""
        return (
            self.trunks.trunks[spot.trunk].attends
            and not self.trunks.attends(spot.way)
            and not any(c.kind in _CONVOLUTIONS for c in self._kernels_of(spot))
        )

    def _way_in(self, call: Call, spot: Spot) -> list[str]:
        """Returns what a kernel of a feed-forward branch is that is not its last."""
        if self._is_router(call.index, spot):
            return ["router"]
        graph, multiplied = self.wiring.graph, False
        for product in (self.wiring.calls[i] for i in spot.way.calls):
            if product.kind is not Kind.PRODUCT or len(set(product.signals)) != 2:
                continue
            behind = [graph.behind(s, lambda c: c.is_map) for s in product.signals]
            if (call.index,) not in behind or behind[0] == behind[1]:
                continue
            multiplied = True
            signal = product.signals[behind.index((call.index,))]
            if any(_bends(c) for c in (call, *graph.between(call.index, signal))):
                return ["ffn_gate", "ffn_in"]
        return [*(["ffn_up"] if multiplied else []), "ffn_in"]

    # --- all others ------------------------------------------------------------------------------

    def _other(self, owned: OwnedWeight, found: Role, kernel: Place | None) -> Place:
        calls = self.wiring.of(owned.weight)
        call = calls[0] if calls else None
        names: list[str] = []
        if isinstance(found, Default):
            names = self._other_names(owned, found, kernel, call)
        if kernel is not None:
            return dataclasses.replace(
                kernel,
                path=owned.path,
                shape=tuple(owned.weight.shape),
                names=tuple(names),
                geometry=None,
            )
        return self._place(owned, call, names, width=(owned.weight.shape or (1,))[-1])

    def _other_names(
        self, owned: OwnedWeight, found: Default, kernel: Place | None, call: Call | None
    ) -> list[str]:
        what, name = kind(owned.layer), owned.weight.name
        if what is Kind.NORMALIZATION:
            return self._normalization_names(owned, found, call)
        if what is Kind.SCALING:
            return ["layer_scale"]
        if what is Kind.POSITION:
            return ["position"]
        if family := hub.family(owned.layer, name):
            return [family]
        if what not in _WITH_BIAS and kernel is None:
            return []
        of = kernel.names if kernel else ()
        ffn = any(each.startswith("ffn") for each in of)
        return [*(["ffn_bias"] if ffn else []), *(["head_bias"] if "head" in of else []), "bias"]

    def _normalization_names(
        self, owned: OwnedWeight, found: Default, call: Call | None
    ) -> list[str]:
        name = owned.weight.name
        if name == "beta":
            return ["norm_offset"]
        # A scale that starts at 0 is added to 1: a recipe's 1 would make it 2.
        if name not in ("gamma", "scale", "weight") or not _starts_at_one(found):
            return []
        ends = {end for each in self.wiring.sums for end in each.branch_ends}
        return [*(["branch_end_scale"] if call and call.index in ends else []), "norm_scale"]


def _bends(call: Call) -> bool:
    return call.kind in _BENDS or (call.is_map and bool(call.activation))


def _starts_at_one(found: Default) -> bool:
    initializer = keras.initializers.get(found.initializer)
    return isinstance(initializer, keras.initializers.Ones) or bool(
        getattr(initializer, "value", None) == 1
    )
