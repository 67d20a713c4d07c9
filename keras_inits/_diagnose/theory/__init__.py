r"""What the wide-net limit predicts for the calls of a model, one by one.

Forward, a second moment follows from that of the input by the second moments of the weights; back,
a gradient's by the same and by the derivative of the activation. Both assume random weights of
mean 0, independent of what they are given.

Theory predicts *sizes*. How a signal is spread over samples and places (how alike these are, where
it is large) is the data's doing, and is taken from the measurement: so is what pooling, which has
no weights, leaves of a signal, and the variances by which a normalization divides. Where there is
no law theory is silent, and starts again behind it from what was measured.

Each prediction has a band: the standard deviation that a finite width gives the logarithm of the
second moment of one net (`spread.py`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keras_inits._diagnose.seen.calls import Call
from keras_inits._diagnose.seen.picture import Picture
from keras_inits._diagnose.theory.backward import backward
from keras_inits._diagnose.theory.forward import forward
from keras_inits._diagnose.theory.nodes import find_net

__all__ = ["Prediction", "predict"]


@dataclass(frozen=True)
class Prediction:
    """What theory expects at one call; None where it says nothing.

    Attributes:
        second_moment: of its output.
        deviation: standard deviation of the logarithm of that, over nets of this width.
        gradient: second moment of the gradient there.
        gradient_deviation: standard deviation of its logarithm.
    """

    second_moment: float | None
    deviation: float | None
    gradient: float | None
    gradient_deviation: float | None


def predict(
    calls: Sequence[Call],
    picture: Callable[[], Picture | None],
    *,
    training: bool = True,
) -> list[Prediction]:
    """Returns what theory expects of each call.

    Args:
        calls: in the order in which they ended.
        picture: how the model is wired; asked for where operations stand between layers.
        training: whether the model was run as in training.
    """
    net = find_net(calls, picture, training=training)
    laws = forward(net)
    backs = backward(net, laws)
    predictions = []
    for index in range(len(calls)):
        node = net.by_call.get(index, -1)
        law, back = laws.get(node), backs.get(node)
        if calls[index].gradient is None:
            back = None
        predictions.append(
            Prediction(
                law.second_moment if law else None,
                math.sqrt(law.variance) if law else None,
                back.second_moment if back else None,
                math.sqrt(back.variance) if back else None,
            )
        )
    return predictions
