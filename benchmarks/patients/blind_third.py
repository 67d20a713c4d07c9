"""The third set written blind, by another author: each program was trained before it was kept."""

from blind_third_ends import THIRD_ENDS
from blind_third_healthy import THIRD_TABLES
from blind_third_rare import THIRD_RARE
from blind_third_scales import THIRD_SCALES
from blind_third_training import THIRD_TRAINING
from blind_third_values import THIRD_VALUES
from program import Program

BLIND_THIRD: dict[str, Program] = {
    **THIRD_ENDS,
    **THIRD_VALUES,
    **THIRD_SCALES,
    **THIRD_TRAINING,
    **THIRD_RARE,
}
BLIND_THIRD_HEALTHY: dict[str, Program] = {**THIRD_TABLES}
