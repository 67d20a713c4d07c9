"""The commands."""

import functools
from typing import Annotated

import tyro
from rich.console import Console
from tyro.extras import SubcommandApp

from keras_inits._cli import compare, saved_models, schemes
from keras_inits._cli.reproduce import run, run_everything
from keras_inits.experiments import circles, depth, everything, mnist_log, zero_init
from keras_inits.experiments.mnist_log.views import print_epochs

app = SubcommandApp()
app.command(name="list")(schemes.list_schemes)
app.command(name="audit")(saved_models.audit_model)
app.command(name="diagnose")(saved_models.diagnose_model)
reproduce = SubcommandApp()


@app.command(name="compare")
def compare_command(config: Annotated[compare.CompareConfig, tyro.conf.arg(name="")]) -> None:
    """Train a model from several schemes over many seeds, and say what the data support."""
    compare.run(config, Console())


app.command(reproduce, name="reproduce", help="Run a classic experiment beside its numbers.")


@reproduce.command(name="mnist-log")
def mnist_log_command(
    config: Annotated[mnist_log.MnistLogConfig, tyro.conf.arg(name="")],
) -> None:
    """Softmax regression on MNIST, random against Xavier: the 20-epoch log of the first article."""
    console = Console()
    run(
        mnist_log,
        config,
        console,
        side_by_side=config.trainer == "population",
        on_epoch=functools.partial(print_epochs, console),
    )


@reproduce.command(name="zero-init")
def zero_init_command(
    config: Annotated[zero_init.ZeroInitConfig, tyro.conf.arg(name="")],
) -> None:
    """MNIST with every weight zero, or 0.5, or He's; and what may start from zeros."""
    run(zero_init, config, Console())


@reproduce.command(name="circles")
def circles_command(
    config: Annotated[circles.CirclesConfig, tyro.conf.arg(name="")],
) -> None:
    """Two circles from zeros, random, Xavier and He: one published draw, and many seeds."""
    run(circles, config, Console())


@reproduce.command(name="depth")
def depth_command(config: Annotated[depth.DepthConfig, tyro.conf.arg(name="")]) -> None:
    """Ten layers deep: what becomes of the signal and of its gradient, theory beside it."""
    run(depth, config, Console(), side_by_side=False)


@reproduce.command(name="all")
def everything_command(
    config: Annotated[everything.EverythingConfig, tyro.conf.arg(name="")],
) -> None:
    """Every experiment, and one page over all of them: report.html."""
    run_everything(config, Console())
