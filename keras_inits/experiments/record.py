"""What the configurations and results of all experiments have in common."""

import dataclasses
import importlib.metadata
import platform
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

NOT_COMPARABLE = "These numbers are NOT comparable to the article's"


def not_mnist(data: Mapping[str, Any]) -> str:
    """Returns why numbers are not comparable if `data`, the images' provenance, is not MNIST's."""
    return f"they were not measured on MNIST ({data['description']})."


def require(config: Any, **least: int) -> None:
    """Raises a `ValueError` if a number of a configuration is less than it may be.

    Args:
        config: the configuration, with a `root_seed` that must not be negative.
        least: by name, what other numbers must at least be.
    """
    for name, number in least.items():
        if getattr(config, name) < number:
            raise ValueError(
                f"`{name}` must be at least {number}. Received: {getattr(config, name)}"
            )
    if config.root_seed < 0:
        raise ValueError(f"`root_seed` must not be negative. Received: {config.root_seed}")


def record(
    experiment: str, result: Any, plain_run: Callable[[Any], dict[str, Any]] = dataclasses.asdict
) -> dict[str, Any]:
    """Returns configuration, versions and runs of a result, as plain data.

    Args:
        experiment: as the command line calls it.
        result: frozen dataclass with `config`, `versions` and `runs`.
        plain_run: returns a run as plain data.
    """
    return {
        "experiment": experiment,
        "config": dataclasses.asdict(result.config),
        "root_seed": result.config.root_seed,
        "versions": result.versions,
        "runs": [plain_run(run) for run in result.runs],
    }


def versions() -> dict[str, str]:
    """Returns the versions of what computes the numbers."""
    packages = ("keras-inits", "keras", "tensorflow", "numpy")
    return {"python": platform.python_version()} | {
        package: importlib.metadata.version(package) for package in packages
    }


def decimal(value: float) -> float:
    """Returns the shortest decimal that means this float32: 0.2899 for 0.28990000486."""
    return float(str(np.float32(value)))
