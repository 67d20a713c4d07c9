"""The commands."""

from typing import Annotated

import tyro
from rich.console import Console
from tyro.extras import SubcommandApp

from keras_inits._cli import compare, saved_models, schemes
from keras_inits._cli import reproduce as reproducing
from keras_inits.experiments import EXPERIMENTS

app = SubcommandApp()
app.command(name="list")(schemes.list_schemes)
app.command(name="audit")(saved_models.audit_model)
app.command(name="diagnose")(saved_models.diagnose_model)
reproduce = SubcommandApp()


@app.command(name="compare")
def compare_command(config: Annotated[compare.CompareConfig, tyro.conf.arg(name="")]) -> None:
    """Train a model from several schemes over many seeds, and say which is better."""
    compare.run(config, Console())


app.command(
    reproduce,
    name="reproduce",
    help="Run a classic experiment and compare it with its published numbers.",
)


for experiment in EXPERIMENTS:
    reproduce.command(name=experiment.name)(reproducing.command(experiment))
reproduce.command(name="all")(reproducing.everything)
