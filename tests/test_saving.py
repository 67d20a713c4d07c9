"""Every scheme survives every way of keeping a model, as seen by a process that starts afresh."""

import copy
import functools
import inspect
import itertools
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from saved_models import make
from versions import ON_JAX, ON_TORCH, of_tensorflow

import keras_inits
from keras_inits._keras_internals import strings_are_custom_objects

HERE = Path(__file__).parent
INPUT = np.linspace(-1, 1, 36, dtype="float32").reshape(1, 3, 3, 4)


@functools.cache  # copies are made of one that is loaded
def load_keras(path):
    return keras.saving.load_model(path.with_suffix(".keras"), safe_mode=True)


LOADERS = {
    "keras": load_keras,
    "h5": lambda path: keras.saving.load_model(path.with_suffix(".h5")),
    "json": lambda path: keras.models.model_from_json(path.with_suffix(".json").read_text()),
    "pickle": lambda path: pickle.loads(path.with_suffix(".pickle").read_bytes()),
    "clone_model": lambda path: keras.models.clone_model(load_keras(path)),
    "deepcopy": lambda path: copy.deepcopy(load_keras(path)),
}
DRAW_AFRESH = {"json", "clone_model"}

# What a machine does that has TensorFlow and exported models but not this library, and then has it.
FRESH_PROCESS = """
import json, sys
from pathlib import Path
import keras, numpy as np

folder, results = Path(sys.argv[1]), {}
exports = {}
if (export := folder / "exported").exists():
    import tensorflow as tf

    kept = tf.saved_model.load(str(export))  # whose functions do not keep its variables
    exports = {
        "saved_model": kept.serve,
        "TFSMLayer": keras.layers.TFSMLayer(str(export), call_endpoint="serve"),
    }
for path in folder.glob("*.npz"):
    name = path.stem
    x, expected = (np.load(path)[key] for key in ("input", "exported"))
    loaded = {
        **{kind: lambda x, model=model: model(x)[name] for kind, model in exports.items()},
        ".keras": lambda x: keras.saving.load_model(folder / f"{name}.keras")(x),
    }
    for kind, computed in loaded.items():
        try:
            output = computed(x)
            np.testing.assert_allclose(output, expected, 1e-4, 1e-6 * np.abs(expected).max())
            results[f"{name} {kind}"] = "ok"
        except Exception as error:
            results[f"{name} {kind}"] = repr(error)
without = {**results, "imported": "keras_inits" in sys.modules}

sys.path.insert(0, sys.argv[2])
import test_saving

print(json.dumps({"without": without, "with": test_saving.load_all(folder)}))
"""


def specs(name):
    """Ways of asking for a scheme, by the label that layers filled that way bear."""
    ways = {"string": name, "arguments": make.with_arguments(name)}
    if "seed" in ways["arguments"].get_config():
        scheme = make.with_arguments(name, seed=keras.random.SeedGenerator(5, name="s"))
        ways["generator"] = keras.saving.serialize_keras_object(scheme)
    return ways


def pickled_schemes(name):
    """The schemes but for those with a SeedGenerator: Keras's own cannot be pickled with one."""
    return [keras_inits.get(spec) for label, spec in specs(name).items() if label != "generator"]


def load_all(folder):
    """What the fresh process does that imported the library; returns `{case: "ok" or error}`."""
    results = {}
    for name, kind in itertools.product(keras_inits.names(), [*LOADERS, "pickled_schemes"]):
        path = Path(folder) / name
        try:
            if kind == "pickled_schemes":
                check_pickled_schemes(path)
            else:
                check_model(LOADERS[kind](path), path, drawn_afresh=kind in DRAW_AFRESH)
            results[f"{name} {kind}"] = "ok"
        except Exception as error:
            results[f"{name} {kind}"] = repr(error)
    return results


def check_pickled_schemes(path):
    kept = pickle.loads(path.with_suffix(".schemes").read_bytes())
    assert kept == pickled_schemes(path.name)
    assert copy.deepcopy(kept) == kept


