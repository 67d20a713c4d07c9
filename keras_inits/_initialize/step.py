"""What is to be done with one weight."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_inits._initialize.seeds import stable_paths
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import OwnedWeight, Role


@dataclass(frozen=True)
class Step:
    """What is to be done with one weight.

    Attributes:
        owned: the weight.
        role: what it is in its layer.
        initializer: what draws it; None where it keeps its values.
        kept: whether its layer is to keep the initializer.
        note: how the initializer was chosen, where that needs saying.
        drawn_in: the geometry to draw in, where that is not the one of its role.
        second_moment: what a kernel's output is to have, where that was chosen.
        seed_of: the path of the weight whose seed draws it, where that is another's.
    """

    owned: OwnedWeight
    role: Role
    initializer: Any
    kept: bool = False
    note: str = ""
    drawn_in: KernelGeometry | None = None
    second_moment: float | None = None
    seed_of: str = ""

    @property
    def kernel(self) -> KernelGeometry | None:
        """The geometry of a kernel; None for every other weight."""
        return self.role if isinstance(self.role, KernelGeometry) else None

    @functools.cached_property
    def geometry(self) -> KernelGeometry:
        """The geometry to draw in: that of the shape for a weight that is no kernel."""
        return self.drawn_in or self.kernel or KernelGeometry.from_shape(self.owned.weight.shape)


def seed_paths(steps: Sequence[Step]) -> tuple[str, ...]:
    """Returns for each step the stable path that its seed follows from."""
    stable = stable_paths([step.owned for step in steps])
    known = {step.owned.path: path for step, path in zip(steps, stable, strict=True)}
    return tuple(known[step.seed_of or step.owned.path] for step in steps)
