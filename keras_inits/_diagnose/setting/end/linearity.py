"""A model without a nonlinearity between its kernels, and whether its task asks for one."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from keras_inits._diagnose.backends import backend
from keras_inits._diagnose.setting.case import Case
from keras_inits._diagnose.setting.plain import Targets
from keras_inits._diagnose.setting.reading import tensors_of
from keras_inits._diagnose.setting.remedies import COMPILE
from keras_inits._keras_internals import all_layers, of_keras
from keras_inits._layers.activations import plain_name
from keras_inits._reporting import Finding

FEATURES = 16  # of more the products fade, and cost
# Of the largest output: what float32 rounds in some dozens of layers, and ten last digits of a half
ROUNDING = 1e-4
HALVES = {"float16": 1e-2, "bfloat16": 8e-2}
GAP = 0.1  # of the variance of the targets that a curved fit explains and a linear one does not


def check(case: Case) -> list[Finding]:
    """Returns the finding that kernels follow each other with nothing nonlinear between."""
    layers = kernels(case.model)
    flat = keras.tree.flatten(case.x)
    if len(layers) < 2 or len(flat) != 1 or not case.parts or len(flat[0]) < 20:
        return []
    if not backend.is_floating(flat[0]) or curved_by_name(case.model):
        return []

    def logits(x: np.ndarray) -> np.ndarray:
        given = ops.convert_to_tensor(x)
        made = backend.with_logits(lambda: case.copy.outputs(given, training=False))
        whole = [ops.convert_to_numpy(part).reshape(len(x), -1) for part in made]
        return np.concatenate(whole, axis=1)

    x = ops.convert_to_numpy(flat[0])
    types = {str(layer.compute_dtype) for layer in all_layers(case.model, itself=True)}
    rounding = max(HALVES.get(each, ROUNDING) for each in types)
    if not is_affine(logits, x, np.random.default_rng(0), rounding):
        return []
    kept = [la.name for la in all_layers(case.model) if is_straight(la) or not of_keras(la)]
    kept += [la.name for la in _last(case.model)]
    unapplied = [la.name for la in case.model.layers if not of_keras(la) and _activation(la)]
    wanted = [_wanted(goal) for goal, _, _ in case.parts]
    found = (finding(layers, *explained(x, y), kept, unapplied) for y in wanted if len(y) == len(x))
    return [each for each in found if each][:1]


def _wanted(goal: Targets) -> np.ndarray:
    """Returns targets as numbers whose variance can be explained, a column for each class."""
    if goal.classes and not goal.one_hot:
        return np.asarray(np.equal.outer(goal.values.ravel(), np.unique(goal.values)), float)
    return np.asarray(goal.values)


def is_affine(
    function: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    rng: np.random.Generator,
    rounding: float = ROUNDING,
) -> bool:
    """Returns whether `function` is affine: f(a + b - c) = f(a) + f(b) - f(c).

    Tried on samples and on points 3 times as far out on all sides, where every rectifier has both
    of its sides. Of a constant, which is what dead units make, nothing is said.

    Args:
        function: of a batch.
        x: some samples.
        rng: for the points farther out.
        rounding: of the largest value: how far off an affine function may be.
    """
    x = np.asarray(x[:32], np.float32)
    spread = 3 * (np.abs(x).max() or 1.0)
    far = rng.uniform(-spread, spread, (3, *x.shape)).astype(np.float32)
    for a, b, c in ((x, x[::-1], np.roll(x, 1, 0)), tuple(far)):
        together = function(np.concatenate([a + b - c, a, b, c]))
        if not np.isfinite(together).all():
            return False
        whole, *parts = np.split(np.asarray(together, np.float64), 4)
        size = max(np.abs(part).max() for part in parts)
        if np.abs(parts[0] - parts[1]).max() <= rounding * size:
            return False
        if np.abs(whole - (parts[0] + parts[1] - parts[2])).max() > rounding * size:
            return False
    return True


def explained(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Returns the shares of variance that a linear and a curved fit explain on left-out samples.

    Both are kernel ridge regressions, in 5 folds, with the best of 4 penalties each: of a linear
    kernel, and of Gaussian ones of 3 widths around the median distance. Of few features also the
    products of 1 + a Gaussian of each, which leave out what is noise (Wahba's ANOVA kernels;
    Stitson et al. 1997).
    """
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    y = np.asarray(y, np.float64).reshape(len(y), -1)
    x = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)
    products = x @ x.T / x.shape[1]
    squares = np.diag(products)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * products, 0)
    width = np.median(distances[distances > 0]) if (distances > 0).any() else 1.0
    curved = [np.exp(-distances / (width * f)) for f in (0.1, 0.5, 2.0)]
    if x.shape[1] <= FEATURES:
        each = (x.T[:, :, None] - x.T[:, None]) ** 2
        curved += [np.prod((1 + np.exp(-each / (2 * f))) / 2, 0) for f in (0.1, 0.5, 2.0)]
    order = np.random.default_rng(0).permutation(len(x))
    return _left_out([products + 1], y, order), _left_out(curved, y, order)


