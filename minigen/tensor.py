"""The engine: a Tensor remembers how it was computed, and `backward` walks that history in reverse.

Reverse-mode automatic differentiation (Baydin et al. 2018, section 3.2) in four ideas:

1. an **op** is a NumPy function that returns its value and, for every argument, a *vector-Jacobian product* (vjp):
   a function from the gradient of the loss by the value to the gradient of the loss by that argument;
2. running an op on Tensors leaves a `Node` behind: whose value it was computed from, and the vjps;
3. a node is always younger than its parents, so going from the youngest node to the oldest visits every node after
   all the nodes that use it: no recursion, no separate sort;
4. what all ops have in common (un-broadcasting, dtypes, adding up, freeing memory) happens here, once.
"""

import contextlib
import ctypes
import functools
import inspect
import itertools
import math
import os
import sys
from collections.abc import Callable, Iterator
from heapq import heappop, heappush

import numpy as np

_births = itertools.count(
    0, -1
)  # counts down, because a heap gives the smallest number first: the youngest node
_recording = True
_PLAIN = {float, int, type(None)}  # constants that an op may use as they are


class Node:
    """One step of the history: the gradient that arrives here goes on to `parents`, through `rules`.

    A leaf (a Tensor that was not computed) has no parents; the gradients that reach it add up in `grad`.
    """

    __slots__ = ("birth", "dtype", "grad", "name", "parents", "rules", "shape")

    def __init__(self, name: str, parents, rules, shape: tuple, dtype: np.dtype) -> None:
        self.name = name
        self.parents = parents  # one Node an argument; None for an argument that needs no gradient
        self.rules = (
            rules  # one vjp an argument, or one function that gives all gradients; None once used
        )
        self.shape = shape
        self.dtype = dtype
        self.grad = None
        self.birth = next(_births)


