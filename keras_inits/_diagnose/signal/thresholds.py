"""Where a figure becomes a verdict."""

from dataclasses import dataclass

from keras_inits._checks import integer, real


@dataclass(frozen=True)
class Thresholds:
    """Where a figure becomes a verdict.

    Attributes:
        growth: by how much one layer, or the layers since the last normalization, may multiply the
            root mean square of the signal, or the length of the gradient, or divide it. 10, because
            one learning rate then no longer fits the first and the last layer, and because tanh
            under its best scale still loses a factor of 5 over 50 layers without harm.
        saturated: the share of units that may be within 3 % of the bounds of a bounded activation.
            0.5: tanh' is below 0.06 there, so that past one half most of a gradient is lost.
        dead: the share of units that may be 0 on the whole batch. 0.6: of a healthy ReLU layer, as
            the samples grow alike with depth, up to one half comes to be.
        correlation: the mean correlation between samples up to which they differ enough. 0.99: what
            differs is then a tenth of the signal's size.
        equal: the share of units that may equal another one in output and in gradient. 0: training
            never makes them differ again.
        units: the fewest units of which sizes are judged. 8: with random weights, one layer in a
            thousand misses its size by 10 by chance even then.
        forgotten: how many times smaller than at the last step of a recurrent layer the gradient
            may be at the first one. 1e7, float32's precision: what is smaller is lost when the
            steps' gradients are added up.
        amplified: how many times larger it may be there. 1e3: a rate that fits the last step moves
            what the first one asks for a thousand times too far.
        step: how many times a kernel's own norm the gradient of a loss may be. 100, one over the
            0.01 that is SGD's default rate: one step replaces the kernel.
        response: how far, in root mean square, a change of the inputs by their standard deviation
            may move the model's outputs, before a softmax or sigmoid. 1e3: losses and rates are
            made for outputs of the order of 1. 100 times as far in a net with normalizations.

    >>> Thresholds(dead=0.9).dead, Thresholds().growth
    (0.9, 10.0)
    """

    growth: float = 10.0
    saturated: float = 0.5
    dead: float = 0.6
    correlation: float = 0.99
    equal: float = 0.0
    units: int = 8
    forgotten: float = 1e7
    amplified: float = 1e3
    step: float = 100.0
    response: float = 1e3

    def __post_init__(self) -> None:
        for name in ("growth", "forgotten", "amplified"):
            real(name, getattr(self, name), above=1)
        real("step", self.step, above=0)
        real("response", self.response, above=0)
        integer("units", self.units)
        for name in ("saturated", "dead", "correlation", "equal"):
            real(name, getattr(self, name), minimum=0, maximum=1)
