"""`wiring`: the picture of a model, made by one symbolic run."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import keras

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits._layers import owned_weights
from keras_inits._layers.activations import activation_name, activation_of_operation
from keras_inits._layers.kinds import Kind, class_name
from keras_inits._wiring.attention import find_attentions
from keras_inits._wiring.graph import Call, Graph
from keras_inits._wiring.inputs import symbolic_inputs
from keras_inits._wiring.operations import description
from keras_inits._wiring.picture import Wiring
from keras_inits._wiring.steps import Step, variables_of
from keras_inits._wiring.streams import find_streams
from keras_inits._wiring.tracing import Trace

# A size may be what a layer cannot do with; what two sizes do not help is the layer's own.
_RUNS = 2


def wiring(model: keras.Model, inputs: Any = None) -> Wiring:
    """Returns how a model is wired: its calls, streams, sums, branches, attentions and heads.

    The model is run once on symbolic tensors. No number is computed, on no backend, and the model
    stays as it is. Layers that hold others, custom ones too, are looked into; where that fails, the
    call says why in `problem`.

    Args:
        model: a built model or layer: functional, Sequential, nested or subclassed.
        inputs: what the model takes, as shapes, arrays or `keras.KerasTensor`s, in the structure
            that it takes them in; a dict of keyword arguments if it takes several. None asks the
            model; a subclassed model knows the shapes that it was built for, and is taken to want
            real numbers.

    Returns:
        A `Wiring`. Sizes that the model leaves open, such as the batch, are set to some number.

    Raises:
        InputError: the model is not built, does not say what it takes, or does not run.

    >>> x = inputs = keras.Input((8,))
    >>> x = x + keras.layers.Dense(8, name="out")(keras.layers.Dense(16, "relu")(x))
    >>> found = wiring(keras.Model(inputs, x))
    >>> [found.calls[end].path for end in found.sums[0].branch_ends]
    ['out']
    """
    _checks.built(model, "traced")
    trace, tensors = _traced(model, inputs)
    paths = {id(owned.weight): owned.path for owned in owned_weights(model)}
    names: Counter[str] = Counter()
    calls = tuple(_call(i, step, paths, names) for i, step in enumerate(trace.steps))
    graph = Graph(calls, tuple(trace.outputs))
    sums, streams = find_streams(graph)
    return Wiring(
        model=model.name,
        calls=calls,
        inputs=_input_names(model, inputs, len(tensors)),
        outputs=graph.outputs,
        sums=sums,
        streams=streams,
        attentions=find_attentions(graph),
        _steps=tuple(trace.steps),
        _scopes=tuple(trace.scopes),
    )


def _input_names(model: Any, inputs: Any, count: int) -> tuple[str, ...]:
    """Returns the names of a functional model's inputs, or of arguments, or else numbers."""
    known = [str(tensor.name) for tensor in getattr(model, "inputs", None) or ()]
    if not known and isinstance(inputs, Mapping):
        known = keras.tree.flatten({name: name for name in inputs})  # in the order of tensors
    return tuple(known if len(known) == count else (f"input_{i + 1}" for i in range(count)))


def _traced(model: Any, inputs: Any) -> tuple[Trace, list[Any]]:
    """Returns the run in which the least is not understood, among a few sizes of what is open."""
    best: Trace | None = None
    failure: Exception | None = None
    runs = 0
    for arguments, named in symbolic_inputs(model, inputs):
        try:
            trace = Trace().run(model, arguments, named)
        except Exception as error:  # whatever the model says of a size that does not fit
            failure = failure or error
            continue
        if best is None or _problems(trace) < _problems(best):
            best = trace
        runs += 1
        if runs == _RUNS or not _problems(trace):
            break
    if best is None:
        raise InputError(
            f"The model {model.name!r} does not run on symbolic tensors: {failure} "
            "Give `inputs`: the shapes that it takes, or example arrays."
        ) from failure
    return best, best.inputs


def _problems(trace: Trace) -> int:
    return sum(bool(step.problem) for step in trace.steps)


def _call(index: int, step: Step, paths: dict[int, str], names: Counter[str]) -> Call:
    names[step.path] += 1
    times = names[step.path]
    layer = isinstance(step.subject, keras.layers.Layer)
    return Call(
        index=index,
        path=step.path if times == 1 else f"{step.path}:{times}",
        kind=step.kind,
        type=class_name(step.subject) if layer else description(step.subject),
        sources=step.sources,
        signals=step.signals,
        shape=tuple(int(size or 0) for size in step.shape),
        weights=tuple(paths[id(v)] for v in variables_of(step) if id(v) in paths),
        activation=_activation(step),
        over_time=step.over_time,
        backwards=step.backwards,
        carries=step.carries,
        problem=step.problem,
    )


def _activation(step: Step) -> str:
    """Returns the name of the activation that a step applies; empty for none or a linear one."""
    if step.kind is Kind.ACTIVATION and not isinstance(step.subject, keras.layers.Layer):
        return activation_name(activation_of_operation(step.subject))
    own = getattr(step.subject, "activation", None)
    if own is None and step.kind is Kind.ACTIVATION:
        own = step.subject
    callable_ = callable(own) and own is not keras.activations.linear
    return activation_name(own) if callable_ else ""
