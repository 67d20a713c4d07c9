"""The fourth set written blind, by a third author, more of it of kinds seldom asked about."""

from program import Program

from sets.fourth import common, healthy, healthy_rare, paths, rare, tasks

BROKEN: dict[str, Program] = {**common.BROKEN, **rare.BROKEN, **paths.BROKEN, **tasks.BROKEN}
HEALTHY: dict[str, Program] = {**healthy.HEALTHY, **healthy_rare.HEALTHY}
