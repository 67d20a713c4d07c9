"""Says in a sentence that Keras, or a backend for it, is not installed or cannot be loaded."""

import sys
from pathlib import PurePath
from typing import NoReturn

# Training and `diagnose` need gradients.
WITH_GRADIENTS = ("tensorflow", "jax", "torch")
BACKENDS = (*WITH_GRADIENTS, "openvino")


def import_keras() -> None:
    """Imports Keras, which imports its backend.

    Raises:
        ModuleNotFoundError: Keras or its backend is not installed; the message says what to do.
        SystemExit: the same, or the system's refusal, such as of a temporary folder on a full disk,
            where the command line runs: with the message, and exit code 2.
    """
    try:
        import keras  # noqa: F401
    except ModuleNotFoundError as error:
        root = (error.name or "").partition(".")[0]
        if root not in ("keras", *BACKENDS):
            raise
        sentence = _sentence(root)
        if _is_command():
            _stop(sentence)
        raise ModuleNotFoundError(sentence, name=error.name) from None
    except OSError as error:
        # As in `keras_inits._cli.main`: one with an errno is the system's answer.
        if error.errno is None or not _is_command():
            raise
        name = f": {error.filename}" if error.filename is not None else ""
        _stop(f"Keras cannot be loaded: {error.strerror or error}{name}")


def _stop(sentence: str) -> NoReturn:
    # `keras_inits._cli.main` cannot say it: this package is imported before it.
    print(f"error: {sentence}", file=sys.stderr)
    raise SystemExit(2) from None


def _sentence(root: str) -> str:
    if root == "keras":
        return 'Keras is not installed: pip install "keras-inits[tensorflow]"'
    return (
        f"Keras needs a backend, and {root}, which is set, is not installed: "
        'pip install "keras-inits[tensorflow]", or install jax or torch and set KERAS_BACKEND '
        "to its name."
    )


def _is_command() -> bool:
    script = PurePath(sys.argv[0] if sys.argv else "").stem
    return script == "keras-inits" or ("-m", "keras_inits") in zip(
        sys.orig_argv, sys.orig_argv[1:], strict=False
    )


import_keras()
