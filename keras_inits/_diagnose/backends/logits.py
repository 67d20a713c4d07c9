"""The logits behind softmax and sigmoid on JAX and torch, where tensors do not carry them.

On TensorFlow Keras computes cross-entropy from the logits next to an output, and so the gradient of
the loss comes to the logits. Elsewhere it goes through the output; at the logits it is the same,
but for outputs that Keras cuts off at 1e-7.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from keras_inits._keras_internals import activations_through, copy_mask, holding

Measured = Callable[[Any], None]


@dataclass(eq=False)
class Logits:
    """What an output was computed from.

    Attributes:
        tensor: the logits.
        used: whether a cross-entropy was computed of the output.
        measured: called with the gradient of the logits.
    """

    tensor: Any
    used: bool = False
    measured: list[Measured] = field(default_factory=list)


@dataclass(eq=False)
class Notes:
    """The logits behind the outputs of one run.

    Attributes:
        identity: returns the logits, whose gradient is to be seen; None if it is not.
        alone: runs a function of some tensors as one operation.
    """

    identity: Callable[[Any, Measured], Any] | None = None
    alone: Callable[[str, Callable[..., Any], Sequence[Any]], Any] = lambda _, run, x: run(*x)
    _known: dict[int, tuple[Any, Logits]] = field(default_factory=dict)

    def of(self, output: Any) -> Logits | None:
        """Returns the logits behind an output; None where there are none."""
        reference, found = self._known.get(id(output), (None, None))
        return found if reference is not None and reference() is output else None

    def keep(self, output: Any, logits: Logits) -> None:
        """Takes note of the logits behind an output."""
        self._known[id(output)] = (weakref.ref(output), logits)

    def marked(self, identity: Any, tensor: Any, measured: Measured, at_logits: Measured) -> Any:
        """Returns a layer's output as `Tape.marked` does, by a function that marks a tensor."""
        logits = self.of(tensor)

        def at_output(gradient: Any) -> None:
            if logits is None or not logits.used:
                measured(gradient)

        marked = identity(tensor, at_output)
        copy_mask(tensor, marked)
        if logits is not None:
            logits.measured.append(at_logits)
            self.keep(marked, logits)
        return marked

    @contextmanager
    def kept(self) -> Iterator["Notes"]:
        """Takes notes of what this thread runs."""
        hooks = activations_through(_softmax, _sigmoid, _entropy, _attention)
        with hooks, holding(_active, self):
            yield self

    def apart(self) -> AbstractContextManager[None]:
        """Takes none, for a while."""
        return holding(_active, None)


_active: ContextVar[Notes | None] = ContextVar("keras_inits_logits", default=None)


def _softmax(plain: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    return _noted("Softmax", lambda given: plain(given, *args, **kwargs), x)


def _sigmoid(plain: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    return _noted("Sigmoid", lambda given: plain(given, *args, **kwargs), x)


def _noted(name: str, run: Callable[[Any], Any], x: Any) -> Any:
    notes = _active.get()
    if notes is None:
        return run(x)
    logits = Logits(x)
    if notes.identity is not None:

        def measured(gradient: Any) -> None:
            for each in logits.measured:
                each(gradient)

        x = logits.tensor = notes.identity(x, measured)
    output = notes.alone(name, run, [x])
    notes.keep(output, logits)
    return output


def _attention(plain: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    def run(query: Any, key: Any, value: Any) -> Any:
        return plain(query, key, value, *args, **kwargs)

    notes = _active.get()
    given = [query, key, value]
    return run(*given) if notes is None else notes.alone("Attention", run, given)


def _entropy(plain: Any, target: Any, output: Any, from_logits: bool = False, **kwargs: Any) -> Any:
    notes = _active.get()
    known = None if notes is None or from_logits else notes.of(output)
    if known is not None:
        known.used = True
    return plain(target, output, from_logits=from_logits, **kwargs)
