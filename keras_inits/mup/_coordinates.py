"""`mup.coordinate_check`: whether steps move a model alike at every width."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import keras
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from keras_inits import _checks
from keras_inits._errors import InputError
from keras_inits._initialize import initialize as initialize_weights
from keras_inits._reporting import Finding, Report, plain_text
from keras_inits.mup._initialize import initialize
from keras_inits.mup._movement import movement, start_anew
from keras_inits.mup._optimizer import optimizer as scaled_optimizer

Parametrization = Literal["mup", "standard"]

# Theory has exponents of 0 under muP, and of 1/2 or 1 where it is missed (Yang et al. 2022, table
# 1 and appendix J). Finite widths move those that are 0: from 32 to 128, the outputs of two hidden
# layers behind a head of zeros by -0.24 (24 seeds, two standard errors of 0.08).
TOLERANCE = 0.3
# Student's t, the quantile of 0.975 for 1, 2, ... degrees of freedom: standard errors of a mean of
# so few seeds are uncertain themselves.
_QUANTILES = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
_LAST_QUANTILE = 2.2  # of more; 1.96 of infinitely many


@dataclass(frozen=True, eq=False)
class CoordinateCheck(Report):
    """How far some steps of training moved the outputs of each layer, at several widths.

    Attributes:
        parametrization: how the models were set and trained.
        widths: of the models, from the narrowest to the widest.
        layers: the calls of layers with kernels, in order, then `"output"`, that of the model.
        sizes: mean absolute value of the outputs, `(widths, seeds, steps + 1, layers)`; the first
            is that of the start.
        changes: mean absolute difference from the start, `(widths, seeds, steps, layers)`.

    >>> changes = np.ones((3, 2, 4, 2))  # 3 widths, 2 seeds, 4 steps, 2 layers
    >>> changes[:, :, :, 1] = [[[1]], [[2]], [[4]]]  # the output moves as the width
    >>> result = CoordinateCheck(
    ...     parametrization="standard", widths=(32, 64, 128), layers=("dense", "output"),
    ...     sizes=np.ones((3, 2, 5, 2)), changes=changes,
    ... )
    >>> [finding.where for finding in result.findings]
    [('output',)]
    """

    parametrization: Parametrization
    widths: tuple[int, ...]
    layers: tuple[str, ...]
    sizes: NDArray[np.float64]
    changes: NDArray[np.float64]

    def exponents(self, step: int = -1) -> NDArray[np.float64]:
        """Returns by which power of the width the change of each layer grows.

        That is the slope of a straight line through the logarithms.

        Args:
            step: after which step, from 1; the last if -1.

        Returns:
            `(seeds, layers)`; NaN for a layer that did not move at some width.

        Raises:
            InputError: a step that was not done.
        """
        step, last = _checks.integer("step", step, minimum=-1), self.changes.shape[2]
        if step == 0 or step > last:
            raise InputError(
                f"`step` must be from 1 to {last}, or -1 for the last. Received: step={step}"
            )
        changes = self.changes[:, :, step - (step > 0)]
        x = np.log(self.widths) - np.mean(np.log(self.widths))
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.log(changes)
            slopes = np.tensordot(x, y - y.mean(axis=0), axes=1) / np.sum(x**2)
        slopes[~np.isfinite(slopes)] = np.nan
        return np.asarray(slopes)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The layers that move more, or less, the wider the model is."""
        return tuple(self._findings_of_layers())

    def _findings_of_layers(self) -> Iterator[Finding]:
        exponents = self.exponents()
        last = self.changes[:, :, -1].mean(axis=1)
        for index, layer in enumerate(self.layers):
            mean, error = _mean_and_error(exponents[:, index])
            if np.isfinite(last[:, index]).all() and not abs(mean) - error > TOLERANCE:
                continue
            first, widest = last[0, index], last[-1, index]
            how = "more" if not mean < 0 else "less"
            yield Finding(
                kind="moves with width",
                where=(layer,),
                evidence=(
                    f"{self.changes.shape[2]} steps move its outputs by {first:.3g} at width "
                    f"{self.widths[0]} and by {widest:.3g} at {self.widths[-1]}: as "
                    f"width^{mean:.2f} (± {error:.2f}; flat is within {TOLERANCE:g})"
                ),
                consequence=(
                    f"wider models move {how} at one learning rate: what was tuned on a narrow one "
                    "does not hold for them"
                ),
                numbers={"exponent": float(mean), "error": float(error)},
            )

    def heading(self) -> str:
        """Returns one line: what was trained, and how many layers move alike."""
        _, seeds, steps, layers = self.changes.shape
        return (
            f"{self.parametrization}: {layers - len(self.findings)} of {layers} outputs move alike "
            f"from width {self.widths[0]} to {self.widths[-1]} ({steps} steps, {seeds} seeds)"
        )

    def table(self) -> Table:
        """Returns a row for each layer: its change at each width, and the exponent."""
        table = Table("change of", *map(str, self.widths), "exponent", box=None)
        exponents = self.exponents()
        last = self.changes[:, :, -1].mean(axis=1)
        for index, layer in enumerate(self.layers):
            mean, error = _mean_and_error(exponents[:, index])
            numbers = (f"{value:.3g}" for value in last[:, index])
            shown = "" if np.isnan(mean) else f"{mean:.2f} ± {error:.2f}"
            table.add_row(plain_text(layer), *numbers, shown)
        return table

    def parts(self) -> Iterator[Any]:
        """Yields the heading, the table and the findings."""
        yield self.heading()
        yield self.table()
        for finding in self.findings:
            yield plain_text(str(finding))


