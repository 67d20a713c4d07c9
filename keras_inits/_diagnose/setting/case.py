"""A model, its data as tensors, and each output's targets, end and loss."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.batch import SAMPLES
from keras_inits._diagnose.seen.objective import objective
from keras_inits._diagnose.setting.end.ends import ends
from keras_inits._diagnose.setting.entrance.entrances import Meeting
from keras_inits._diagnose.setting.plain import End, LossKind, Targets, loss_kind, targets_of
from keras_inits._diagnose.setting.reading import Bend, bends, drawn
from keras_inits._diagnose.setting.trials.steps import Copy
from keras_inits._wiring import Wiring

FEW_SAMPLES = 8  # enough to see the shape and the range of an output


@dataclass(frozen=True, eq=False)
class Case:
    """A model and a batch of its training.

    Attributes:
        model: the model.
        x: its inputs, tensors nested as it takes them.
        y: the targets, nested as the loss takes them.
        copy: copies of its variables, to try steps on.
        parts: of each output that has a loss, its targets, its end and the loss.
        places: of these outputs, among all.
        loss: what `compile` takes as a loss.
        own: whether it is the compiled one.
        sample_weight: as `fit` takes it, tensors; None without.
        losses: of the parts, as `compile` takes them.
        outputs: how many the model has.
        met: of each input, what its values meet first, and what follows it.
    """

    model: keras.Model
    x: Any
    y: Any
    copy: Copy
    parts: list[tuple[Targets, End, LossKind]]
    places: list[int]
    loss: Any
    own: bool
    sample_weight: Any = None
    losses: tuple[Any, ...] = ()
    outputs: int = 1
    met: Sequence[Sequence[Meeting]] = ()

    @functools.cached_property
    def weights(self) -> list[np.ndarray | None]:
        """The sample weights of each output that has a loss; None where there are none."""
        flat = [
            None if weights is None else np.asarray(ops.convert_to_numpy(weights), float)
            for weights in keras.tree.flatten(self.sample_weight)
        ]
        if not keras.tree.is_nested(self.sample_weight):
            return flat * len(self.places)
        return [flat[place] if place < len(flat) else None for place in self.places]

    def predict(self, x: Any, *, training: bool = False) -> list[np.ndarray]:
        """Returns the outputs of the copies, as arrays; the model's variables stay as they are."""
        outputs = keras.tree.flatten(self.copy.outputs(x, training=training))
        return [np.asarray(ops.convert_to_numpy(output), np.float64) for output in outputs]

    def uncut(self, copy: Copy, x: Any, y: Any) -> float:
        """Returns the cross-entropy of the logits behind the output; 0 where it is not known.

        From softmax and sigmoid Keras computes it by their logits on TensorFlow alone. Elsewhere it
        cuts probabilities off at 1e-7, and no loss is above 16.1, however far off the logits are.
        """
        if len(self.parts) != 1 or self.outputs != 1 or self.sample_weight is not None:
            return 0.0
        _, end, kind = self.parts[0]
        if kind.from_logits or end.activation not in ("softmax", "sigmoid"):
            return 0.0
        made = backend.with_logits(lambda: copy.outputs(x, training=True))
        loss = getattr(keras.losses, kind.class_name)(from_logits=True)
        return float(ops.convert_to_numpy(loss(keras.tree.flatten(y)[0], made[0])))

    @functools.cached_property
    def picture(self) -> Wiring | None:
        """How the model is wired; None where that cannot be traced."""
        return drawn(self.model, self.x)

    @functools.cached_property
    def bends(self) -> tuple[Bend, ...]:
        """The activations between its kernels; none where the model cannot be traced."""
        return () if self.picture is None else bends(self.picture)

    @classmethod
    def of(
        cls,
        model: keras.Model,
        x: Any,
        y: Any,
        loss: Any,
        *,
        own: bool,
        sample_weight: Any = None,
        met: Sequence[Sequence[Meeting]] = (),
    ) -> "Case | str":
        """Returns the case, or in a string why there is none."""
        tensors, goals, weights = (
            keras.tree.map_structure(_tensor, nest) for nest in (x, y, sample_weight)
        )
        copy = Copy(model, objective(model, None if own else loss))
        total = keras.tree.flatten(tensors)[0].shape[0]
        some = keras.tree.map_structure(lambda t: t[:FEW_SAMPLES], tensors)
        try:
            made = keras.tree.flatten(copy.outputs(some, training=False))
        except Exception as error:  # whatever it says of a batch that is not its own
            copy.outputs(keras.tree.map_structure(_whole, x), training=False)  # else it says why
            return (
                "targets, loss and steps were not looked at: the model takes this batch as a "
                f"whole, and not {FEW_SAMPLES} samples of it ({type(error).__name__})"
            )
        outputs = [np.asarray(ops.convert_to_numpy(o)) for o in made]
        flat = keras.tree.flatten(goals)
        losses = _of_outputs(loss, y, len(outputs))
        if not len(outputs) == len(flat) == len(losses):
            return (
                f"targets and loss were not looked at: {len(outputs)} outputs, {len(flat)} "
                f"targets and {len(losses)} losses are not paired"
            )
        parts = [
            (
                targets_of(ops.convert_to_numpy(goal)),
                _among(end, flat).of(total),
                loss_kind(own_loss),
            )
            for goal, end, own_loss in zip(flat, ends(model, outputs, some), losses, strict=True)
            if own_loss is not None
        ]
        places = [index for index, own_loss in enumerate(losses) if own_loss is not None]
        used = tuple(own_loss for own_loss in losses if own_loss is not None)
        return cls(
            model, tensors, goals, copy, parts, places, loss, own, weights, used, len(outputs), met
        )


def _of_outputs(loss: Any, y: Any, number: int) -> list[Any]:
    """Returns the loss of each output, None for those that have a target and no loss."""
    if not keras.tree.is_nested(loss):
        return [loss] * number
    if isinstance(loss, dict) and isinstance(y, dict) and set(loss) < set(y):
        loss = {name: loss.get(name) for name in y}
    return list(keras.tree.flatten(loss))


def _among(end: End, outputs: list[Any]) -> End:
    """Returns an end that no remedy replaces where that would cost the other outputs."""
    return replace(end, replaceable=end.replaceable and len(outputs) == 1)


def _tensor(array: Any) -> Any:
    return None if array is None else _whole(array)[:SAMPLES]


def _whole(array: Any) -> Any:
    tensor = ops.convert_to_tensor(array)
    return ops.cast(tensor, keras.config.floatx()) if backend.is_floating(tensor) else tensor
