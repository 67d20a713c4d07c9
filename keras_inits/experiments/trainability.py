r"""What depth can be trained: tanh nets over depth and weight variance, and the theory's limit.

Schoenholz et al. 2017, figure 5: a net can be trained if a signal gets through it, which is down to
some six depth scales $\xi$ of the infinitely wide net. $\xi$ is infinite at the edge of chaos only.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray

from keras_inits._checks import real
from keras_inits._compare import Execution, compare, mean_interval
from keras_inits._compare.data import TrainingData
from keras_inits._compare.words import interval_text
from keras_inits._errors import InputError
from keras_inits._mean_field import critical_sigma_w, depth_scale
from keras_inits._progress import Progress, part_of
from keras_inits._reporting import Finding
from keras_inits.datasets import ImageDataset, load_mnist
from keras_inits.experiments import _deep_nets as nets
from keras_inits.experiments._experiment import (
    NOT_COMPARABLE,
    Experiment,
    ExperimentResult,
    MnistConfig,
    OnProgress,
    Say,
    not_mnist,
    started,
)
from keras_inits.experiments._page import Page, Picture, Table
from keras_inits.experiments._published import DEEP_INFORMATION_PROPAGATION, TRAINABLE_SCALES

if TYPE_CHECKING:  # matplotlib is an extra
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BATCH, LEARNING_RATE = 64, 0.01
RECORDED_EVERY = 100  # steps between two measurements
EVALUATED = 2000  # training images on which the accuracy is measured: a standard error of 1 %
TRAINED = 0.5  # accuracy from which on a net is called trained; chance is 0.11
# What the limit of a net is allowed to be away from the paper's, as a factor: 300 steps are few,
# and 128 units are far from infinitely many.
TOLERANCE = 2.0


@dataclass(frozen=True)
class TrainabilityConfig(MnistConfig):
    """What to train: a tanh net for each depth, weight variance and seed."""

    depths: tuple[int, ...] = (10, 20, 30, 40, 60, 80)
    """Hidden layers of the nets, ascending."""
    variances: tuple[float, ...] = tuple(round(1 + 0.2 * k, 1) for k in range(16))
    """Weight variances times fan_in of the hidden layers, ascending."""
    seeds: int = 3
    """Runs of each net."""
    units: int = 128
    """Units per hidden layer."""
    steps: int = 300
    """Steps of SGD; a multiple of 100."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(units=1, steps=RECORDED_EVERY)
        for name in ("depths", "variances"):
            values = getattr(self, name)
            for value in values:
                real(name, value, above=0)
            if not values or list(values) != sorted(set(values)):
                raise InputError(
                    f"`{name}` must be ascending, and at least one. Received: {name}={values}"
                )
        if self.steps % RECORDED_EVERY:
            raise InputError(
                f"`steps` must be a multiple of {RECORDED_EVERY}, the distance between two "
                f"measurements. Received: steps={self.steps}"
            )


