"""The second set written blind: run once, after the limits of `diagnose` were last changed."""

from blind_second_ends import SECOND_ENDS
from blind_second_healthy import SECOND_TABLES
from blind_second_pictures import SECOND_PICTURES
from blind_second_rare import SECOND_RARE
from blind_second_scales import SECOND_SCALES
from program import Program

BLIND_SECOND: dict[str, Program] = {**SECOND_ENDS, **SECOND_SCALES, **SECOND_RARE}
BLIND_SECOND_HEALTHY: dict[str, Program] = {**SECOND_TABLES, **SECOND_PICTURES}
