"""The fifth set written blind, of what people usually post, over the whole range of tasks."""

from program import Program

from sets.fifth import ends, healthy_pictures, healthy_tables, scales, training

BROKEN: dict[str, Program] = {**ends.BROKEN, **scales.BROKEN, **training.BROKEN}
HEALTHY: dict[str, Program] = {**healthy_tables.HEALTHY, **healthy_pictures.HEALTHY}
