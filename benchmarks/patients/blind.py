"""Programs written blind: from reports, before any verdict of `diagnose` on them was seen."""

from blind_data import DATA
from blind_ends import ENDS
from blind_healthy import TABLES
from blind_images import IMAGES
from blind_training import TRAINING
from program import Program

BLIND: dict[str, Program] = {**ENDS, **DATA, **TRAINING}
BLIND_HEALTHY: dict[str, Program] = {**TABLES, **IMAGES}
