"""What says what is wrong in messages of Keras and its backends."""

import keras
import pytest

from keras_inits._foreign_messages import sentence

COLOURED = """Exception encountered when calling Block.call().

\x1b[1mcannot divide.\x1b[0m

Arguments received by Block.call():
  • x=tf.Tensor(shape=(6,), dtype=float32)"""
IN_A_GRAPH = """in user code:

    File "model.py", line 5, in call
        return self.scale + x

    ValueError: `a` in true_fn is accessed from false_fn"""
EXPLAINED = """Encountered an unexpected tracer. It came from `call`.
This explains at length what a tracer is."""


@pytest.mark.parametrize(
    ("backend", "message", "says"),
    [
        ("tensorflow", COLOURED, "cannot divide."),
        ("tensorflow", IN_A_GRAPH, "ValueError: `a` in true_fn is accessed from false_fn"),
        ("jax", EXPLAINED, "Encountered an unexpected tracer. It came from `call`."),
        ("torch", "modified in place. Hint: do this", "modified in place"),
        ("tensorflow", "", ""),
    ],
)
def test_the_line_that_says_what_is_wrong_is_found(backend, message, says, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    assert sentence(ValueError(message)) == says
