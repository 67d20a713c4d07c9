"""The command line on files from outside: exit 2 and a sentence, whatever is wrong with them."""

import contextlib
import json
import sys
import types
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import keras_inits
from keras_inits import _cli
from keras_inits._cli import declared_size, loading
from keras_inits._cli.main import FAULT, exit_code
from keras_inits._errors import InputError

MODULE = """
import keras

class OurInit(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.random.normal(shape, stddev=0.3, dtype=dtype, seed=1)

    def get_config(self):
        return {}

def our_init(shape, dtype=None):
    return keras.random.normal(shape, stddev=0.3, dtype=dtype, seed=1)

class OurDense(keras.layers.Dense):
    pass
"""


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs the command line in this process and in an empty folder; returns code, out and err."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "ours", raising=False)

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["keras-inits", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            _cli.main()
        return stop.value.code, *capsys.readouterr()

    return command


def refused(result, *says):
    code, out, err = result
    assert code == 2, out + err
    assert "Traceback" not in out + err
    assert len(err) < 1200
    for words in says:
        assert words in " ".join(err.split()), err


def ours():
    module = types.ModuleType("ours")
    exec(MODULE, module.__dict__)
    return module


UNREGISTERED = {
    "OurInit": lambda m: layers.Dense(16, kernel_initializer=m.OurInit()),
    "our_init": lambda m: layers.Dense(16, kernel_initializer=m.our_init),
    "OurDense": lambda m: m.OurDense(16),
}


def save(path, *stack, shape=(8,)):
    keras.Sequential([keras.Input(shape), *stack]).save(path)
    return path


# Saving HDF5 is legacy, and Keras says so through absl, not by a warning.
@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("name", UNREGISTERED)
def test_what_nobody_registered_is_named_and_import_brings_it(run, tmp_path, name, suffix):
    path = save(tmp_path / f"model.{suffix}", UNREGISTERED[name](ours()))
    refused(run("audit", path), f"'{name}'", "--import my_module")
    (tmp_path / "ours.py").write_text(MODULE)
    code, out, err = run("audit", path, "--import", "ours")
    assert code in (0, 1), err
    assert "weights" in out


def test_import_may_be_a_file_and_says_what_is_wrong_with_it(run, tmp_path):
    path = save(tmp_path / "model.keras", UNREGISTERED["OurDense"](ours()))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "ours.py").write_text(MODULE)
    assert run("audit", path, "--import", tmp_path / "elsewhere" / "ours.py")[0] in (0, 1)
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "needs.py").write_text("import not_there_at_all")
    (tmp_path / "other.py").write_text("")
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(0)")
    refused(run("audit", path, "--import", "leaves"), "`--import` leaves fails: SystemExit")
    refused(run("audit", path, "--import", "nowhere"), "`--import` nowhere must be a module")
    refused(run("audit", path, "--import", "broken"), "fails: ZeroDivisionError")
    refused(run("audit", path, "--import", "needs"), "needs not_there_at_all")
    refused(run("audit", path, "--import", "other"), "'OurDense'", "nor is it in other")


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_lambda_is_run_only_if_the_user_says_so(run, tmp_path, suffix):
    path = save(tmp_path / f"model.{suffix}", layers.Lambda(lambda x: x * 2), layers.Dense(3))
    refused(run("audit", path), "Lambda", "--unsafe", "runs that code")
    assert run("audit", path, "--unsafe")[0] == 0


