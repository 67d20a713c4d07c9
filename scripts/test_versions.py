"""Runs the default tests in a fresh environment of other versions than the ones at hand.

    python scripts/test_versions.py nightly    # Keras as it will be: keras-nightly
    python scripts/test_versions.py lowest     # the lowest versions that pyproject.toml declares
    python scripts/test_versions.py newest     # what `pip install` gives today
    python scripts/test_versions.py lowest tests/test_registry.py -x    # words for pytest

The environment is made in a temporary folder by uv, which is fetched by pip where it is missing.
The exit code is that of pytest.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Tests that need no network, browser or GPU; those of packages that are missing skip themselves.
EXTRAS = ".[test]"
CHECKED = ("keras", "tensorflow", "numpy", "scipy", "joblib", "tyro", "rich", "matplotlib")
VERSIONS = """
import sys
from importlib import metadata
for name in sys.argv[1:]:
    try:
        print(f"{name} {metadata.version(name)}", end="  ")
    except metadata.PackageNotFoundError:
        pass
import keras
print(f"| import keras: {keras.__version__}")
"""


def main() -> int:
    """Makes the environment, prints what is in it, and returns pytest's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("versions", choices=("nightly", "lowest", "newest"))
    parser.add_argument("--keep", type=Path, help="make the environment here, and leave it")
    arguments, words = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="keras-inits-") as temporary:
        folder = arguments.keep or Path(temporary)
        python = install(folder.resolve(), arguments.versions)
        run(python, "-c", VERSIONS, *CHECKED, cwd=folder)
        # The tests start further processes, which find the package here too.
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [python, "-m", "pytest", "-q", *words]
        return subprocess.run(command, cwd=ROOT, env=environment).returncode


def install(folder: Path, versions: str) -> str:
    """Makes an environment in `folder` and returns its Python."""
    venv.create(folder, clear=True, with_pip=True)
    python = str(next(folder.glob("[bS]*/python*")))  # bin, or Scripts on Windows
    uv = shutil.which("uv")
    if uv is None:
        run(python, "-m", "pip", "install", "--quiet", "uv")
        uv = shutil.which("uv", path=str(Path(python).parent))  # not its neighbours uvx and uvw
    pip = [uv, "pip", "install", "--quiet", "--python", python]
    resolution = ["--resolution", "lowest-direct"] if versions == "lowest" else []
    run(*pip, *resolution, "--editable", EXTRAS)
    if versions == "nightly":
        # Both packages own the folder `keras`: the released one goes before the other comes.
        run(uv, "pip", "uninstall", "--quiet", "--python", python, "keras")
        run(*pip, "--upgrade", "--reinstall-package", "keras-nightly", "keras-nightly")
    return python


def run(*command: str, cwd: Path = ROOT) -> None:
    """Runs a command, and stops the program if it fails."""
    print("$", *(word if len(word) < 100 else "..." for word in command), file=sys.stderr)
    subprocess.run(command, cwd=cwd, check=True)


if __name__ == "__main__":
    sys.exit(main())
