"""`warm_start`: the weights of a trained model in a new one of another size."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits import _checks
from keras_inits._errors import InputError, InputFileError, InputTypeError, did_you_mean
from keras_inits._initialize.initialize import initialize
from keras_inits._initialize.seeds import root_seed, stable_paths
from keras_inits._keras_internals import all_layers
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import LeftAlone, OwnedWeight, owned_weights, role
from keras_inits._starts.alike import computes_alike
from keras_inits._starts.chains import Link, head_layers, links_of
from keras_inits._starts.unit_maps import repeated, taken, unit_map
from keras_inits._starts.warm_start_report import WarmStartReport, WarmStartRow

_PROBES = np.linspace(-6, 6, 241, dtype="float32")  # where activations are compared


def warm_start(
    model: keras.Model,
    source: keras.Model | str | Path,
    *,
    layers: Mapping[str, str] | None = None,
    noise: float = 0.0,
    seed: int | None = None,
) -> WarmStartReport:
    r"""Sets the weights of `model` to those of a trained model, cut or widened where sizes differ.

    Weights are paired by their paths, without the numbers that Keras makes up; heads with heads. A
    weight that

    - has the same shape is taken;
    - is smaller along some axes is cut by weight selection: of each axis every (old / new)-th unit,
      or evenly spread ones; gates and heads each by themselves;
    - is larger is widened by Net2Net where the model is a chain of Dense layers and convolutions:
      added units copy random ones, and what takes them shares their weights. A layer that
      the source does not have becomes the identity, where its activation allows it, as ReLU after
      ReLU does. A chain that was widened and deepened alone computes what the source computes;
    - has no counterpart, or a head with another number of classes, is drawn afresh by its layer's
      own initializer.

    Frozen weights stay. Copies get the same gradients as what they copy: give `noise`, or train
    with dropout.

    Args:
        model: a built model.
        source: a built model, or the path of a `.keras` file.
        layers: names of layers of `model` to names of layers of `source`, where the paths do not
            say it.
        noise: standard deviation of what is added to the weights of added units, as a share of that
            of the kernel.
        seed: root of the seeds of what is drawn; None takes a new one, which the report gives.

    Returns:
        A row for each weight, and whether the model computes what the source does: where no number
        of the source is missing, both are run on random inputs to see it.

    Raises:
        InputError: a model that is not built, or a source that shares no weight with it.
        InputTypeError: something that is no model.

    >>> def net(width):
    ...     hidden = keras.layers.Dense(width, "relu")
    ...     return keras.Sequential([keras.Input((3,)), hidden, keras.layers.Dense(2)])
    >>> report = warm_start(net(8), net(5), seed=0)
    >>> [row.how for row in report.rows], report.preserves
    (['widened', 'widened', 'widened', 'taken'], True)

    Reference:
        Xu et al., Initializing models with larger ones, ICLR 2024, https://arxiv.org/abs/2311.18823
        Chen et al., Net2Net, ICLR 2016, https://arxiv.org/abs/1511.05641
    """
    _checks.built(model, "started")
    if isinstance(source, str | Path):
        source = _loaded(Path(source))
    if not isinstance(source, keras.layers.Layer):
        raise InputTypeError(
            "`source` must be a built Keras model or the path of a `.keras` file. "
            f"Received: source of type {type(source).__name__}"
        )
    _checks.built(source, "a source")
    noise = _checks.real("noise", noise, minimum=0)
    expected = "a dict from names of layers of `model` to names of the source's"
    names = dict(_checks.instance("layers", {} if layers is None else layers, Mapping, expected))
    _check_names(model, names, "model")
    _check_names(source, names.values(), "source")
    root = root_seed(seed)
    transfer = _Transfer(model, source, names, np.random.default_rng(root), noise)
    if not transfer.shares:
        raise InputError(
            f"No weight of the source {source.name!r} fits one of {model.name!r}: give `layers`, "
            f"names to names. Received: weights {transfer.names(model)} and "
            f"{transfer.names(source)}"
        )
    initialize(model, "own", seed=root)
    for (_, values), owned in zip(transfer.steps, transfer.owned, strict=True):
        if values is not None:
            owned.weight.assign(ops.cast(values, owned.weight.dtype))
    return WarmStartReport(
        model=model.name,
        source=source.name,
        seed=root,
        preserves=computes_alike(model, source) if transfer.may_preserve() else False,
        unused=transfer.unused(),
        rows=tuple(row for row, _ in transfer.steps),
    )


def _check_names(model: Any, names: Iterable[str], what: str) -> None:
    known = {layer.name for layer in all_layers(model, itself=True)}
    for name in names:
        if name not in known:
            raise InputError(
                f"`layers` must give names of layers of the {what} {model.name!r}. "
                f"{did_you_mean(name, known)}Received: {name!r}"
            )


def _loaded(file: Path) -> Any:
    try:
        return keras.models.load_model(file)
    except (ValueError, OSError, TypeError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise InputFileError(
            "`source` must be a model, or the path of a `.keras` file that Keras loads. "
            f"Received: source={str(file)!r}. {reason}"
        ) from error


class _Transfer:
    """What each weight of a model is made of; nothing is set."""

    def __init__(
        self, model: Any, source: Any, names: dict[str, str], generator: Any, noise: float
    ) -> None:
        self._generator, self._noise = generator, noise
        self.owned, self._sources = owned_weights(model), owned_weights(source)
        self._pairs = _paired(model, self.owned, source, self._sources, names)
        found = links_of(model)
        self._chain, self._why = ((), found) if isinstance(found, str) else (found, "")
        self._links = {id(link.layer): link for link in self._chain}
        self._outputs: dict[int, NDArray[np.int64]] = {}  # by layer
        self._heads = head_layers(model)
        self._heads_differ = {
            id(o.layer)
            for o in self.owned
            if o.layer in self._heads
            and (s := self._pairs.get(o.path))
            and s.weight.shape[-1] != o.weight.shape[-1]
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
            for owned in self.owned
            for pair in [self._pairs.get(owned.path)]
        )

    def _with_their_kernels(
        self, steps: list[tuple[WarmStartRow, NDArray[Any] | None]]
    ) -> list[tuple[WarmStartRow, NDArray[Any] | None]]:
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
                pair = self._pairs.get(owned.path)
                if pair is not None and id(link.layer) not in self._heads_differ:
                    old, new = pair.weight.shape[-1], owned.weight.shape[-1]
                    self._outputs[id(link.layer)] = unit_map(old, new, self._generator)
                elif pair is None and link.before is not None:  # an identity hands units on
                    before = self._outputs.get(id(link.before))
                    if before is not None and len(before) == owned.weight.shape[-1]:
                        self._outputs[id(link.layer)] = before

    def _step(self, owned: OwnedWeight) -> tuple[WarmStartRow, NDArray[Any] | None]:
        shape = tuple(owned.weight.shape)
        found = role(owned.layer, owned.weight)
        if isinstance(found, LeftAlone) and not owned.layer.trainable:
            return WarmStartRow(owned.path, shape, "left alone", reason=found.reason), None
        pair = self._pairs.get(owned.path)
        if pair is None:
            return self._new(owned, found)
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
            extra = self._generator.normal(size=size) * old.std() * self._noise
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
        if link is not None or id(owned.layer) in self._between():
            follows = owned.layer if link is not None else self._between()[id(owned.layer)]
            own = self._outputs.get(id(follows))
            if own is not None and len(own) == shape[-1] and own.max() < old.shape[-1]:
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

    def _between(self) -> dict[int, Any]:
        return {id(b): link.before for link in self._chain for b in link.between}

    def _new(self, owned: OwnedWeight, found: Any) -> tuple[WarmStartRow, NDArray[Any] | None]:
        shape = tuple(owned.weight.shape)
        link = self._links.get(id(owned.layer))
        if self._is_identity(link):
            values = np.zeros(shape, "float32")
            if owned.weight.name != "bias":
                center = tuple((size - 1) // 2 for size in shape[:-2])
                values[center] = np.eye(shape[-1])
            return WarmStartRow(owned.path, shape, "identity"), values
        reason = "the source has no such weight"
        return WarmStartRow(owned.path, shape, "drawn", reason=reason), None

    def _is_identity(self, link: Link | None) -> bool:
        """Returns whether a layer that the source has not can hand on what it gets."""
        if link is None or link.before is None or self._after(link):
            return False
        if link.activation is not None:
            before = self._links[id(link.before)].activation
            if link.between or before is None:
                return False
            given = ops.convert_to_numpy(before(_PROBES))
            if not np.allclose(ops.convert_to_numpy(link.activation(given)), given, atol=1e-6):
                return False
        convolution = hasattr(link.layer, "padding")
        same = not convolution or (
            link.layer.padding == "same" and set(np.ravel(link.layer.strides)) == {1}
        )
        return bool(same and link.layer.kernel.shape[-1] == link.layer.kernel.shape[-2])

    def _after(self, link: Link) -> tuple[Any, ...]:
        """Returns normalizations behind a link: they would not be the identity."""
        return next((e.between for e in self._chain if e.before is link.layer), ())

    def may_preserve(self) -> bool:
        """Returns whether every number of the source has its place and nothing else was added."""
        ways = {row.how for row, _ in self.steps}
        return not (ways & {"drawn", "cut", "left alone"} or self.unused() or self._noise)

    def unused(self) -> tuple[str, ...]:
        """Returns the paths of the weights of the source that nothing is made of."""
        used = {row.source for row, _ in self.steps}
        return tuple(s.path for s in self._sources if s.path not in used)

    @staticmethod
    def names(model: Any) -> str:
        """Returns the first few paths of a model, for a message."""
        return ", ".join(repr(owned.path) for owned in owned_weights(model)[:3]) or "none"


def _gates(owned: OwnedWeight) -> int:
    """Returns how many blocks lie along the last axis of a bias of a recurrent cell."""
    kernel = getattr(owned.layer, "kernel", None)
    if not hasattr(owned.layer, "state_size") or kernel is None:
        return 1
    found = role(owned.layer, kernel)
    return found.blocks if isinstance(found, KernelGeometry) else 1


def _paired(
    model: Any, owned: Any, source: Any, sources: Any, names: dict[str, str]
) -> dict[str, OwnedWeight]:
    """Returns by path of a model's weight the weight of the source that it belongs to."""
    heads, source_heads = head_layers(model), head_layers(source)
    if len(heads) != len(source_heads):
        heads = source_heads = []
    by_path = {
        path: each
        for path, each in zip(_inner_paths(source, sources), sources, strict=True)
        if each.layer not in source_heads
    }
    found = {}
    for path, each in zip(_inner_paths(model, owned), owned, strict=True):
        if each.layer.name in names:
            wanted = [
                s
                for s in sources
                if s.layer.name == names[each.layer.name] and s.weight.name == each.weight.name
            ]
            pair = wanted[0] if wanted else None
        elif each.layer in heads:
            head = source_heads[heads.index(each.layer)]
            pair = next(
                (s for s in sources if s.layer is head and s.weight.name == each.weight.name), None
            )
        else:
            pair = by_path.get(path)
        if pair is not None:
            found[each.path] = pair
    return found


def _inner_paths(model: Any, owned: Any) -> list[str]:
    """Returns stable paths without the name of the model itself."""
    return [
        path.partition("/")[2] if each.path.startswith(f"{model.name}/") else path
        for path, each in zip(stable_paths(owned), owned, strict=True)
    ]
