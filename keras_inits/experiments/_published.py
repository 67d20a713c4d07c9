"""The articles that the experiments repeat, and the numbers that they print."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Article:
    """A source, with what is known of it.

    Attributes:
        title: in English; that of a Chinese article is followed by the original.
        author: as the article or its code signs; empty if unknown.
        date: year, month and day of the article; empty if unknown.
        address: where it was published, or what is known of that.

    >>> print(Article(title="All you need is a good init", author="Mishkin & Matas", date="2016"))
    Mishkin & Matas, “All you need is a good init”, 2016
    """

    title: str
    author: str = ""
    date: str = ""
    address: str = ""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.author, f"“{self.title}”", self.date, self.address)))


DL_FUNCTION = Article(
    "DL function",
    "RJ",
    "2019-11-29",
    "a blog in Chinese, after https://zhuanlan.zhihu.com/p/25110150",
)
WEIGHT_INITIALIZATION = Article(
    "Weight initialization (权重初始化)",
    address="a blog in Chinese with pictures at https://github.com/lovejing0306/Images",
)
COURSE_EXERCISE = Article(
    "2-1 Initialization",
    date="2018-09-18",
    address="a blog in Chinese, among its exercises in deep learning",
)
THING_OF_THE_PAST = Article(
    "Random initialization for neural networks: a thing of the past",
    address="https://towardsdatascience.com/"
    "random-initialization-for-neural-networks-a-thing-of-the-past-bfcdd806bf9e",
)
WHY_NOT_ZERO = Article(
    "Why the weights of a neural network must not start from zero (1) "
    "(神经网络权值为什么不能初始化为零(1))",
    "Li Kangyu",
    address="a blog in Chinese; its code is of 2019-05-08",
)
TENSOR_PROGRAMS_5 = Article(
    "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter Transfer",
    "Yang, Hu, Babuschkin et al.",
    "2022-03-07",
    "https://arxiv.org/abs/2203.03466",
)

DEEP_INFORMATION_PROPAGATION = Article(
    "Deep information propagation",
    "Schoenholz, Gilmer, Ganguli & Sohl-Dickstein",
    "2017",
    "https://arxiv.org/abs/1611.01232",
)
DELVING_DEEP = Article(
    "Delving deep into rectifiers",
    "He, Zhang, Ren & Sun",
    "2015",
    "https://arxiv.org/abs/1502.01852",
)
STATISTICAL_PRECIPICE = Article(
    "Deep reinforcement learning at the edge of the statistical precipice",
    "Agarwal, Schwarzer, Castro, Courville & Bellemare",
    "2021",
    "https://arxiv.org/abs/2108.13264",
)
GREEDY_TRAINING = Article(
    "Greedy layer-wise training of deep networks", "Bengio, Lamblin, Popovici & Larochelle", "2007"
)
DENOISING_AUTOENCODERS = Article(
    "Extracting and composing robust features with denoising autoencoders",
    "Vincent, Larochelle, Bengio & Manzagol",
    "2008",
    "https://doi.org/10.1145/1390156.1390294",
)
WHY_PRE_TRAINING = Article(
    "Why does unsupervised pre-training help deep learning?",
    "Erhan, Bengio, Courville, Manzagol, Vincent & Bengio",
    "2010",
    "https://jmlr.org/papers/v11/erhan10a.html",
)

UNDERSTANDING_DIFFICULTY = Article(
    "Understanding the difficulty of training deep feedforward neural networks",
    "Glorot & Bengio",
    "2010",
    "https://proceedings.mlr.press/v9/glorot10a.html",
)


@dataclass(frozen=True)
class TrainingLog:
    """The values that a training run printed, one entry per epoch.

    Attributes:
        cost: mean training cross-entropy over the epoch, in nats.
        accuracy: share of the test images that are classified correctly after the epoch.

    >>> TrainingLog(cost=(8.209401439, 4.2), accuracy=(0.2899, 0.45)).accuracy[0]
    0.2899
    """

    cost: tuple[float, ...]
    accuracy: tuple[float, ...]


# DL_FUNCTION: softmax regression on MNIST. The article names no network; the recipe in mnist_log.py
# is the one that gives these numbers.
# fmt: off
MNIST_LOG: Mapping[str, TrainingLog] = {
    "initkit_random": TrainingLog(
        cost=(
            8.209401439, 4.501752799, 3.084369575, 2.427498819, 2.058773852,
            1.821953765, 1.655686877, 1.531370343, 1.434300166, 1.355875988,
            1.291047658, 1.236139774, 1.189290791, 1.148372694, 1.112297407,
            1.080240906, 1.051378414, 1.025336763, 1.001531084, 0.979600413,
        ),
        accuracy=(
            0.2899, 0.4548, 0.5600, 0.6199, 0.6606, 0.6884, 0.7084, 0.7262, 0.7388, 0.7510,
            0.7599, 0.7674, 0.7735, 0.7801, 0.7872, 0.7917, 0.7973, 0.8006, 0.8050, 0.8094,
        ),
    ),
    "initkit_xavier": TrainingLog(
        cost=(
            1.201949758, 0.673215782, 0.557662858, 0.502294260, 0.468406819,
            0.444951771, 0.427721882, 0.414128707, 0.403213230, 0.394078740,
            0.386388999, 0.379650087, 0.373825378, 0.368685644, 0.364035460,
            0.359817683, 0.356041863, 0.352607728, 0.349460995, 0.346524342,
        ),
        accuracy=(
            0.8406, 0.8671, 0.8766, 0.8844, 0.8900, 0.8932, 0.8961, 0.8984, 0.9000, 0.9025,
            0.9030, 0.9047, 0.9058, 0.9074, 0.9074, 0.9089, 0.9093, 0.9102, 0.9106, 0.9110,
        ),
    ),
}
# fmt: on

# What the text of DL_FUNCTION says about that log: the epoch at which random reaches the cost of
# Xavier's first epoch, and the epoch at which Xavier beats random's best accuracy.
MNIST_LOG_CLAIMS = (11, 2)

# WHY_NOT_ZERO: test accuracy of 784-100-10 after 100 epochs from zeros, with a constant loss.
ZERO_INIT_ACCURACY = 0.1135

# WEIGHT_INITIALIZATION: what it says about ten layers, by activation and scheme.
DEPTH_CLAIMS: Mapping[tuple[str, str], str] = {
    ("tanh", "random_small"): "collapses to zero",
    ("tanh", "random"): "saturates at ±1",
    ("tanh", "xavier"): "stays alive",
    ("relu", "xavier"): "shrinks from layer to layer",
    ("relu", "he"): "stays steady",
}

# THING_OF_THE_PAST: cost after 15,000 iterations and accuracy on two circles, as printed. The
# article does not say on which points the accuracy was measured.
CIRCLES: Mapping[str, tuple[str, str]] = {
    "zeros": ("0.7", "0.5"),
    "random_large": ("0.38", "0.83"),
    "he": ("0.07", "0.96"),
}

# TENSOR_PROGRAMS_5, abstract and figure 1: in muP "many optimal HPs remain stable even as model
# size changes"; in the standard parametrization the optimum of the rate shifts with the width.
MUP_CLAIM: Mapping[str, str] = {"standard": "shifts", "mup": "remains stable"}
# DEEP_INFORMATION_PROPAGATION, figure 5: nets are trained down to this many depth scales.
TRAINABLE_SCALES = 6.0

# DELVING_DEEP, section 2.2 and figures 2 and 3: by depth and scheme.
HE_DEPTH_CLAIMS: Mapping[tuple[int, str], str] = {
    (22, "xavier"): "learns later",
    (22, "he"): "learns",
    (30, "xavier"): "stalls",
    (30, "he"): "learns",
}

# UNDERSTANDING_DIFFICULTY, section 3.1, of deep sigmoid nets from random weights, and
# WHY_PRE_TRAINING of pre-trained ones: within 20 epochs, by scheme.
PRETRAINING_CLAIMS: Mapping[str, str] = {"standard": "stays at chance", "pretrained": "learns"}


def rounds_to(value: float, printed: str) -> bool:
    """Returns whether a value is what was printed, to the printed decimals.

    >>> rounds_to(0.3828, "0.38"), rounds_to(0.3828, "0.4"), rounds_to(0.3828, "0.383")
    (True, True, True)
    >>> rounds_to(0.3828, "0.39")
    False
    """
    return f"{value:.{len(printed.partition('.')[2])}f}" == printed
