"""`audit`: reads every weight of a model, changes nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_inits import _checks, _registry
from keras_inits._audit import pairs, saving
from keras_inits._audit.chains import chains
from keras_inits._audit.context import Surroundings
from keras_inits._audit.kernel import Judgement, Kernel, Kernels
from keras_inits._audit.orthogonality import not_orthogonal
from keras_inits._audit.recurrence import bias_of_pieces, recurrent
from keras_inits._audit.report import AuditReport
from keras_inits._audit.scale import scale
from keras_inits._audit.signal import predicted_signals
from keras_inits._audit.streams import growing_streams
from keras_inits._audit.tables import dead_embeddings
from keras_inits._audit.training import dead_units, evidence_of_training
from keras_inits._audit.units import constant, equal_blocks, equal_units, silent_units
from keras_inits._finding_kinds import WeightKind
from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers import Default, LeftAlone, OwnedWeight, Role, owned_weights, role
from keras_inits._layers.ownership import kept_initializer
from keras_inits._reporting import Finding, draw_anew, refill
from keras_inits._schemes import GeometricInit

_CHECKS = (
    equal_units,
    equal_blocks,
    silent_units,
    dead_embeddings,
    scale,
    recurrent,
    not_orthogonal,
)
_SEVERITY = get_args(WeightKind)  # findings come in this order


def audit(model: keras.layers.Layer) -> AuditReport:
    """Returns what is wrong with the weights that `model` starts from; changes nothing.

    It finds NaN and infinities; kernels that are constant; units and kernels that start equal (one
    seeded initializer in two layers, Q = K); a scale off the layer's true fans by more than 10 %,
    measured against the law that the layer's own initializer names; recurrent kernels under which
    the state explodes, saturates or is forgotten; residual streams that grow by their branches;
    kernels that should be orthogonal in each head or expert and are not; initializers that will not
    survive saving.

    What stands around a layer counts, as the model's wiring shows it (`keras_inits.wiring`), in
    subclassed models too: a head of zeros is no fault, nor are equal units that the next kernel
    tells apart, nor a scale that a normalization takes away, nor a branch that starts small. Where
    the wiring is not understood, what depends on it is a remark.

    Training moves weights away from the laws that drew them, which is no fault. Of a model that was
    trained (an optimizer that has made steps, statistics or biases that have moved, values that are
    no independent draws of one law) one remark says so; what is still found are NaN and infinities,
    dead and equal units, and initializers that do not survive saving.

    Args:
        model: a built model or layer.

    Returns:
        The findings, the gravest kind first, and remarks.

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
    surroundings = Surroundings(model)
    kernels = _kernels(surroundings, [one for one in owned if one.path in finite], roles, values)
    starts = [
        (one, _registry.get(found.initializer))
        for one in owned
        if isinstance(found := roles[one.path], Default) and one.path in finite
    ]
    varied = [kernel for kernel in kernels.all if kernel.is_random]
    if evidence := evidence_of_training(model, starts, varied):
        judgements += dead_units(kernels.all)
        judgements.append(Judgement(_trained(evidence), is_fault=False))
    else:
        judgements += _fresh(surroundings, kernels, varied)
        judgements += bias_of_pieces(owned)
    judgements += _not_savable(owned)
    findings = [one.finding for one in judgements if one.is_fault]
    return AuditReport(
        model.name,
        len(owned),
        tuple(sorted(findings, key=lambda found: _SEVERITY.index(found.kind))),
        {path: found.reason for path, found in roles.items() if isinstance(found, LeftAlone)},
        tuple(one.finding for one in judgements if not one.is_fault),
    )


def _kernels(
    surroundings: Surroundings,
    weights: Sequence[OwnedWeight],
    roles: Mapping[str, Role],
    values: Mapping[str, Any],
) -> Kernels:
    """Returns the kernels among finite weights, each with what stands around it."""
    biases = {id(one.layer): one.path for one in weights if one.weight.name == "bias"}
    kernels = []
    for one in weights:
        geometry = roles[one.path]
        if not isinstance(geometry, KernelGeometry) or not values[one.path].size:
            continue
        initializer = kept_initializer(one.layer, one.weight.name)
        kernels.append(
            Kernel(
                one.path,
                values[one.path],
                geometry,
                initializer.scheme if isinstance(initializer, GeometricInit) else initializer,
                id(one.layer),
                values[biases[id(one.layer)]] if id(one.layer) in biases else None,
                surroundings.of(one),
                _place_in_cell(one),
            )
        )
    return Kernels(tuple(kernels))


def _place_in_cell(owned: OwnedWeight) -> str:
    """Returns which kernel of a recurrent cell a weight is; empty if it is none."""
    if not hasattr(owned.layer, "state_size"):
        return ""
    return {"kernel": "input", "recurrent_kernel": "recurrent"}.get(owned.weight.name, "")


def _fresh(
    surroundings: Surroundings, kernels: Kernels, varied: Sequence[Kernel]
) -> Iterator[Judgement]:
    """Yields what there is to say of the kernels of a model that was not trained."""
    for kernel in kernels.all:
        if kernel.is_random or kernel.values.size == 1:
            for check in _CHECKS:
                yield from check(kernel, kernels)
        else:
            yield from constant(kernel, kernels)
    yield from pairs.equal_kernels(varied, surroundings.wiring)
    yield from pairs.one_stream(varied, surroundings.wiring)
    if surroundings.wiring is not None:
        signals = predicted_signals(surroundings.wiring, kernels)
        yield from growing_streams(surroundings.wiring, kernels, signals)
        yield from chains(surroundings.wiring, kernels, signals)
    elif surroundings.is_net:
        yield Judgement(_not_traced(surroundings.problem), is_fault=False)


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
        kind="not finite",
        where=(owned.path,),
        evidence=f"{nan} NaN and {infinite} infinite of {values.size} entries",
        consequence="the loss is NaN from the first step",
        remedy=(
            refill(owned.path)
            if 2 * (nan + infinite) < values.size
            else draw_anew(owned.path, "initkit_he")
        ),
        numbers={"nan": nan, "infinite": infinite, "entries": values.size},
    )


def _not_traced(problem: str) -> Finding:
    return Finding(
        kind="not traced",
        where=(),
        evidence=problem.split(". ")[0].rstrip("."),
        consequence=(
            "what stands around its kernels is not known: only what needs no context is judged"
        ),
    )


def _trained(evidence: str) -> Finding:
    return Finding(
        kind="trained",
        where=(),
        evidence=f"the model has been trained: {evidence}",
        consequence="trained weights are not judged by the laws that drew them",
        remedy='To start anew: keras_inits.initialize(model, "own")',
    )


def _not_savable(owned: Iterable[OwnedWeight]) -> Iterator[Judgement]:
    for one in owned:
        initializer = kept_initializer(one.layer, one.weight.name)
        if initializer is not None and (reason := saving.why_not_savable(initializer)):
            yield Judgement(
                Finding(
                    kind="not savable",
                    where=(one.path,),
                    evidence=reason,
                    consequence="the saved model does not load, or loads without its initializer",
                    remedy=(
                        '@keras.saving.register_keras_serializable("my_package")  # above a class '
                        "with get_config"
                    ),
                )
            )
