"""The ninth set written blind: optimizers, precision, own layers and what pipelines do to data."""

from program import Program

from sets.ninth import faulty, shapes, sound

BROKEN: dict[str, Program] = {**faulty.BROKEN, **shapes.BROKEN}
HEALTHY: dict[str, Program] = sound.HEALTHY
