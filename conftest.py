"""Doctests of modules for one backend are collected where its library is installed."""

import os
from importlib.util import find_spec

collect_ignore_glob = [f"*/on_{name}.py" for name in ("jax", "torch") if find_spec(name) is None]

# Workers share the processors: threads of one would only wait for, or take, those of the other.
# TensorFlow and BLAS read this when they are loaded, which is later.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "TF_NUM_INTRAOP_THREADS",
    ):
        os.environ.setdefault(name, "1")
