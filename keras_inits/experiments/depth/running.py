"""Depth, run: a diagnosis of every net."""

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from keras_inits._compare.weights import derived_seeds
from keras_inits._diagnose import SignalReport, diagnose
from keras_inits._files import read_json, refuse_other_settings, write_whole
from keras_inits._initialize import initialize
from keras_inits._progress import Clock, Progress
from keras_inits.experiments.depth.result import DepthConfig, DepthResult, DepthRun
from keras_inits.experiments.published import DEPTH_CLAIMS
from keras_inits.experiments.record import versions


def run(
    config: DepthConfig,
    *,
    report: Callable[[str], object] = print,
    on_progress: Callable[[Progress], object] = lambda progress: None,
) -> DepthResult:
    """Diagnoses every net with every seed.

    Args:
        config: what to do. With `config.out`, every diagnosis is kept there, and a later call goes
            on from it.
        report: takes lines for people about the data.
        on_progress: takes how far the whole is.

    Raises:
        ValueError: `config.out` holds runs of another recipe.
    """
    report(f"{config.samples} samples of {config.units} features from N(0, 1)")
    members = [(case, seed) for case in DEPTH_CLAIMS for seed in range(config.seeds)]
    clock = Clock(0, len(members), on_progress)
    models = {activation: build(config, activation) for activation, _ in DEPTH_CLAIMS}
    runs = []
    for done, ((activation, scheme), seed) in enumerate(members, 1):
        file = None
        if config.out is not None:
            file = config.out / "state" / f"{activation}-{scheme}-{seed}.json"
        found = _kept(file, config)
        if found is None:
            found = _diagnosis(models[activation], scheme, seed, config)
            if file is not None:
                content = {"settings": config.recipe(), "report": found.to_dict()}
                write_whole(file, json.dumps(content))
        runs.append(DepthRun(activation, scheme, seed, found))
        clock.tell(done)
    return DepthResult(config, versions(), tuple(runs))


def build(config: DepthConfig, activation: str) -> keras.Model:
    """Returns equal Dense layers without bias."""
    layers = [
        keras.layers.Dense(config.units, activation, use_bias=False, name=f"layer_{number}")
        for number in range(1, config.layers + 1)
    ]
    return keras.Sequential([keras.Input((config.units,)), *layers])


def _diagnosis(model: keras.Model, scheme: str, seed: int, config: DepthConfig) -> SignalReport:
    kernels, samples, gradient = derived_seeds(config.root_seed, seed, 3)
    initialize(model, scheme, seed=kernels)
    x = np.random.default_rng(samples).standard_normal((config.samples, config.units), "float32")
    return diagnose(model, x, jacobian_samples=0, seed=gradient)


def _kept(file: Path | None, config: DepthConfig) -> SignalReport | None:
    if file is None or not file.exists():
        return None
    kept = read_json(file)
    refuse_other_settings(file, kept["settings"], config.recipe())
    return SignalReport.from_dict(kept["report"])
