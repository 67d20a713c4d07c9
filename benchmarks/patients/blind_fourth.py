"""The fourth set written blind, by a third author: each program was trained before it was kept."""

from blind_fourth_common import FOURTH_COMMON
from blind_fourth_healthy import FOURTH_HEALTHY
from blind_fourth_healthy_rare import FOURTH_HEALTHY_RARE
from blind_fourth_paths import FOURTH_PATHS
from blind_fourth_rare import FOURTH_RARE
from blind_fourth_tasks import FOURTH_TASKS
from program import Program

BLIND_FOURTH: dict[str, Program] = {
    **FOURTH_COMMON,
    **FOURTH_RARE,
    **FOURTH_PATHS,
    **FOURTH_TASKS,
}
BLIND_FOURTH_HEALTHY: dict[str, Program] = {**FOURTH_HEALTHY, **FOURTH_HEALTHY_RARE}
