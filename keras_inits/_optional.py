"""Packages that only parts of the library need, and the extra that installs each."""

import importlib.util

from keras_inits._errors import InputError

EXTRAS = {
    "joblib": "compare",
    "matplotlib": "plots",
    "scipy": "compare",
    "sklearn": "experiments",
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
        InputError: one is not installed; the message names the extra that brings it.
    """
    for module in modules:
        if not _installed(module):
            raise InputError(missing(module, purpose))


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
