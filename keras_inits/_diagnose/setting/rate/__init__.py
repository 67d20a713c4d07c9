"""The learning rate, and what the optimizer makes of it."""
