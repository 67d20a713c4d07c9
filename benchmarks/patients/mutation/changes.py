"""What operators do to a program: to its layers, its loss and optimizer, its data."""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, losses
from nets import BCE, CCE, SPARSE
from program import Fault

from mutation.bases import Trained

Mutant = tuple[Trained, tuple[Fault, ...]]
Apply = Callable[[Trained, Any, random.Random], Mutant]
Layers = Callable[[Trained], list[Any]]


def suited(condition: Any) -> None:
    """Raises a LookupError where an operator has no place in a program."""
    if not condition:
        raise LookupError("the operator has no place in this program")


def of(kinds: str, *places: str | int) -> tuple[Fault, ...]:
    """Returns the faults of kinds, separated by commas, at each of the places."""
    return tuple(
        Fault(kind.strip(), place) for place in places for kind in kinds.split(",") if kind
    )


def at(case: Trained, names: Iterable[str], kinds: str) -> tuple[Fault, ...]:
    """Returns the faults of kinds at the layers of these names."""
    return of(kinds, *(i for i, layer in enumerate(case.model.layers) if layer.name in {*names}))


def ends(case: Trained) -> list[Any]:
    """Returns the layers that make the outputs."""
    return [tensor._keras_history.operation for tensor in case.model.outputs]


def inner(case: Trained) -> list[Any]:
    """Returns all layers but the inputs and the last ones."""
    outside = ends(case)
    return [
        layer
        for layer in case.model.layers
        if layer not in outside and not isinstance(layer, layers.InputLayer)
    ]


def everywhere(case: Trained) -> list[Any]:
    """Returns all layers but the inputs."""
    return [*inner(case), *ends(case)]


def hidden(case: Trained) -> list[Any]:
    """Returns the inner layers with an activation of their own."""
    return [layer for layer in inner(case) if "activation" in layer.get_config()]


def with_axes(case: Trained) -> list[Any]:
    """Returns the inner layers whose output has axes of space or time."""
    return [layer for layer in inner(case) if len(layer.output.shape) > 2]


def kind_of(*classes: type) -> Layers:
    """Returns what finds the inner layers of classes."""
    return lambda case: [layer for layer in inner(case) if isinstance(layer, classes)]


def rebuilt(case: Trained, change: Mapping[str, Any], call: Any = None) -> Trained:
    """Returns a training of the same model with arguments of some layers replaced.

    Args:
        case: the training.
        change: by name of a layer, what is replaced; functions are called for a value.
        call: what is done with a layer and its inputs, if more than to call it.
    """

    def clone(layer: Any) -> Any:
        new = {k: v() if callable(v) else v for k, v in change.get(layer.name, {}).items()}
        return type(layer).from_config({**layer.get_config(), **new})

    try:
        model = keras.models.clone_model(case.model, clone_function=clone, call_function=call)
    except (ValueError, TypeError) as error:  # shapes that Keras refuses: the user is told
        raise LookupError from error
    return case.but(model=model)


def setting(
    among: Layers, keys: str, kinds: str = "", *, one: bool = False, faults: tuple[Fault, ...] = ()
) -> Apply:
    """Returns the operator that sets an argument of one layer, or of all that have it.

    Args:
        among: which layers it may be.
        keys: names of the argument, of which a layer has one.
        kinds: of the fault at these layers.
        one: whether it is one layer always.
        faults: elsewhere.
    """

    def apply(case: Trained, value: Any, rng: random.Random) -> Mutant:
        found = [
            (layer.name, {key: value})
            for layer in among(case)
            for key in keys.split("|")
            if layer.get_config().get(key, value) != value
        ]
        suited(found)
        chosen = dict([rng.choice(found)] if one or rng.random() < 0.5 else found)
        made = rebuilt(case, chosen)
        return made, (*faults, *at(made, chosen, kinds))

    return apply


def behind(among: Layers, kinds: str, faults: tuple[Fault, ...] = ()) -> Apply:
    """Returns the operator that puts behind a layer what a strength makes of its output."""

    def apply(case: Trained, make: Any, rng: random.Random) -> Mutant:
        found = among(case)
        suited(found)
        place = rng.choice(found).name

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            made = layer(*args, **kwargs)
            return make(made) if layer.name == place else made

        made = rebuilt(case, {}, call)
        known = {layer.name for layer in case.model.layers}
        return made, (*faults, *at(made, {x.name for x in made.model.layers} - known, kinds))

    return apply


def leaving_out(among: Layers, kinds: str, *, every: bool) -> Apply:
    """Returns the operator that leaves out one of the layers, or all of them."""

    def apply(case: Trained, _: Any, rng: random.Random) -> Mutant:
        found = among(case)
        suited(found)
        gone = {layer.name for layer in (found if every else [rng.choice(found)])}

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if layer.name not in gone:
                return layer(*args, **kwargs)
            return args[0][-1] if isinstance(args[0], list) else args[0]

        return rebuilt(case, {}, call), of(kinds, "output", "targets")

    return apply


