"""Third set written blind: programs that train well, on pictures, series and texts.

Written before any verdict of `diagnose` on them was seen. Unusual on purpose, and right: each was
trained, and kept where it learns.
"""

import keras
from keras import layers
from program import Program, healthy

THIRD_PICTURES: dict[str, Program] = {}
program = healthy(THIRD_PICTURES, "ours")

Dense, Input, Conv = layers.Dense, keras.Input, layers.Conv2D