def test_what_is_no_model_is_said(run, tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.save(tmp_path / "model.keras")
    whole = (tmp_path / "model.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.keras").write_text("[/b] no model")
    (tmp_path / "empty.keras").write_bytes(b"")
    (tmp_path / "model.zip").write_bytes(whole)
    model.save_weights(tmp_path / "only.weights.h5")
    (tmp_path / "folder").mkdir()
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("letter.txt", "dear")
    with zipfile.ZipFile(tmp_path / "config.keras", "w") as archive:
        archive.writestr("config.json", '{"class_name": ')
    for name, says in {
        "cut.keras": "damaged",
        "text.keras": "begins with b'[/b] no ",
        "empty.keras": "is empty",
        "model.zip": "must end in .keras",
        "only.weights.h5": "holds weights, and not the model",
        "folder": "the folder",
        "saved": "If Keras 2 made it, convert it where `pip install tf-keras`",
        "other.keras": "without config.json",
        "config.keras": "is damaged: JSONDecodeError",
        "nowhere.keras": "a file that exists",
    }.items():
        refused(run("audit", name), says)


def test_every_cut_and_flipped_byte_ends_in_a_sentence(tmp_path):
    whole = save(tmp_path / "model.keras", layers.Dense(16), layers.Dense(3)).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.keras"
    loaded = 0
    for at in rng.integers(0, len(whole), 25):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
            path.write_bytes(damaged)
            # Any other error fails the test. A byte may be one that nobody reads.
            with contextlib.suppress(InputError):
                loading.load_model(path)
                loaded += 1
    assert loaded < 25


def test_a_file_of_keras_2_says_how_to_convert_it(run, tmp_path):
    path = save(tmp_path / "old.h5", layers.Dense(3))
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = b"2.15.0"
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["an_argument_of_keras_2"] = 1
        file.attrs["model_config"] = json.dumps(config)
    refused(run("audit", path), "saved by Keras 2", "tf_keras.models.load_model")


def test_a_layer_that_keras_2_alone_has_is_named_with_the_way_to_convert(run, tmp_path):
    path = save(tmp_path / "old.h5", layers.Dense(3))
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = b"2.11.0"
        changed = file.attrs["model_config"].replace('"Dense"', '"LocallyConnected1D"')
        file.attrs["model_config"] = changed
    refused(run("audit", path), "'LocallyConnected1D'", "--import my_module", "tf_keras")


def rewritten(path, change):
    """Writes a model file with another config.json."""
    new = path.with_name("changed.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new, "w") as archive:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = json.dumps(change(json.loads(content)))
            archive.writestr(name, content)
    return new


@pytest.mark.parametrize("built", [True, False])
def test_an_absurd_size_is_refused_with_its_number_before_keras_reads_it(
    run, tmp_path, monkeypatch, built
):
    def change(config):
        first, second = config["config"]["layers"][1:]
        first["config"]["units"] = 2**30
        second["config"]["units"] = 2**20
        for layer in (first, second):
            if built:
                layer["build_config"]["input_shape"][-1] = 2**30
            else:
                del layer["build_config"]
        return config

    path = rewritten(save(tmp_path / "model.keras", layers.Dense(16), layers.Dense(3)), change)
    monkeypatch.setattr(keras.models, "load_model", lambda *a, **k: pytest.fail("Keras read it"))
    result = run("audit", path)
    refused(result, "GiB of memory are free")
    declared = float(result[2].split("declares ")[1].split()[0].replace(",", ""))
    assert declared > 4 * 2**20  # the second kernel alone, in GiB


def test_an_array_that_declares_what_the_file_does_not_hold_is_refused(run, tmp_path):
    path = save(tmp_path / "model.h5", layers.Dense(3))
    with h5py.File(path, "r+") as file:
        file.create_dataset("bomb", (2**24, 2**24), "f4", chunks=(2**10, 2**10))
    assert path.stat().st_size < 2**20
    refused(run("audit", path), "declares 1,048,576.0 GiB")


@pytest.mark.parametrize(
    "stack",
    [
        (layers.Dense(64), layers.Dense(3)),
        (layers.Reshape((4, 2)), layers.LSTM(5), layers.Dense(2)),
        (layers.Reshape((2, 4)), layers.MultiHeadAttention(2, 3)),
        (layers.Reshape((2, 2, 2)), layers.SeparableConv2D(5, 3, padding="same")),
        (layers.Reshape((2, 2, 2)), layers.Conv2DTranspose(6, 3), layers.Flatten()),
        (layers.Reshape((2, 2, 2)), layers.Conv2D(6, 1, groups=2), layers.DepthwiseConv2D(1)),
        (layers.Embedding(100, 7), layers.Bidirectional(layers.GRU(4))),
    ],
)
def test_what_a_sound_model_declares_is_a_bound_from_below(stack):
    inputs = keras.Input((8,))
    x = inputs
    for layer in stack:
        x = layer(x, x) if isinstance(layer, layers.MultiHeadAttention) else layer(x)
    model = keras.Model(inputs, x)
    config = keras.saving.serialize_keras_object(model)
    declared = declared_size.from_config(json.loads(json.dumps(config)))
    assert 0 < declared <= 4 * model.count_params()


def test_text_input_without_data_asks_for_data(run, tmp_path):
    words = layers.TextVectorization(20, output_sequence_length=6)
    words.adapt(["a b c", "b d e f"])
    inputs = keras.Input((1,), dtype="string")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(20, 8)(words(inputs)))
    keras.Model(inputs, layers.Dense(1)(x)).save(tmp_path / "text.keras")
    refused(run("diagnose", tmp_path / "text.keras"), "give --data")


@pytest.fixture
def classifier(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((16, 8)))
    np.save(tmp_path / "y.npy", rng.integers(0, 3, 16))
    dense = [layers.Dense(16, "relu", kernel_initializer="he_normal") for _ in range(2)]
    return save(tmp_path / "net.keras", *dense, layers.Dense(3, "softmax"))


def test_diagnose_takes_labels_loss_and_optimizer(run, classifier, monkeypatch):
    seen = []
    real = keras_inits.diagnose

    def watched(model, x, y=None, **options):
        seen.append((model, x, y))
        return real(model, x, y, **options)

    monkeypatch.setattr("keras_inits._diagnose.diagnose", watched)
    words = ("diagnose", classifier, "--data", "x.npy", "--labels", "y.npy", "--batch", "8")
    refused(run(*words), "give --loss")
    code, out, err = run(
        *words, "--loss", "sparse_categorical_crossentropy", "--optimizer", "sgd",
        "--learning-rate", "0.25",
    )  # fmt: skip
    assert code in (0, 1), err
    assert "8 samples" in out
    model, x, y = seen[-1]
    assert (x.shape, y.shape) == ((8, 8), (8,))
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert float(model.optimizer.learning_rate) == 0.25
    assert model.loss is keras.losses.sparse_categorical_crossentropy


def our_loss(y, output):
    return keras.ops.mean(keras.ops.square(y - output))


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_loss_that_cannot_be_loaded_is_asked_for(run, classifier, suffix):
    model = keras.models.load_model(classifier)
    model.compile("sgd", our_loss)
    model.save(f"own.{suffix}")
    words = ("diagnose", f"own.{suffix}", "--data", "x.npy", "--labels", "y.npy")
    refused(run(*words), "layers can be loaded: give --loss")
    code, _, err = run(*words, "--loss", "sparse_categorical_crossentropy")
    assert code in (0, 1), err


def test_a_file_that_cannot_be_loaded_says_nothing_of_losses(run, classifier):
    path = rewritten(classifier, lambda config: config | {"class_name": "Nowhere"})
    code, _, err = run("diagnose", path, "--data", "x.npy", "--labels", "y.npy")
    assert code == 2
    assert "--loss" not in err


def test_what_keras_says_of_compiling_is_not_repeated(run, classifier, caplog):
    model = keras.models.load_model(classifier)
    model.save("plain.h5")
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy())
    model.save("compiled.h5")
    caplog.clear()
    words = ("--data", "x.npy", "--labels", "y.npy")
    refused(run("diagnose", "plain.h5", *words), "give --loss")
    assert run("diagnose", "compiled.h5", *words)[0] in (0, 1)
    assert not caplog.records
    keras.models.load_model("plain.h5")
    assert caplog.records  # as everywhere else


