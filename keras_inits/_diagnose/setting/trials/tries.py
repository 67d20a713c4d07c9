"""Trial steps of one training: as it is, or with one thing of it changed."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_inits._diagnose.seen.objective import Objective, objective
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.rate.schedules import Rate, rate_of, steps_of
from keras_inits._diagnose.setting.reading import Bend
from keras_inits._diagnose.setting.remedies import other_activation
from keras_inits._diagnose.setting.trials import starts, weighing
from keras_inits._diagnose.setting.trials.steps import BATCH, Attempt, Copy, Trial

BUDGET = 1e12  # multiplications of the steps of one trial: some ten seconds on two cores
LONGER_BUDGET = 1e10  # of a trial, for a longer one to be done as well
LAYERS = 100  # that are trained: the graph of more takes longer to make than to run
FEW_STEPS, FEW = 4, 8  # of what costs more: steps, each on the same few samples
MOST_STEPS = 200  # of a trial, of the longer ones as well
UNTAUGHT, TAUGHT = 0.9, 0.5  # of the loss of a guess: next to nothing was learned, and something
FEWEST_PARTED = 32  # samples of which every other one is left out of a trial
_OWN: Any = object()  # sample weights of the case; None stands for none


def parted(nest: Any) -> tuple[Any, Any]:
    """Returns every other sample of each array of a nest, and the ones between; None stays None."""
    first, second = (
        keras.tree.map_structure(lambda t, i=i: None if t is None else t[i::2], nest)
        for i in (0, 1)
    )
    return first, second


class Tries:
    """Trial steps of one training.

    Args:
        case: the training; its model is compiled.
        best: the loss of the best constant guess; None where it is not known.

    Attributes:
        optimizer: the compiled one.
        rate: its learning rate.
        steps: of one trial.
        layers: of the model, that are trained.
        cost: of one trial, in multiplications.
        spent: how many steps were done.
    """

    def __init__(self, case: Case, best: float | None) -> None:
        self.case, self.best = case, best
        self.optimizer: Any = case.model.optimizer
        self.rate: Rate = rate_of(self.optimizer)
        self.steps = steps_of(self.optimizer)
        self.layers, each = work(case.model)
        self.cost = each * BATCH * self.steps
        self.spent = 0

    @functools.cached_property
    def own(self) -> Trial:
        """The trial of the training as it is."""
        return self.attempt(self.rate.value)

    @property
    def longer(self) -> int:
        """How many steps a longer trial has; 0 where it would cost too much."""
        most = max(self.steps, min(weighing.LONGER_TRIAL * self.steps, MOST_STEPS))
        return most if self.cost < LONGER_BUDGET else 0

    @functools.cached_property
    def few(self) -> Attempt:
        """Returns what makes trials of a few steps on few samples, of a model that is large.

        What they do at a rate that is good says little: on one batch losses rise and fall. At one
        that is far too high they are thrown up.
        """
        case, copy = self.case, self.new_copy(eagerly=self.layers > LAYERS)
        given = keras.tree.map_structure(
            lambda t: None if t is None else t[:FEW], (case.x, case.y, case.sample_weight)
        )

        def few(rate: float, *, optimizer: Any = None, steps: int = 0) -> Trial:
            steps = steps or FEW_STEPS
            made = self.attempt(rate, *given, optimizer=optimizer, steps=steps, copy=copy)
            return replace(made, end=max(made.end, case.uncut(copy, *given[:2])))

        return few

    @property
    def is_large(self) -> bool:
        """Whether a trial would take minutes."""
        return self.cost > BUDGET or self.layers > LAYERS

    @property
    def is_too_large(self) -> bool:
        """Whether a few steps on few samples would take as long."""
        return self.cost * (FEW_STEPS * FEW) / (self.steps * BATCH) > BUDGET

    @functools.cached_property
    def own_longer(self) -> Trial:
        """The longer trial of the training as it is."""
        more = self.longer > self.steps
        return self.attempt(self.rate.value, steps=self.longer) if more else self.own

    def without_noise(self) -> float:
        """Returns the loss after a longer trial with all noise off, as `predict` answers."""
        case = self.case
        self.attempt(self.rate.value, steps=self.longer)  # leaves the copies at its end
        return case.copy.quiet(case.x, case.y, case.sample_weight)

    @property
    def untaught(self) -> float:
        """The loss of a guess, where the first steps hardly undercut it and longer ones may.

        0 where it is undercut or not known, or where longer trials would cost too much.
        """
        best = self.best or 0.0
        return 0.0 if not self.longer or self.own.end < UNTAUGHT * best else best

    def attempt(
        self,
        rate: float,
        x: Any = None,
        y: Any = None,
        sample_weight: Any = _OWN,
        *,
        optimizer: Any = None,
        steps: int = 0,
        start: Sequence[Any] | None = None,
        copy: Copy | None = None,
        seed: int = 0,
    ) -> Trial:
        """Returns a trial at a rate; what is not given is that of the training.

        Args:
            rate: the learning rate.
            x: inputs.
            y: targets.
            sample_weight: None for none.
            optimizer: the steps are a copy's of it.
            steps: how many.
            start: values of the trained variables to start from.
            copy: of the model's variables.
            seed: of the order of the samples.
        """
        case = self.case
        made = (copy or case.copy).trial(
            case.x if x is None else x,
            case.y if y is None else y,
            optimizer or self.optimizer,
            rate,
            steps=steps or self.steps,
            sample_weight=case.sample_weight if sample_weight is _OWN else sample_weight,
            start=start,
            seed=seed,
        )
        self.spent += len(made.losses)
        return replace(made, losses=tuple(loss * self._terms for loss in made.losses))

    @functools.cached_property
    def _terms(self) -> float:
        """How many times the terms of a batch the loss of all samples has; 1 where it is a mean."""
        samples = keras.tree.flatten(self.case.x)[0].shape[0]
        summed = all(kind.summed for _, _, kind in self.case.parts)
        return max(1.0, samples / BATCH) if summed else 1.0

    def from_start(self, start: Sequence[Any], sample_weight: Any = _OWN, steps: int = 0) -> Trial:
        """Returns the trial from other weights."""
        return self.attempt(self.rate.value, sample_weight=sample_weight, steps=steps, start=start)

    def redrawn(self, steps: int = 0, sample_weight: Any = _OWN) -> Trial:
        """Returns the trial from kernels drawn anew."""
        return self.from_start(starts.redrawn(self.case.copy), sample_weight, steps)

    def new_copy(self, **options: Any) -> Copy:
        """Returns copies of the model's variables with steps of their own."""
        return Copy(self.case.model, self._objective(), **options)

    def longer_with(self, **options: Any) -> Trial:
        """Returns the longer trial on new copies, with the options of `new_copy`."""
        return self.attempt(self.rate.value, steps=self.longer, copy=self.new_copy(**options))

    def _objective(self) -> Objective:
        return objective(self.case.model, None if self.case.own else self.case.loss)

    def left_out(self, copy: Copy | None = None, times: float = 1.0) -> tuple[float, float]:
        """Returns the loss of data that a longer trial did not see, and what is added to it.

        The trial is done on every other sample, at so many times the rate of the training, on the
        variables of `copy` if one is given.
        """
        case = self.case
        copy = copy or case.copy
        seen, unseen = parted((case.x, case.y, case.sample_weight))
        self.attempt(times * self.rate.value, *seen, steps=self.longer, copy=copy)
        return copy.now(*unseen)

    def weighing(self, steps: int) -> weighing.Trials:
        """Returns the trials by which findings of the signal are weighed.

        Kernels are weighed without the weights of samples: what balanced classes want of a bias
        that was set to the frequencies is not the kernels' doing. Nor is it what layers add to the
        loss: codes that were drawn anew are nearer to, or farther from, what they stand for.
        """
        case = self.case

        def remembering(lengths: Mapping[str, float]) -> Trial | None:
            start = starts.remembering(case.copy, lengths)
            return None if start is None else self.from_start(start, None, steps).without_added

        def rectified() -> Trial | None:
            made = self._of(starts.rectified(case.model, sigmoids), steps, None)
            return None if made is None else made.without_added

        sigmoids = starts.hidden_sigmoids(case.bends)
        known = case.sample_weight is None and steps == len(self.own.losses)
        own = self.own if known else self.attempt(self.rate.value, sample_weight=None, steps=steps)
        return weighing.Trials(
            own.without_added,
            functools.cache(lambda: self.redrawn(steps, None).without_added),
            rectified,
            remembering,
            self.best,
            tuple(bend.place for bend in sigmoids),
            other_activation(case.model, sigmoids, "relu", initializer="keras_inits.HeInit()"),
        )

    def with_settings(
        self,
        settings: Mapping[str, Mapping[str, Any]],
        activations: Mapping[Bend, str] | None = None,
    ) -> Trial | None:
        """Returns the longer trial with other settings and activations; None if not copied."""
        other = starts.with_settings(self.case.model, settings, activations)
        return self._of(other, self.longer)

    def _of(self, model: keras.Model | None, steps: int, sample_weight: Any = _OWN) -> Trial | None:
        """Returns a trial of another model with the loss of this one; None of none."""
        if model is None:
            return None
        copy = Copy(model, self._objective())
        return self.attempt(self.rate.value, sample_weight=sample_weight, steps=steps, copy=copy)


def work(model: keras.Model) -> tuple[int, float]:
    """Returns how many layers of a model are trained, and roughly its multiplications for a sample.

    Each kernel once for each place it is applied at, three times (forward, and back to weights and
    to inputs) but for those of frozen layers; of layers whose output shape is not known, for one
    place.
    """
    layers, total = 0, 0.0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            inner, cost = work(layer)
            layers, total = layers + inner, total + cost
            continue
        layers += layer.trainable
        if isinstance(layer, keras.layers.Embedding):
            continue
        size = sum(np.prod(w.shape) for w in layer.weights if len(w.shape) > 1)
        try:
            shape = (layer.input if isinstance(layer, keras.layers.RNN) else layer.output).shape
            places = np.prod([n or 1 for n in shape[1:-1]], initial=1.0)
        except (AttributeError, ValueError):
            places = 1.0
        total += (3.0 if layer.trainable else 1.0) * float(size) * float(places)
    return layers, total
