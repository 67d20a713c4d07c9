"""`mimetic`: self-attention whose kernels start in pairs, as trained ones look."""

from keras_inits._recipes.recipe import Table, recipe
from keras_inits._schemes import MimeticInit


@recipe(needs=("query", "key", "value", "attention_out"))
def mimetic(heads: int | None = None) -> Table:
    r"""Query times key near 0.7 I, value times projection near -0.4 I, the rest its own: mimetic.

    $W_Q W_K^\top \approx 0.7 Z / \sqrt d + 0.7 I$ for each head and
    $W_V W_O \approx 0.4 Z / \sqrt d - 0.4 I$. All other weights start by their layers' own
    initializers; the paper has sinusoidal positions next to it. For vision transformers on small
    data. Attention to another signal, and keys with fewer heads than queries, start by their own.

    Args:
        heads: where queries and keys are made by plain matrices, which do not show it.

    Reference:
        Trockman & Kolter 2023. https://arxiv.org/abs/2305.09828
    """
    return {
        "query": MimeticInit("query", heads=heads),
        "key": MimeticInit("key", heads=heads),
        "value": MimeticInit("value"),
        "attention_out": MimeticInit("out"),
    }