def _left_out(kernels: list[np.ndarray], y: np.ndarray, order: np.ndarray) -> float:
    total = ((y - y.mean(0)) ** 2).sum()
    best = 0.0
    for kernel in kernels:
        for penalty in (1e-3, 1e-2, 0.1, 1.0):
            error = 0.0
            for fold in np.array_split(order, 5):
                rest = np.setdiff1d(order, fold)
                center = y[rest].mean(0)
                inner = kernel[np.ix_(rest, rest)] + penalty * np.eye(len(rest))
                weights = np.linalg.solve(inner, y[rest] - center)
                error += ((y[fold] - center - kernel[np.ix_(fold, rest)] @ weights) ** 2).sum()
            best = max(best, 1 - float(error / max(total, 1e-30)))
    return best


def finding(
    layers: tuple[str, ...],
    linear: float,
    curved: float,
    kept: Sequence[str] = (),
    unapplied: Sequence[str] = (),
) -> Finding | None:
    """Returns the finding that the task is curved and the model is not.

    Args:
        layers: in which it is linear.
        linear: the share of the variance of targets that a linear fit explains.
        curved: that of a curved one.
        kept: those that the remedy leaves as they are.
        unapplied: layers of the user's own that hold an activation, and do not apply it.
    """
    if curved - linear < GAP:
        return None
    return Finding(
        kind="missing activation",
        where=layers,
        evidence=(
            f"nothing nonlinear stands between {' and '.join(layers)}: together they are one "
            "linear map. Of the targets' variance, on samples left out, a linear fit explains "
            f"{linear:.2f}, a curved one {curved:.2f} (limit {GAP:g} more)"
        ),
        consequence="It can learn no more than linear regression does",
        remedy=(
            f"Apply the activation in the call of {' and '.join(unapplied)}: return "
            "self.activation(...)"
            if unapplied
            else "".join(
                f'model.get_layer("{name}").activation = keras.activations.relu; '
                for name in layers
                if name not in kept
            )
            + COMPILE
        ),
        numbers={"linear": linear, "curved": curved},
    )


def kernels(model: keras.Model) -> tuple[str, ...]:
    """Returns the names of the layers with a kernel, in order, and of activations of one slope."""
    found: list[str] = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += kernels(layer)
        elif any(len(w.shape) > 1 for w in layer.weights) or is_straight(layer):
            found.append(layer.name)
    return tuple(found)


_CURVED = (
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
    keras.layers.RNN,
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
    keras.layers.LayerNormalization,
    keras.layers.MultiHeadAttention,
    keras.layers.Embedding,
)


def curved_by_name(model: keras.Model) -> bool:
    """Returns whether a layer before the last is nonlinear by its kind; no trial is needed then."""
    last = _last(model)
    for layer in model.layers:
        if layer in last:
            continue
        if isinstance(layer, keras.Model):
            return True  # looked at by `is_affine` alone, would cost a pass
        if isinstance(layer, _CURVED) and not is_straight(layer):
            return True
        if _activation(layer) and of_keras(layer):  # one of yours may hold one, and not apply it
            return True
    return False


def _activation(layer: object) -> bool:
    """Returns whether a layer holds an activation that is not linear."""
    return plain_name(getattr(layer, "activation", None)) != "linear"


def _last(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers that make the outputs; of a subclassed model its last one."""
    made = [id(tensor) for tensor in tensors_of(model, "outputs")]
    found = [la for la in model.layers if any(id(t) in made for t in tensors_of(la, "output"))]
    return found or list(model.layers[-1:])


def is_straight(layer: keras.Layer) -> bool:
    """Returns whether an activation layer has the same slope on both sides."""
    if isinstance(layer, keras.layers.ReLU) and (layer.threshold or layer.max_value is not None):
        return False
    kinds = keras.layers.LeakyReLU | keras.layers.ReLU
    return isinstance(layer, kinds) and float(layer.negative_slope) == 1.0
