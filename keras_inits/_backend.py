"""Says in a sentence that Keras, or a backend for it, is not installed."""

import sys
from pathlib import PurePath

BACKENDS = ("tensorflow", "jax", "torch", "openvino")


def import_keras() -> None:
    """Imports Keras, which imports its backend.

    Raises:
        ModuleNotFoundError: Keras or its backend is not installed; the message says what to do.
        SystemExit: the same, where the command line runs: with the message, and exit code 2.
    """
    try:
        import keras  # noqa: F401
    except ModuleNotFoundError as error:
        root = (error.name or "").partition(".")[0]
        if root not in ("keras", *BACKENDS):
            raise
        sentence = _sentence(root)
        if _is_command():
            # `keras_inits._cli.main` cannot say it: this package is imported before it.
            print(f"error: {sentence}", file=sys.stderr)
            raise SystemExit(2) from None
        raise ModuleNotFoundError(sentence, name=error.name) from None


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
