"""The schemes, one family a file; importing them registers them."""

from keras_inits._schemes.balanced import BalancedInit
from keras_inits._schemes.biases import BiasUniformInit, ChronoInit
from keras_inits._schemes.constant import ConstantInit, OnesInit, ZerosInit
from keras_inits._schemes.cut_normal import CutNormalInit
from keras_inits._schemes.geometric import GeometricInit
from keras_inits._schemes.hadamard import HadamardOrthogonalInit
from keras_inits._schemes.identity import DiracInit, IdentityInit
from keras_inits._schemes.mimetic import MimeticInit
from keras_inits._schemes.orthogonal import DeltaOrthogonalInit, OrthogonalInit
from keras_inits._schemes.plain import (
    RandomInit,
    RandomLargeInit,
    RandomSmallInit,
    TruncatedNormalInit,
    UniformInit,
)
from keras_inits._schemes.siren import SirenFirstInit, SirenInit
from keras_inits._schemes.sparse import SparseInit
from keras_inits._schemes.spectral import SpectralInit, SuoInit
from keras_inits._schemes.sub_pixel import IcnrInit
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
    "BalancedInit",
    "BiasUniformInit",
    "ChronoInit",
    "ConstantInit",
    "CutNormalInit",
    "DeltaOrthogonalInit",
    "DiracInit",
    "GeometricInit",
    "GlorotInit",
    "GlorotUniformInit",
    "HadamardOrthogonalInit",
    "HeInit",
    "HeUniformInit",
    "IcnrInit",
    "IdentityInit",
    "LecunInit",
    "LecunUniformInit",
    "MimeticInit",
    "OnesInit",
    "OrthogonalInit",
    "RandomInit",
    "RandomLargeInit",
    "RandomSmallInit",
    "SirenFirstInit",
    "SirenInit",
    "SparseInit",
    "SpectralInit",
    "SuoInit",
    "TruncatedNormalInit",
    "UniformInit",
    "VarianceScalingInit",
    "XavierInit",
    "XavierUniformInit",
    "ZerosInit",
]