def coordinate_check(
    build: Callable[[int], keras.Model],
    widths: Sequence[int],
    data: tuple[Any, Any],
    *,
    loss: Any,
    optimizer: Any = "adam",
    parametrization: Parametrization = "mup",
    scheme: Any = "initkit_he",
    zero_output: bool = True,
    steps: int = 4,
    seeds: int = 5,
    seed: int = 0,
) -> CoordinateCheck:
    """Returns how far some steps move the outputs of each layer, at several widths.

    Under muP the change is the same at every width, up to what is left of finite widths; in the
    standard parametrization it grows or shrinks as a power of the width. A model that has to bring
    a multiplier and does not (a table that makes logits too, attention whose heads widen) shows
    here. Take a learning rate at which the narrowest model trains well, or less: a rate that is too
    high moves every model as far as it can go.

    Args:
        build: takes a width and returns the model, built, made by the same code at every width.
        widths: two or more. The narrowest is the base.
        data: a batch `(x, y)`, on which all steps are made.
        loss: as `compile` takes it.
        optimizer: a name or an optimizer of those that `mup.optimizer` takes.
        parametrization: `"mup"`, by `mup.initialize` and `mup.optimizer`, or `"standard"`, by
            `keras_inits.initialize` and the optimizer as it is.
        scheme: the law of the kernels of the base; in the standard parametrization, of all.
        zero_output: as in `mup.initialize`.
        steps: steps of training. At the first one a head of zeros lets no gradient past.
        seeds: starts of each width.
        seed: root of all random numbers.

    Returns:
        Sizes and changes. Each layer whose change is no flat function of the width is a finding.

    Raises:
        InputError: fewer than two widths, models that differ by more than widths, an optimizer
            that muP's learning rates are not known for, or steps that move nothing.

    Reference:
        Yang et al. 2022, Tensor Programs V, section D.1. https://arxiv.org/abs/2203.03466

    >>> from keras import layers
    >>> def net(width):
    ...     hidden = [layers.Dense(width, "relu"), layers.Dense(width, "relu")]
    ...     return keras.Sequential([keras.Input((8,)), *hidden, layers.Dense(3)])
    >>> batch = np.random.default_rng(0).normal(size=(32, 8)), np.arange(32) % 3
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> coordinate_check(net, [32, 128], batch, loss=loss, steps=3, seeds=2).changes.shape
    (2, 2, 3, 4)
    """
    _checks.choice("parametrization", parametrization, get_args(Parametrization))
    steps = _checks.integer("steps", steps, minimum=1)
    seeds = _checks.integer("seeds", seeds, minimum=1)
    zero_output = _checks.boolean("zero_output", zero_output)
    _checks.function("build", build, "a function of the width that returns a model")
    _checks.instance("data", data, tuple, "a batch `(x, y)`")
    if len(data) != 2:
        raise InputError(f"`data` must be a batch `(x, y)`. Received: {len(data)} values")
    sizes = _sizes(widths)
    _checks.loss(loss)
    models = [_built(build, width) for width in sizes]
    base, widest = _built(build, sizes[0]), models[-1]
    _checks.fits(base, data[0], name="data")
    state = np.random.SeedSequence(_checks.integer("seed", seed)).generate_state(seeds)
    found = []
    for model in models:
        like = _checks.identified("optimizer", optimizer, keras.optimizers.get, "adam")
        like = type(like).from_config(like.get_config())  # each model has its own
        if parametrization == "mup":
            like = scaled_optimizer(like, model, base)
        model.compile(like, loss, run_eagerly=True)
        for number in map(int, state):
            if parametrization == "mup":
                initialize(model, base, scheme, delta=widest, zero_output=zero_output, seed=number)
            else:
                initialize_weights(model, scheme, seed=number)
            start_anew(like)
            found.append(movement(model, *data, steps))
    if not any(np.any(one[2]) for one in found):
        raise InputError(
            f"The {steps} steps of {type(like).__name__} moved no output at any width, which says "
            "nothing of widths: the learning rate is 0, nothing is trainable, or weights in half "
            "precision round the steps away (make the model under a mixed policy). Received: "
            f"optimizer={optimizer!r}"
        )
    (layers, *_), *_ = found
    shape = (len(sizes), seeds)
    return CoordinateCheck(
        parametrization,
        sizes,
        layers,
        np.array([one[1] for one in found]).reshape(*shape, steps + 1, -1),
        np.array([one[2] for one in found]).reshape(*shape, steps, -1),
    )


