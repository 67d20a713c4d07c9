"""A third set of programs of real threads, which no collection here held."""

from program import Program

from sets.threads_third import healthy, pictures, sequences, tables

BROKEN: dict[str, Program] = {**tables.BROKEN, **pictures.BROKEN, **sequences.BROKEN}
HEALTHY: dict[str, Program] = healthy.HEALTHY
