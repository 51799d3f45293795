"""Optimisers, learning-rate schedules and the moving average of parameters, all on one flat buffer.

A model has dozens of small arrays; one long array is updated faster. Each step reads parameters and
gradients into flat buffers, and leaves the parameters as read-only views of a *fresh* buffer: a
graph recorded before the step keeps the old values, so its gradients stay those of the old values.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy import ndarray

from minigen import arguments
from minigen.tensor import Tensor


class Optimizer:
    """What all optimisers share: flat buffers, clipping, no NaN in a gradient.

    Args:
        parameters: `nn.parameters(model)`: Tensors by name.
        lr: learning rate, a positive number; may be assigned between steps.
    """

    def __init__(self, parameters: Mapping[str, Tensor], lr: float) -> None:
        arguments.within("(0, inf)", lr=lr)
        parameters = _checked(parameters)
        self.lr = lr
        self.steps = np.zeros((), np.int64)  # an array, so that `nn.state` saves it
        # matrices before vectors, so that weight decay concerns one slice of the buffer
        self._parameters = dict(sorted(parameters.items(), key=lambda item: item[1].ndim < 2))
        self._matrix_size = sum(p.size for p in self._parameters.values() if p.ndim >= 2)
        self._gradient = np.empty_like(_flatten(self._parameters))

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters.values():
            parameter.grad = None

    def step(self, max_norm: float | None = None) -> float:
        """Move the parameters along their gradients; returns the gradient's norm before clipping.

        Args:
            max_norm: a gradient longer than this is scaled down to it. A parameter without gradient
                counts as zero.

        Raises:
            FloatingPointError: naming a parameter whose gradient has NaN or infinity.
            ValueError: for a learning rate or max_norm that is no number to use.
            Nothing was changed then.
        """
        max_norm = math.inf if max_norm is None else max_norm
        arguments.within("[0, inf)", lr=self.lr)
        arguments.within("(0, inf]", max_norm=max_norm)
        parameters = self._parameters.values()
        gradients = [np.zeros_like(p.data) if p.grad is None else p.grad for p in parameters]
        gradient = np.concatenate([g.ravel("F") for g in gradients], out=self._gradient)
        with np.errstate(over="ignore"):
            norm = math.sqrt(gradient @ gradient)
        if not math.isfinite(norm):
            for name, g in zip(self._parameters, gradients):
                if not np.isfinite(g).all():
                    raise FloatingPointError(f"the gradient of {name} has NaN or infinity")
            # only the square was too large for float32
            norm = float(np.linalg.norm(gradient.astype(np.float64)))
        if norm > max_norm:
            gradient *= max_norm / norm
        self.steps += 1
        values = _flatten(self._parameters)
        self._update(values, gradient)
        _assign(self._parameters, values)
        return norm


def _checked(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by name, each a leaf, none twice: what can be trained."""
    if not isinstance(parameters, Mapping) or not parameters:
        raise ValueError("parameters: expected the non-empty dict that nn.parameters(model) gives")
    names = {}
    for name, p in parameters.items():
        if not isinstance(p, Tensor) or not p.requires_grad or p.node.name != "leaf":
            raise ValueError(f"parameters: {name} is no Tensor that a gradient could reach")
        if id(p) in names:
            raise ValueError(f"parameters: {names[id(p)]} and {name} are one Tensor")
        names[id(p)] = name
    return dict(parameters)


def _flatten(parameters: dict[str, Tensor]) -> ndarray:
    """All values one after the other; a matrix column by column, as `Tensor.data` keeps it."""
    return np.concatenate([p.data.ravel("F") for p in parameters.values()])


def _assign(parameters: dict[str, Tensor], values: ndarray) -> None:
    """Make every parameter a read-only view of its part of `values`."""
    values.flags.writeable = False
    end = 0
    for p in parameters.values():
        start, end = end, end + p.size
        p.data = values[start:end].astype(p.dtype, copy=False).reshape(p.shape, order="F")


