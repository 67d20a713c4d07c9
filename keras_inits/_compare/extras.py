"""Packages of the extras, loaded where they are used."""

import importlib
from typing import Any

from keras_inits._errors import MissingPackageError


def package(name: str, purpose: str, extra: str = "compare") -> Any:
    """Returns a module of an optional package.

    Args:
        name: of the module.
        purpose: what it is needed for, as the subject of a sentence.
        extra: of this library that brings it.

    Raises:
        MissingPackageError: the package is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        root = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != root:
            raise  # it is installed, and broken
        raise MissingPackageError(
            f'{purpose} needs {root}: pip install "keras-inits[{extra}]"'
        ) from error
