"""Docstrings of public names are whole: arguments, result, errors and an example."""

import dataclasses
import inspect
import re
import textwrap

import pytest

import keras_inits
from keras_inits import InputError, datasets, experiments, mup, plots

MODULES = (keras_inits, datasets, experiments, mup, plots)
DOCUMENTED = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in MODULES
    for name in module.__all__
    if inspect.isclass(getattr(module, name)) or inspect.isfunction(getattr(module, name))
}


def lacks(thing):
    """Returns what the docstring of a class or function does not have."""
    text = inspect.getdoc(thing) or ""
    lacking = [] if ">>> " in text else ["an example"]
    return lacking + (
        _of_class(thing, text) if inspect.isclass(thing) else _of_function(thing, text)
    )


def _of_class(cls, text):
    own = vars(cls).get("__init__")
    if dataclasses.is_dataclass(cls):
        source = textwrap.dedent(inspect.getsource(cls))
        names = [field.name for field in dataclasses.fields(cls) if field.name[0] != "_"]
        names = [name for name in names if name in vars(cls).get("__annotations__", {})]
        # Fields of configurations, which the command line reads, each have a docstring below them.
        told = [name for name in names if re.search(rf'\n    {name}: .*\n    """', source)]
        own = vars(cls).get("__post_init__")
    else:
        names, told = list(inspect.signature(own).parameters)[1:] if own else [], []
    return [name for name in names if name not in told and not _describes(text, name)] + (
        _of_errors(own, text) if own else []
    )


def _of_function(function, text):
    signature = inspect.signature(function)
    lacking = [name for name in signature.parameters if not _describes(text, name)]
    gives = signature.return_annotation not in (None, inspect.Signature.empty)
    if gives and signature.parameters and not re.search(r"^(Returns|Yields):$", text, re.M):
        lacking.append("Returns")
    return lacking + _of_errors(function, text)


def _of_errors(function, text):
    refuses = re.search(r"\braise |\b_?checks\.", inspect.getsource(function))
    return ["Raises"] if refuses and not re.search(r"^Raises:$", text, re.M) else []


def _describes(text, name):
    return re.search(rf"^    (\w+, )*\*{{0,2}}{name}(, \w+)*: ", text, re.M)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_has_arguments_result_errors_and_an_example(module):
    incomplete = {
        name: lacking
        for name, thing in DOCUMENTED.items()
        if name.rpartition(".")[0] == module.__name__ and (lacking := lacks(thing))
    }
    assert not incomplete


def test_what_a_docstring_lacks_is_seen():
    def bad(count: int) -> int:
        """Counts."""
        if count < 0:
            raise InputError("less than nothing")
        return count

    assert lacks(bad) == ["an example", "count", "Returns", "Raises"]
    bad.__doc__ = (
        "Args:\n    count: n.\n\nReturns:\n    n.\n\nRaises:\n    X: y.\n\n>>> bad(1)\n1\n"
    )
    assert lacks(bad) == []

    @dataclasses.dataclass
    class Bad:
        """A class.

        >>> Bad(1)
        """

        told: int
        """What it is."""
        untold: int = 0

    assert lacks(Bad) == ["untold"]
