"""Help within the terminal: tyro folds its boxes, and neither usage nor description above them."""

import shutil
import textwrap
from typing import IO, Any


class Folded:
    """A text stream whose long lines are folded at the width of the terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes `text`, folded."""
        width = shutil.get_terminal_size().columns
        lines = (line if len(line) <= width else _folded(line, width) for line in text.split("\n"))
        return self._stream.write("\n".join(lines))


def _folded(line: str, width: int) -> str:
    if "usage:" not in line:
        return textwrap.fill(line, width, break_on_hyphens=False)
    # {a,b,c} is one word to textwrap.
    line = line.replace(",", ", ")
    return textwrap.fill(line, width, subsequent_indent="  ", break_on_hyphens=False)
