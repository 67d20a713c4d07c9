"""Ctrl-C that cannot get lost."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Yields a check that raises `KeyboardInterrupt` if one was raised before and got lost.

    Python discards whatever is raised in a destructor, a weak reference's callback or a callback
    of the garbage collector. TensorFlow and JAX run many of those, and a Ctrl-C that arrives in one
    of them has no effect. The signal is therefore noted as well, and the check raises it again.

    Signal handlers belong to the main thread. In another one, or where the program has a handler
    of its own, the check does nothing.
    """
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.default_int_handler(number, frame)

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield check
        check()
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
