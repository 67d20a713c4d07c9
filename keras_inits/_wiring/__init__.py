"""How a model is wired: calls, streams, sums and what follows what, from shapes alone."""

from keras_inits._wiring.attention import Attention
from keras_inits._wiring.following import Following
from keras_inits._wiring.graph import Call
from keras_inits._wiring.streams import Branch, Stream, Sum
from keras_inits._wiring.wiring import Wiring, wiring

__all__ = ["Attention", "Branch", "Call", "Following", "Stream", "Sum", "Wiring", "wiring"]
