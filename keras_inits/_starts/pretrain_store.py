"""The layers that `pretrain` has finished, kept in a folder from which a later call resumes."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits._files import (
    read_arrays,
    read_json,
    refuse_other_settings,
    write_arrays,
    write_whole,
)
from keras_inits._initialize.seeds import root_seed
from keras_inits._reporting import encode
from keras_inits._starts.autoencoder import Noise
from keras_inits._starts.pretrain_plans import Plan
from keras_inits._starts.pretrain_report import PretrainRow


@dataclass(frozen=True)
class Settings:
    epochs: int
    batch_size: int
    noise: Noise
    level: float
    optimizer: Any

    def new_optimizer(self) -> Any:
        """Returns an optimizer of its own for one layer."""
        given = _checks.identified("optimizer", self.optimizer, keras.optimizers.get, "adam")
        return type(given).from_config(given.get_config())


class Store:
    """The layers that are done, in a folder; or nowhere."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def open(self, settings: Settings, data: Any, plans: Sequence[Plan], seed: int | None) -> int:
        """Returns the root seed, after checking that the folder holds no other settings."""
        if self._folder is None:
            return root_seed(seed)
        digest = hashlib.blake2b(digest_size=16)
        for leaf in keras.tree.flatten(data):
            digest.update(str(leaf.shape).encode() + np.ascontiguousarray(leaf).tobytes())
        config = settings.new_optimizer().get_config()
        config["name"] = type(keras.optimizers.get(settings.optimizer)).__name__
        asked = encode(
            {
                **vars(replace(settings, optimizer=str(config))),
                "data": digest.hexdigest(),
                "layers": "; ".join(plan.description for plan in plans),
            }
        )
        path = self._folder / "settings.json"
        if not path.exists():
            asked["seed"] = root_seed(seed)
            write_whole(path, json.dumps(asked, indent=1))
            return int(asked["seed"])
        saved = read_json(path)
        asked["seed"] = saved["seed"] if seed is None else root_seed(seed)
        refuse_other_settings(path, saved, asked)
        return int(saved["seed"])

    def read(self, plan: Plan) -> PretrainRow | None:
        """Sets a layer to what the folder holds, and returns its row; None if it holds nothing."""
        path = self._path(plan)
        if path is None or not path.exists():
            return None
        kept = read_arrays(path)
        for weight in plan.layer.weights:
            if weight.shape != kept[weight.name].shape:
                raise InputError(f"{path} holds a layer of another shape. Choose another `out`.")
            weight.assign(kept[weight.name])
        before, error, noisy = map(float, kept["errors"])
        decoder, loss = map(str, kept["decoder"])
        return PretrainRow(plan.path, decoder, loss, before, error, noisy)

    def write(self, plan: Plan, row: PretrainRow) -> None:
        """Keeps a layer that is done."""
        if (path := self._path(plan)) is not None:
            weights = {w.name: ops.convert_to_numpy(w) for w in plan.layer.weights}
            write_arrays(
                path,
                errors=np.array([row.error_before, row.error, row.error_noisy]),
                decoder=np.array([row.decoder, row.loss]),
                **weights,
            )

    def _path(self, plan: Plan) -> Path | None:
        return None if self._folder is None else self._folder / f"layer-{plan.place}.npz"
