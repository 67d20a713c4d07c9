"""Arrays of which each device holds a part: how the parts are made and put together.

Keras shards variables on JAX (`keras.distribution`). Nothing here runs on another backend, and JAX
is imported by name, since the plugin needs Keras and NumPy alone.
"""

import functools
import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Part = tuple[tuple[int, int], ...]  # of each axis, where a part begins and ends


def sharding_of(variable: Any) -> Any | None:
    """Returns the `jax.sharding.NamedSharding` of a variable, or None if it is not distributed."""
    if keras.backend.backend() != "jax":
        return None
    jax = importlib.import_module("jax")
    sharding = getattr(getattr(variable, "value", None), "sharding", None)
    return sharding if isinstance(sharding, jax.sharding.NamedSharding) else None


def to_sharding(layout: Any) -> tuple[Any, Any]:
    """Returns a layout as JAX has it: where the parts are to lie, and where to compute them.

    Keras 3.15 calls initializers with a layout of a mesh without devices, all axes explicit. The
    first has the devices of the mesh that Keras has set; the second leaves their axes to the
    compiler, since it is with these alone that each device computes its own part.

    Args:
        layout: `keras.distribution.TensorLayout` or `jax.sharding.NamedSharding`.
    """
    jax = importlib.import_module("jax")
    layout = getattr(layout, "backend_layout", layout)
    mesh = layout.mesh
    if isinstance(mesh, jax.sharding.AbstractMesh):
        devices = jax.sharding.get_mesh().devices
        mesh = jax.sharding.Mesh(devices, mesh.axis_names, axis_types=mesh.axis_types)
    automatic = jax.sharding.Mesh(mesh.devices, mesh.axis_names)
    return (
        jax.sharding.NamedSharding(mesh, layout.spec),
        jax.sharding.NamedSharding(automatic, layout.spec),
    )


def compute_parts(draw: Callable[[Any], Any], words: Any, sharding: Any) -> Any:
    """Returns what `draw` makes of a seed, each device computing the part that it is to hold.

    Args:
        draw: a function of an array of two words. It is compiled once for each sharding: functions
            that draw alike should be equal.
        words: the words.
        sharding: that of the result, of a mesh with automatic axes.
    """
    jax = importlib.import_module("jax")
    with jax.set_mesh(sharding.mesh):
        return _compiled(draw, sharding)(np.asarray(words, "uint32"))


@functools.lru_cache(maxsize=256)  # more than a model has kinds of weights
def _compiled(draw: Callable[[Any], Any], sharding: Any) -> Callable[[Any], Any]:
    jax = importlib.import_module("jax")
    compiled: Callable[[Any], Any] = jax.jit(draw, out_shardings=sharding)
    return compiled


def compute_whole(draw: Callable[[], Any], sharding: Any, seed: Any = None) -> NDArray[Any]:
    """Returns what `draw` makes, computed on one device of this process that `sharding` has.

    Args:
        draw: makes the values.
        sharding: where they are to lie.
        seed: what `draw` draws with. The state of a `keras.random.SeedGenerator` is brought to that
            device: it may lie on another mesh.
    """
    jax = importlib.import_module("jax")
    device = sharding.mesh.local_devices[0]
    alone = jax.sharding.Mesh(np.array([device]), ("alone",))
    with jax.set_mesh(alone), jax.default_device(device):
        state = getattr(seed, "state", None)
        if not isinstance(state, keras.Variable):
            return np.asarray(draw())
        now = np.asarray(state.value)
        with keras.StatelessScope(state_mapping=[(state, now)]) as scope:
            values = np.asarray(draw())
        state.assign(np.asarray(scope.get_current_value(state)))
        return values


def place_whole(values: NDArray[Any], sharding: Any) -> Any:
    """Returns an array laid out by `sharding`: each process places its own parts."""
    return place_parts(
        values.shape, sharding, lambda parts: [values[_slices(part)] for part in parts]
    )