@dataclass(frozen=True, eq=False)
class TrainabilityResult(ExperimentResult):
    """What the experiment measured.

    Attributes:
        config: what was asked for.
        versions: of Python and of the packages that computed it.
        data: `source`, `description` and `comparable` of the images.
        accuracy: on training images, `(depths, variances, seeds, records)`; a record is taken
            every 100 steps.
        scales: depth scale of the infinitely wide net at each variance, in layers, `(variances,)`.
        critical: the variance at the edge of chaos, where the depth scale is infinite.
        notes: sentences that a reader must know, such as why `fit` trained the nets.
    """

    experiment: ClassVar[str] = "trainability"

    config: TrainabilityConfig
    data: Mapping[str, Any]
    accuracy: NDArray[np.float64]
    scales: NDArray[np.float64]
    critical: float
    notes: tuple[str, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The nets that are trained, or not, a factor of two or more away from the limit."""
        if not self.data["comparable"] or self.config.steps < TrainabilityConfig.steps:
            return ()
        found = []
        for depth, row in zip(self.config.depths, self.trained(), strict=True):
            reach = TRAINABLE_SCALES * self.scales
            wrong = {
                "trained": row & (depth > TOLERANCE * reach),
                "not trained": ~row & (depth < reach / TOLERANCE),
            }
            found += [
                Finding(
                    kind="published claim",
                    where=(f"depth {depth}", f"variance {variance:g}"),
                    evidence=f"the net is {what}; {TRAINABLE_SCALES:g} depth scales are "
                    f"{limit:.0f} layers",
                    numbers={"depth": depth, "limit": float(limit)},
                )
                for what, which in wrong.items()
                for variance, limit, is_wrong in zip(
                    self.config.variances, reach, which, strict=True
                )
                if is_wrong
            ]
        return tuple(found)

    def final(self) -> NDArray[np.float64]:
        """Returns the accuracy after the last step, `(depths, variances, seeds)`."""
        return self.accuracy[..., -1]

    def best_variance(self) -> NDArray[np.float64]:
        """Returns the variance at which a seed trains best, `(depths, seeds)`."""
        return np.array(self.config.variances)[self.final().argmax(axis=1)]

    def scale_at(self, variance: Any) -> NDArray[np.float64]:
        """Returns the depth scale at any variance, interpolated between those of the nets.

        What is interpolated is its inverse, which goes through 0 at the edge of chaos almost in a
        straight line.
        """
        known = np.array(self.config.variances)
        inverse = np.where(known < self.critical, -1, 1) / self.scales
        places = np.append(known, self.critical)
        order = np.argsort(places)
        between = np.interp(variance, places[order], np.append(inverse, 0.0)[order])
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.abs(between))

    def trained(self) -> NDArray[np.bool_]:
        """Returns which nets are trained, by the mean of the seeds, `(depths, variances)`."""
        return np.asarray(self.final().mean(axis=-1) >= TRAINED)

    def agreement(self, multiple: float = TRAINABLE_SCALES) -> NDArray[np.bool_]:
        """Returns which nets are trained, or not, as the theory says, `(depths, variances)`.

        Args:
            multiple: how many depth scales a net may be deep.
        """
        allowed = np.array(self.config.depths)[:, None] <= multiple * self.scales
        return np.asarray(allowed == self.trained())

    def fitted_multiple(self) -> float:
        """Returns the number of depth scales that tells the nets apart best, or the middle one."""
        tried = np.geomspace(0.5, 50, 201)
        right = np.array([self.agreement(multiple).sum() for multiple in tried])
        return float(np.median(tried[right == right.max()]))

    def page(self) -> Page:
        """Returns question, recipe, tables, pictures and conclusions."""
        return page(self)


def run(
    config: TrainabilityConfig,
    *,
    report: Say = print,
    on_progress: OnProgress = lambda progress: None,
) -> TrainabilityResult:
    """Trains a net for each depth, weight variance and seed: those of one depth side by side.

    Args:
        config: what to do. With `config.out`, each finished block of 100 steps is kept there, and a
            later call resumes from it.
        report: takes lines for people about the data.
        on_progress: takes the progress, in layers that have been trained for 100 steps.

    Raises:
        DataError: MNIST could not be had.
        InputError: `config.out` holds runs of another recipe, or of another experiment.
    """
    sigma_b = nets.BIAS_VARIANCE**0.5
    models = len(config.variances) * config.seeds * (config.steps // RECORDED_EVERY)
    total = models * sum(config.depths)
    accuracy, notes = [], []
    with started(TrainabilityResult, config, on_progress) as (versions, listen):
        images = load_mnist(config.source, config.data_dir, report=report)
        report(images.description)
        data = _data(images)
        before = 0
        for depth in config.depths:
            tell = _in_layers(part_of(listen, before, total), depth)
            compared = compare(
                functools.partial(nets.tanh_net, data.x.shape[1], depth, config.units),
                {
                    f"{v:g}": nets.laws_of(
                        nets.tanh_net(data.x.shape[1], depth, config.units, v), config.seed
                    )
                    for v in config.variances
                },
                data,
                seeds=config.seeds,
                epochs=config.steps // RECORDED_EVERY,
                steps_per_epoch=RECORDED_EVERY,
                batch_size=BATCH,
                optimizer=keras.optimizers.SGD(LEARNING_RATE),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["accuracy"],
                seed=config.seed,
                execution=Execution(out=config.state(f"depth-{depth}"), on_progress=tell),
            )
            accuracy.append(compared.values("train_accuracy"))
            notes += compared.notes
            before += models * depth
    return TrainabilityResult(
        config,
        versions,
        data=images.provenance(),
        accuracy=np.stack(accuracy),
        scales=np.array(
            [depth_scale("tanh", sigma_w=v**0.5, sigma_b=sigma_b) for v in config.variances]
        ),
        critical=critical_sigma_w("tanh", sigma_b=sigma_b) ** 2,
        notes=tuple(dict.fromkeys(notes)),
    )


def _data(images: ImageDataset) -> TrainingData:
    """Returns the training images, the first of which are evaluated on, too."""
    x, _ = nets.standardized(images)
    y = images.train_labels
    evaluation = {"train": (x[:EVALUATED], y[:EVALUATED])}
    return TrainingData(x, y, evaluation, images.description)


def _in_layers(listener: OnProgress, depth: int) -> OnProgress:
    """Returns what takes the progress of nets and tells that of their layers, which take time."""

    def tell(p: Progress) -> None:
        listener(Progress(p.done * depth, p.total * depth, p.seconds_left))

    return tell


def page(result: TrainabilityResult) -> Page:
    """Returns the page of the experiment."""
    config = result.config
    return Page(
        name=result.experiment,
        title=EXPERIMENT.title,
        question=(
            "Does the theory of the infinitely wide net say which deep nets can be trained, by "
            "their depth and the variance of their weights alone?"
        ),
        sources=(DEEP_INFORMATION_PROPAGATION,),
        recipe=(
            (
                "model",
                f"tanh, {config.units} units per hidden layer; weights N(0, σ_w²/fan_in), biases "
                f"N(0, {nets.BIAS_VARIANCE:g}); output kernel N(0, 1/fan_in)",
            ),
            ("data", f"{result.data['description']}; mean 0, standard deviation 1"),
            (
                "training",
                f"SGD, learning rate {LEARNING_RATE:g}, {config.steps} steps of {BATCH}; accuracy "
                f"on {EVALUATED:,} training images",
            ),
            ("seeds", f"{config.seeds} per net, from root seed {config.seed}"),
        ),
        tables=(_limits(result), _accuracies(result)),
        pictures=(
            Picture(
                "trainability.png",
                "Training accuracy over weight variance and depth, with the paper's six depth "
                "scales as a dashed line; and the same nets over depth in depth scales",
                lambda: _figure(result),
            ),
        ),
        supported=tuple(_supported(result)),
        unsupported=tuple(_unsupported(result)),
    )


def _limits(result: TrainabilityResult) -> Table:
    config = result.config
    theory = TRAINABLE_SCALES * result.scales
    rows = []
    for depth, best, accuracy in zip(
        config.depths, result.best_variance(), result.final(), strict=True
    ):
        rows.append(
            (
                str(depth),
                ranges(config.variances, accuracy.mean(axis=-1) >= TRAINED),
                ranges(config.variances, theory >= depth),
                interval_text(mean_interval(best, config.seed), "{:.2f}".format),
                interval_text(mean_interval(accuracy.max(axis=0), config.seed), "{:.3f}".format),
            )
        )
    return Table(
        f"Where nets are trained (accuracy {TRAINED:g} or more), and where it is best",
        (
            "depth",
            "trained at\nσ_w²",
            f"{TRAINABLE_SCALES:g} depth\nscales",
            "best σ_w²\n[95 % interval]",
            "accuracy there\n[95 % interval]",
        ),
        tuple(rows),
    )


def ranges(variances: Sequence[float], which: NDArray[np.bool_]) -> str:
    """Returns the first and the last variance of those marked, and how many between are not."""
    if not which.any():
        return "none"
    places = np.flatnonzero(which)
    first, last = variances[places[0]], variances[places[-1]]
    gaps = int((~which[places[0] : places[-1]]).sum())
    text = f"{first:g}" if first == last else f"{first:g} to {last:g}"
    return f"{text} less {gaps}" if gaps else text


def _accuracies(result: TrainabilityResult) -> Table:
    config, several = result.config, result.config.seeds > 1
    final = result.final()
    shown = np.unique(np.linspace(0, len(config.depths) - 1, 5).round().astype(int))

    def cell(values: NDArray[np.float64]) -> str:
        return f"{values.mean():.2f}" + (f" ± {values.std(ddof=1):.2f}" if several else "")

    return Table(
        "Training accuracy" + (", mean ± standard deviation" if several else ""),
        ("σ_w²", "depth\nscale", *(f"depth\n{config.depths[i]}" for i in shown)),
        tuple(
            (f"{variance:g}", f"{scale:.1f}", *(cell(final[i, j]) for i in shown))
            for j, (variance, scale) in enumerate(zip(config.variances, result.scales, strict=True))
        ),
    )


def _supported(result: TrainabilityResult) -> Iterator[str]:
    config = result.config
    best = mean_interval(result.best_variance()[-1], config.seed)
    yield (
        f"At depth {config.depths[-1]} the best σ_w² is {interval_text(best, '{:.2f}'.format)}; "
        f"the edge of chaos is at {result.critical:.3f}."
    )
    trained, right = result.trained(), result.agreement()
    by_depth, by_variance = (
        int(np.maximum(trained.sum(axis=axis), (~trained).sum(axis=axis)).sum()) for axis in (1, 0)
    )
    yield (
        f"Down to {TRAINABLE_SCALES:g} depth scales a net is trained, past them not: right for "
        f"{int(right.sum())} of {right.size} nets. In hindsight, the best guess from the depth "
        f"alone is right for {by_depth}, from the variance alone for {by_variance}."
    )
    fitted = result.fitted_multiple()
    yield (
        f"The multiple that fits these nets best is {fitted:.1f}, right for "
        f"{int(result.agreement(fitted).sum())}."
    )


def _unsupported(result: TrainabilityResult) -> Iterator[str]:
    if not result.data["comparable"]:
        yield f"{NOT_COMPARABLE}: {not_mnist(result.data)}"
    if wrong := len(result.findings):
        yield (
            f"{wrong} nets are trained, or are not, more than a factor of {TOLERANCE:g} away from "
            "the theory's limit."
        )
    yield (
        f"The six is no constant of nature: it depends on the {result.config.steps} steps, the "
        "learning rate and what is called trained. Longer training moves the limit deeper."
    )
    yield "That a trained net is a good one: it is the accuracy in training that is mapped."
    yield "All seeds saw the same batches: the intervals cover the initial weights alone."
    yield from result.notes


def _figure(result: TrainabilityResult) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_map(result, left)
    _draw_over_scale(result, right)
    return figure


def _draw_map(result: TrainabilityResult, ax: "Axes") -> None:
    """Draws the accuracy as colour over weight variance and depth, and the theory's limit."""
    variances, depths = np.array(result.config.variances), np.array(result.config.depths)
    mesh = ax.pcolormesh(
        _edges(variances),
        np.exp(_edges(np.log(depths))),
        result.final().mean(axis=-1),
        cmap="cividis",
        vmin=0,
        vmax=1,
    )
    low, high = ax.get_ylim()
    ax.set(yscale="log", xlabel="weight variance σ_w²", ylabel="hidden layers")
    fine = np.linspace(*ax.get_xlim(), 400)
    fine = fine[(fine >= variances[0]) & (fine <= variances[-1])]
    limit = TRAINABLE_SCALES * result.scale_at(fine)
    shown = np.where(limit <= high, limit, np.nan)
    ax.plot(fine, shown, "--", color="white", lw=2)
    ax.axvline(result.critical, color="white", lw=0.8, ls=":")
    ax.set_ylim(low, high)
    ax.set_yticks(depths, [str(depth) for depth in depths])
    ax.minorticks_off()
    ax.set_title(
        f"dashed: {TRAINABLE_SCALES:g} depth scales; dotted: the edge of chaos", fontsize=9
    )
    figure = ax.get_figure()
    assert figure is not None
    figure.colorbar(mesh, ax=ax, label="training accuracy")


def _draw_over_scale(result: TrainabilityResult, ax: "Axes") -> None:
    """Draws the accuracy of every net over its depth in depth scales."""
    from keras_inits.plots._training import COLORS  # matplotlib is an extra

    for depth, accuracy, color in zip(result.config.depths, result.final(), COLORS, strict=False):
        scaled = depth / result.scales
        mean, spread = accuracy.mean(axis=-1), accuracy.std(axis=-1)
        ax.errorbar(
            scaled, mean, spread, fmt="o", ms=4, lw=0.8, color=color, label=f"{depth} layers"
        )
    ax.axvline(TRAINABLE_SCALES, color="0.3", ls="--", lw=1)
    ax.set(xscale="log", xlabel="depth, in depth scales", ylabel="training accuracy", ylim=(0, 1))
    ax.legend(frameon=False, fontsize=8, loc="lower left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.2)


def _edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the edges of cells around ascending places."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    ends = 2 * centres[[0, -1]] - middles[[0, -1]]
    return np.concatenate([ends[:1], middles, ends[1:]])


EXPERIMENT = Experiment(
    title="What depth can be trained",
    config=TrainabilityConfig,
    result=TrainabilityResult,
    run=run,
    quick={"depths": (5, 20), "variances": (1.0, 1.4, 1.8, 2.6, 4.0), "seeds": 2},
    seconds=400,
    what=(
        "tanh nets of 10 to 80 layers on MNIST, 16 weight variances, 3 seeds, 300 steps: which can "
        "be trained"
    ),
    published="the paper's six depth scales of the infinitely wide net",
)
