"""Diagnoses on torch: autograd, and a mode that sees each function of the library."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras
import torch
from torch.overrides import TorchFunctionMode

from keras_inits._diagnose.backends.base import Backend, Measured, See, Tape
from keras_inits._diagnose.backends.logits import Notes
from keras_inits._errors import InputError
from keras_inits._foreign_messages import sentence

_TURNED = ("__rdiv__", "__rtruediv__")  # quotients of which the divisor comes first
# Torch's names of what a diagnosis asks for, and TensorFlow's.
_NAMES = {
    **dict.fromkeys(("add", "add_", "__add__", "__radd__", "__iadd__"), "AddV2"),
    **dict.fromkeys(("sub", "subtract", "__sub__", "__rsub__", "rsub"), "Sub"),
    **dict.fromkeys(("mul", "multiply", "__mul__", "__rmul__"), "Mul"),
    **dict.fromkeys(("matmul", "bmm", "mm", "__matmul__", "tensordot"), "MatMul"),
    "einsum": "Einsum",
    **dict.fromkeys(("div", "divide", "true_divide", "__truediv__"), "RealDiv"),
    **dict.fromkeys(_TURNED, "RealDiv"),
    **dict.fromkeys(("floor_divide", "__floordiv__"), "FloorDiv"),
    "maximum": "Maximum",
    "minimum": "Minimum",
    **dict.fromkeys(("clamp", "clip"), "ClipByValue"),
    "clamp_min": "Maximum",
    "clamp_max": "Minimum",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "relu": "Relu",
    "relu6": "Relu6",
    "softsign": "Softsign",
    "round": "Round",
    "sign": "Sign",
    "floor": "Floor",
    "ceil": "Ceil",
    "detach": "StopGradient",
    **dict.fromkeys(("gt", "greater", "__gt__"), "Greater"),
    **dict.fromkeys(("ge", "greater_equal", "__ge__"), "GreaterEqual"),
    **dict.fromkeys(("lt", "less", "__lt__"), "Less"),
    **dict.fromkeys(("le", "less_equal", "__le__"), "LessEqual"),
    "argmax": "ArgMax",
    "argmin": "ArgMin",
    "topk": "TopKV2",
    **dict.fromkeys(("to", "type"), "Cast"),
}


class _Identity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, token: Any, measured: Measured) -> Any:
        ctx.measured, ctx.token = measured, token
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        ctx.measured(gradient)
        return gradient, None if ctx.token is None else torch.zeros_like(ctx.token), None


class _Marks(Tape):
    """Identities with a gradient of their own.

    Args:
        token: a scalar that gradients are taken of, which makes a gradient come to each marked
            tensor, even where nothing before it is trained; None in a pass that is not ours.
    """

    def __init__(self, token: Any = None) -> None:
        self.token = token
        self.notes = Notes(self.identity)

    def identity(self, tensor: Any, measured: Measured) -> Any:
        return _Identity.apply(tensor, self.token, measured)

    def marked(self, tensor: Any, measured: Measured, at_logits: Measured) -> Any:
        return self.notes.marked(self.identity, tensor, measured, at_logits)

    def logits(self) -> AbstractContextManager[Any]:
        return self.notes.kept()

    def apart(self) -> AbstractContextManager[None]:
        return self.notes.apart()


class _Seeing(TorchFunctionMode):
    """Lets each function of torch be seen that this thread calls."""

    def __init__(self, see: See) -> None:
        super().__init__()
        self.see = see

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        outputs = [t for t in keras.tree.flatten(made) if isinstance(t, torch.Tensor)]
        if outputs:
            given = keras.tree.flatten((args, kwargs))
            inputs = [t for t in given if isinstance(t, torch.Tensor | int | float)]
            if getattr(func, "__name__", "") in _TURNED:
                inputs.reverse()
            self.see(_name(func, args, kwargs), inputs, outputs)
        return made


def _name(func: Any, args: Any, kwargs: Any) -> str:
    """Returns TensorFlow's name of a function, or its own; `clamp` may have one bound or two."""
    own = getattr(func, "__name__", "")
    name = _NAMES.get(own, own)
    if name != "ClipByValue":
        return name
    bounds = {**dict(zip(("min", "max"), args[1:], strict=False)), **kwargs}
    if bounds.get("max") is None:
        return "Maximum"
    return "Minimum" if bounds.get("min") is None else name


