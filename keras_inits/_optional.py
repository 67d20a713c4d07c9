"""Packages that only parts of the library need, and the extra that installs each."""

import importlib
import importlib.util
from typing import Any

from keras_inits._errors import MissingPackageError

EXTRAS = {
    "joblib": "compare",
    "matplotlib": "plots",
    "pandas": "notebooks",
    "scipy": "compare",
    "sklearn": "experiments",
    "tensorboard": "tensorboard",
    "tensorflow": "tensorflow",
    "tensorflow_datasets": "experiments",
    "tyro": "cli",
}


def require(purpose: str, *modules: str) -> None:
    """Does nothing if the modules are installed; they are not imported.

    Args:
        purpose: what needs them, as the subject of a sentence.
        modules: top-level modules, keys of `EXTRAS`.

    Raises:
        MissingPackageError: one is not installed; the message names the extra that brings it.
    """
    for module in modules:
        if not _installed(module):
            raise MissingPackageError(missing(module, purpose))


def package(module: str, purpose: str) -> Any:
    """Returns a module of an optional package, loaded where it is used.

    Args:
        module: its name, such as `"scipy.stats"`.
        purpose: what it is needed for, as the subject of a sentence.

    Raises:
        MissingPackageError: the package is not installed.
    """
    require(purpose, module.partition(".")[0])
    return importlib.import_module(module)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # a finder that refuses it, or a half-made module
        return False


def missing(module: str, purpose: str = "This") -> str:
    """Returns the sentence that says how to install an optional module.

    >>> missing("tyro", "The command line")
    'The command line needs tyro, which is not installed: pip install "keras-inits[cli]"'
    """
    root = module.partition(".")[0]
    return (
        f'{purpose} needs {root}, which is not installed: pip install "keras-inits[{EXTRAS[root]}]"'
    )