def _built(build: Callable[[int], keras.Model], width: int) -> keras.Model:
    """Returns the model of a width.

    Raises:
        InputError: `build` takes no width.
        InputTypeError: it returns no model.
    """
    if not _checks.takes(build, width):
        raise InputError(
            f"`build` must take one argument, the width. Received: build{inspect.signature(build)}"
        )
    model = build(width)
    return _checks.instance("build", model, keras.Model, "a function that returns a keras.Model")


def _sizes(widths: Sequence[int]) -> tuple[int, ...]:
    """Returns different widths as integers, from the narrowest to the widest, if they are two."""
    _checks.instance("widths", widths, (Sequence, np.ndarray), "a sequence of integers")
    sizes = sorted({_checks.integer("widths", width, minimum=1) for width in widths})
    if len(sizes) < 2:
        raise InputError(f"`widths` must be two or more. Received: widths={widths!r}")
    return tuple(sizes)


def _mean_and_error(exponents: NDArray[np.float64]) -> tuple[float, float]:
    """Returns the mean over the seeds that have a number, and the half of its 95 % interval."""
    known = exponents[np.isfinite(exponents)]
    if not known.size:
        return float("nan"), float("nan")
    if known.size == 1:
        return float(known[0]), 0.0
    of_freedom = known.size - 1
    quantile = _QUANTILES[of_freedom - 1] if of_freedom <= len(_QUANTILES) else _LAST_QUANTILE
    return float(known.mean()), float(quantile * known.std(ddof=1) / np.sqrt(known.size))
