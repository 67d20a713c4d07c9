"""What Keras and other libraries say: the part of an error that matters, logs that are left out."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras


@contextmanager
def left_out(logger: str, which: Callable[[logging.LogRecord], bool]) -> Iterator[None]:
    """Leaves out some messages of a logger.

    Args:
        logger: its name.
        which: returns whether a message is left out.
    """

    def others(record: logging.LogRecord) -> bool:
        return not which(record)

    source = logging.getLogger(logger)
    source.addFilter(others)
    try:
        yield
    finally:
        source.removeFilter(others)


def sentence(error: Exception) -> str:
    """Returns the line of an error's message that says what is wrong."""
    # Keras adds colours, the layer in front, and the arguments of the call at the end.
    text = re.sub(r"\x1b\[\d*m", "", str(error)).partition("Arguments received by")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Exception encountered when")]
    if not lines:
        return str(error)
    if lines[0] == "in user code:":  # of what TensorFlow converts, with a traceback before the end
        return lines[-1]
    # What follows explains at length; torch goes on with advice in the same line.
    return lines[0].partition(". ")[0] if keras.backend.backend() == "torch" else lines[0]