def place_parts(
    shape: tuple[int, ...], sharding: Any, make: Callable[[Sequence[Part]], Sequence[Any]]
) -> Any:
    """Returns an array of `shape` whose parts are what `make` returns.

    Args:
        shape: the shape of the whole array.
        sharding: where its parts lie.
        make: from parts to their values, in order. It is asked for the parts of this process's
            devices, for each once.
    """
    jax = importlib.import_module("jax")
    places = {
        device: _part(index, shape)
        for device, index in sharding.addressable_devices_indices_map(shape).items()
    }
    parts = tuple(dict.fromkeys(places.values()))
    made = dict(zip(parts, make(parts), strict=True))
    arrays = [jax.device_put(made[part], device) for device, part in places.items()]
    return jax.make_array_from_single_device_arrays(shape, sharding, arrays)


def relabel(array: Any, sharding: Any) -> Any:
    """Returns an array with the same parts on the same devices under another sharding."""
    jax = importlib.import_module("jax")
    parts = [shard.data for shard in array.addressable_shards]
    return jax.make_array_from_single_device_arrays(array.shape, sharding, parts)


def local_parts(variable: Any) -> Iterator[NDArray[Any]]:
    """Yields the parts of a sharded variable that this process holds, each once."""
    value = variable.value
    seen = set()
    for shard in value.addressable_shards:
        part = _part(shard.index, value.shape)
        if part not in seen:
            seen.add(part)
            yield np.asarray(shard.data)


def spans_processes(variable: Any) -> bool:
    """Returns whether a process holds only a share of a variable."""
    sharding = sharding_of(variable)
    return sharding is not None and not sharding.is_fully_addressable


def first_copies(variable: Any) -> Iterator[NDArray[Any]]:
    """Yields the parts of a sharded variable of which this process holds the first copy.

    Over all processes each number is yielded once.
    """
    for shard in variable.value.addressable_shards:
        if shard.replica_id == 0:
            yield np.asarray(shard.data)


def from_every_process(numbers: Sequence[float]) -> NDArray[np.float64]:
    """Returns what every process gives, `(processes, numbers)`; all of them must call it.

    The numbers travel as bits: JAX would round them to float32.
    """
    multihost = importlib.import_module("jax.experimental.multihost_utils")
    bits = np.array(numbers, "float64").view("uint32")
    gathered = np.asarray(multihost.process_allgather(bits)).reshape(-1, bits.size)
    return np.ascontiguousarray(gathered).view("float64")


def _part(index: tuple[slice, ...], shape: tuple[int, ...]) -> Part:
    return tuple(
        (s.start or 0, size if s.stop is None else s.stop)
        for s, size in zip(index, shape, strict=True)
    )


def _slices(part: Part) -> tuple[slice, ...]:
    return tuple(slice(start, stop) for start, stop in part)


def shape_of(part: Part) -> tuple[int, ...]:
    """Returns the shape of a part."""
    return tuple(stop - start for start, stop in part)


def rows_and_columns(
    part: Part, shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], tuple[int, int], int]:
    """Returns a part as some rows, each between the same two columns, of a matrix.

    The matrix has the numbers of the whole array in their order. Its rows are as long as the axes
    behind the first that is not cut allow.

    Returns:
        The numbers of the rows, ascending; the first column and the one behind the last; the
        length of a row.

    >>> rows_and_columns(((0, 2), (3, 6)), (2, 6))
    (array([0, 1]), (3, 6), 6)
    >>> rows_and_columns(((1, 2), (0, 6)), (2, 6))
    (array([0]), (6, 12), 12)
    """
    cut = [i for i, (ends, size) in enumerate(zip(part, shape, strict=True)) if ends != (0, size)]
    last = cut[-1] if cut else 0
    behind = math.prod(shape[last + 1 :])
    start, stop = part[last] if part else (0, 1)
    length = (shape[last] if shape else 1) * behind
    rows = np.zeros(1, "int64")
    for (first, end), size in zip(part[:last], shape[:last], strict=True):
        rows = (rows[:, None] * size + np.arange(first, end)).reshape(-1)
    return rows, (start * behind, stop * behind), length
