"""The models of a plan: built and compiled, and the values that their variables start from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_inits._checks import identified, takes
from keras_inits._checks import loss as check_loss
from keras_inits._compare.data import take
from keras_inits._compare.plan import Plan
from keras_inits._compare.starts import Start, Started, carried_out
from keras_inits._compare.store import EpochState
from keras_inits._compare.weights import GivenWeights, Weights, by_model, derived_seeds, draw
from keras_inits._errors import InputError, keras_2_hint
from keras_inits._keras_internals import unlisted_variables
from keras_inits._recipes import Recipe
from keras_inits._schemes.geometric import with_seed


def compiled_model(plan: Plan, label: str | None = None, run: int = 0) -> keras.Model:
    """Returns a model, built and compiled.

    Args:
        plan: what it is built and compiled by.
        label: of the scheme that a `build` with an argument is given; the first if None.
        run: number of the run, from which the seed of that scheme follows.

    Raises:
        InputError: `build` returns no model, or neither `build` nor the plan compiles it.
    """
    model = _built(plan, label or next(iter(plan.schemes)), run)
    if not isinstance(model, keras.Model):
        raise InputError(
            f"`build` must return a keras.Model. Received: build() of type {type(model).__name__}"
            + keras_2_hint(model)
        )
    if not model.built:
        # A call, since `build` of a subclassed model makes none of its layers' variables.
        model(keras.tree.map_structure(keras.ops.convert_to_tensor, take(plan.data.x, slice(1))))
    options = plan.options
    if options.optimizer is not None:
        if options.loss is not None:  # the model may add losses of its own
            check_loss(options.loss)
        model.compile(
            optimizer=identified("optimizer", options.optimizer, keras.optimizers.get, "adam"),
            loss=_in_dtype(options.loss, model),
            metrics=options.metrics,
            jit_compile=compiled_by_xla(),
        )
    if getattr(model, "optimizer", None) is None:
        raise InputError(
            "`compare` needs an optimizer: give `optimizer` and `loss`, or let `build` compile the "
            "model. Received: optimizer=None and a model that is not compiled"
        )
    return model


def batch_made_for(model: keras.Model) -> int | None:
    """Returns the number of samples that a stateful model takes in each call; None for any."""
    states = unlisted_variables(model)
    inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
    return inputs[0].shape[0] if states and inputs else None


def compiled_by_xla() -> bool:
    """Returns what small models are compiled with as `jit_compile`.

    On a CPU a small step costs TensorFlow more through XLA than without; without it, JAX would run
    operation by operation.
    """
    return bool(keras.backend.backend() == "jax")


def started(
    plan: Plan, template: keras.Model, label: str, run: int, state: EpochState | None = None
) -> Started:
    """Returns the values that all variables of a run start from, and what they cost.

    Args:
        plan: what the runs share.
        template: a model of the plan, which is left as it is.
        label: of the scheme.
        run: number of the run.
        state: where what a `Start` made is kept.
    """
    scheme = plan.schemes[label]
    states = starting_states(plan, template, run)
    if not isinstance(scheme, Start):
        return Started(starting_weights(plan, template, label, run), states)
    if state is not None and (kept := state.load_start(label, run, template)) is not None:
        return kept
    model = compiled_model(plan, label, run)
    made = carried_out(scheme, model, plan.data.x, plan.data.y, plan.seed, run)
    variables = zip(template.non_trainable_variables, made.states or (), states, strict=True)
    seeded = [seed if is_random_state(v) else value for v, value, seed in variables]
    made = replace(made, states=seeded)
    if state is not None:
        state.save_start(label, run, made)
    return made


def cost_of(plan: Plan, label: str, start: Started) -> tuple[float, ...]:
    """Returns the seconds and passes of a `Start`; nothing for a draw."""
    return (start.seconds, start.passes) if isinstance(plan.schemes[label], Start) else ()


def starting_weights(plan: Plan, template: keras.Model, label: str, run: int) -> Weights:
    """Returns the values that the trainable variables of a run start from."""
    if takes_scheme(plan.build):
        return [v.numpy() for v in compiled_model(plan, label, run).trainable_variables]
    return draw(template, plan.schemes[label], plan.seed, run)


def starting_states(plan: Plan, template: keras.Model, run: int) -> Weights:
    """Returns the values that the other variables start from: as built; random states seeded."""
    states = []
    for variable in template.non_trainable_variables:
        value = variable.numpy()
        if is_random_state(variable):
            # 32 bits, which torch's states hold with a sign
            value = np.array([derived_seeds(plan.seed, run, 1)[0], 0]).astype(value.dtype)
        states.append(value)
    return states


def takes_scheme(build: Callable[..., keras.Model]) -> bool:
    """Returns whether `build` has an argument that must be given: the scheme."""
    return not takes(build)


def refuse_without_argument(label: str, scheme: Any) -> None:
    """Raises an `InputError` if a scheme is none that a `build` with an argument can be given."""
    if isinstance(scheme, GivenWeights | Start | Recipe) or by_model(scheme):
        raise InputError(
            "'auto', 'own', recipes, starts and given weights need a `build` without arguments. "
            f"Received: {label!r} for a `build` that takes the scheme"
        )


def is_random_state(variable: Any) -> bool:
    """Returns whether a variable is the state of a `keras.random.SeedGenerator`."""
    return bool(variable.path.endswith("seed_generator_state"))


def flat_layers(model: Any) -> Iterator[keras.Layer]:
    """Yields the layers of a model, those of models inside it in their place."""
    for layer in getattr(model, "layers", ()):
        if hasattr(layer, "layers"):
            yield from flat_layers(layer)
        else:
            yield layer


def _built(plan: Plan, label: str, run: int) -> Any:
    if not takes_scheme(plan.build):
        return plan.build()
    scheme = plan.schemes[label]
    refuse_without_argument(label, scheme)
    number = derived_seeds(plan.seed, run, 1)[0]
    if keras.backend.backend() == "torch":  # whose generators keep a seed in 31 bits and a sign
        number %= 2**31
    # A generator, since with an integer all layers of one shape would start equal.
    return plan.build(with_seed(scheme, keras.random.SeedGenerator(number)))


def _in_dtype(loss: Any, model: keras.Model) -> Any:
    """Returns a loss that computes in the dtype of the model, so that float64 stays float64."""
    if isinstance(loss, Mapping) and "class_name" not in loss:  # by output
        return {output: _in_dtype(own, model) for output, own in loss.items()}
    if isinstance(loss, list | tuple):
        return [_in_dtype(own, model) for own in loss]
    if loss is None:
        return None
    loss = identified("loss", loss, keras.losses.get, "mse")
    if isinstance(loss, keras.losses.Loss) or model.compute_dtype != "float64":
        return loss
    name = "".join(part.capitalize() for part in loss.__name__.split("_"))
    cls = getattr(keras.losses, name, None)
    return cls(dtype=model.compute_dtype) if cls else loss
