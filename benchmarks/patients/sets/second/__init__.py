"""The second set written blind, from reports: run once, after the limits were last changed."""

from program import Program

from sets.second import ends, healthy_pictures, healthy_tables, rare, scales

BROKEN: dict[str, Program] = {**ends.BROKEN, **scales.BROKEN, **rare.BROKEN}
HEALTHY: dict[str, Program] = {**healthy_tables.HEALTHY, **healthy_pictures.HEALTHY}