def forget_mask(case: Trained, _: Any, rng: random.Random) -> Mutant:
    """Pads behind the words, and has no mask that says so."""
    embedding = [layer for layer in inner(case) if layer.get_config().get("mask_zero")]
    suited(embedding)
    made = rebuilt(case, {layer.name: {"mask_zero": False} for layer in embedding})
    x = np.stack([np.concatenate([row[row > 0], row[row == 0]]) for row in case.x])
    return made.but(x=x), of("input, layers", "input", 1)


def freeze(case: Trained, which: str, rng: random.Random) -> Mutant:
    """Makes layers not trainable."""
    found = [layer for layer in case.model.layers if layer.weights]
    chosen = {"one": [rng.choice(found)], "all but the last": found[:-1], "all": found}[which]
    names = [layer.name for layer in chosen]
    made = rebuilt(case, {name: {"trainable": False} for name in names})
    return made, (*of("gradient", "model"), *at(made, names, "gradient, initialization"))


def halve(case: Trained, policy: str, rng: random.Random) -> Mutant:
    """Computes in another precision."""
    names = [layer.name for layer in everywhere(case)]
    made = rebuilt(case, {name: {"dtype": policy} for name in names})
    return made, (*of("gradient, loss, output", "output", "loss"), *at(made, names, "gradient"))


def replace_loss(case: Trained, loss: str, rng: random.Random) -> Mutant:
    """Gives one output another loss."""
    own = case.loss if isinstance(case.loss, list) else [case.loss]
    place = rng.randrange(len(own))
    suited(own[place] != loss)
    made = [loss if i == place else kept for i, kept in enumerate(own)]
    whole = made if isinstance(case.loss, list) else loss
    return case.but(loss=whole), of("loss, labels, output", "loss", "output", "targets")


_CROSS_ENTROPIES = {
    BCE: losses.BinaryCrossentropy(),
    CCE: losses.CategoricalCrossentropy(),
    SPARSE: losses.SparseCategoricalCrossentropy(),
}


def turn_logits(case: Trained, _: Any, rng: random.Random) -> Mutant:
    """Says of logits that they are probabilities, or of those that they are logits."""
    first = case.loss[0] if isinstance(case.loss, list) else case.loss
    loss = _CROSS_ENTROPIES.get(first) if isinstance(first, str) else first
    suited(loss)
    config = loss.get_config()
    made = type(loss).from_config({**config, "from_logits": not config["from_logits"]})
    whole = [made, *case.loss[1:]] if isinstance(case.loss, list) else made
    return case.but(loss=whole), of("output, loss", "output")


def stepping(kinds: str) -> Apply:
    """Returns the operator that gives a program an optimizer, or its own one other arguments.

    A strength makes the optimizer, or is the arguments, some as functions of its rate.
    """

    def apply(case: Trained, strength: Any, rng: random.Random) -> Mutant:
        if callable(strength):
            return case.but(optimizer=strength()), of(kinds, "optimizer")
        kept = case.optimizer.get_config()
        suited(all(key in kept for key in strength))
        rate = float(kept["learning_rate"])
        new = {key: v(rate) if callable(v) else v for key, v in strength.items()}
        made = type(case.optimizer).from_config({**kept, **new})
        return case.but(optimizer=made), of(kinds, "optimizer")

    return apply


def weigh_losses(case: Trained, weights: list[float], rng: random.Random) -> Mutant:
    """Gives the outputs other weights."""
    suited(isinstance(case.loss, list))
    return case.but(compiled={"loss_weights": weights}), of("loss, labels", "loss", "optimizer")


def weigh_samples(case: Trained, make: Any, rng: random.Random) -> Mutant:
    """Weighs the samples; a strength makes the weights from their classes."""
    classes = np.ones(len(case.x)) if case.truth is None else np.asarray(case.truth)
    weights = np.ones(len(classes)) * make(classes)
    given = [weights, weights] if isinstance(case.y, list) else weights
    kinds = "loss, labels, rate too low, rate too high"
    return case.but(weights={"sample_weight": given}), of(kinds, "loss", "optimizer")


def inputs(case: Trained, make: Any, rng: random.Random) -> Mutant:
    """Changes inputs that are one array of real numbers; a strength makes them from those."""
    suited(isinstance(case.x, np.ndarray) and case.x.dtype.kind == "f")
    x = make(case.x.copy())
    if case.y is case.x:
        return case.but(x=x, y=x), of("input, labels, output, target scale", "input", "targets")
    return case.but(x=x), of("input", "input")


def values(case: Trained, make: Any, rng: random.Random) -> Mutant:
    """Changes the targets of a regression; a strength makes them from those."""
    suited(case.truth is None and case.y is not case.x)
    return case.but(y=make(case.y)), of("target scale, output, rate too low", "targets")


def shapes(case: Trained, make: Any, rng: random.Random) -> Mutant:
    """Changes the shape of targets of one number a sample."""
    suited(isinstance(case.y, np.ndarray) and case.y.size == len(case.y))
    return case.but(y=make(case.y.reshape(-1))), of("labels, layers", "targets")


def classes(case: Trained, make: Any, rng: random.Random) -> Mutant:
    """Changes the classes of a model of one output; a strength makes them from what they are."""
    suited(case.truth is not None and isinstance(case.y, np.ndarray))
    return case.but(y=make(case.y)), of("labels, loss, output", "targets", "output")
