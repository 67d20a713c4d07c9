"""`audit`: reads every weight of a model, changes nothing."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops

from keras_inits._audit import kernel as of_one
from keras_inits._audit import pairs, saving
from keras_inits._audit.kernel import Kernel
from keras_inits._audit.report import AuditReport, Finding
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import LeftAlone, OwnedWeight, owned_weights, role
from keras_inits._layers.ownership import initializer_attribute
from keras_inits._schemes import GeometricInit

_CHECKS = (of_one.equal_units, of_one.scale, of_one.not_orthogonal)


def audit(model: Any) -> AuditReport:
    """Returns what is wrong with the weights that `model` starts from; changes nothing.

    It finds NaN and infinities; kernels that are constant; units, blocks and kernels that start
    equal (one seeded initializer in two layers, Q = K); a scale off the layer's true fans by more
    than 10 %, measured against the law that the layer's own initializer names; kernels that should
    be orthogonal in each gate or head and are not; embedding entries that cannot be told apart;
    initializers that will not survive saving.

    The model should be fresh: training moves weights away from the law that drew them, which is no
    fault.

    Args:
        model: a built model or layer.

    Raises:
        ValueError: a model that is not built.

    >>> import keras
    >>> layer = keras.layers.DepthwiseConv2D(3)
    >>> layer.build((None, 8, 8, 64))
    >>> [finding.kind for finding in audit(layer).findings]
    ['scale']
    """
    if not getattr(model, "built", False):
        raise ValueError(
            "`model` must be a built Keras model or layer: call it on data, or `model.build(...)`, "
            f"before it can be audited. Received: model={model!r}"
        )
    owned = owned_weights(model)
    findings: list[Finding] = []
    kernels: list[Kernel] = []
    skipped: dict[str, str] = {}
    for one in owned:
        found = role(one.layer, one.weight)
        if isinstance(found, LeftAlone):
            skipped[one.path] = found.reason
        values = _values(one.weight)
        if values is None:
            continue
        if not np.isfinite(values).all():
            findings.append(_not_finite(one, values))
        elif isinstance(found, KernelGeometry) and values.size:
            initializer = _initializer(one)
            if isinstance(initializer, GeometricInit):
                initializer = initializer.scheme
            kernel = Kernel(one.path, values, found, initializer)
            if constant := tuple(of_one.constant(kernel)):
                findings += constant
                continue
            kernels.append(kernel)
            findings += [finding for check in _CHECKS for finding in check(kernel)]
    findings += pairs.equal_kernels(kernels)
    findings += pairs.one_stream(kernels)
    findings += _not_savable(owned)
    return AuditReport(model.name, len(owned), tuple(findings), skipped)


def _values(weight: Any) -> Any:
    """Returns the numbers of `weight`, in float32 if it has fewer bits; None for integers."""
    if "float" not in str(weight.dtype):
        return None
    values = ops.convert_to_numpy(weight)
    return values if values.dtype == "float64" else values.astype("float32", copy=False)


def _initializer(owned: OwnedWeight) -> Any:
    attribute = initializer_attribute(owned.layer, owned.weight.name)
    return getattr(owned.layer, attribute) if attribute else None


def _not_finite(owned: OwnedWeight, values: Any) -> Finding:
    nan = int(np.isnan(values).sum())
    infinite = int(np.isinf(values).sum())
    return Finding(
        "not finite",
        (owned.path,),
        f"{nan} NaN and {infinite} infinite of {values.size} entries",
        "the loss is NaN from the first step",
        f'keras_inits.initialize(model, overrides={{"{owned.path}": "initkit_he", "*": None}})',
        {"nan": nan, "infinite": infinite, "entries": values.size},
    )


def _not_savable(owned: tuple[OwnedWeight, ...]) -> Iterator[Finding]:
    for one in owned:
        initializer = _initializer(one)
        if initializer is not None and (reason := saving.why_not_savable(initializer)):
            yield Finding(
                "not savable",
                (one.path,),
                reason,
                "the saved model does not load, or loads without its initializer",
                '@keras.saving.register_keras_serializable("my_package")  # above a class with '
                "get_config",
            )
