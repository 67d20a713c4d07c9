"""Names that Keras makes up for layers: `dense_7` is the eighth Dense of the process."""

import re


def made_up_name(name: str, class_name: str) -> tuple[str, int] | None:
    """Returns what Keras has numbered and by which number; None for a name that a user gave.

    Bidirectional makes its names up from those of the layers that it is given.

    >>> made_up_name("forward_lstm_2", "LSTM"), made_up_name("encoder_2", "LSTM")
    (('forward_lstm', 2), None)
    """
    base, number = re.fullmatch(r"(.*?)(?:_(\d+))?", name, re.DOTALL).groups()  # type: ignore[union-attr]
    made_up = base.removeprefix("forward_").removeprefix("backward_").replace("_", "")
    return (base, int(number or 0)) if made_up == class_name.lower().replace("_", "") else None
