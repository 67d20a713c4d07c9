"""What a floating type cannot hold: float16 ends at 65504, and at 6e-8 towards 0."""

from typing import Any

import numpy as np

HALF_PRECISION = ("float16", "bfloat16")


def beyond(values: Any, dtype: str) -> str:
    """Returns why a type cannot hold numbers, too large or all rounded to 0; empty if it can.

    Args:
        values: numbers in a wider type.
        dtype: of floating numbers; bfloat16 reaches as far as float32.

    >>> beyond([1e5, 1.0], "float16"), beyond([1e5, 1.0], "bfloat16")
    ('float16 holds no number above 65504, and 1e+05 is asked for', '')
    """
    limits = np.finfo("float32" if dtype == "bfloat16" else dtype)
    most, least = float(limits.max), float(limits.smallest_subnormal)
    sizes = np.abs(np.asarray(values))
    largest = float(sizes.max(initial=0.0, where=np.isfinite(sizes)))
    if largest > most:
        return f"{dtype} holds no number above {most:.5g}, and {largest:.3g} is asked for"
    if 0 < largest <= least / 2:
        return f"{dtype} holds no number below {least:.1g}, and {largest:.3g} is asked for"
    return ""
