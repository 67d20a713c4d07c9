"""`deepnorm`: transformers of a thousand layers with the normalization behind each sum."""

from keras_inits._recipes.place import Place
from keras_inits._recipes.recipe import Table, recipe
from keras_inits._schemes import GlorotInit, ZerosInit


def _beta(place: Place) -> float:
    """Wang et al. 2022, table in figure 2."""
    if len(place.stacks) < 2:
        (blocks,) = place.stacks or (place.blocks,)
        return float((8 * blocks) ** -0.25)
    encoder, decoder = place.stacks[:2]
    if place.stack == 0:
        return float(0.87 * (encoder**4 * decoder) ** (-1 / 16))
    return float((12 * decoder) ** -0.25)


@recipe(needs=("query", "value", "attention_out", "ffn_out"))
def deepnorm() -> Table:
    r"""Xavier normal with gain beta on value, attention out and feed-forward kernels: DeepNorm.

    Variance $2 g^2 / (n_\text{in} + n_\text{out})$ with $g = 1$ for queries and keys and
    $g = \beta$ for the rest of each block. $\beta = (8N)^{-1/4}$ for an encoder or a decoder alone;
    with both, $0.87 (N^4 M)^{-1/16}$ in the encoder of $N$ and $(12M)^{-1/4}$ in the decoder of $M$
    blocks. Biases 0.

    The model has to bring the other half: each sum is $\text{LN}(\alpha x + f(x))$ with
    $\alpha = (2N)^{1/4}$; with both stacks $0.81 (N^4 M)^{1/16}$ and $(3M)^{1/4}$.

    Reference:
        Wang et al. 2022, DeepNet, figure 2. https://arxiv.org/abs/2203.00555
    """

    def scaled(place: Place) -> GlorotInit:
        return GlorotInit(_beta(place))

    return {
        "query": GlorotInit(),
        "key": GlorotInit(),
        "value": scaled,
        "attention_out": scaled,
        "ffn_in": scaled,
        "ffn_out": scaled,
        "bias": ZerosInit(),
    }
