"""One pass through a model that leaves no trace, and what was seen of each call of a layer."""
