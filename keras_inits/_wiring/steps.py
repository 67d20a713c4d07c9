"""The steps of a symbolic run, and what can be asked of them one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_inits._layers.kinds import Kind


@dataclass(eq=False)
class Step:
    """One call of a layer that was not entered, or one operation.

    Attributes:
        subject: the layer or operation.
        kind: what it does.
        path: the names of the layers around it and its own, joined by `/`.
        arguments: what it was called with, symbolic tensors included.
        sources: for each symbolic tensor among them the step that made it, or `-1 - i` for input i.
        signals: those of them that a gradient goes through.
        operands: what else its arguments are; see `operation_kind`.
        shape: of its first output.
        carries: whether a gradient comes through it.
        over_time: whether it runs once for each step of a sequence.
        outputs: the symbolic tensors that it made.
        problem: why a layer could not be entered; else empty.
        reads: the variables that an operation is given by value, as the transpose of a table.
        values: the arrays that a layer is given in the place of signals, as learned queries.
    """

    subject: Any
    kind: Kind
    path: str
    arguments: tuple[Any, Mapping[str, Any]]
    sources: tuple[int, ...]
    signals: tuple[int, ...]
    operands: tuple[str, ...]
    shape: tuple[int | None, ...]
    carries: bool
    over_time: bool
    outputs: tuple[Any, ...] = ()
    problem: str = ""
    reads: tuple[Any, ...] = ()
    values: tuple[Any, ...] = ()

    @property
    def backwards(self) -> bool:
        """Whether it is an embedding that makes logits."""
        return self.kind is Kind.EMBEDDING and bool(self.arguments[1].get("reverse"))


def symbolic(structure: Any) -> list[Any]:
    """Returns the symbolic tensors in a structure, in order."""
    return [t for t in keras.tree.flatten(structure) if isinstance(t, keras.KerasTensor)]


def replayed(steps: Mapping[int, Step], value: Any) -> Any:
    """Returns what some steps make of `value`: the last one's output.

    Args:
        steps: by index, in order; what they take from others than each other is `value`.
        value: a tensor of the backend, or an array.
    """
    made: dict[int, Any] = {}
    value = keras.ops.convert_to_tensor(value)
    for index, step in steps.items():
        sources = iter(step.sources)

        def filled(leaf: Any, sources: Any = sources) -> Any:
            return made.get(next(sources), value) if isinstance(leaf, keras.KerasTensor) else leaf

        args, kwargs = keras.tree.map_structure(filled, step.arguments)
        kwargs = {name: each for name, each in kwargs.items() if name != "training"}
        layer = isinstance(step.subject, keras.layers.Layer)
        made[index] = (step.subject if layer else step.subject.call)(*args, **kwargs)
    return made[index]


def signals_of(step: Step) -> list[Any]:
    """Returns the symbolic tensors that a step takes signals from, in the order of `signals`."""
    tensors, wanted = symbolic(step.arguments), list(step.signals)
    found = []
    for source, tensor in zip(step.sources, tensors, strict=False):
        if wanted and source == wanted[0]:
            found.append(tensor)
            wanted.pop(0)
    return found


def variables_of(step: Step) -> list[Any]:
    """Returns the variables that a step reads: a layer's, or those it is called on."""
    subject = step.subject
    if not isinstance(subject, keras.layers.Layer):
        leaves = keras.tree.flatten(step.arguments)
        return [*(leaf for leaf in leaves if isinstance(leaf, keras.Variable)), *step.reads]
    found = [w for w in subject.weights if keras.backend.is_float_dtype(w.dtype)]
    if step.kind is Kind.EMBEDDING and getattr(subject, "tie_weights", True) is False:
        # One table looks up, the other makes logits.
        return [w for w in found if (w.name == "reverse_embeddings") == step.backwards]
    return found
