"""`recipe`: a start for a whole net, as a table from the roles of weights to laws."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from keras_inits import _registry
from keras_inits._checks import choice, instance
from keras_inits._errors import InputError, InputTypeError, did_you_mean
from keras_inits._layers import OwnedWeight
from keras_inits._recipes.place import ROLES, Place
from keras_inits._recipes.roles import places

# An initializer, or a function of the weight's place that returns one; None to leave it alone.
Law = Any
Table = Mapping[str, Law]

_recipes: dict[str, "Recipe"] = {}


@dataclass(frozen=True)
class Line:
    """What a recipe says of one weight.

    Attributes:
        initializer: what draws it; None where no line is for it, or the line leaves it alone.
        role: the line's role; empty if there is none.
        note: recipe and line, for the report.
    """

    initializer: Any
    role: str
    note: str


@dataclass(frozen=True)
class Bound:
    """A recipe with the places of a model's weights."""

    recipe: "Recipe"
    places: Mapping[str, Place]

    def line(self, path: str) -> Line:
        """Returns what the recipe says of the weight at `path`.

        Raises:
            InputError: the law for it is no initializer.
        """
        place, name = self.places[path], self.recipe.name
        if not place.names and place.geometry is not None:
            return Line(None, "", f"{name}: not seen in the wiring; its layer's own")
        table = self.recipe.table()
        role = next((each for each in place.names if each in table), "")
        if not role:
            return Line(None, "", f"{name}: no line for it; its layer's own")
        law = table[role]
        if inspect.isfunction(law):
            law = law(place)
        if law is None:
            return Line(None, role, f"{name}: left alone by the line {role}")
        return Line(_unseeded(law, name, role), role, f"{name}: {role}")


