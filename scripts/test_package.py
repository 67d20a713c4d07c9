"""Builds the wheel by way of the sdist, installs it in a fresh environment and uses it there.

    python scripts/test_package.py                 # the core alone, Keras on JAX
    python scripts/test_package.py tensorflow cli  # with these extras

The environment is made in a temporary folder, of the Python that runs this. The exit code is not 0
if the wheel or the sdist holds what it should not, or if anything does not work.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
USE = """
import keras
import keras_inits

layer = keras.layers.Dense(8, kernel_initializer="initkit_he")
model = keras.Sequential([keras.Input((4,)), layer])
assert keras_inits.initialize(model, "auto", seed=1).rows
assert keras_inits.audit(model).ok
model.save("model.keras")
loaded = keras.models.load_model("model.keras").layers[0].kernel_initializer
assert type(loaded).__module__.startswith("keras_inits")
print("keras-inits", keras_inits.__version__, "keras", keras.__version__, keras.config.backend())
"""


def main() -> None:
    """Builds, looks, installs and uses."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("extras", nargs="*", help="of pyproject.toml; none: the core")
    extras = parser.parse_args().extras
    with tempfile.TemporaryDirectory(prefix="keras-inits-") as temporary:
        folder = Path(temporary)
        venv.create(folder / "env", with_pip=True)
        bin_ = next(folder.glob("env/[bS]*/python*")).parent  # bin, or Scripts on Windows
        run(bin_ / "python", "-m", "pip", "install", "--quiet", "build")
        run(bin_ / "python", "-m", "build", "--outdir", folder / "dist", ROOT)
        (sdist,), (wheel,) = folder.glob("dist/*.tar.gz"), folder.glob("dist/*.whl")
        check_contents(sdist, wheel)
        named = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
        backend = [] if any(_installed_by(extra) for extra in extras) else ["jax"]
        run(bin_ / "python", "-m", "pip", "install", "--quiet", named, *backend)
        environment = os.environ | {"KERAS_BACKEND": backend[0] if backend else "tensorflow"}
        environment.pop("PYTHONPATH", None)  # what is used is what was installed
        run(bin_ / "python", "-c", USE, cwd=folder, env=environment)
        command = [bin_ / "keras-inits", "list"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if {"cli", "experiments", "notebooks", "test", "dev"} & set(extras):
            expect(done.returncode == 0 and "initkit_he" in done.stdout, "`keras-inits list`", done)
        else:  # a sentence that says what to install, and no traceback
            said = done.stdout + done.stderr
            expect(done.returncode == 2 and "Traceback" not in said, "without `cli`", done)
    print("ok")


def _installed_by(extra: str) -> bool:
    """Returns whether an extra brings TensorFlow."""
    return extra in {"tensorflow", "tensorboard", "experiments", "notebooks", "test", "dev"}


def check_contents(sdist: Path, wheel: Path) -> None:
    """Fails if the wheel holds anything but the package, or the sdist lacks a part."""
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    own = {top for top in tops if top != "keras_inits" and not top.endswith(".dist-info")}
    expect(not own, "the wheel", own)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2].partition("/")[0] for name in archive.getnames()}
    missing = {"keras_inits", "tests", "notebooks", "docs", "pyproject.toml", "LICENSE"} - names
    expect(not missing, "the sdist lacks something", missing)


def expect(right: bool, what: str, found: object) -> None:
    """Stops the program if something is not right."""
    if not right:
        sys.exit(f"{what}: {found}")


def run(*command: object, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Runs a command, and stops the program if it fails."""
    words = [str(word) for word in command]
    print("$", *(word if len(word) < 100 else "..." for word in words), file=sys.stderr)
    subprocess.run(words, cwd=cwd, check=True, env=env)


if __name__ == "__main__":
    main()
