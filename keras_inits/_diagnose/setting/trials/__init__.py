"""Steps on a copy, as the training is and with one thing of it changed."""
