"""What can be wrong between kernels: one seed used twice."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from keras_inits._audit.kernel import Kernel, remedy
from keras_inits._reporting import Finding

_MOST_BLOCKS = 256  # a kernel of more maps, such as an embedding, is compared as a whole
_LEADING = 64  # leading values by which a random stream is known


def equal_kernels(kernels: Sequence[Kernel]) -> Iterator[Finding]:
    """Yields a finding for each set of kernels that hold equal blocks."""
    holders: dict[bytes, set[str]] = defaultdict(set)
    for kernel in kernels:
        blocks = kernel.matrices
        if len(blocks) > _MOST_BLOCKS:
            blocks = blocks.reshape(1, len(blocks), -1)
        for block in blocks:
            if block.size > 1:
                content = repr(block.shape).encode() + block.tobytes()
                holders[hashlib.blake2b(content, digest_size=16).digest()].add(kernel.path)
    shared: dict[tuple[str, ...], int] = defaultdict(int)
    for paths in holders.values():
        if len(paths) > 1:
            shared[tuple(sorted(paths))] += 1
    by_path = {kernel.path: kernel for kernel in kernels}
    for together, count in shared.items():
        yield Finding(
            "equal weights",
            together,
            f"{count} block{'s' * (count > 1)} equal in all {len(together)} weights",
            "layers that start equal are not independent: Q = K makes attention symmetric, equal "
            "branches learn the same",
            remedy(*(by_path[path] for path in together[1:])),
            {"blocks": count, "weights": len(together)},
        )


def one_stream(kernels: Sequence[Kernel]) -> Iterator[Finding]:
    """Yields a finding for each set of kernels of different shapes that one seed drew."""
    random = [k for k in kernels if k.values.size >= _LEADING and k.values.std() > 0]
    leading = np.array([kernel.values.reshape(-1)[:_LEADING] for kernel in random], "float64")
    if len(random) < 2:
        return
    leading -= leading.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(leading, axis=1, keepdims=True)
    leading /= np.where(norms > 0, norms, 1.0)
    alike = leading @ leading.T > 0.999
    grouped: set[int] = set()
    for row in range(len(random)):
        group = [
            int(other)
            for other in np.flatnonzero(alike[row])
            if other >= row and other not in grouped
        ]
        shapes = {random[other].values.shape for other in group}
        if len(shapes) > 1:
            grouped.update(group)
            paths = tuple(random[other].path for other in group)
            yield Finding(
                "one seed",
                paths,
                f"their first {_LEADING} values are the same numbers but for scale",
                "one seeded initializer in several layers makes them correlated",
                remedy(*(random[other] for other in group[1:])),
                {"weights": len(paths), "values": _LEADING},
            )
