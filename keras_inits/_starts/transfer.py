"""What each weight of a new model is made of, of those of a trained one."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import LeftAlone, OwnedWeight, owned_weights, role
from keras_inits._starts.chains import Link, hands_on, head_layers, links_of
from keras_inits._starts.pairing import paired
from keras_inits._starts.unit_maps import repeated, taken, unit_map
from keras_inits._starts.warm_start_report import WarmStartRow

_Step = tuple[WarmStartRow, NDArray[Any] | None]  # what is said of a weight, and its values


class Transfer:
    """What each weight of a model is made of; nothing is set."""

    def __init__(
        self, model: Any, source: Any, names: dict[str, str], generator: Any, noise: float
    ) -> None:
        self._generator, self._noise = generator, noise
        self.owned, self._sources = owned_weights(model), owned_weights(source)
        self._pairs = paired(model, self.owned, source, self._sources, names)
        self._coded_apart = self._find_coded_apart()
        found = links_of(model)
        self._chain, self._why = ((), found) if isinstance(found, str) else (found, "")
        self._links = {id(link.layer): link for link in self._chain}
        self._followed = {id(b): link.before for link in self._chain for b in link.between}
        self._outputs: dict[int, NDArray[np.int64]] = {}  # by layer
        heads = head_layers(model)
        self._heads_differ = {
            id(o.layer)
            for o in self.owned
            if o.layer in heads
            and (s := self._pairs.get(o.path))
            and s.weight.shape[-1:] != o.weight.shape[-1:]
        }
        for link in self._chain:
            self._map_outputs(link)
        self.steps = self._with_their_kernels([self._step(owned) for owned in self.owned])

    @property
    def shares(self) -> bool:
        """Whether something is taken, or a kernel has a counterpart of as many axes."""
        return any(row.source for row, _ in self.steps) or any(
            pair is not None
            and isinstance(role(owned.layer, owned.weight), KernelGeometry)
            and len(pair.weight.shape) == len(owned.weight.shape)
            and id(owned.layer) not in self._coded_apart
            for owned in self.owned
            for pair in [self._pairs.get(owned.path)]
        )

    @property
    def obstacle(self) -> str:
        """Why a layer takes nothing of its counterpart, for integers in one; empty for no such."""
        return next(iter(self._coded_apart.values()), "")

    def _find_coded_apart(self) -> dict[int, str]:
        """Returns by layer why integers in it, or in its counterpart, are of no use to the other.

        They stand for other numbers, by scales that are weights too: as they are or not at all.
        """
        found = {}
        for owned in self.owned:
            own, pair = _coding(owned.layer), self._pairs.get(owned.path)
            if pair is None:
                continue
            theirs = _coding(pair.layer)
            if own and (own != theirs or pair.weight.shape != owned.weight.shape):
                reason = "and the source's otherwise" if theirs else "and the source's is not"
                found[id(owned.layer)] = f"{_coded(owned.layer)}, {reason}"
            elif theirs and not own:
                found[id(owned.layer)] = f"{_coded(pair.layer)} in the source"
        return found

    def _with_their_kernels(self, steps: list[_Step]) -> list[_Step]:
        """Returns the steps, in which no bias is taken of a layer whose kernel is not."""
        kernels: dict[int, bool] = {}
        for owned, (row, _) in zip(self.owned, steps, strict=True):
            if isinstance(role(owned.layer, owned.weight), KernelGeometry):
                found = kernels.get(id(owned.layer), False)
                kernels[id(owned.layer)] = found or row.how != "drawn"
        reason = "the kernel of its layer is drawn"
        return [
            (WarmStartRow(row.path, row.shape, "drawn", reason=reason), None)
            if row.source and not kernels.get(id(owned.layer), True)
            else (row, values)
            for owned, (row, values) in zip(self.owned, steps, strict=True)
        ]

    def _map_outputs(self, link: Link) -> None:
        for owned in self.owned:
            if owned.layer is link.layer and owned.weight.name == "kernel":
                units = self._outputs_of(link, owned)
                if units is not None:
                    self._outputs[id(link.layer)] = units

    def _outputs_of(self, link: Link, owned: OwnedWeight) -> np.ndarray | None:
        """Returns the unit map of a kernel's outputs; None where it has none."""
        pair, new = self._pairs.get(owned.path), owned.weight.shape[-1]
        if pair is not None:
            if id(link.layer) in {*self._heads_differ, *self._coded_apart}:
                return None
            return unit_map(pair.weight.shape[-1], new, self._generator)
        # The identity hands units on.
        before = None if link.before is None else self._outputs.get(id(link.before))
        return before if before is not None and len(before) == new else None

    def _step(self, owned: OwnedWeight) -> _Step:
        found = role(owned.layer, owned.weight)
        row, values = self._step_of(owned, found)
        if row.how == "drawn" and isinstance(found, LeftAlone):  # by no scheme
            row = replace(row, how="left alone", reason=f"{row.reason}; {found.reason}")
        return row, values

    def _step_of(self, owned: OwnedWeight, found: Any) -> _Step:
        shape = tuple(owned.weight.shape)
        if isinstance(found, LeftAlone) and not owned.layer.trainable:
            return WarmStartRow(owned.path, shape, "left alone", reason=found.reason), None
        if reason := self._coded_apart.get(id(owned.layer)):
            how = "left alone" if isinstance(found, LeftAlone) else "drawn"
            return WarmStartRow(owned.path, shape, how, reason=reason), None
        pair = self._pairs.get(owned.path)
        if pair is None:
            return self._new(owned)
        if id(owned.layer) in self._heads_differ:
            reason = f"a head of {shape[-1]} units, not {pair.weight.shape[-1]}"
            return WarmStartRow(owned.path, shape, "drawn", reason=reason), None
        old = np.asarray(ops.convert_to_numpy(pair.weight))
        made = self._made(owned, found, old)
        if isinstance(made, str):
            return WarmStartRow(owned.path, shape, "drawn", reason=made), None
        how = "taken" if made is old else "cut" if made.size < old.size else "widened"
        return WarmStartRow(owned.path, shape, how, pair.path, tuple(old.shape)), made

    def _made(self, owned: OwnedWeight, found: Any, old: NDArray[Any]) -> NDArray[Any] | str:
        """Returns the values of a weight, or why there are none."""
        maps = self._maps(owned, found, old)
        if isinstance(maps, str):
            return maps
        pairs = zip(maps, old.shape, strict=True)
        if all(m is None or np.array_equal(m, np.arange(n)) for m, n in pairs):
            return old
        is_kernel = owned.weight.name == "kernel"
        divided = is_kernel and old.ndim > 1 and id(owned.layer) in self._links
        made = taken(old, tuple(maps), divided=(old.ndim - 2,) if divided else ())
        added = made.shape[-1] - old.shape[-1]
        if self._noise and maps[-1] is not None and is_kernel and added > 0:
            size = (*made.shape[:-1], added)
            extra = self._generator.normal(size=size) * old.std(dtype="float64") * self._noise
            made[..., -added:] += extra.astype(made.dtype)
        return made

    def _maps(
        self, owned: OwnedWeight, found: Any, old: NDArray[Any]
    ) -> list[NDArray[np.int64] | None] | str:
        """Returns for each axis which of the old entries the new ones are, None for all in order.

        Or, as a text, why there are none.
        """
        shape = tuple(owned.weight.shape)
        if len(shape) != old.ndim:
            return f"the source has the shape {old.shape}"
        link = self._links.get(id(owned.layer))
        maps: list[NDArray[np.int64] | None] = [None] * len(shape)
        follows = self._followed.get(id(owned.layer)) if link is None else owned.layer
        if follows is not None:
            own = self._outputs.get(id(follows))
            if own is not None and shape[-1:] == (len(own),) and own.max() < old.shape[-1]:
                maps[-1] = own
            if owned.weight.name == "kernel" and link is not None and link.before is not None:
                maps[-2] = self._input_map(link, old.shape[-2], shape[-2])
        blocks = found.blocks if isinstance(found, KernelGeometry) else _gates(owned)
        for axis, (new, was) in enumerate(zip(shape, old.shape, strict=True)):
            if maps[axis] is None and new != was:
                if new > was:
                    why = f": {self._why}" if self._why else ""
                    return f"larger than in the source, {old.shape}, and in no chain{why}"
                last = axis == len(shape) - 1
                maps[axis] = unit_map(was, new, self._generator, blocks=blocks if last else 1)
        return maps

    def _input_map(self, link: Link, old: int, new: int) -> NDArray[np.int64] | None:
        before = self._outputs.get(id(link.before))
        if before is None or new % len(before):
            return None
        times = new // len(before)
        return repeated(before, old // times, times) if old % times == 0 else None

    def _new(self, owned: OwnedWeight) -> _Step:
        shape = tuple(owned.weight.shape)
        link = self._links.get(id(owned.layer))
        if link is not None and hands_on(link, self._chain):
            values = np.zeros(shape, "float32")
            if owned.weight.name != "bias":
                center = tuple((size - 1) // 2 for size in shape[:-2])
                values[center] = np.eye(shape[-1])
            return WarmStartRow(owned.path, shape, "identity"), values
        reason = "the source has no such weight"
        return WarmStartRow(owned.path, shape, "drawn", reason=reason), None

    def may_preserve(self) -> bool:
        """Returns whether every number of the source has its place and nothing else was added."""
        ways = {row.how for row, _ in self.steps}
        return not (ways & {"drawn", "cut", "left alone"} or self.unused() or self._noise)

    def unused(self) -> tuple[str, ...]:
        """Returns the paths of the weights of the source that nothing is made of."""
        used = {row.source for row, _ in self.steps}
        return tuple(s.path for s in self._sources if s.path not in used)


def _coding(layer: Any) -> str:
    """Returns how numbers of a layer are kept as integers; empty where they are not."""
    plain = all(keras.backend.is_float_dtype(w.dtype) for w in layer.weights)
    return "" if plain else getattr(layer, "quantization_mode", None) or ""


def _coded(layer: Any) -> str:
    return f"{type(layer).__name__} is quantized ({_coding(layer)})"


def _gates(owned: OwnedWeight) -> int:
    """Returns how many blocks lie along the last axis of a bias of a recurrent cell."""
    kernel = getattr(owned.layer, "kernel", None)
    if not hasattr(owned.layer, "state_size") or kernel is None:
        return 1
    found = role(owned.layer, kernel)
    return found.blocks if isinstance(found, KernelGeometry) else 1
