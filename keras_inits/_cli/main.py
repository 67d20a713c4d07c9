"""The entry point: runs a command, and turns what went wrong into a sentence and an exit code.

This module loads nothing but the standard library, Rich and our own small modules, so that even a
missing backend ends in a sentence.
"""

import contextlib
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MISTAKE = 2  # of the user or of the environment: argparse's code, too
FAULT = 70  # of the library: EX_SOFTWARE of sysexits.h
INTERRUPTED = 130  # 128 + SIGINT, as shells say


def main() -> None:
    """Runs the command line, and exits.

    Exit codes: 0 all is well; 1 `audit` or `diagnose` found something, and nothing else; 2 a
    mistake of the user's or of the environment, in a sentence; 70 a fault of the library, with its
    traceback; 130 after Ctrl-C.
    """
    sys.exit(exit_code(_run))


def exit_code(command: "Callable[[], None]") -> int:
    """Returns the exit code of `command`, after printing what went wrong."""
    try:
        command()
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        _say(str(stop.code))
        return MISTAKE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        _discard_output()
        return 0
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            traceback.print_exc()
            _say("this is a fault of keras-inits. " + _where_to_report())
            return FAULT
        _say(sentence)
        return MISTAKE
    return 0


def _run() -> None:
    # Here, not above: without Keras, a backend or tyro this fails, and that is said in a sentence.
    from keras_inits._cli.app import app
    from keras_inits._cli.folding import Folded

    asked = {"-h", "--help"} & set(sys.argv)
    with contextlib.redirect_stdout(Folded(sys.stdout)) if asked else contextlib.nullcontext():
        app.cli(prog="keras-inits", description="Weight initialization for Keras.")


def _sentence(error: BaseException) -> str | None:
    """Returns what to say of a mistake of the user's, None for a fault of the library."""
    # Without Keras neither of these modules can be imported: the package imports it first.
    from keras_inits._errors import InputError
    from keras_inits._optional import EXTRAS, missing

    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        root = (error.name or "").partition(".")[0]
        return missing(root, "This command") if root in EXTRAS else None
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}"
    # An OSError with an errno is the system's answer (disk full, read-only, no such file); one
    # without is raised by code, and would hide a fault, unless it tells of such an answer, as
    # Matplotlib's does where it finds no folder for its cache.
    if isinstance(error, OSError):
        if error.errno is not None:
            name = f": {error.filename}" if error.filename is not None else ""
            return f"{error.strerror or error}{name}"
        if isinstance(error.__cause__, OSError) and _sentence(error.__cause__) is not None:
            return str(error)
    return None


def _where_to_report() -> str:
    from importlib import metadata

    try:
        urls = metadata.metadata("keras-inits").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # run from a folder, not installed
        urls = []
    # "Issues, https://..."
    named = dict(url.split(", ", 1) for url in urls if ", " in url)
    place = named.get("Issues") or named.get("Repository") or "the project's issue tracker"
    return f"Please report it, with the traceback above, at {place}."


def _say(sentence: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from keras_inits._reporting import plain_text

    # Messages may hold brackets, such as those of an extra, which are no markup.
    message = Text.assemble(("error:", "bold red"), " ", plain_text(sentence))
    Console(stderr=True).print(message, soft_wrap=True)


def _discard_output() -> None:
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
