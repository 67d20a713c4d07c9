"""`keras-inits audit` and `keras-inits diagnose`: what is wrong with a saved model."""

import json as json_format
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tyro
from rich.console import Console

from keras_inits._audit import audit
from keras_inits._files import write_whole


def audit_model(
    model: tyro.conf.Positional[Path], json: tyro.conf.FlagCreatePairsOff[bool] = False
) -> None:
    """Find what is wrong with the weights that a saved model starts from; exit code 1 if anything.

    Args:
        model: a saved model, MODEL.keras.
        json: print the report as JSON.
    """
    report = audit(_load(model))
    if json:
        print(json_format.dumps(report.to_dict(), indent=1))
    else:
        Console().print(report)
    sys.exit(1 if report.findings else 0)


def diagnose_model(
    model: tyro.conf.Positional[Path],
    data: Path | None = None,
    png: Path | None = None,
    json: Path | None = None,
    batch: int = 32,
) -> None:
    """Tell what each layer of a saved model does to the signal; exit code 1 if it is unhealthy.

    Args:
        model: a saved model, MODEL.keras.
        data: a batch as a .npy file; values like data (1/f images, Zipf tokens) if none.
        png: where to draw signal and gradient over depth.
        json: where to write the whole report.
        batch: how many samples to look at.
    """
    from keras_inits._diagnose import diagnose, draw_input

    loaded = _load(model)
    x = draw_input(loaded, batch) if data is None else np.load(_file("data", data))[:batch]
    report = diagnose(loaded, x)
    print(report)
    if json is not None:
        report.to_json(json)
    if png is not None:
        from keras_inits import plots  # matplotlib is an extra

        write_whole(png, plots.figure_bytes(plots.depth_figure(report)))
    sys.exit(0 if report.ok else 1)


def _load(path: Path) -> Any:
    return keras.models.load_model(_file("model", path), compile=False)


def _file(name: str, path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"`{name}` must be a file. Received: {name}={str(path)!r}")
    return path
