"""Starts for whole nets, by name: tables from the roles of weights to laws."""

from keras_inits._recipes import attention, deep, language, recurrent, vision  # noqa: F401
from keras_inits._recipes.place import Place
from keras_inits._recipes.recipe import Bound, Line, Recipe, find, recipe, recipes, roles

__all__ = [
    "Bound",
    "Line",
    "Place",
    "Recipe",
    "find",
    "recipe",
    "recipes",
    "roles",
]
