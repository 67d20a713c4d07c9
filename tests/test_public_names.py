"""What the package shows: the documented names and no others, with and without TensorFlow."""

import os
import subprocess
import sys

import pytest

import keras_inits

MODULES = {"datasets", "experiments", "mup", "plots"}
PUBLIC = MODULES | {
    *("AuditReport", "Comparison", "Default", "Difference", "Execution", "Finding"),
    *("GaussianMoments", "Wiring", "wiring"),
    *("GivenWeights", "InitializationReport", "InputError", "Interval", "KernelGeometry"),
    *("LayerReport", "LeftAlone", "SignalMonitor", "SignalReport", "Thresholds", "WeightRow"),
    *("audit", "chi", "compare", "correlation_map", "critical_sigma_w", "depth_scale"),
    *("diagnose", "fixed_point", "gain", "gaussian_moments", "geometry", "get", "initialize"),
    *("mean_interval", "names", "one_thread_per_operation", "register", "variance_map"),
    *("CalibrationReport", "CalibrationRow", "calibrate"),
    *("PretrainReport", "PretrainRow", "pretrain"),
    *("PortableReport", "PortableRow", "portable"),
    *("SkipReport", "Skipped", "skip_initialization"),
    *("VocabularyReport", "WarmStartReport", "WarmStartRow", "extend_vocabulary", "warm_start"),
    *("OutputBiasReport", "OutputBiasRow", "fit_output_bias"),
    "Start",
    *("Place", "Recipe", "recipe", "recipes", "roles"),
    "__version__",
}
# The schemes follow from the registry, and the two that mean nothing by name from the package.
SCHEMES = {type(keras_inits.get(name)).__name__ for name in keras_inits.names()} | {
    "GeometricInit",
    "MimeticInit",
}


def test_dir_is_the_documented_list_and_nothing_else():
    assert set(dir(keras_inits)) == PUBLIC | SCHEMES
    assert set(keras_inits.__all__) == (PUBLIC | SCHEMES) - MODULES - {"__version__"}
    assert len(keras_inits.__all__) == len(set(keras_inits.__all__))


@pytest.mark.parametrize("name", sorted(PUBLIC | SCHEMES))
def test_every_name_can_be_had(name):
    assert getattr(keras_inits, name) is not None


def test_a_name_that_is_not_there_is_no_attribute():
    assert not hasattr(keras_inits, "diagnoze")


# Hides packages, as if they were not installed; Keras's own soft imports see that too.
HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""


def run_without(hidden, code, backend="jax", command=("-c",)):
    pytest.importorskip(backend if backend != "none" else "keras")
    return subprocess.run(
        [sys.executable, *command, HIDE.format(hidden=hidden) + code],
        env=os.environ | {"KERAS_BACKEND": "jax" if backend == "none" else backend},
        capture_output=True,
        text=True,
    )


def test_without_tensorflow_the_plugin_audit_every_name_and_the_command_line_work():
    code = """
import keras, keras_inits
layer = keras.layers.Dense(64, kernel_initializer="initkit_he")
model = keras.Sequential([keras.Input((8,)), layer, keras.layers.Dense(3)])
keras_inits.initialize(model, seed=0)
assert not keras_inits.audit(model).findings
assert "diagnose" in dir(keras_inits)
assert "tensorflow" not in sys.modules
from keras_inits import *
assert hasattr(keras_inits, "diagnose")
from keras_inits._cli.main import exit_code, _run
sys.argv = ["keras-inits", "list"]
assert exit_code(_run) == 0
"""
    done = run_without({"tensorflow", "tensorflow_datasets"}, code)
    assert done.returncode == 0, done.stderr
    assert "initkit_he" in done.stdout


def test_without_a_backend_a_sentence_names_the_extra():
    hidden = {"tensorflow", "jax", "torch"}
    done = run_without(hidden, "import keras_inits", backend="none")
    assert done.returncode == 1
    assert 'pip install "keras-inits[tensorflow]"' in done.stderr.splitlines()[-1]
    code = "sys.argv = ['/usr/bin/keras-inits', 'list']; import keras_inits"
    done = run_without(hidden, code, backend="none")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert 'pip install "keras-inits[tensorflow]"' in done.stderr


def test_a_command_says_in_a_sentence_that_the_system_does_not_let_keras_load():
    refuse = """
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name == "keras":
            raise FileNotFoundError(2, "No usable temporary directory found")
sys.meta_path.insert(0, Refusing())
"""
    done = run_without(set(), refuse + "import keras_inits", backend="none")
    assert done.returncode == 1  # as a library it keeps the error, for whoever wants to catch it
    assert done.stderr.splitlines()[-1].startswith("FileNotFoundError")
    command = refuse + "sys.argv = ['/bin/keras-inits', 'list']\nimport keras_inits"
    done = run_without(set(), command, backend="none")
    assert done.returncode == 2
    assert done.stderr == "error: Keras cannot be loaded: No usable temporary directory found\n"


def test_without_an_optional_package_a_sentence_names_its_extra():
    code = """
import keras_inits
try:
    keras_inits.plots
except ImportError as error:
    print(error)
from keras_inits._cli import main
sys.argv = ["x", "list"]
main()
"""
    done = run_without({"matplotlib", "tyro"}, code)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    says = '{}, which is not installed: pip install "keras-inits[{}]"'
    assert says.format("matplotlib", "plots") in done.stdout
    assert says.format("tyro", "cli") in done.stderr
