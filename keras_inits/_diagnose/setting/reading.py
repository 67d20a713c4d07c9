"""Reading a model's operations without running it."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_inits._layers.activations import plain_name
from keras_inits._layers.kinds import Kind
from keras_inits._wiring import Wiring, wiring
from keras_inits._wiring.following import Following
from keras_inits._wiring.graph import Call

L = keras.layers
_OPEN = 8  # in the place of a size that is not known
_SHAPING = (
    L.Reshape,
    L.Flatten,
    L.Permute,
    L.Identity,
    L.Cropping1D,
    L.Cropping2D,
    L.Cropping3D,
    L.UpSampling2D,
    L.ActivityRegularization,
)
# The same of `keras.ops`, by the names of their classes, which are not public.
_SHAPING_OPERATIONS = (
    "Squeeze",
    "Reshape",
    "ExpandDims",
    "Transpose",
    "Swapaxes",
    "Moveaxis",
    "Cast",
)


def shapes(operation: Any) -> bool:
    """Returns whether an operation hands on its values, in another shape or type."""
    if isinstance(operation, keras.Layer):
        return isinstance(operation, _SHAPING)
    return type(operation).__name__ in _SHAPING_OPERATIONS


def hands_on(layer: Any) -> bool:
    """Returns whether a layer without weights puts out the values that it is given.

    So does one of the user's own that casts pixels and does not scale them. It is run on numbers
    from 0 to 255.
    """
    given = tensors_of(layer, "input")
    if not isinstance(layer, keras.Layer) or layer.weights or len(given) != 1:
        return False
    (tensor,) = given
    shape = [size or _OPEN for size in (2, *tensor.shape[1:])]
    x = np.random.default_rng(0).integers(0, 256, shape).astype("float32")
    try:
        with keras.StatelessScope():  # what layers inside of it assign is forgotten
            made = ops.convert_to_numpy(layer(ops.cast(x, tensor.dtype), training=False))
    except Exception:  # whatever a layer's own code says of such numbers
        return False
    x = ops.convert_to_numpy(ops.cast(x, tensor.dtype)).astype("float64")
    return made.size == x.size and bool((np.sort(made, axis=None) == np.sort(x, axis=None)).all())


def drawn(model: keras.Model, x: Any) -> Wiring | None:
    """Returns the picture of a model; None where it cannot be traced."""
    try:
        return wiring(model, x)
    except Exception:  # a model's own code may want real numbers
        return None


@dataclass(frozen=True, eq=False)
class Bend:
    """An activation between two kernels, in whatever way it is written.

    Attributes:
        name: of the function of `keras.activations` that it computes; else what it is called.
        kernel: the layer whose output it is applied to.
        subject: what computes it: that layer, another one, or an operation; None of several.
        units: the length of the last axis.
    """

    name: str
    kernel: keras.Layer
    subject: Any
    units: int

    @property
    def place(self) -> str:
        """The name of the layer that has it, or of the kernel's where that is an operation."""
        return str((self.subject if isinstance(self.subject, keras.Layer) else self.kernel).name)

    @property
    def can_be_set(self) -> bool:
        """Whether it is the `activation` of a layer."""
        return hasattr(self.subject, "activation")


def bends(picture: Wiring) -> tuple[Bend, ...]:
    """Returns the activations between the kernels of a picture, in order; not those of the ends.

    Those inside of recurrent layers are not among them.
    """
    found: dict[int, Bend] = {}
    known: set[int] = set()
    for call in picture.maps:
        after = picture.activation_after(call)
        known.update(after.calls)
        if after.activation not in ("", "linear"):
            _add(found, picture, call, after)
    # Behind what is no function of single values, such as a sum over neighbors.
    for call in picture.calls:
        behind = picture.graph.behind(call.index, lambda each: each.is_map)
        bent = call.kind is Kind.ACTIVATION and call.activation and call.index not in known
        if bent and len(behind) == 1:
            _add(
                found, picture, picture.calls[behind[0]], Following(call.activation, (call.index,))
            )
    return tuple(found.values())


def _add(found: dict[int, Bend], picture: Wiring, call: Call, after: Following) -> None:
    """Adds the activation behind a kernel, the first one, if another kernel takes it."""
    kernel = picture.subjects[call.index]
    last = after.calls[-1] if after.calls else call.index
    if not isinstance(kernel, keras.Layer) or isinstance(kernel, L.RNN):
        return
    if id(kernel) not in found and _goes_on(picture, last):
        subject = _subject(picture, kernel, after)
        name = _bend_name(picture, kernel, after)
        found[id(kernel)] = Bend(name, kernel, subject, call.shape[-1])


def _goes_on(picture: Wiring, index: int) -> bool:
    """Returns whether a kernel takes what a call made."""
    later = (call.index for call in picture.maps if call.index > index)
    return any(picture.graph.descends(each, index) for each in later)


def _subject(picture: Wiring, kernel: keras.Layer, after: Following) -> Any:
    if not after.calls:
        return kernel
    holder = picture.around(after.calls)
    if isinstance(holder, keras.Layer) and not isinstance(holder, keras.Model):
        inside = {call.index for call in picture.of(holder)}
        if inside == set(after.calls) and not holder.weights:
            return holder  # a Lambda, or a layer of the user's own
    return picture.subjects[after.calls[0]] if len(after.calls) == 1 else None


def _bend_name(picture: Wiring, kernel: Any, after: Following) -> str:
    if hasattr(keras.activations, after.activation):
        return after.activation

    def computed(value: Any) -> Any:
        return picture.computed(after.calls, value)

    name = plain_name(computed if after.calls else kernel.activation)
    return name if hasattr(keras.activations, name) else after.activation


def tensors_of(holder: Any, attribute: str) -> list[Any]:
    """Returns the symbolic tensors of a layer or model; none where it has none, or several sets."""
    try:
        return list(keras.tree.flatten(getattr(holder, attribute)))
    except (AttributeError, ValueError):
        return []
