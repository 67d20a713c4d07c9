"""The schemes, one family a file; importing them registers them."""

from keras_inits.initializers.constant import ConstantInit, OnesInit, ZerosInit
from keras_inits.initializers.geometric import GeometricInit
from keras_inits.initializers.identity import DiracInit, IdentityInit
from keras_inits.initializers.orthogonal import DeltaOrthogonalInit, OrthogonalInit
from keras_inits.initializers.plain import (
    RandomInit,
    RandomLargeInit,
    RandomSmallInit,
    TruncatedNormalInit,
    UniformInit,
)
from keras_inits.initializers.sparse import SparseInit
from keras_inits.initializers.variance_scaling import (
    GlorotInit,
    GlorotUniformInit,
    HeInit,
    HeUniformInit,
    LecunInit,
    LecunUniformInit,
    VarianceScalingInit,
    XavierInit,
    XavierUniformInit,
)

__all__ = [
    "ConstantInit",
    "DeltaOrthogonalInit",
    "DiracInit",
    "GeometricInit",
    "GlorotInit",
    "GlorotUniformInit",
    "HeInit",
    "HeUniformInit",
    "IdentityInit",
    "LecunInit",
    "LecunUniformInit",
    "OnesInit",
    "OrthogonalInit",
    "RandomInit",
    "RandomLargeInit",
    "RandomSmallInit",
    "SparseInit",
    "TruncatedNormalInit",
    "UniformInit",
    "VarianceScalingInit",
    "XavierInit",
    "XavierUniformInit",
    "ZerosInit",
]
