"""The loss that `fit` minimizes, of one batch, computed by the model's own machinery."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from keras_inits._errors import InputError

Objective = Callable[[Any, Any, Any, Any], Any]


def objective(model: keras.Model, loss: Any = None) -> Objective:
    """Returns the function `(x, y, y_pred, sample_weight) -> loss` that `fit` minimizes.

    It holds all that `fit` counts: cross-entropy from the logits behind a softmax or sigmoid,
    weights of outputs and of samples, the penalties of regularizers and `add_loss`, and a
    `compute_loss` of the model's own. Call it after the model has run, since some penalties are
    computed in that run; metrics that a `compute_loss` updates do move.

    Args:
        model: built.
        loss: what `compile` takes as `loss`, in place of the compiled one.

    Raises:
        InputError: neither a compiled loss nor one given.
    """
    if loss is not None:
        return _of_given(model, loss)
    if is_without_loss(model):
        raise InputError(
            "`y` needs a loss: compile the model, or give `loss`, such as loss='mse'. "
            "Received: y without a loss"
        )
    compute = model.compute_loss
    # Before Keras 3.3 an own `compute_loss` had no such argument, and `fit` still takes it.
    takes_training = "training" in inspect.signature(compute).parameters
    options = {"training": True} if takes_training else {}

    def compiled(x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        value = compute(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **options)
        if not len(value.shape):
            return value
        # Of a loss that is no scalar `fit` reports the mean, and follows the gradient of the sum.
        total = ops.sum(value)
        return ops.stop_gradient(ops.mean(value) - total) + total

    return compiled


def _of_given(model: keras.Model, loss: Any) -> Objective:
    judge = keras.Model()
    if (names := getattr(model, "output_names", None)) is not None:
        judge.output_names = names
    judge.compile(loss=loss)

    def given(x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        value = judge.compute_loss(y=y, y_pred=y_pred, sample_weight=sample_weight)
        return value + sum(ops.sum(ops.cast(p, value.dtype)) for p in model.losses)

    return given


def is_without_loss(model: keras.Model) -> bool:
    """Returns whether a model was compiled without a loss and does not compute one itself."""
    own = type(model).compute_loss is not keras.Model.compute_loss
    return not own and getattr(model, "loss", None) is None


def added_alone(model: keras.Model) -> Any:
    """Returns the loss of a model that was compiled without one, after it has run: what it adds.

    None of other models, and of those that add no more than penalties on weights.
    """
    if not getattr(model, "compiled", False) or not is_without_loss(model):
        return None
    added = list(model.losses)
    penalties = [w for w in model.trainable_weights if getattr(w, "regularizer", None) is not None]
    if len(added) <= len(penalties):
        return None
    return sum(ops.sum(ops.cast(loss, keras.config.floatx())) for loss in added)


def loss_scale(model: keras.Model) -> float:
    """Returns what `fit` multiplies the loss by before it goes back (mixed precision)."""
    optimizer = getattr(model, "optimizer", None)
    return 1.0 if optimizer is None else float(optimizer.scale_loss(ops.convert_to_tensor(1.0)))


def has_own_step(model: keras.Model) -> bool:
    """Returns whether a compiled model trains by a `train_step` of its own."""
    own = type(model).train_step is not keras.Model.train_step
    return own and getattr(model, "compiled", False)


@contextmanager
def gradients_of_steps(model: keras.Model) -> Iterator[dict[int, list[Any]]]:
    """Collects, by `id` of the weight, what a model's own `train_step` hands to its optimizers.

    Meanwhile no optimizer moves a weight.
    """
    found: dict[int, list[Any]] = {}
    holders = {
        id(o): o
        for o in (getattr(model, "optimizer", None), *vars(model).values())
        if isinstance(o, keras.optimizers.Optimizer)
    }

    def note(grads: Any, variables: Any) -> None:
        for gradient, variable in zip(grads, variables, strict=True):
            if gradient is not None:
                found.setdefault(id(variable), []).append(gradient)

    def keep(optimizer: Any) -> dict[str, Callable[..., Any]]:
        own = getattr(optimizer, "_trainable_variables", None)

        def apply(grads: Any, trainable_variables: Any = None) -> None:
            note(grads, own if trainable_variables is None else trainable_variables)

        # On JAX an optimizer is given values.
        def stateless_apply(state: Any, grads: Any, values: Any) -> Any:
            note(grads, _variables_of(values, own, model))
            return values, state

        return {"apply": apply, "stateless_apply": stateless_apply}

    kept = {key: keep(optimizer) for key, optimizer in holders.items()}
    try:
        for key, optimizer in holders.items():
            optimizer.__dict__.update(kept[key])
        yield found
    finally:
        for key, optimizer in holders.items():
            for name in kept[key]:
                optimizer.__dict__.pop(name, None)


def _variables_of(
    values: Any, own: list[keras.Variable] | None, model: keras.Model
) -> list[keras.Variable]:
    """Returns the variables that values are of, which an optimizer on JAX is given.

    They are the very values of variables, unless a step has changed them; then it is by the
    optimizer's own variables or the model's that their order is known.
    """
    owners = {id(v.value): v for v in model.trainable_variables}
    found = [v for value in values if (v := owners.get(id(value))) is not None]
    if len(found) == len(values):
        return found
    for known in (own or [], model.trainable_variables):
        if [tuple(v.shape) for v in known] == [tuple(value.shape) for value in values]:
            return known
    raise InputError(
        "Of an optimizer that is not built it is not known which weights its gradients are of: "
        "call optimizer.build(variables) before the step. Received: gradients of "
        f"{len(values)} of {len(model.trainable_variables)} weights"
    )
