"""The command line: `keras-inits list | audit | diagnose | compare | reproduce`."""

from keras_inits._cli.main import main

__all__ = ["main"]
