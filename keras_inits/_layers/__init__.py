"""What each layer and each of its weights is; the import registers Keras's layers."""

from keras_inits._layers import (  # noqa: F401
    by_name,
    convolutional,
    core,
    normalization,
    recurrent,
)
from keras_inits._layers.dispatch import Default, LeftAlone, Role, Unknown, geometry, role
from keras_inits._layers.ownership import OwnedWeight, owned_weights

__all__ = [
    "Default",
    "LeftAlone",
    "OwnedWeight",
    "Role",
    "Unknown",
    "geometry",
    "owned_weights",
    "role",
]