class SGD(Optimizer):
    """x -= lr v, v = momentum v + g (as in `torch.optim.SGD`)."""

    def __init__(self, parameters, lr: float, momentum: float = 0.0) -> None:
        super().__init__(parameters, lr)
        arguments.within("[0, 1)", momentum=momentum)
        self.momentum = momentum
        self.velocity = np.zeros_like(self._gradient)

    def _update(self, values, gradient):
        self.velocity *= self.momentum
        self.velocity += gradient
        values -= self.lr * self.velocity


class Adam(Optimizer):
    """Steps of about lr, scaled by running means of the gradient and of its square.

    (Kingma & Ba 2015, algorithm 1.)
    """

    def __init__(self, parameters, lr: float = 1e-3, betas=(0.9, 0.999), eps: float = 1e-8) -> None:
        super().__init__(parameters, lr)
        if len(betas) != 2 or not all(0 <= b < 1 for b in betas):
            raise ValueError(f"betas: expected two numbers in [0, 1), got {betas}")
        arguments.within("[0, inf)", eps=eps)
        self.betas, self.eps = betas, eps
        self.first_moment = np.zeros_like(self._gradient)
        self.second_moment = np.zeros_like(self._gradient)

    def _update(self, values, gradient):
        (b1, b2), k = self.betas, int(self.steps)
        self.first_moment *= b1
        self.first_moment += (1 - b1) * gradient
        self.second_moment *= b2
        self.second_moment += (1 - b2) * gradient * gradient
        size = np.sqrt(self.second_moment / (1 - b2**k)) + self.eps
        values -= self.lr / (1 - b1**k) * self.first_moment / size


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    On matrices only, not on biases and norms.
    """

    def __init__(
        self, parameters, lr: float = 1e-3, betas=(0.9, 0.999), eps: float = 1e-8, weight_decay=0.01
    ) -> None:
        super().__init__(parameters, lr, betas, eps)
        arguments.within("[0, inf)", weight_decay=weight_decay)
        self.weight_decay = weight_decay

    def _update(self, values, gradient):
        values[: self._matrix_size] *= 1 - self.lr * self.weight_decay
        super()._update(values, gradient)


def warmup_cosine(
    peak: float, warmup: float = 0.05, floor: float = 0.1
) -> Callable[[float], float]:
    """Learning rate by progress in [0, 1].

    A straight rise to `peak` until `warmup`, then half a cosine down to `floor` * peak. The rise
    starts a hundredth of the training before 0 (by default at a sixth of the peak), for a first
    step at a rate of 0 would teach nothing.
    """
    arguments.within("(0, inf)", peak=peak)
    arguments.within("[0, 1)", warmup=warmup)
    arguments.within("[0, inf)", floor=floor)

    def learning_rate(progress: float) -> float:
        if progress < warmup:
            return peak * (progress + 0.01) / (warmup + 0.01)
        fall = (progress - warmup) / (1 - warmup)
        return peak * (floor + (1 - floor) * (1 + math.cos(math.pi * fall)) / 2)

    return learning_rate


class EMA:
    """Exponential moving average of parameters: average = d average + (1 - d) value.

    d rises to `decay` at the start. Samples of diffusion models are drawn from the average:
    `with ema.applied(): model.sample(...)`.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float = 0.999) -> None:
        arguments.within("[0, 1)", decay=decay)
        self.decay = decay
        self.steps = np.zeros((), np.int64)  # an array: see `Optimizer`
        self._parameters = _checked(parameters)
        self.average = _flatten(self._parameters)

    def update(self) -> None:
        """Take in the present values."""
        d = min(self.decay, (1 + int(self.steps)) / (10 + int(self.steps)))
        self.steps += 1
        self.average *= d
        self.average += (1 - d) * _flatten(self._parameters)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Within this block the parameters have their average values."""
        present = _flatten(self._parameters)
        _assign(self._parameters, self.average.copy())
        try:
            yield
        finally:
            _assign(self._parameters, present)
