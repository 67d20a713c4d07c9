"""Tables that are looked up: entries that start equal, or zero."""

from collections.abc import Iterator

import numpy as np

from keras_inits._audit.kernel import Judgement, Kernel, Kernels, copies
from keras_inits._reporting import Finding


def dead_embeddings(kernel: Kernel, kernels: Kernels) -> Iterator[Judgement]:
    """Yields a remark if several entries of a table are zero or equal another."""
    maps, *_ = kernel.geometry.matrix_shape
    if not kernel.is_lookup or maps < 2:
        return
    entries = kernel.matrices.reshape(maps, -1)
    zero = int(np.count_nonzero(~entries.any(axis=1)))
    equal = max(0, copies(entries) - max(0, zero - 1)) if entries.shape[1] > 1 else 0
    if zero > 1 or equal:  # one entry of zeros is how padding is often made
        yield Judgement(
            Finding(
                kind="dead embeddings",
                where=(kernel.path,),
                evidence=f"of {len(entries)} entries {zero} are zero and {equal} equal another",
                consequence=(
                    "the model cannot tell these entries apart before they have been trained"
                ),
                remedy=_redraw_entries(kernel.path),
                numbers={"entries": len(entries), "zero": zero, "equal": equal},
            ),
            is_fault=False,
        )


def _redraw_entries(path: str) -> str:
    """Returns code that draws the zero and repeated entries of a table at the scale of the rest."""
    return (
        "import keras\n"
        "import numpy as np\n"
        f"table = next(w for w in model.weights if w.path == {path!r})\n"
        'values = np.array(keras.ops.convert_to_numpy(table), "float64")\n'
        "kept = np.zeros(len(values), bool)\n"
        "kept[np.unique(values, axis=0, return_index=True)[1]] = True\n"
        "kept &= values.any(axis=1)\n"
        "good = values[kept]\n"
        "values[~kept] = np.random.default_rng(0).normal(\n"
        "    good.mean(0), good.std(0), values[~kept].shape)\n"
        "table.assign(values)"
    )
