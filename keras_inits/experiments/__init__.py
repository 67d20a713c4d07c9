"""The classic experiments: a recipe, a run and a result each."""
