"""Dense, EinsumDense, embeddings, and the small weights of attention and activation layers."""

from typing import Any

from keras import layers

from keras_inits._kernel_geometry import KernelGeometry
from keras_inits._layers.dispatch import Default, Role, Unknown, geometry, unknown


@geometry.register(layers.Dense)
def _dense(layer: Any, weight: Any) -> Role:
    if weight.name == "kernel":
        return KernelGeometry.from_shape(weight.shape)
    if weight.name == "bias":
        return Default(layer.bias_initializer)
    return unknown(layer, weight)


@geometry.register(layers.EinsumDense)
def _einsum_dense(layer: Any, weight: Any) -> Role:
    if weight.name == "kernel":
        return einsum_geometry(layer.equation, weight.shape)
    if weight.name == "bias":
        return Default(layer.bias_initializer)
    return unknown(layer, weight)


def einsum_geometry(equation: str, shape: tuple[int, ...]) -> KernelGeometry | Unknown:
    """Returns the geometry of the kernel of `equation`, such as `"abc,cde->abde"`.

    A label of the kernel that the result lacks is an input; one that the input lacks, an output;
    one that all three have counts independent maps, such as experts.

    >>> einsum_geometry("ebd,edf->ebf", (4, 64, 128)).matrix_shape
    (4, 64, 128)
    """
    operands, result = equation.replace(" ", "").replace("...", "").split("->")
    inputs, kernel = operands.split(",")
    if len(set(kernel)) < len(kernel) or not set(kernel) <= set(inputs) | set(result):
        return Unknown(f"the equation {equation!r} takes a diagonal or a sum of the kernel")
    if unseen := set(inputs) - set(kernel) - set(result):
        return Unknown(
            f"the equation {equation!r} sums over {', '.join(sorted(unseen))}, which is no axis of "
            "the kernel, so that its fan does not follow from the kernel"
        )
    axes = range(len(kernel))
    return KernelGeometry.from_shape(
        shape,
        [axis for axis in axes if kernel[axis] not in result],
        [axis for axis in axes if kernel[axis] not in inputs],
        [axis for axis in axes if kernel[axis] in inputs and kernel[axis] in result],
    )


@geometry.register(layers.Embedding)
def _embedding(layer: Any, weight: Any) -> Role:
    # ReversibleEmbedding, Keras's or Keras Hub's, is an Embedding that can run backwards.
    if weight.name == "reverse_embeddings":
        return KernelGeometry.from_shape(weight.shape)
    if weight.name != "embeddings":
        return unknown(layer, weight)
    if getattr(layer, "tie_weights", False):
        # One table, two maps. As a kernel it sums over the units and makes the logits; at the
        # scale of a lookup these would start sqrt(units) too large. Transformers make up for the
        # smaller lookup: they normalize it or multiply it by sqrt(units) (Vaswani et al. 2017,
        # section 3.4).
        return KernelGeometry.from_shape(weight.shape, 1, 0)
    # A lookup sums over nothing: fan_in is 1 however many entries there are.
    return KernelGeometry.from_shape(weight.shape, (), -1, 0)


@geometry.register(layers.AdditiveAttention)
def _additive_attention(layer: Any, weight: Any) -> Role:
    if weight.name == "scale":  # (units,): a score is the sum of tanh(query + key) times this
        return KernelGeometry.from_shape(weight.shape, 0, ())
    return unknown(layer, weight)


@geometry.register(layers.Attention)
def _attention(layer: Any, weight: Any) -> Role:
    # Both are scalars which Attention sets to 1 and offers no argument for.
    if weight.name in ("scale", "concat_score_weight"):
        return Default("ones")
    return unknown(layer, weight)


@geometry.register(layers.PReLU)
def _prelu(layer: Any, weight: Any) -> Role:
    return Default(layer.alpha_initializer) if weight.name == "alpha" else unknown(layer, weight)
