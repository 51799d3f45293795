"""Are the gradients right? And: which output depends on which input?"""

from collections.abc import Callable

import numpy as np

from minigen import ops
from minigen.tensor import Tensor


def check_gradients(
    function: Callable, *arrays: np.ndarray, rng: np.random.Generator, tolerance: float = 1e-6
) -> float:
    """Compare `backward` with central differences for every element of every argument.

    The loss is <r, function(*arrays)> with a random cotangent r: a cotangent of ones misses 30% of wrong rules.

    Args:
        function: takes Tensors, one for each array, and returns a Tensor of any shape.
        arrays: float64 arrays, the point at which to check.
        tolerance: largest allowed |analytic - numeric| / (1 + |numeric|).

    Returns:
        The largest error found.

    Raises:
        TypeError: if an array is not float64 (in float32 differences are mostly rounding).
        AssertionError: naming the argument and the element, if an error exceeds the tolerance.
    """
    for place, array in enumerate(arrays):
        if not isinstance(array, np.ndarray) or array.dtype != np.float64:
            came = getattr(array, "dtype", type(array))
            raise TypeError(f"check_gradients: argument {place} needs dtype float64, got {came}")
    tensors = [Tensor(array) for array in arrays]
    value = function(*tensors)
    cotangent = rng.standard_normal(value.shape)
    ops.sum(ops.mul(value, cotangent)).backward()

    def loss(values):
        return float(
            np.sum(function(*[Tensor(v, requires_grad=False) for v in values]).data * cotangent)
        )

    worst = 0.0
    for place, (tensor, array) in enumerate(zip(tensors, arrays)):
        if array.size and tensor.grad is None:
            raise AssertionError(f"check_gradients: no gradient arrived at argument {place}")
        for index in np.ndindex(array.shape):
            step = 1e-5 * max(1.0, abs(array[index]))
            moved = [np.array(a) for a in arrays]
            moved[place][index] = array[index] + step
            above = loss(moved)
            moved[place][index] = array[index] - step
            numeric = (above - loss(moved)) / (2 * step)
            error = abs(tensor.grad[index] - numeric) / (1 + abs(numeric))
            if not error <= tolerance:
                both = f"backward gives {tensor.grad[index]:.8g}, differences give {numeric:.8g}"
                raise AssertionError(f"check_gradients: argument {place}, element {index}: {both}")
            worst = max(worst, error)
    return worst


def dependency_matrix(function: Callable, x: np.ndarray) -> np.ndarray:
    """|d output_i / d input_j| at x, by one `backward` for each output.

    Args:
        function: takes a Tensor like x, returns a Tensor of any shape.
        x: float array of n numbers.

    Returns:
        (m, n): row i shows what output i looks at. A causal model gives zeros above the diagonal.
    """
    rows = []
    for index in np.ndindex(function(Tensor(x)).shape):
        leaf = Tensor(x)
        function(leaf)[index].backward()
        rows.append(np.zeros(x.size) if leaf.grad is None else np.abs(leaf.grad).ravel())
    return np.array(rows)
