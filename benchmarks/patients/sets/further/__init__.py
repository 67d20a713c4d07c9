"""Programs of our own, of the kinds that people ask about; none of them is in a collection.

The limits of `diagnose` were chosen without these, but after some of the collected ones.
"""

from program import Program

from sets.further import ends, hidden, losses, scales, training

BROKEN: dict[str, Program] = {
    **ends.BROKEN,
    **losses.BROKEN,
    **scales.BROKEN,
    **hidden.BROKEN,
    **training.BROKEN,
}