FAILS = """
import keras

class OurDense(keras.layers.Dense):
    def call(self, x):
        if x.shape[0] is not None:
            raise RuntimeError("only in graphs")
        return super().call(x)
"""


def test_what_the_users_own_layer_raises_is_no_fault_of_the_library(run, tmp_path):
    path = save(tmp_path / "model.keras", UNREGISTERED["OurDense"](ours()))
    np.save(tmp_path / "x.npy", np.zeros((4, 8)))
    (tmp_path / "ours.py").write_text(FAILS)
    words = ("--import", "ours", "--data", "x.npy")
    refused(run("diagnose", path, *words), "cannot be called with `--data`", "only in graphs")


def test_a_single_array_in_an_npz_is_the_only_input(run, classifier, tmp_path):
    np.savez(tmp_path / "alone.npz", images=np.load(tmp_path / "x.npy"))
    np.savez(tmp_path / "two.npz", np.load(tmp_path / "x.npy"), np.load(tmp_path / "x.npy"))
    assert run("diagnose", classifier, "--data", "alone.npz")[0] == 0
    np.save(tmp_path / "swapped.npy", np.load(tmp_path / "x.npy").astype(">f4"))
    assert run("diagnose", classifier, "--data", "swapped.npy")[0] == 0
    refused(run("diagnose", classifier, "--data", "two.npz"), "Received: arr_0, arr_1")