class Torch(Backend):
    """What torch does in a diagnosis."""

    errors = (RuntimeError, TypeError, ValueError)

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor)

    def is_floating(self, tensor: Any) -> bool:
        return bool(getattr(getattr(tensor, "dtype", None), "is_floating_point", False))

    def is_concrete(self, tensors: Sequence[Any]) -> bool:
        return all(t.device.type != "meta" for t in tensors)

    def read(self, tensor: Any) -> Any:
        tensor = tensor.detach()
        if tensor.dtype is torch.bfloat16:  # NumPy has none
            tensor = tensor.float()
        return tensor.cpu().numpy()

    def held(self, variable: keras.Variable) -> Any:
        return self.read(variable.value).copy()

    def current(self, variable: keras.Variable) -> Any:
        return self.read(variable.value)

    def random_state(self) -> Any:
        # Dropout without a seed draws from it, in the place of Keras's generators.
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
        return torch.get_rng_state(), cuda

    def set_random_state(self, state: Any) -> None:
        own, cuda = state
        torch.set_rng_state(own)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)

    # --- a pass --------------------------------------------------------------------------------

    def pulled_back(
        self, variables: Sequence[keras.Variable], forward: Callable[[Tape], tuple[Any, Any]]
    ) -> list[Any]:
        token = torch.zeros((), requires_grad=True)
        with torch.enable_grad():
            targets, cotangents = forward(_Marks(token))
            reached = [t.requires_grad for t in targets]
            cotangents = cotangents or [torch.ones_like(t) for t in targets]
            if not any(reached):
                return [None for _ in variables]
            pairs = [(t, c) for t, c, r in zip(targets, cotangents, reached, strict=True) if r]
            # Variables that the user froze by hand take no gradient.
            wanted = [v.value for v in variables if v.value.requires_grad]
            targets, cotangents = zip(*pairs, strict=True)
            try:
                found = torch.autograd.grad(
                    targets, [*wanted, token], cotangents, allow_unused=True
                )
            except RuntimeError as error:
                if isinstance(error, torch.OutOfMemoryError):
                    raise
                in_place = (
                    "A layer assigns in its call to a variable that the gradient needs, as "
                    "recurrent layers with stateful=True do: leave that out, or run it"
                )
                advice = in_place if "inplace operation" in str(error) else "Run it"
                raise InputError(
                    "torch cannot take the gradients of this model, which `fit` asks for too. "
                    f"{advice} on TensorFlow or JAX (KERAS_BACKEND). Received: {sentence(error)}"
                ) from error
        known = iter(found)
        return [next(known) if v.value.requires_grad else None for v in variables]

    def foreign_tape(self) -> Tape:
        return _Marks()

    @contextmanager
    def operations(self, see: See) -> Iterator[bool]:
        with _Seeing(see):
            yield True

    def jacobian(
        self, run: Callable[[Any], list[Any]], given: Any
    ) -> tuple[list[Any], Callable[[list[Any]], list[Any]]]:
        with torch.enable_grad():
            given = keras.tree.map_structure(lambda x: x.detach().requires_grad_(True), given)
            outputs = run(given)
        flat = keras.tree.flatten(given)

        def back(vectors: list[Any]) -> list[Any]:
            pairs = [(y, v) for y, v in zip(outputs, vectors, strict=True) if y.requires_grad]
            if not pairs:
                return [torch.zeros_like(x) for x in flat]
            found = torch.autograd.grad(
                [y for y, _ in pairs],
                flat,
                [v for _, v in pairs],
                retain_graph=True,
                allow_unused=True,
            )
            return [
                torch.zeros_like(x) if g is None else g for x, g in zip(flat, found, strict=True)
            ]

        return outputs, back

    def with_logits(self, run: Callable[[], Any]) -> list[Any]:
        with Notes().kept() as notes:
            real = [y for y in keras.tree.flatten(run()) if self.is_floating(y)]
            return [y if (found := notes.of(y)) is None else found.tensor for y in real]

    # --- steps of training ---------------------------------------------------------------------

    def gradients(
        self, function: Callable[[list[Any]], tuple[Any, Any]], values: list[Any]
    ) -> tuple[Any, list[Any], Any]:
        with torch.enable_grad():
            values = [v.detach().requires_grad_(True) for v in values]
            loss, more = function(values)
            found = (
                torch.autograd.grad(loss, values, allow_unused=True)
                if loss.requires_grad
                else [None] * len(values)
            )
        zeros = [
            torch.zeros_like(v) if g is None else g for v, g in zip(values, found, strict=True)
        ]
        more = keras.tree.map_structure(lambda t: t.detach(), more)
        return loss.detach(), zeros, more

    def compiled(
        self,
        function: Callable[..., Any],
        variables: Callable[[], list[keras.Variable]],
        *,
        eagerly: bool,
    ) -> Callable[..., Any]:
        # Not compiled: nor does `fit`, unless it is asked to.
        found: Callable[..., Any] = torch.no_grad()(function)
        return found

    def own_step(self, model: keras.Model, data: Any) -> Any:
        weights = [v.value for v in model.variables]
        before = [w.grad for w in weights]
        try:
            return model.train_step(data)
        finally:
            for weight, gradient in zip(weights, before, strict=True):
                weight.grad = gradient