@dataclass(frozen=True)
class Recipe:
    """A start for a whole net: for each role of a weight a law.

    `initialize(model, recipe)` gives each weight the law of the narrowest of its roles that has a
    line. Weights that no line is for start as their layer says. Called with options, a recipe
    returns itself with these.

    Attributes:
        name: its name.
        function: takes the options, returns the table.
        needs: roles that a model must have for the recipe to make sense.
        options: those that were given.

    >>> small = recipe("gpt2")(stddev=0.01)
    >>> small.name, small.options
    ('gpt2', {'stddev': 0.01})
    """

    name: str
    function: Callable[..., Table] = field(repr=False)
    needs: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """What it sets, in a line."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def __call__(self, **options: Any) -> "Recipe":
        """Returns the recipe with these options.

        Raises:
            InputError: an option that it does not have.
        """
        known = inspect.signature(self.function).parameters
        for name in options:
            if name not in known:
                near = did_you_mean(name, known, n=1)
                raise InputError(
                    f"The recipe {self.name!r} has the options {', '.join(known) or 'none'}. "
                    f"Received: {name}={options[name]!r}. {near}".rstrip()
                )
        return replace(self, options={**self.options, **options})

    def table(self) -> Table:
        """Returns its lines: a law for each role.

        Raises:
            InputError: a role that there is not.
        """
        table = self.function(**self.options)
        if not isinstance(table, Mapping):
            raise InputTypeError(
                f"The recipe {self.name!r} must return a mapping of roles to laws. "
                f"Received: {table!r}"
            )
        for role in table:
            if role not in ROLES:
                near = did_you_mean(str(role), ROLES, n=2)
                raise InputError(
                    f"The recipe {self.name!r} has a line for {role!r}, which is no role. {near}"
                    f"Roles are {', '.join(ROLES)}."
                )
        return table

    def on(self, model: keras.layers.Layer, weights: Sequence[OwnedWeight]) -> Bound:
        """Returns the recipe with the places of a model's weights.

        Raises:
            InputError: the model lacks what the recipe needs.
        """
        self.table()  # a mistake in it is said before the model is looked at
        found = places(model, weights)
        present = {name for place in found.values() for name in place.names}
        missing = [role for role in self.needs if role not in present]
        if missing:
            raise InputError(
                f"The recipe {self.name!r} is for models with "
                + ", ".join(f"{role} ({ROLES[role]})" for role in self.needs)
                + f". {model.name!r} has no {' and no '.join(missing)} that its wiring shows. "
                f"Received: scheme={self.name!r}"
            )
        return Bound(self, found)


def _unseeded(law: Law, name: str, role: str) -> Any:
    """Returns the initializer that a law means, after checking that it has no seed of its own."""
    initializer = _registry.get(law)
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    if config.get("seed") is not None:
        raise InputError(
            f"The line {role!r} of the recipe {name!r} has a seed of its own, which would make "
            "weights equal: `initialize` gives each weight one. "
            f"Received: {initializer!r} with seed={config['seed']!r}"
        )
    return initializer


def recipe(spec: Any = None, /, *, needs: Sequence[str] = (), **options: Any) -> Any:
    """Returns a recipe: by its name, from a table, or from a function that is registered so.

    A recipe is a table from roles (`keras_inits.roles()`) to laws. A law is an initializer, in any
    form that `keras_inits.get` takes, or a function of the weight's place that returns one; None
    leaves the weight alone.

        @keras_inits.recipe(needs=["branch_end"])
        def mine(stddev=0.02):
            '''All kernels N(0, stddev²), ends of branches / sqrt(their number).'''
            return {
                "kernel": keras_inits.RandomInit(stddev),
                "branch_end": lambda place: keras_inits.RandomInit(stddev / place.branches**0.5),
            }

        keras_inits.initialize(model, "mine")
        keras_inits.initialize(model, mine(stddev=0.01))

    Args:
        spec: a name, with `options` for what the recipe lets vary; a table; or, as a decorator, a
            function whose name and docstring become the recipe's.
        needs: for a function or a table, roles that a model must have.
        options: for a name, the recipe's options.

    Returns:
        A `Recipe`, for `keras_inits.initialize`.

    Raises:
        InputError: a name that there is not, or is taken; an unknown option.

    >>> recipe("gpt2", stddev=0.01).options
    {'stddev': 0.01}
    """
    for role in instance("needs", needs, (tuple, list), "a sequence of roles"):
        choice("needs", role, ROLES)
    if spec is None:
        return lambda function: recipe(function, needs=needs)
    if isinstance(spec, str):
        if spec not in _recipes:
            near = did_you_mean(spec, _recipes, n=2)
            raise InputError(
                f"No recipe has this name. Received: {spec!r}. {near}"
                f"Recipes are {', '.join(sorted(_recipes))}."
            )
        return _recipes[spec](**options)
    if isinstance(spec, Mapping):
        return Recipe("table", lambda: spec, tuple(needs))
    if not inspect.isfunction(spec):
        raise InputTypeError(
            "A recipe is a name, a table of roles to laws or a function that returns one. "
            f"Received: {spec!r}"
        )
    name = spec.__name__
    known = _recipes.get(name)
    if known is not None and known.function.__qualname__ != spec.__qualname__:
        raise InputError(f"The name {name!r} is that of a recipe already.")
    if name in ("auto", "own") or _registry.PREFIX + name in _registry.names():
        raise InputError(f"The name {name!r} means something else to `initialize`.")
    made = Recipe(name, spec, tuple(needs))
    _recipes[name] = made
    _registry.starts_a_whole_net(name, f"keras_inits.initialize(model, {name!r})")
    return made


def recipes() -> dict[str, Recipe]:
    """Returns every recipe by its name, in alphabetical order.

    >>> recipes()["gpt2"].needs
    ('embedding', 'branch_end')
    """
    return dict(sorted(_recipes.items()))


def roles() -> dict[str, str]:
    """Returns the roles that lines of recipes may be for, each with what it means.

    >>> roles()["branch_end"]
    'last kernel of a branch before its sum'
    """
    return dict(ROLES)


def find(spec: Any) -> Recipe | None:
    """Returns the recipe that `spec` is or names, or None."""
    if isinstance(spec, Recipe):
        return spec
    if not isinstance(spec, str):
        return None
    return _recipes.get(spec) or _recipes.get(spec.removeprefix(_registry.PREFIX))