def test_a_model_that_was_never_built_asks_for_data(run, tmp_path):
    with pytest.warns(UserWarning, match="not yet been built"):
        keras.Sequential([layers.Dense(3)]).save(tmp_path / "never.keras")
    refused(run("diagnose", "never.keras"), "give --data")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--optimizer", "sdg"], "Did you mean 'sgd'"),
        (["--loss", "mean_squard_error"], "Did you mean 'mean_squared_error'"),
        (["--learning-rate", "-1"], "`--learning-rate` must be positive"),
        (["--labels", "y.npy"], "give --data"),
        (["--batch", "0"], "`--batch` must be at least 1"),
        (["--data", "net.keras"], "`--data` must be"),
        (["--data", "nowhere.npy"], "`--data` must be a file that exists"),
        (["--data", "objects.npy"], "numbers or strings"),
        (["--data", "cut.npy"], "`--data` must be a .npy file"),
        (["--data", "x.csv"], "numpy.save('x.npy', numpy.loadtxt('x.csv', delimiter=','"),
        (["--data", "empty.npy"], "at least one"),
        (["--data", "x.npy", "--labels", "short.npy", "--loss", "mse"], "as many samples"),
        (["--png", "depth.pdf"], "ends with .png"),
        (["--json", "net.keras/report.json"], "net.keras"),
        (["--json", "/proc/nowhere/report.json"], "/proc/nowhere"),
        (["--json", "."], "."),
    ],
)
def test_a_mistake_in_diagnose_ends_in_a_sentence(run, classifier, tmp_path, words, says):
    np.save(tmp_path / "objects.npy", np.array([{}, []], object), allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:300])
    np.save(tmp_path / "empty.npy", np.zeros((0, 8)))
    np.save(tmp_path / "short.npy", np.zeros(5))
    np.savetxt(tmp_path / "x.csv", np.zeros((5, 8)), delimiter=",")
    refused(run("diagnose", classifier, *words), says)


def test_a_fault_of_the_library_shows_its_traceback_and_exits_with_70(capsys):
    def fault():
        np.zeros(3).reshape(2, 2)

    assert exit_code(fault) == FAULT == 70
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "cannot reshape" in err
    assert "report it" in err


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (InputError("`x` [/b] must be\x1b[31m"), 2, "`x` [/b] must be\\x1b[31m"),
        (keras_inits.datasets.DataError("no data"), 2, "no data"),
        (OSError(28, "No space left on device", "out/a.json"), 2, "No space left on device: out"),
        (OSError("made up"), 70, "made up"),
        (
            caused(OSError("no folder for the cache"), OSError(30, "Read-only file system")),
            2,
            "no folder for the cache",
        ),
        (caused(OSError("made up"), ValueError("by us")), 70, "made up"),
        (ModuleNotFoundError("No module named 'joblib'", name="joblib"), 2, "keras-inits[compare]"),
        (ModuleNotFoundError("No module named 'nope'", name="nope"), 70, "nope"),
        (KeyboardInterrupt(), 130, ""),
        (ValueError("[one] of ours"), 70, "[one] of ours"),
    ],
)
def test_errors_are_told_apart_by_type(capsys, error, code, says):
    def fail():
        raise error

    assert exit_code(fail) == code
    err = capsys.readouterr().err
    assert says in err
    assert ("Traceback" in err) == (code == 70)


def test_an_optimizer_that_has_taken_no_step_is_loaded_without_a_warning(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("adam", "mse")
    model.save(tmp_path / "fresh.keras")
    assert loading.load_model(tmp_path / "fresh.keras", compiled=True).optimizer.name == "adam"
