"""`audit`: reads every weight of a model, changes nothing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits import _checks, _registry
from keras_inits._audit import kernel as of_one
from keras_inits._audit import pairs, saving
from keras_inits._audit.kernel import Judgement, Kernel
from keras_inits._audit.report import AuditReport
from keras_inits._audit.surroundings import LayerGraph, surroundings
from keras_inits._audit.training import dead_units, evidence_of_training
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import Default, LeftAlone, OwnedWeight, owned_weights, role
from keras_inits._layers.ownership import kept_initializer
from keras_inits._reporting import Finding
from keras_inits._schemes import GeometricInit

_CHECKS = (of_one.equal_units, of_one.scale, of_one.not_orthogonal)


def audit(model: keras.layers.Layer) -> AuditReport:
    """Returns what is wrong with the weights that `model` starts from; changes nothing.

    It finds NaN and infinities; kernels that are constant; units and kernels that start equal (one
    seeded initializer in two layers, Q = K); a scale off the layer's true fans by more than 10 %,
    measured against the law that the layer's own initializer names; kernels that should be
    orthogonal in each head or expert and are not; initializers that will not survive saving.

    What stands behind a layer counts, as far as the graph of a functional or Sequential model shows
    it: a head of zeros is no fault, nor are equal units that the next kernel tells apart, nor a
    scale that a normalization takes away. Where it cannot be seen, inside a subclassed model, such
    a thing is a remark.

    Training moves weights away from the laws that drew them, which is no fault. Of a model that was
    trained (an optimizer that has made steps, statistics or biases that have moved, values that no
    law draws) one remark says so; what is still found are NaN and infinities, dead and equal units,
    and initializers that do not survive saving.

    Args:
        model: a built model or layer.

    Raises:
        InputError: a model that is not built.
        InputTypeError: something that is no model.

    >>> import keras
    >>> layer = keras.layers.DepthwiseConv2D(3)
    >>> layer.build((None, 8, 8, 64))
    >>> [finding.kind for finding in audit(layer).findings]
    ['scale']
    """
    _checks.built(model, "audited")
    owned = owned_weights(model)
    roles = {one.path: role(one.layer, one.weight) for one in owned}
    values = {one.path: _values(one.weight) for one in owned}
    finite = {path for path, v in values.items() if v is not None and np.isfinite(v).all()}
    judgements = [
        Judgement(_not_finite(one, values[one.path]))
        for one in owned
        if values[one.path] is not None and one.path not in finite
    ]
    kernels = _kernels(model, [one for one in owned if one.path in finite], roles, values)
    starts = [
        (one, _registry.get(found.initializer))
        for one in owned
        if isinstance(found := roles[one.path], Default) and one.path in finite
    ]
    varied = [kernel for kernel in kernels if kernel.values.min() < kernel.values.max()]
    if evidence := evidence_of_training(model, starts, varied):
        judgements += dead_units(kernels)
        judgements.append(Judgement(_trained(evidence), False))
    else:
        judgements += _fresh(kernels, varied)
    judgements += _not_savable(owned)
    return AuditReport(
        model.name,
        len(owned),
        tuple(one.finding for one in judgements if one.is_fault),
        {path: found.reason for path, found in roles.items() if isinstance(found, LeftAlone)},
        tuple(one.finding for one in judgements if not one.is_fault),
    )


def _kernels(
    model: Any, weights: Sequence[OwnedWeight], roles: dict[str, Any], values: dict[str, Any]
) -> list[Kernel]:
    """Returns the kernels among finite weights, each with what stands around it."""
    found = [
        one
        for one in weights
        if isinstance(roles[one.path], KernelGeometry) and values[one.path].size
    ]
    with_kernels = {id(one.layer) for one in found}
    biases = {id(one.layer): one.path for one in weights if one.weight.name == "bias"}
    graph = LayerGraph(model)
    kernels = []
    for one in found:
        initializer = kept_initializer(one.layer, one.weight.name)
        kernels.append(
            Kernel(
                one.path,
                values[one.path],
                roles[one.path],
                initializer.scheme if isinstance(initializer, GeometricInit) else initializer,
                id(one.layer),
                values[biases[id(one.layer)]] if id(one.layer) in biases else None,
                surroundings(model, graph, one, with_kernels),
                hasattr(one.layer, "state_size") and one.weight.name == "kernel",
            )
        )
    return kernels


def _fresh(kernels: Sequence[Kernel], varied: Sequence[Kernel]) -> Iterator[Judgement]:
    """Yields what there is to say of the kernels of a model that was not trained."""
    by_layer: dict[int, list[Kernel]] = defaultdict(list)
    for kernel in kernels:
        by_layer[kernel.layer].append(kernel)
    random = {kernel.path for kernel in varied}
    for kernel in kernels:
        if kernel.path in random or kernel.values.size == 1:
            for check in _CHECKS:
                yield from check(kernel, by_layer)
            continue
        for judgement in of_one.constant(kernel, by_layer):
            # With no random kernel in the whole model, nothing tells its units apart.
            yield replace(judgement, is_fault=judgement.is_fault or not random)
    for finding in (*pairs.equal_kernels(varied), *pairs.one_stream(varied)):
        yield Judgement(finding)


def _values(weight: keras.Variable) -> NDArray[Any] | None:
    """Returns the numbers of `weight`, in float32 if it has fewer bits; None for integers."""
    if "float" not in str(weight.dtype):
        return None
    values: NDArray[Any] = ops.convert_to_numpy(weight)
    return values if values.dtype == "float64" else values.astype("float32", copy=False)


def _not_finite(owned: OwnedWeight, values: Any) -> Finding:
    nan = int(np.isnan(values).sum())
    infinite = int(np.isinf(values).sum())
    return Finding(
        "not finite",
        (owned.path,),
        f"{nan} NaN and {infinite} infinite of {values.size} entries",
        "the loss is NaN from the first step",
        f'keras_inits.initialize(model, overrides={{{owned.path!r}: "initkit_he", "*": None}})',
        {"nan": nan, "infinite": infinite, "entries": values.size},
    )


def _trained(evidence: str) -> Finding:
    return Finding(
        "trained",
        (),
        f"the model has been trained: {evidence}",
        "trained weights are not judged by the laws that drew them",
        'To start anew: keras_inits.initialize(model, "own")',
    )


def _not_savable(owned: Iterable[OwnedWeight]) -> Iterator[Judgement]:
    for one in owned:
        initializer = kept_initializer(one.layer, one.weight.name)
        if initializer is not None and (reason := saving.why_not_savable(initializer)):
            yield Judgement(
                Finding(
                    "not savable",
                    (one.path,),
                    reason,
                    "the saved model does not load, or loads without its initializer",
                    '@keras.saving.register_keras_serializable("my_package")  # above a class with '
                    "get_config",
                )
            )
