"""The first set written blind, from reports and the kinds of faults of Humbatova et al. 2020.

Reference: https://arxiv.org/abs/1910.11015
"""

from program import Program

from sets.first import ends, healthy_pictures, healthy_tables, scales, training

BROKEN: dict[str, Program] = {**ends.BROKEN, **scales.BROKEN, **training.BROKEN}
HEALTHY: dict[str, Program] = {**healthy_tables.HEALTHY, **healthy_pictures.HEALTHY}
