"""What other libraries call our schemes, and where the laws differ.

Reference:
    torch.nn.init (trailing `_`): https://docs.pytorch.org/docs/stable/nn.init.html
    jax.nn.initializers, which flax uses too: https://docs.jax.dev/en/latest/jax.nn.initializers.html
    Caffe's fillers: https://github.com/BVLC/caffe/blob/master/include/caffe/filler.hpp
    fvcore's `c2_..._fill`: https://github.com/facebookresearch/fvcore/blob/main/fvcore/nn/weight_init.py
"""

import re
from typing import NamedTuple


class Foreign(NamedTuple):
    """Our string for another library's name, and a sentence on how the laws compare."""

    ours: str
    law: str


_TRUNCATED = (
    'JAX, flax and Keras cut the normal at two standard deviations: distribution="truncated_normal"'
)
_XAVIER = (
    "What torch, JAX and flax call Xavier is Glorot's law, variance 2 / (fan_in + fan_out); "
    "`initkit_xavier` has variance 1 / fan_in."
)
_KAIMING = Foreign(
    "initkit_he", f"The same law as torch's kaiming_normal_, variance 2 / fan_in. {_TRUNCATED}."
)

# By the form that `plain` gives.
FOREIGN: dict[str, Foreign] = {
    "kaiming": _KAIMING,
    "kaiming_normal": _KAIMING,
    "he_normal": Foreign("initkit_he", f"Variance 2 / fan_in. {_TRUNCATED}."),
    "kaiming_uniform": Foreign(
        "initkit_he_uniform",
        "The same law, variance 2 / fan_in. torch's Linear and Conv layers start from it with "
        "a=√5, which is variance 1 / (3 fan_in): "
        'VarianceScalingInit(gain=3**-0.5, distribution="uniform").',
    ),
    "msra": Foreign("initkit_he", "The same law as Caffe's, variance 2 / fan_in."),
    "c2_msra_fill": Foreign(
        "initkit_he", 'fvcore takes fan_out in place of fan_in: HeInit(mode="fan_out").'
    ),
    "c2_xavier_fill": Foreign(
        "initkit_xavier_uniform", "The same law, Caffe's Xavier: uniform, variance 1 / fan_in."
    ),
    "xavier_normal": Foreign("initkit_glorot", _XAVIER),
    "xavier_uniform": Foreign(
        "initkit_glorot_uniform",
        f"{_XAVIER} Caffe's Xavier has 1 / fan_in too: `initkit_xavier_uniform`.",
    ),
    "glorot_normal": Foreign("initkit_glorot", f"Variance 2 / (fan_in + fan_out). {_TRUNCATED}."),
    "lecun_normal": Foreign("initkit_lecun", f"Variance 1 / fan_in. {_TRUNCATED}."),
    "trunc_normal": Foreign(
        "initkit_truncated_normal",
        "torch cuts at -2 and 2 whatever the standard deviation, so that std=0.02 is a plain "
        "normal, RandomInit(stddev=0.02); ours cuts at two standard deviations, 0.05 by default.",
    ),
    "orthogonal": Foreign("initkit_orthogonal", "The same law."),
    "delta_orthogonal": Foreign("initkit_delta_orthogonal", "The same law as JAX's."),
    "dirac": Foreign(
        "initkit_dirac", "The same, but for kernels of even length: torch takes the later tap."
    ),
    "eye": Foreign("initkit_identity", "The same matrix."),
    "sparse": Foreign(
        "initkit_sparse", "torch counts what each input sends out; ours what each output takes in."
    ),
    "normal": Foreign("initkit_random", "The same law as torch's, standard deviation 1."),
    "gaussian": Foreign("initkit_random", "Standard deviation 1 by default, as in Caffe."),
    "uniform": Foreign("initkit_uniform", "torch draws from 0 to 1; ours from -0.05 to 0.05."),
    "constant": Foreign("initkit_constant", "torch's has no default; ours is 0.01."),
    "ones": Foreign("initkit_ones", "The same."),
    "zeros": Foreign("initkit_zeros", "The same."),
}


# No initializers of one weight, by the form that `plain` gives, and the calls that are meant.
WHOLE_NET = {
    "auto": 'keras_inits.initialize(model, "auto")',
    "own": 'keras_inits.initialize(model, "own")',
    "lsuv": "keras_inits.calibrate(model, x)",
    "calibrate": "keras_inits.calibrate(model, x)",
    "mup": "keras_inits.mup.initialize(model, base)",
}


def plain(name: str) -> str:
    """Returns a name in snake case without our prefix, torch's underscore and words for "fill".

    >>> [plain(name) for name in ("kaiming_normal_", "KaimingNormal", "initkit_xavier_normal")]
    ['kaiming_normal', 'kaiming_normal', 'xavier_normal']
    >>> [plain(name) for name in ("MSRAFill", "torch.nn.init.eye_", "initkit-he", "HeInit")]
    ['msra', 'eye', 'he', 'he']
    """
    last = re.sub(r"[\s-]+", "_", name.rpartition(".")[2].strip())
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", last).lower()
    snake = snake.removeprefix("initkit_").rstrip("_")
    if snake in FOREIGN:
        return snake
    return re.sub(r"_(init|initializer|filler|fill)$", "", snake)
