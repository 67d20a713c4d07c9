"""The fifth set written blind, of what people usually post: trained before it was kept."""

from blind_fifth_ends import FIFTH_ENDS
from blind_fifth_healthy import FIFTH_HEALTHY
from blind_fifth_healthy_pictures import FIFTH_HEALTHY_PICTURES
from blind_fifth_scales import FIFTH_SCALES
from blind_fifth_training import FIFTH_TRAINING
from program import Program

BLIND_FIFTH: dict[str, Program] = {**FIFTH_ENDS, **FIFTH_SCALES, **FIFTH_TRAINING}
BLIND_FIFTH_HEALTHY: dict[str, Program] = {**FIFTH_HEALTHY, **FIFTH_HEALTHY_PICTURES}
