"""The eighth set written blind: pictures, masks, generators, distances and graphs."""

from program import Program

from sets.eighth import classes, graphs, healthy_classes, healthy_masks, makers, masks, measures

BROKEN: dict[str, Program] = {
    **classes.BROKEN,
    **masks.BROKEN,
    **measures.BROKEN,
    **makers.BROKEN,
    **graphs.BROKEN,
}
HEALTHY: dict[str, Program] = {**healthy_classes.HEALTHY, **healthy_masks.HEALTHY}
