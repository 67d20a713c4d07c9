"""Measured values kept in a file, so that a long benchmark goes on where it was ended."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Kept:
    """Values by name, in a file of JSON lines; in memory alone if there is no path.

    They are of the code that measured them: remove the file when that has changed.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self.values = path, {}
        if path is not None and path.exists():
            lines = path.read_text().splitlines()
            self.values = {tuple(key): value for key, value in map(json.loads, lines)}

    def get(self, key: tuple[Any, ...], measure: Callable[[], Any]) -> Any:
        """Returns the value of a key; it is measured if it is not kept yet.

        An error is kept too, as a text: what another library says of a net does not change.
        """
        if key not in self.values:
            try:
                self.values[key] = measure()
            except Exception as error:
                self.values[key] = f"{type(error).__name__}: {str(error).splitlines()[:1]}"
            if self.path is not None:
                with self.path.open("a") as file:
                    file.write(json.dumps([key, self.values[key]]) + "\n")
        return self.values[key]

    def of_seeds(self, key: tuple[Any, ...], seeds: int, measure: Callable[[int], Any]) -> Any:
        """Returns the values of all seeds, or the text of the first error."""
        found = []
        for seed in range(seeds):
            found.append(self.get((*key, seed), lambda seed=seed: measure(seed)))
            if isinstance(found[-1], str):
                return found[-1]
        return found