class Tensor:
    """An array of floats whose gradient can be asked for.

    Args:
        data: array, number or nested list of floats; copied. Python floats become float32 (the default of parameters),
            NumPy arrays and scalars keep their float dtype.
        requires_grad: whether `backward` should fill `grad`.

    Raises:
        TypeError: if `data` does not hold floats (integers, booleans, complex numbers, objects, strings).
    """

    __slots__ = ("__weakref__", "_data", "node")
    __array_ufunc__ = (
        None  # so that `ndarray * Tensor` asks the Tensor instead of building an array of objects
    )

    def __init__(self, data, requires_grad: bool = True) -> None:
        if isinstance(data, Tensor):
            data = data._data
        array = np.array(data)
        if array.dtype.kind != "f":
            raise TypeError(
                f"Tensor: data has dtype {array.dtype}, expected floats (tokens and labels stay ndarrays)"
            )
        if not isinstance(data, (np.ndarray, np.floating)):
            array = array.astype(np.float32)
        self._data = read_only(array)
        self.node = Node("leaf", (), (), array.shape, array.dtype) if requires_grad else None

    @property
    def data(self) -> np.ndarray:
        """The value, read-only: a later `backward` may need it. Assign an array to replace it; it is kept by column."""
        return self._data

    @data.setter
    def data(self, array: np.ndarray) -> None:
        if (
            not isinstance(array, np.ndarray)
            or array.shape != self.shape
            or array.dtype != self.dtype
        ):
            came = f"{type(array).__name__} {getattr(array, 'dtype', '')} {np.shape(array)}"
            raise ValueError(
                f"Tensor.data: expected an array of {self.dtype} {self.shape}, got {came}"
            )
        # Column by column, so that x W^T reads W along its columns: three times faster where x has a dozen rows.
        self._data = read_only(
            (np.array if array.flags.writeable else np.asarray)(array, order="F")
        )

    @property
    def grad(self) -> np.ndarray | None:
        """Sum of the gradients of all `backward` calls so far (of a leaf; None otherwise). An array of its own."""
        return None if self.node is None else self.node.grad

    @grad.setter
    def grad(self, gradient: np.ndarray | None) -> None:
        if self.node is None or self.node.name != "leaf":
            raise ValueError("Tensor.grad: only a leaf that requires a gradient has one")
        if gradient is not None and np.shape(gradient) != self.shape:
            raise ValueError(f"Tensor.grad: expected shape {self.shape}, got {np.shape(gradient)}")
        self.node.grad = None if gradient is None else np.array(gradient, self.dtype)

    requires_grad = property(lambda self: self.node is not None)
    shape = property(lambda self: self._data.shape)
    dtype = property(lambda self: self._data.dtype)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)

    def item(self) -> float:
        """The value of a tensor of one element, as a Python float."""
        return self._data.item()

    def numpy(self) -> np.ndarray:
        """A copy of the value that may be written to."""
        return self._data.copy()

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        origin = "" if self.node is None or self.node.name == "leaf" else f", from={self.node.name}"
        return f"Tensor({np.array2string(self._data, separator=', ', prefix='Tensor(')}{origin})"

    def backward(self, create_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to the `grad` of every leaf that self was computed from.

        The graph is freed on the way. No `grad` changes if an error stops the walk.

        Raises:
            ValueError: if self is not a scalar; if `create_graph` asks for gradients that can be differentiated again.
            RuntimeError: if self has no history, or a part of its history was already used by another `backward`.
        """
        if create_graph:
            raise ValueError(
                "backward: create_graph=True asks for gradients of gradients; this engine has none"
            )
        if self.size != 1:
            raise ValueError(
                f"backward: starts from a scalar, of one element; this tensor has shape {self.shape}"
            )
        if self.node is None:
            raise RuntimeError(
                "backward: this tensor has no history (computed under no_grad(), or from constants)"
            )
        gradients = {self.node: np.ones(self.shape, self.dtype)}
        waiting = [(self.node.birth, self.node)]  # a heap: the youngest node first
        leaves = []
        while waiting:
            node = heappop(waiting)[1]
            g, rules, parents = gradients.pop(node), node.rules, node.parents
            if node.name == "leaf":
                leaves.append((node, g))
                continue
            if rules is None:
                raise RuntimeError(
                    f"backward: an earlier backward() freed the graph behind {node.name!r}"
                )
            node.rules = node.parents = None  # free what the rules saved as soon as it was used
            together = rules(g) if callable(rules) else None
            for i, parent in enumerate(parents):
                if parent is None:
                    continue
                d = together[i] if together else rules[i](g)
                if d.shape != parent.shape:
                    d = _unbroadcast(d, parent.shape)
                if d.dtype is not parent.dtype:
                    d = d.astype(parent.dtype)
                if parent in gradients:
                    gradients[parent] = (
                        gradients[parent] + d
                    )  # never in place: a rule may hand the same array to two
                else:
                    gradients[parent] = d
                    heappush(waiting, (parent.birth, parent))
        for node, g in leaves:
            node.grad = np.array(g) if node.grad is None else np.asarray(node.grad + g)


def _unbroadcast(g: np.ndarray, shape: tuple) -> np.ndarray:
    """Sum g over the axes along which an argument of `shape` was repeated: the transpose of broadcasting."""
    extra = g.ndim - len(shape)
    if extra:  # a product sums faster than .sum(axis=0)
        first, rest = math.prod(g.shape[:extra]), g.shape[extra:]
        g = (ones(first, g.dtype) @ g.reshape(first, math.prod(rest))).reshape(rest)
    repeated = tuple(axis for axis, n in enumerate(shape) if n == 1 and g.shape[axis] != 1)
    return g.sum(axis=repeated, keepdims=True) if repeated else g


@functools.lru_cache(maxsize=100)
def ones(n: int, dtype: np.dtype, times: float = 1.0) -> np.ndarray:
    """n times one number: `ones @ x` adds up the rows of x, `x @ ones` its columns, faster than `x.sum`.

    With times = 1 / n it averages.
    """
    return read_only(np.full(n, times, dtype))


def read_only(array: np.ndarray) -> np.ndarray:
    """The array, flagged so that nobody writes to it: an op may keep it for its rules without a copy.

    Whoever makes a view of an array read-only promises not to write to that array while a graph may need it.
    """
    array.flags.writeable = False
    return array


def _constant(value, dtype: np.dtype | None):
    """An argument that is not a Tensor, in a form that an op may compute with and a rule may keep."""
    if isinstance(value, (tuple, list)):
        return type(value)(_constant(v, dtype) for v in value)
    if isinstance(value, np.integer):
        return int(value)
    if (
        isinstance(value, (np.ndarray, np.floating))
        and value.dtype.kind == "f"
        and dtype is not None
    ):
        value = value.astype(dtype, copy=False)  # float64 must not widen a float32 graph
    if (
        isinstance(value, np.ndarray) and value.flags.writeable
    ):  # the caller may write to it before backward() reads it
        return read_only(value.copy())
    return value


def op(function: Callable, joint: bool = False) -> Callable:
    """Make a differentiable op of a NumPy function that returns `value, vjp_0, vjp_1, ...`.

    The function gets plain arrays. One vjp belongs to each of its first arguments, in order; None stands for an
    argument that has no gradient (indices, labels, settings), and so do missing ones at the end.
    A vjp must not refer to a Tensor (it would keep the whole graph alive), and must not write to the gradient it gets.
    """
    name = function.__name__
    signature = inspect.signature(function)

    @functools.wraps(function)
    def apply(*args, **settings):
        if settings and any(
            isinstance(value, (Tensor, np.ndarray, np.generic)) for value in settings.values()
        ):
            bound = signature.bind(*args, **settings)  # an array given by name: find its place
            bound.apply_defaults()
            args, settings = bound.args, bound.kwargs
        arrays, parents, dtype, constants = [], [], None, False
        for (
            x
        ) in args:  # this loop runs for every op: what it does not need for numbers, it does not do
            if type(x) is Tensor:
                array = x._data
                if array.dtype is not dtype:
                    dtype = np.promote_types(array.dtype, dtype) if dtype else array.dtype
                arrays.append(array)
                parents.append(x.node)
            else:
                arrays.append(x)
                parents.append(None)
                constants = constants or type(x) not in _PLAIN
        if constants:
            arrays = [a if type(x) is Tensor else _constant(x, dtype) for x, a in zip(args, arrays)]
        try:
            returned = function(*arrays, **settings)
        except (ValueError, IndexError, ZeroDivisionError) as error:
            kind = IndexError if type(error) is IndexError else ValueError
            shapes = ", ".join(str(a.shape) for a in arrays if isinstance(a, np.ndarray))
            raise kind(f"{name}: {error} [shapes {shapes}]") from None
        value, rules = returned[0], returned[1:]
        if type(value) is not np.ndarray:
            value = np.asarray(value)
        if value.dtype is not dtype and (
            value.dtype != (dtype or value.dtype) or value.dtype.kind != "f"
        ):
            raise TypeError(
                f"{name}: gives {value.dtype} from {dtype} tensors; a graph has floats of one kind"
            )
        value.setflags(write=False)
        result = Tensor.__new__(Tensor)
        result._data = value
        result.node = None
        if _recording and any(parents):
            if joint:
                rules = rules[0]
            elif len(rules) < len(parents) or None in rules:
                rules += (None,) * (len(parents) - len(rules))
                if any(parent and not rule for parent, rule in zip(parents, rules)):
                    raise TypeError(
                        f"{name}: a Tensor came for an argument without gradient; give a number or ndarray"
                    )
            result.node = Node(name, parents, rules, value.shape, dtype)
        return result

    return apply


joint_op = functools.partial(
    op, joint=True
)  # returns `value, vjp`: one rule that gives the gradients of all arguments


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Within this block nothing is recorded: values cost no memory, and have no gradient."""
    global _recording
    before, _recording = _recording, False
    try:
        yield
    finally:
        _recording = before


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed memory in the process instead of giving it back to the system; True if it agreed.

    Every op makes a fresh array. glibc hands arrays above 128 kB back to the system when they are freed, and the next
    step pays for each page again: 8,000 to 18,000 page faults a training step, about a third of its time. With these
    two settings the memory stays with the process and is used again. They change the whole process, so they can be
    switched off with the environment variable MINIGEN_KEEP_MEMORY=0, and systems without glibc's `mallopt` do without.
    """
    if os.environ.get("MINIGEN_KEEP_MEMORY") == "0" or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    mmap_threshold, trim_threshold = -3, -1
    return bool(mallopt and mallopt(mmap_threshold, 1 << 30) and mallopt(trim_threshold, 2**31 - 1))
