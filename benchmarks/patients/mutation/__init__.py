"""Programs that train, and the operators that spoil them."""
