"""Are the gradients right? And: which output depends on which input?"""

from collections.abc import Callable

import numpy as np

from minigen import ops
from minigen.tensor import Tensor, no_grad


def check_gradients(
    function: Callable, *arrays: np.ndarray, rng: np.random.Generator, tolerance: float = 1e-6
) -> float:
    """Compare `backward` with central differences for every element of every argument.

    The loss is <r, function(*arrays)> with a random cotangent r: one of ones would miss rules that
    only mix up elements.

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
        value = function(*[Tensor(v, requires_grad=False) for v in values])
        return float(np.sum(value.data * cotangent))

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


def dependencies(predict: Callable, x: np.ndarray) -> np.ndarray:
    """Who depends on whom: how far each position of the output moves with each of the input.

    Real inputs: the largest |d output / d input| between two positions, of `dependency_matrix`.
    Integers have no gradient: one token at a time becomes another one that occurs in x, and the
    largest change of the output is taken. Exactly 0 where nothing depends, and only there, but for
    inputs at which a derivative happens to vanish.

    Args:
        predict: a batch (B, L_in, ...) -> (B, L_out, ...), each example by itself; a Tensor where
            x is real.
        x: one example (L_in, ...), floats or integers.

    Returns:
        (L_out, L_in). A causal model gives zeros above the diagonal, a block-causal one above its
        blocks, a denoiser none.

    Raises:
        TypeError: if x holds neither floats nor integers.
        ValueError: if the integers of x are all the same: there is no other token to put.
    """
    x = np.asarray(x)
    if x.dtype.kind == "f":
        return _by_gradients(predict, x)
    if x.dtype.kind in "iu":
        return _by_changing_tokens(predict, x)
    raise TypeError(f"dependencies: x holds floats or integers, got dtype {x.dtype}")


def _by_gradients(predict, x):
    def of_one(x):
        return predict(ops.reshape(x, (1, *x.shape)))[0]

    L_out, L_in = len(of_one(Tensor(x))), len(x)
    matrix = dependency_matrix(of_one, x)
    return matrix.reshape(L_out, -1, L_in, x[0].size).max(axis=(1, 3))


def _by_changing_tokens(predict, x):
    symbols, places = np.unique(x, return_inverse=True)
    if len(symbols) < 2:
        raise ValueError("dependencies: x holds one symbol only, so that none can be changed")
    others = symbols[(places.reshape(x.shape) + 1) % len(symbols)]
    same = np.repeat(x[None], len(x), axis=0)
    changed = same.copy()
    each = np.arange(len(x))
    changed[each, each] = others
    with no_grad():  # in two batches of one size: rounding is the same where nothing has changed
        before, after = (np.asarray(predict(batch)) for batch in (same, changed))
    moved = np.abs(after - before).reshape(len(x), before.shape[1], -1)  # (L_in, L_out, ...)
    return moved.max(axis=2).T


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
