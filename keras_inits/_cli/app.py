"""The commands, and what happens when one fails."""

import sys
from typing import Annotated

import tyro
from rich.console import Console
from rich.text import Text
from tyro.extras import SubcommandApp

from keras_inits._cli import compare, saved_models, schemes
from keras_inits._cli import reproduce as reproducing
from keras_inits.datasets import DataError
from keras_inits.experiments import EXPERIMENTS

app = SubcommandApp()
app.command(name="list")(schemes.list_schemes)
app.command(name="audit")(saved_models.audit_model)
app.command(name="diagnose")(saved_models.diagnose_model)
reproduce = SubcommandApp()


@app.command(name="compare")
def compare_command(config: Annotated[compare.CompareConfig, tyro.conf.arg(name="")]) -> None:
    """Train a model from several schemes over many seeds, and say what the data support."""
    compare.run(config, Console())


app.command(
    reproduce,
    name="reproduce",
    help="Run a classic experiment and compare it with its published numbers.",
)


for experiment in EXPERIMENTS:
    reproduce.command(name=experiment.name)(reproducing.command(experiment))
reproduce.command(name="all")(reproducing.everything)


def main() -> None:
    """Runs the command line.

    A mistake of the user's ends in a message, without a traceback, and exit code 2; 1 is what
    `audit` and `diagnose` say of a model that is not well.
    """
    try:
        app.cli(prog="keras-inits", description="Weight initialization for Keras.")
    except (DataError, ValueError) as error:
        # Messages may hold brackets, such as those of an extra, which are no markup.
        message = Text.assemble(("error:", "bold red"), " ", str(error))
        Console(stderr=True).print(message)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
