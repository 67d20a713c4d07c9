"""`Place`: where in a model a weight stands, which is all that a recipe knows of it."""

import dataclasses
from dataclasses import dataclass

from keras_inits._kernel_geometry import KernelGeometry

# The names that lines of recipes may have, each with what it means. A weight has several, from the
# narrowest to the widest: a line for a wider name counts where there is none for a narrower one.
ROLES: dict[str, str] = {
    # kernels
    "embedding": "table of vectors that are looked up",
    "tied_embedding": "embedding that makes the logits too",
    "query": "projection of an attention's queries",
    "key": "projection of an attention's keys",
    "value": "projection of an attention's values",
    "query_key_value": "one kernel for all three",
    "attention_in": "any of these four",
    "attention_out": "projection of what an attention has mixed",
    "ffn_in": "first kernels of a feed-forward branch, gate and up-projection included",
    "ffn_gate": "kernel before the activation of a gated feed-forward branch",
    "ffn_up": "kernel that the gate multiplies",
    "ffn_out": "last kernel of a feed-forward branch",
    "router": "kernel that chooses experts",
    "branch_end": "last kernel of a branch before its sum",
    "branch": "any kernel of a branch",
    "shortcut": "kernel on the stream's own way to a sum",
    "patch": "convolution that cuts an image into patches",
    "convolution": "any convolution",
    "simple_recurrent": "recurrent kernel of a cell without gates",
    "recurrent": "any recurrent kernel",
    "recurrent_in": "kernel of a recurrent cell that takes its inputs",
    "head": "last kernel before an output",
    "kernel": "any kernel that is no table",
    # what is no kernel
    "position": "learned position, absolute or relative",
    "token": "learned token: class, mask, register or query",
    "branch_end_scale": "scale of the normalization behind a branch's last kernel",
    "norm_scale": "scale of a normalization that starts at 1",
    "norm_offset": "offset of a normalization",
    "layer_scale": "learned factor of a branch",
    "ffn_bias": "bias of a kernel in a feed-forward branch",
    "head_bias": "bias of the head",
    "bias": "any bias of a kernel",
}


@dataclass(frozen=True)
class Place:
    """Where a weight stands.

    Attributes:
        path: the weight's path.
        shape: its shape.
        names: its roles, from the narrowest to the widest; see `ROLES`. Empty where what it is in
            the model is not known.
        geometry: its geometry as a kernel; None if it is none.
        width: d, the size of the stream that it works for; of an embedding, of its vectors.
        branch: how many branches the stream has been given before the weight's own one; 0 outside.
        branches: L, how many it is given in all: of a transformer two a block.
        block: l, from 0, the block of a transformer; of other nets the branch.
        blocks: N, how many there are.
        kernels: m, how many kernels the weight's branch has; 0 outside.
        stack: which of the model's stacks with attention it belongs to, from 0: in an
            encoder-decoder 0 is the encoder. None outside.
        stacks: the blocks of each.

    >>> import keras_inits
    >>> law = lambda place: keras_inits.RandomInit(0.02 / max(1, place.branches) ** 0.5)
    >>> keras_inits.recipe({"kernel": law}).needs
    ()
    """

    path: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    geometry: KernelGeometry | None = None
    width: int = 1
    branch: int = 0
    branches: int = 0
    block: int = 0
    blocks: int = 0
    kernels: int = 0
    stack: int | None = None
    stacks: tuple[int, ...] = ()

    @property
    def fan_in(self) -> float:
        """How many inputs each output sums; 1 for a weight that is no kernel."""
        return self.geometry.fan_in if self.geometry else 1.0

    @property
    def fan_out(self) -> float:
        """How many outputs each input reaches, a stride not counted, as published code has it."""
        if self.geometry is None:
            return 1.0
        return dataclasses.replace(self.geometry, output_stride=1, input_stride=1).fan_out