def check_model(model, path, *, drawn_afresh):
    with np.load(path.with_suffix(".npz")) as archive:
        expected = dict(archive)
    meant = {label: keras_inits.get(spec) for label, spec in specs(path.name).items()}
    assert len(model.layers) == len(meant) * len(make.layers(path.name, path.name, "probe"))
    for layer in model.layers:
        label = layer.name.partition("_")[2]
        scheme = make.filling_scheme(path.name, layer)
        assert scheme == meant[label], layer.name
        if label == "arguments":  # equality alone overlooks an argument left out of configs
            for argument in make.ARGUMENTS.keys() & inspect.signature(type(scheme)).parameters:
                assert getattr(scheme, argument) == make.ARGUMENTS[argument], argument
        for weight in layer.weights:
            stored = expected[f"{layer.name}/{weight.name}"]
            # of the weights that are drawn afresh those with an integer seed come out the same
            if label == "arguments" or not drawn_afresh:
                np.testing.assert_array_equal(ops.convert_to_numpy(weight), stored)
            weight.assign(stored)
    tolerance = 1e-6 * np.abs(expected["output"]).max()
    output = ops.convert_to_numpy(model(expected["input"]))
    np.testing.assert_allclose(output, expected["output"], 1e-4, tolerance)


def fresh_process(*arguments, directory):
    """Runs Python anew and returns the JSON in its last line."""
    done = subprocess.run(
        [sys.executable, "-c", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=directory,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every scheme's model in every form that can be kept; one export holds them all.

    An export holds no initializers: of one scheme every way of asking for it is in there, with the
    state of a generator, of the others the name.
    """
    folder, every = tmp_path_factory.mktemp("saved"), {}
    for name in keras_inits.names():
        ways, path = specs(name), folder / name
        model = make.chain(*(e for label in ways for e in make.layers(name, ways[label], label)))
        model.save(path.with_suffix(".keras"))
        model.save(path.with_suffix(".h5"))
        by_name = len(make.layers(name, name, "string"))
        part = model.layers if name == "initkit_he" else model.layers[:by_name]
        every[name] = keras.Sequential([keras.Input(INPUT.shape[1:]), *part], name=name)
        path.with_suffix(".json").write_text(model.to_json())
        path.with_suffix(".pickle").write_bytes(pickle.dumps(model))
        path.with_suffix(".schemes").write_bytes(pickle.dumps(pickled_schemes(name)))
        weights = {f"{e.name}/{weight.name}": weight for e in model.layers for weight in e.weights}
        outputs = {"output": model(INPUT), "exported": every[name](INPUT)}
        kept = {key: ops.convert_to_numpy(value) for key, value in (outputs | weights).items()}
        np.savez(path.with_suffix(".npz"), input=INPUT, **kept)
    if ON_JAX or ON_TORCH:  # torch exports nothing that TensorFlow loads, JAX warns
        return folder
    given = keras.Input(INPUT.shape[1:])
    outputs = {name: model(given) for name, model in every.items()}
    keras.Model(given, outputs).export(folder / "exported", verbose=False)
    return folder


@pytest.fixture(scope="module")
def found_afresh(folder):
    return fresh_process(FRESH_PROCESS, folder, HERE, directory=folder)


@pytest.fixture
def with_library(found_afresh):
    return found_afresh["with"]


@pytest.fixture
def without_library(found_afresh):
    return found_afresh["without"]


every_scheme = pytest.mark.parametrize("name", keras_inits.names())


@every_scheme
@pytest.mark.parametrize("kind", [*LOADERS, "pickled_schemes"])
def test_a_fresh_process_loads_weights_configs_and_predictions(with_library, name, kind):
    assert with_library[f"{name} {kind}"] == "ok"


@every_scheme
@of_tensorflow("exports")
@pytest.mark.parametrize("kind", ["saved_model", "TFSMLayer"])
def test_an_export_runs_where_the_library_is_not_imported(without_library, name, kind):
    assert without_library[f"{name} {kind}"] == "ok"
    assert not without_library["imported"]


@every_scheme
def test_a_keras_file_does_not_load_where_the_library_is_not_imported(without_library, name):
    message = without_library[f"{name} .keras"]
    assert "could not be deserialized" in message
    assert name.replace("initkit_", "initkit>") in message


STORED = [
    path
    for path in sorted(HERE.glob("saved_models/v*/*"))
    if path.suffix in {".keras", ".h5", ".json"}
]


def saved_config(path):
    """The model's configuration as the file has it."""
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    with h5py.File(path) as file:
        return json.loads(file.attrs["model_config"])


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_an_earlier_version_saved_still_loads(path):
    model = LOADERS[path.suffix.removeprefix(".")](path)
    for saved in saved_config(path)["config"]["layers"][1:]:  # the first is the input
        layer, scheme = model.get_layer(saved["config"]["name"]), saved["config"]
        loaded = keras.saving.serialize_keras_object(layer.kernel_initializer)
        assert loaded["registered_name"] == scheme["kernel_initializer"]["registered_name"]
        # a later version may have added arguments
        assert scheme["kernel_initializer"]["config"].items() <= loaded["config"].items()
    if path.suffix == ".json":
        return
    with np.load(path.parent / "weights.npz") as archive:
        expected = dict(archive)
    for layer in model.layers:
        for weight in layer.weights:
            np.testing.assert_array_equal(
                ops.convert_to_numpy(weight), expected[f"{layer.name}/{weight.name}"]
            )


def test_this_version_has_stored_models_that_are_never_rewritten():
    assert {path.suffix for path in STORED if path.parent == make.FOLDER} == {
        ".h5",
        ".json",
        ".keras",
    }
    with pytest.raises(FileExistsError):
        make.save_all(make.FOLDER)


@every_scheme
def test_a_layer_takes_every_way_of_asking_for_a_scheme(name):
    scheme = make.with_arguments(name)
    config, stem = scheme.get_config(), name.removeprefix("initkit_")
    ways = [scheme, {"class_name": name, "config": config}]
    ways += [{"class_name": f"initkit>{stem}", "config": config}]
    for spec in ways:
        assert keras.layers.Dense(4, kernel_initializer=spec).kernel_initializer == scheme
    for spec in [name, f"initkit>{stem}", type(scheme)]:
        assert keras.layers.Dense(4, kernel_initializer=spec).kernel_initializer == type(scheme)()


def test_layers_that_shared_a_generator_load_equal_schemes(tmp_path):
    scheme = keras_inits.HeInit(seed=keras.random.SeedGenerator(5))
    model = make.chain(*(keras.layers.Dense(4, kernel_initializer=scheme) for _ in range(3)))
    model.save(tmp_path / "shared.keras")
    loaded = keras.saving.load_model(tmp_path / "shared.keras")
    assert [layer.kernel_initializer for layer in loaded.layers] == [scheme] * 3


@pytest.fixture
def cleared_registry():
    objects = keras.saving.get_custom_objects()
    before = dict(objects)
    objects.clear()
    yield
    objects.clear()
    objects.update(before)


@pytest.mark.usefixtures("cleared_registry")
def test_register_brings_names_and_files_back_after_the_registry_was_cleared(tmp_path):
    path = tmp_path / "he.keras"
    make.chain(keras.layers.Dense(4, kernel_initializer=keras_inits.HeInit())).save(path)
    specs = ["initkit_he", "initkit>he", {"class_name": "initkit_he", "config": {}}]
    # From Keras 3.16 on strings do not stand in the registry that was cleared.
    for spec in specs if strings_are_custom_objects() else ():
        with pytest.raises(ValueError, match="Could not interpret initializer identifier"):
            keras.layers.Dense(4, kernel_initializer=spec)
    with pytest.raises(TypeError, match=r"could not be deserialized(?s:.*)initkit>he"):
        keras.saving.load_model(path)
    keras_inits.register()
    for spec in specs:
        layer = keras.layers.Dense(4, kernel_initializer=spec)
        assert layer.kernel_initializer == keras_inits.HeInit()
    assert keras.saving.load_model(path).layers[0].kernel_initializer == keras_inits.HeInit()


def test_tf_keras_is_the_keras_that_knows_the_names():
    assert tf.keras.initializers.Initializer is keras.initializers.Initializer
    assert issubclass(keras_inits.HeInit, tf.keras.initializers.Initializer)
    layer = tf.keras.layers.Dense(4, kernel_initializer="initkit_he")
    assert type(layer.kernel_initializer) is keras_inits.HeInit
