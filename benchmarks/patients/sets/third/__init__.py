"""The third set written blind, by another author: about half from reports."""

from program import Program

from sets.third import ends, healthy_tables, pictures, rare, scales, sequences, training, values

BROKEN: dict[str, Program] = {
    **ends.BROKEN,
    **values.BROKEN,
    **scales.BROKEN,
    **training.BROKEN,
    **rare.BROKEN,
    **pictures.BROKEN,
    **sequences.BROKEN,
}
HEALTHY: dict[str, Program] = {**healthy_tables.HEALTHY, **pictures.HEALTHY, **sequences.HEALTHY}
