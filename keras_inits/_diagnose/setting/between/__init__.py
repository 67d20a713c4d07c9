"""What stands between the two ends: noise, activations, penalties, normalizations."""
