"""What can be found: the kinds of findings, by what finds them.

Misspelt ones are errors of types. The order of the first three is that of reports.
"""

from typing import Literal

# `diagnose`, of the signal, from the worst: what is broken, learns nothing, learns badly.
SignalKind = Literal[
    "not finite",
    "no gradient",
    "symmetric",
    "dying",
    "saturated",
    "exploding",
    "vanishing",
    "rank-collapsed",
]

# `diagnose`, of the setting, in the order in which to change it: a later one may be a consequence.
SettingKind = Literal[
    "input not finite",
    "input values",
    "labels",
    "target shape",
    "output units",
    "output activation",
    "loss",
    "input constant",
    "input padding",
    "input scale",
    "target scale",
    "normalization",
    "moving statistics",
    "no gradient",
    "missing activation",
    "missing positions",
    "hidden units",
    "hidden activation",
    "regularization",
    "dropout",
    "loss at the start",
    "not finite",
    "weight precision",
    "learning rate too high",
    "learning rate too low",
    "class imbalance",
]

# `audit`, first what stops all learning.
WeightKind = Literal[
    "not finite",
    "constant kernel",
    "residual stream",
    "recurrence",
    "scale",
    "equal units",
    "equal weights",
    "one seed",
    "dead units",
    "not orthogonal",
    "not savable",
]

# `audit`, of what may be meant so, and of what it could not judge.
RemarkKind = Literal["dead embeddings", "not traced", "trained"]

# Calls that set weights: what they left alone or did not reach, and what does not keep its size.
StartKind = Literal[
    "moves with width",
    "not calibrated",
    "not portable",
    "not pre-trained",
    "unknown weight",
    "weight not set",
]

# `SignalMonitor` and `compare`, of a whole training.
TrainingKind = Literal["stalled", "oscillating", "diverged", "never left chance"]

# Experiments: what does not come out as it was said.
ClaimKind = Literal["claim of this library", "published claim", "published number"]

FindingKind = Literal[
    SignalKind, SettingKind, WeightKind, RemarkKind, StartKind, TrainingKind, ClaimKind
]
