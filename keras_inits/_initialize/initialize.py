"""`initialize`: every weight of a model set as its layer needs it."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import keras
from keras import ops

from keras_inits import _checks, _registry
from keras_inits._checks import choice
from keras_inits._errors import InputError, InputTypeError, near_matches
from keras_inits._initialize.plan import AUTO, OWN, plan
from keras_inits._initialize.report import InitializationReport, WeightRow
from keras_inits._initialize.seeds import root_seed, weight_seed
from keras_inits._initialize.setting import set_all
from keras_inits._initialize.shares import Residual
from keras_inits._initialize.statistics import standard_deviation
from keras_inits._initialize.step import Step, seed_paths
from keras_inits._layers import LeftAlone, Unknown, owned_weights
from keras_inits._recipes import Recipe, find, recipes
from keras_inits._schemes import GeometricInit
from keras_inits._schemes.base import Scheme
from keras_inits._schemes.laws import constant_value, expected_stddev


def initialize(
    model: keras.layers.Layer,
    scheme: Any = "initkit_he",
    *,
    overrides: Mapping[str, Any] | None = None,
    residual: Residual = "auto",
    seed: int | None = None,
) -> InitializationReport:
    """Sets every weight of `model` in place, kernels by `scheme` in their true geometry.

    Biases, normalizations and other weights that are no kernels return to the start that their
    layer gives them. Frozen, quantized and LoRA layers, and weights that the library does not know,
    keep their values; the report says which and why. The compiled state (optimizer, loss, metrics)
    stays.

    The layers keep the schemes, unseeded, as their initializers, so that clones and saved models
    draw afresh by the same law. Where the shape of a kernel does not show its geometry, they keep a
    `GeometricInit`.

    `initialize(model, "own")` resets a model: every weight is drawn anew by the initializer that
    its layer has, as building the model does, with a seed of its own. The layers keep their
    initializers, and two layers that share a seeded one no longer start equal.

    `initialize(model, "auto")` reads how the model is wired (`keras_inits.wiring`) and carries
    second moments through it, call by call, from inputs of second moment 1. Each kernel gets the
    scale at which its output has the second moment asked for, given what reaches it: the one at
    which the activation that follows keeps signal and gradient over the layers of its kind in a
    row; what came in, on a shortcut; a share of the stream's, at the end of a branch (`residual`);
    0.3 for logits, which then add 0.15 to the loss of a guess (behind a mean over places, of what
    differs between examples; up to 1 in all); and 1 where the output meets a
    kernel, or something that is not understood, which the row's note then says. A kernel whose
    scale a normalization takes away has variance 1 / fan_in. Dropout counts as in training.
    Kernels are orthogonal at that scale (`SuoInit`; `HadamardOrthogonalInit` beyond 2^14 numbers
    of a matrix), so that a deep net passes all directions alike. Depthwise ones are balanced
    (`BalancedInit`); tables, and kernels of more than 2^24 numbers, are normal.

    All or nothing: if any weight cannot be drawn, the model is as it was. (Where the draw itself is
    interrupted, a model of more than 16 MiB may be left half set.)

    Args:
        model: a built model or layer.
        scheme: the name, configuration or instance of an initializer, ours or Keras's; or
            `"auto"`, the scale that the model's graph asks for; or `"own"`; or a recipe for a whole
            net (`keras_inits.recipes()`), by name, such as `"gpt2"`, or with options,
            `keras_inits.recipe("gpt2", stddev=0.01)`.
        overrides: patterns of weight paths, such as `"*/embeddings"`, to schemes; the first that
            fits counts. None in place of a scheme leaves the weights alone; a recipe gives each of
            them the line of its role. An override may also name a bias, or a weight that the
            library does not know: the scheme then reads the shape.
        residual: what `"auto"` has each of the L branches of a residual stream add to the stream's
            second moment, through its last kernel, or the scale of a normalization behind that
            where it starts at 1. `"sqrt"`: 1 / L of what the stream starts with, standard
            deviations times L^-1/2 (GPT-2), so that it ends at twice that. `"depth"`: 1 / (2 (l +
            1)) in block l, of two sums each where there is attention (OLMo, torchtitan). `"zero"`:
            nothing (Goyal et al. 2017; Fixup). `"auto"`: as `"sqrt"`, but a branch that ends in a
            normalization keeps its scale of 1, as the stream then grows as sqrt(1 + L) only.
        seed: root of all seeds, a whole number from 0; None takes a new one, which the report
            gives. Each weight's own seed follows from it and the weight's path.

    Returns:
        A row for each weight, with the standard deviation of the scheme's law and the one measured.

    Raises:
        InputError: a model that is not built, an instance that has a seed of its own, a pattern
            that fits no weight, a scheme that cannot fill a kernel, a recipe for another kind of
            model.
        InputTypeError: something that is no model, no scheme or no seed.

    Reference:
        Radford et al. 2019, section 2.3 (L^-1/2).
        https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf
        Zhang, Dauphin & Ma 2019 (residual nets without normalization).
        https://arxiv.org/abs/1901.09321
        De & Smith 2020, section 3 (normalized branches). https://arxiv.org/abs/2002.10444
        Goyal et al. 2017, section 5.1 (a last scale of 0). https://arxiv.org/abs/1706.02677
        Saxe, McClelland & Ganguli 2014 (orthogonal kernels). https://arxiv.org/abs/1312.6120

    >>> import keras
    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(256, "relu")])
    >>> [row.scheme for row in initialize(model, seed=1).rows]
    ['HeInit()', 'Zeros']
    """
    _checks.built(model, "initialized")
    root = root_seed(seed)
    steps = set_by(model, scheme, root, overrides, residual)
    rows = tuple(_row(step) for step in steps)
    return InitializationReport(model=model.name, seed=root, rows=rows)


def set_by(
    model: keras.layers.Layer,
    scheme: Any,
    root: int,
    overrides: Mapping[str, Any] | None = None,
    residual: Residual = "auto",
    *,
    keep_old: bool = True,
) -> tuple[Step, ...]:
    """Sets the weights of a built model as `initialize` does, and returns what was done with each.

    Args:
        model: a built model or layer.
        scheme: as in `initialize`.
        root: the root of all seeds.
        overrides: as in `initialize`.
        residual: as in `initialize`.
        keep_old: whether the weights are put back where setting them fails; if not, that is the
            caller's to do.
    """
    default = find(scheme) or _scheme(scheme)
    if default is None:
        raise InputError("`scheme` must be an initializer, 'auto' or 'own'. Received: scheme=None")
    if overrides is not None and not isinstance(overrides, Mapping):
        raise InputTypeError(
            "`overrides` must be a dict from patterns of weight paths to schemes. "
            f"Received: overrides={overrides!r}"
        )
    own = {pattern: find(spec) or _scheme(spec) for pattern, spec in (overrides or {}).items()}
    weights = owned_weights(model)
    default, *rest = (
        each.on(model, weights) if isinstance(each, Recipe) else each
        for each in (default, *own.values())
    )
    own = dict(zip(own, rest, strict=True))
    ends = choice("residual", residual, get_args(Residual))
    steps = plan(weights, default, own, model=model, residual=ends)
    seeds = [weight_seed(root, path) for path in seed_paths(steps)]
    set_all(steps, seeds, keep_old=keep_old)
    return steps


def scheme_names(steps: Sequence[Step]) -> tuple[str, ...]:
    """Returns short texts for the initializers that drew kernels, each once, in order."""
    drew = {
        id(s.initializer): s.initializer for s in steps if s.kernel and s.initializer is not None
    }
    return tuple(sorted({_name(initializer) for initializer in drew.values()}))


def _scheme(spec: Any) -> Any:
    """Returns the initializer that `spec` means; None, `"auto"` and `"own"` mean themselves."""
    if spec is None or (isinstance(spec, str) and spec in (AUTO, OWN)):
        return spec
    try:
        initializer = _registry.get(spec)
    except InputError as error:
        near = near_matches(spec, recipes(), n=1) if isinstance(spec, str) else []
        if near:
            raise InputError(f"{error} Of the recipes {near[0]!r} is nearest.") from None
        raise
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    if config.get("seed") is not None:
        raise InputError(
            "`initialize` gives each weight a seed of its own: a scheme's seed would make weights "
            "equal. Give the scheme without one, and `seed` to `initialize`. "
            f"Received: {initializer!r} with seed={config['seed']!r}"
        )
    return initializer


def _row(step: Step) -> WeightRow:
    """Returns what was done with a weight, and the scale that it now has."""
    weight = step.owned.weight
    is_set = step.initializer is not None
    value = constant_value(step.initializer) if is_set and 0 not in weight.shape else None
    return WeightRow(
        path=step.owned.path,
        shape=tuple(weight.shape),
        geometry=step.kernel,
        scheme=_name(step.initializer) if is_set else "",
        target_stddev=expected_stddev(step.initializer, step.geometry) if is_set else None,
        # What is one number everywhere need not be read back: half of a net's weights may be.
        stddev=standard_deviation(weight) if value is None else 0.0 * value,
        left_alone=step.role.reason if isinstance(step.role, LeftAlone) and not is_set else "",
        unknown=isinstance(step.role, Unknown) and not is_set,
        note="; ".join(part for part in (step.note, _constrained(step), _renewed(step)) if part),
        second_moment=step.second_moment,
    )


def _constrained(step: Step) -> str:
    """Returns what the constraint of a weight will do to the drawn values; empty for nothing."""
    constraint = getattr(step.owned.weight, "constraint", None)
    if constraint is None or step.initializer is None:
        return ""
    drawn = ops.convert_to_tensor(step.owned.weight)
    # Keras applies it behind each step of training, and never to a start.
    try:
        held = bool(ops.all(ops.isclose(constraint(drawn), drawn, rtol=1e-3, atol=1e-6)))
    except Exception as error:  # code of a user, when all weights are set
        return f"{type(constraint).__name__} cannot take it: {type(error).__name__}: {error}"
    return "" if held else f"{type(constraint).__name__} changes it at the first step"


def _renewed(step: Step) -> str:
    """Returns what a wrapper of a kernel's layer does to it; empty for nothing."""
    wrapper = keras.layers.SpectralNormalization
    if step.kernel is None or not any(isinstance(p, wrapper) for p in step.owned.parents):
        return ""
    return "SpectralNormalization divides it by its largest singular value at each training step"


def _name(initializer: Any) -> str:
    """Returns a short text for an initializer; of a `GeometricInit`, the scheme inside."""
    if isinstance(initializer, GeometricInit):
        return _name(initializer.scheme)
    if isinstance(initializer, Scheme):
        return repr(initializer)
    return str(getattr(initializer, "__name__", type(initializer).__name__))
