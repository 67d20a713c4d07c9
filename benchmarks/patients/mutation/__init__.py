"""Programs that train, the operators that spoil them, and what is said of the mutants."""
