"""Runs the tests of another backend, where it is installed: `jax` or `torch`.

    python scripts/test_backends.py torch
    python scripts/test_backends.py jax tests/starts -x  # words for pytest

First those that compare it with TensorFlow, from a process of TensorFlow, slow ones too; then, on
the backend itself, the default tests. The exit code is that of pytest.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

BESIDE_TENSORFLOW = (
    "tests/test_backends.py",
    "tests/compare/test_backends.py",
    "tests/diagnose/test_backends.py",
    "tests/mup/test_optimizer.py",
    "tests/wiring/test_backends.py",
)
# Of TensorFlow are those that compare with it from its side, the notebooks and the site.
ON_BACKEND = (
    "tests",
    "--ignore=tests/test_backends.py",
    "--ignore=tests/test_notebooks.py",
    "--ignore=tests/test_site.py",
)
# What compiled code is worth is not the question here: each operation is compiled for one call.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def main() -> int:
    """Runs pytest once or twice, and returns the first exit code that is not 0."""
    backend, *words = sys.argv[1:] or ("",)
    if backend not in ("jax", "torch") or find_spec(backend) is None:
        sys.exit(f"Give a backend that is installed, jax or torch. Received: {backend!r}")
    on_backend = {"KERAS_BACKEND": backend, "XLA_FLAGS": QUICK}
    if words:
        return pytest(words, on_backend)
    beside = [*BESIDE_TENSORFLOW, "-k", backend, "-m", "slow or not slow"]
    return pytest(beside, {}) or pytest(ON_BACKEND, on_backend)


def pytest(words: Sequence[str], changes: dict[str, str]) -> int:
    """Returns the exit code of pytest with these words and changes of the environment."""
    command = [sys.executable, "-m", "pytest", "-q", *words]
    return subprocess.run(command, env=os.environ | changes).returncode


if __name__ == "__main__":
    sys.exit(main())
