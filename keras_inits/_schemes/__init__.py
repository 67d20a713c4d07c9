"""The schemes, one family a file; importing them registers them."""

from keras_inits._schemes.constant import ConstantInit, OnesInit, ZerosInit
from keras_inits._schemes.geometric import GeometricInit
from keras_inits._schemes.identity import DiracInit, IdentityInit
from keras_inits._schemes.orthogonal import DeltaOrthogonalInit, OrthogonalInit
from keras_inits._schemes.plain import (
    RandomInit,
    RandomLargeInit,
    RandomSmallInit,
    TruncatedNormalInit,
    UniformInit,
)
from keras_inits._schemes.sparse import SparseInit
from keras_inits._schemes.variance_scaling import (
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
