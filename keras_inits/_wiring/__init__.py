"""How a model is wired: calls, streams, sums and what follows what, from shapes alone."""

from keras_inits._wiring.attention import Attention
from keras_inits._wiring.following import Following
from keras_inits._wiring.graph import Call
from keras_inits._wiring.picture import Wiring
from keras_inits._wiring.run import wiring
from keras_inits._wiring.streams import Branch, Stream, Sum

__all__ = ["Attention", "Branch", "Call", "Following", "Stream", "Sum", "Wiring", "wiring"]
