"""Messages of other libraries' loggers."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
