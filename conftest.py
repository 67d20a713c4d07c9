"""Doctests of modules for one backend are collected where its library is installed."""

from importlib.util import find_spec

collect_ignore_glob = [f"*/on_{name}.py" for name in ("jax", "torch") if find_spec(name) is None]
