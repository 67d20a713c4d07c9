"""`mup.initialize`: a wide model at the scale that its narrow base was tuned for."""

from typing import Any

import keras

from keras_inits import _registry
from keras_inits._checks import boolean
from keras_inits._errors import InputError
from keras_inits._initialize import InitializationReport
from keras_inits._initialize import initialize as initialize_weights
from keras_inits._schemes import RandomInit, ZerosInit
from keras_inits._schemes.laws import expected_stddev
from keras_inits.mup._scaling import weight_scalings


def initialize(
    model: keras.Model,
    base: keras.Model,
    scheme: Any = "initkit_he",
    *,
    delta: keras.Model | None = None,
    zero_output: bool = True,
    seed: int | None = None,
) -> InitializationReport:
    r"""Sets every weight of `model` in place by muP, with `scheme` as the law of the base.

    With $m$ the width against the base, kernels of which both axes widen have the base's standard
    deviation times $m^{-1/2}$, those of which the inputs alone widen times $1/m$, all others the
    base's. This is table 3 of the paper, in which a start and a rate take the place of multipliers;
    the rates that go with it come from `mup.optimizer`. What the model has to bring all the same is
    in the report of `mup.scaling`: for heads that widen, logits of attention are to be query · key
    / d, not / sqrt(d); those of a table that is embedding too are to be divided by m.

    Args:
        model: the wide model, built.
        base: its narrow sibling, built; its weights are not used.
        scheme: the law of the base, an initializer with a known standard deviation.
        delta: as in `mup.scaling`: what shows which axes widen, for a model as wide as its base.
        zero_output: kernels of which the inputs alone widen start at 0, as the paper advises: the
            start is then the same at every width.
        seed: as in `keras_inits.initialize`.

    Returns:
        As `keras_inits.initialize`.

    Raises:
        InputError: the two models differ by more than widths, or the scheme has no known scale.

    >>> import keras
    >>> from keras_inits import mup
    >>> def net(width):
    ...     return keras.Sequential([keras.Input((8,)), keras.layers.Dense(width),
    ...                              keras.layers.Dense(width), keras.layers.Dense(3)])
    >>> [row.target_stddev for row in mup.initialize(net(64), net(16), seed=0).rows[:3:2]]
    [0.5, 0.1767766952966369]

    Reference:
        Yang et al. 2022, Tensor Programs V, table 3. https://arxiv.org/abs/2203.03466
    """
    zero_output, law = boolean("zero_output", zero_output), _registry.get(scheme)
    overrides: dict[str, Any] = {}
    for _, one in weight_scalings(model, base, delta):
        if one.geometry is None or one.base is None:
            continue
        stddev = expected_stddev(law, one.base)
        if not stddev:
            raise InputError(
                "`scheme` must have a known standard deviation above 0, which muP scales. "
                f"Received: scheme={scheme!r}"
            )
        zero = zero_output and one.kind == "output"
        overrides[_literal(one.path)] = (
            ZerosInit() if zero else RandomInit(stddev * one.stddev_factor)
        )
    return initialize_weights(model, "own", overrides=overrides, seed=seed)


def _literal(path: str) -> str:
    """Returns the pattern that fits this path alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)
