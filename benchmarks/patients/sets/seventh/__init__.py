"""The seventh set written blind: texts, series, tables, tastes, pairs, actions and equations."""

from program import Program

from sets.seventh import healthy, pairs, sequences, tables

BROKEN: dict[str, Program] = {**sequences.BROKEN, **tables.BROKEN, **pairs.BROKEN}
HEALTHY: dict[str, Program] = healthy.HEALTHY
