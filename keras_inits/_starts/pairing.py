"""Which weight of a trained model belongs to which of a new one."""

from typing import Any

from keras_inits._initialize.seeds import stable_paths
from keras_inits._layers import OwnedWeight
from keras_inits._starts.chains import head_layers


def paired(
    model: Any, owned: Any, source: Any, sources: Any, names: dict[str, str]
) -> dict[str, OwnedWeight]:
    """Returns by path of a model's weight the weight of the source that it belongs to."""
    heads, source_heads = head_layers(model), head_layers(source)
    if len(heads) != len(source_heads):
        heads = source_heads = []
    by_path = {
        path: each
        for path, each in zip(_inner_paths(source, sources), sources, strict=True)
        if each.layer not in source_heads
    }
    found = {}
    for path, each in zip(_inner_paths(model, owned), owned, strict=True):
        if each.layer.name in names:
            wanted = [
                s
                for s in sources
                if s.layer.name == names[each.layer.name] and s.weight.name == each.weight.name
            ]
            pair = wanted[0] if wanted else None
        elif each.layer in heads:
            head = source_heads[heads.index(each.layer)]
            pair = next(
                (s for s in sources if s.layer is head and s.weight.name == each.weight.name), None
            )
        else:
            pair = by_path.get(path)
        if pair is not None:
            found[each.path] = pair
    return found


def _inner_paths(model: Any, owned: Any) -> list[str]:
    """Returns stable paths without the name of the model itself."""
    return [
        path.partition("/")[2] if each.path.startswith(f"{model.name}/") else path
        for path, each in zip(stable_paths(owned), owned, strict=True)
    ]
