"""The engine: a Tensor remembers how it was computed; `backward` walks that history in reverse.

Reverse-mode automatic differentiation (Baydin et al. 2018, section 3.2) in four ideas:

1. an **op** is a NumPy function that returns its value and, for every argument, a *vector-Jacobian
   product* (vjp): a function from the gradient of the loss by the value to the gradient of the loss
   by that argument;
2. running an op on Tensors leaves a `Node` behind: whose value it was computed from, and the vjps;
3. a node is always younger than its parents, so going from the youngest node to the oldest visits
   every node after all the nodes that use it: no recursion, no separate sort;
4. what all ops have in common (un-broadcasting, dtypes, adding up, freeing memory) happens here.
"""

import contextlib
import contextvars
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

# Counts down, because a heap gives the smallest number first: the youngest node.
_births = itertools.count(0, -1)
_open_no_grad_blocks = contextvars.ContextVar("how many no_grad blocks are open", default=0)
_PLAIN = {float, int, bool, str, type(None)}  # constants that an op may use as they are
LEAF = ()  # the rules of a node that was not computed
ndarray, new = np.ndarray, object.__new__  # looked up once: every op needs them


class Node:
    """One step of the history: the gradient that arrives here goes on to `parents`, through `rules`.

    A leaf (a Tensor that was not computed) has no rules; the gradients that reach it add up in `grad`.
    """

    __slots__ = ("birth", "dtype", "grad", "name", "parents", "rules", "shape")

    def __init__(self, name: str, parents, rules, shape: tuple, dtype: np.dtype) -> None:
        self.name = name
        self.parents = parents  # one Node an argument; None for one that needs no gradient
        self.rules = rules  # one vjp a parent, or one function for all of them; None once used
        self.shape = shape
        self.dtype = dtype
        self.grad = None
        self.birth = next(_births)

    def pull_back(self, g: np.ndarray) -> list[tuple["Node", np.ndarray]]:
        """The parents that need a gradient, each with the one that it gets if this node gets g."""
        rules, parents = self.rules, self.parents
        if rules is None:
            raise RuntimeError(
                f"backward: an earlier backward() freed the graph behind {self.name!r}"
            )
        self.rules = self.parents = None  # free what the rules saved as soon as it was used
        one_each = type(rules) is tuple
        pulled = []
        for parent, d in zip(parents, rules if one_each else rules(g)):
            if parent is None:
                continue
            if one_each:
                d = d(g)
            if type(d) is not ndarray or d.shape != parent.shape or d.dtype is not parent.dtype:
                d = _fit(d, parent, self.name)
            pulled.append((parent, d))
        return pulled


class Tensor:
    """An array of floats whose gradient can be asked for.

    Args:
        data: array, number or nested list of floats; copied. Python floats become float32 (the
            default of parameters), NumPy arrays and scalars keep their float dtype.
        requires_grad: whether `backward` should fill `grad`.

    Raises:
        TypeError: if `data` does not hold floats (integers, booleans, complex numbers, objects,
            strings), or is a list of Tensors, whose gradients would be lost.
    """

    __slots__ = ("__weakref__", "_data", "node")
    __array_ufunc__ = None  # `ndarray * Tensor` asks the Tensor, and np.exp(tensor) is refused
    __hash__ = object.__hash__  # `==` compares elements

    def __init__(self, data, requires_grad: bool = True) -> None:
        if isinstance(data, Tensor):
            data = data._data
        _refuse_tensors_inside("Tensor", data)
        array = np.array(data)
        if array.dtype.kind != "f":
            raise TypeError(
                f"Tensor: data has dtype {array.dtype}, expected floats "
                "(tokens and labels stay ndarrays)"
            )
        kept = isinstance(data, (np.ndarray, np.floating))
        dtype = array.dtype.newbyteorder("=") if kept else np.float32
        self._data = read_only(array.astype(dtype, copy=False))
        leaf = Node("leaf", (), LEAF, self._data.shape, self._data.dtype) if requires_grad else None
        self.node = leaf

    @property
    def data(self) -> np.ndarray:
        """The value, read-only: a later `backward` may need it.

        Assign an array to replace it; it is kept by column.
        """
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
        # By column, so that x W^T reads W along them: three times faster where x has a dozen rows.
        keep = np.asarray if _is_frozen(array) else np.array
        self._data = read_only(keep(array, order="F"))

    @property
    def grad(self) -> np.ndarray | None:
        """Sum of the gradients of all `backward` calls so far, an array of its own.

        None if there was none, or if this is no leaf.
        """
        return None if self.node is None else self.node.grad

    @grad.setter
    def grad(self, gradient: np.ndarray | None) -> None:
        if self.node is None or self.node.rules is not LEAF:
            raise ValueError("Tensor.grad: only a leaf that requires a gradient has one")
        if gradient is not None and np.shape(gradient) != self.shape:
            raise ValueError(f"Tensor.grad: expected shape {self.shape}, got {np.shape(gradient)}")
        self.node.grad = None if gradient is None else np.array(gradient, self.dtype)

    requires_grad = property(lambda self: self.node is not None)
    shape = property(lambda self: self._data.shape)
    dtype = property(lambda self: self._data.dtype)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)

    def backward(self, create_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to the `grad` of every leaf that self was computed from.

        The graph is freed on the way. No `grad` changes if an error stops the walk.

        Raises:
            ValueError: if self is not a scalar; if `create_graph` asks for gradients that can be
                differentiated again; if a rule gives a gradient of the wrong shape.
            RuntimeError: if self has no history, or `backward` has used a part of it before.
        """
        self._refuse_backward(create_graph)
        gradients = {self.node: np.ones(self.shape, self.dtype)}
        waiting = [(self.node.birth, self.node)]  # a heap: the youngest node first
        leaves = []
        while waiting:
            node = heappop(waiting)[1]
            g = gradients.pop(node)  # complete: all nodes that use this one are younger
            if node.rules is LEAF:
                leaves.append((node, g))
                continue
            for parent, d in node.pull_back(g):
                if parent in gradients:  # never in place: a rule may hand the same array to two
                    gradients[parent] = gradients[parent] + d
                else:
                    gradients[parent] = d
                    heappush(waiting, (parent.birth, parent))
        for node, g in leaves:
            node.grad = np.array(g) if node.grad is None else np.asarray(node.grad + g)

    def _refuse_backward(self, create_graph: bool) -> None:
        if create_graph:
            raise ValueError(
                "backward: create_graph=True asks for gradients of gradients; this engine has none"
            )
        if self.size != 1:
            raise ValueError(
                "backward: starts from a scalar, of one element; "
                f"this tensor has shape {self.shape}"
            )
        if self.node is None:
            raise RuntimeError(
                "backward: this tensor has no history (computed under no_grad(), or from constants)"
            )

    # -- as a value --------------------------------------------------------------------------------

    def item(self) -> float:
        """The value of a tensor of one element, as a Python float."""
        if self.size != 1:
            raise ValueError(
                f"a number, or a truth, of a Tensor of shape {self.shape}: it needs one element"
            )
        return self._data.item()

    def numpy(self) -> np.ndarray:
        """A copy of the value that may be written to."""
        return self._data.copy()

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """np.asarray(tensor): the value, read-only; np.array(tensor): a copy."""
        return np.array(self._data, dtype, copy=copy)

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(
            f"np.{function.__name__} would lose the gradient of a Tensor: "
            "there are minigen.ops for Tensors; NumPy gets their .data"
        )

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator["Tensor"]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return self.item()

    def __int__(self) -> int:
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    # Comparisons have no gradient: they give an ndarray of booleans, one an element.

    def __eq__(self, other):
        return self._data == other

    def __ne__(self, other):
        return self._data != other

    def __lt__(self, other):
        return self._data < other

    def __le__(self, other):
        return self._data <= other

    def __gt__(self, other):
        return self._data > other

    def __ge__(self, other):
        return self._data >= other

    def __repr__(self) -> str:
        origin = "" if self.node is None or self.node.rules is LEAF else f", from={self.node.name}"
        return f"Tensor({np.array2string(self._data, separator=', ', prefix='Tensor(')}{origin})"


# -- what all ops have in common, on the way back --------------------------------------------------


def _fit(d, parent: Node, name: str) -> np.ndarray:
    """A gradient in the shape and dtype of the parent it belongs to."""
    shape = np.shape(d)
    extra = len(shape) - len(parent.shape)
    fits = extra >= 0 and all(n in (1, m) for n, m in zip(parent.shape, shape[extra:]))
    if d is None or not fits:
        raise ValueError(
            f"backward: the rule of {name!r} gives a gradient of shape {shape} "
            f"to an argument of shape {parent.shape}"
        )
    return _unbroadcast(np.asarray(d), parent.shape).astype(parent.dtype, copy=False)


def _unbroadcast(g: np.ndarray, shape: tuple) -> np.ndarray:
    """The transpose of broadcasting: g summed over the axes along which `shape` was repeated."""
    extra = g.ndim - len(shape)
    if extra:  # a product sums faster than .sum(axis=0)
        first, rest = math.prod(g.shape[:extra]), g.shape[extra:]
        g = (ones(first, g.dtype) @ g.reshape(first, math.prod(rest))).reshape(rest)
    repeated = tuple(axis for axis, n in enumerate(shape) if n == 1 and g.shape[axis] != 1)
    return g.sum(axis=repeated, keepdims=True) if repeated else g


@functools.lru_cache(maxsize=100)
def ones(n: int, dtype: np.dtype, times: float = 1.0) -> np.ndarray:
    """n times one number: `ones @ x` adds up the rows of x, `x @ ones` its columns.

    Faster than `x.sum`. With times = 1 / n it averages.
    """
    return read_only(np.full(n, times, dtype))


def read_only(array: np.ndarray) -> np.ndarray:
    """The array, flagged so that nobody writes to it."""
    array.flags.writeable = False
    return array


# -- what all ops have in common, on the way forward -----------------------------------------------


def op(function: Callable, together: tuple[str, ...] = ()) -> Callable:
    """Make a differentiable op of a NumPy function that returns `value, vjp_0, vjp_1, ...`.

    The function gets plain arrays. One vjp belongs to each of its first arguments, in order; None
    stands for an argument that has no gradient (indices, labels, settings), and so do missing ones
    at the end. A vjp must not refer to a Tensor (it would keep the whole graph alive), and must not
    write to the gradient it gets. For `together` see `joint_op`.
    """
    name, signature = function.__name__, inspect.signature(function)
    arguments = list(signature.parameters)
    places = [arguments.index(argument) for argument in together]

    @functools.wraps(function)
    def apply(*args, **settings):
        if settings:
            args, settings = _arrays_by_place(signature, args, settings)
        arrays, nodes, dtype, lent = _admit(name, args)
        value, rules = _call(name, function, arrays, settings, dtype, lent)
        result = new(Tensor)
        result._data = value
        result.node = None
        if any(nodes):
            if places:
                rules, nodes = _joined(name, arguments, rules, nodes, places)
            elif len(rules) != len(nodes) or None in rules:
                rules = _paired(name, arguments, rules, nodes)
            result.node = Node(name, nodes, rules, value.shape, dtype)
        return result

    return apply


def joint_op(*arguments: str) -> Callable:
    """An `op` that returns `value, vjp`: one rule gives the gradients of these arguments together.

    For ops whose gradients have most of their work in common.
    """
    return functools.partial(op, together=arguments)


def _arrays_by_place(signature, args, settings):
    """Where an array was given by name, all arguments by their places."""
    if any(isinstance(value, _BY_PLACE) for value in settings.values()):
        bound = signature.bind(*args, **settings)
        bound.apply_defaults()
        return bound.args, bound.kwargs
    return args, settings


def _admit(name, args):
    """What an op may compute with, and its rules may keep: arrays of one float dtype.

    Returns them, one Node an argument (none under no_grad), the dtype, and the arrays lent by the
    caller, who may write to them later: under no_grad no rule keeps them, and they are not copied.
    """
    arrays, nodes, dtype, plain = [], [], None, True
    for x in args:  # runs for every op: what it does not need for numbers, it does not do
        if type(x) is Tensor:
            array = x._data
            if dtype is None:
                dtype = array.dtype
            elif array.dtype is not dtype:  # two kinds of floats: the wider one for all
                dtype, plain = np.promote_types(array.dtype, dtype), False
            arrays.append(array)
            nodes.append(x.node)
        else:
            plain = plain and type(x) in _PLAIN
            arrays.append(x)
            nodes.append(None)
    if _open_no_grad_blocks.get():
        nodes, lent = (), []
    else:
        lent = None
    if not plain:
        arrays = [
            a.astype(dtype, copy=False) if type(x) is Tensor else _constant(name, x, dtype, lent)
            for x, a in zip(args, arrays)
        ]
    return arrays, nodes, dtype, lent


def _constant(name, value, dtype: np.dtype | None, lent: list | None):
    """An argument that is not a Tensor, as an op may compute with it and a rule may keep it."""
    if isinstance(value, (tuple, list)):
        _refuse_tensors_inside(name, value)
        return type(value)(_constant(name, v, dtype, lent) for v in value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (ndarray, np.floating)) and value.dtype.kind == "f" and dtype is not None:
        value = value.astype(dtype, copy=False)  # float64 must not widen a float32 graph
    if isinstance(value, ndarray) and not _is_frozen(value):
        if lent is None:
            return read_only(value.copy())
        lent.append(value)
    return value


def _call(name, function, arrays, settings, dtype, lent):
    """The value of an op, floats of the graph's dtype that nobody can write to, and its rules."""
    try:
        returned = function(*arrays, **settings)
    except (ValueError, IndexError, ZeroDivisionError) as error:
        kind = IndexError if type(error) is IndexError else ValueError
        shapes = ", ".join(str(a.shape) for a in arrays if isinstance(a, ndarray))
        raise kind(f"{name}: {error} [shapes {shapes}]") from None
    value, rules = returned[0], returned[1:]
    if type(value) is not ndarray:
        value = np.asarray(value)
    if value.dtype is not dtype and (
        value.dtype != (dtype or value.dtype) or value.dtype.kind != "f"
    ):
        raise TypeError(
            f"{name}: gives {value.dtype} from {dtype} tensors; a graph has floats of one kind "
            "(whole numbers that come as an array: .astype(np.float32))"
        )
    if lent and any(np.may_share_memory(value, array) for array in lent):
        value = value.copy()
    value.setflags(write=False)
    return value, rules


def _paired(name, arguments, rules, nodes):
    """As many rules as nodes; a node without a rule is refused."""
    rules = (*rules, *[None] * len(nodes))[: len(nodes)]
    for argument, rule, node in zip(arguments, rules, nodes):
        if node is not None and rule is None:
            raise TypeError(
                f"{name}: a Tensor came for {argument}, an argument without gradient; "
                "give a number or ndarray"
            )
    return rules


def _joined(name, arguments, rules, nodes, places):
    """The one rule of a `joint_op`, and the nodes of the arguments that it serves."""
    served = [rules[0] if place in places else None for place in range(len(nodes))]
    _paired(name, arguments, served, nodes)
    return rules[0], [nodes[place] if place < len(nodes) else None for place in places]


def _refuse_tensors_inside(name, value) -> None:
    if isinstance(value, (tuple, list)) and any(isinstance(v, Tensor) for v in value):
        raise TypeError(
            f"{name}: Tensors in a list would lose their gradients; see ops.concatenate"
        )


def _is_frozen(array: np.ndarray) -> bool:
    """Whether nobody can write to an array: not through it, nor through what it is a view of."""
    while isinstance(array, ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return array is None


_BY_PLACE = (Tensor, ndarray, np.generic, tuple, list)


# -- switches --------------------------------------------------------------------------------------


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Within this block nothing is recorded: values cost no memory, and have no gradient.

    It holds for one thread and, under asyncio, one task. Blocks may end in any order.
    """
    _open_no_grad_blocks.set(_open_no_grad_blocks.get() + 1)
    try:
        yield
    finally:  # (a generator may be ended by another thread than began it: never below 0)
        _open_no_grad_blocks.set(max(0, _open_no_grad_blocks.get() - 1))


def is_recording() -> bool:
    """Whether ops leave a history behind: not within `no_grad`."""
    return not _open_no_grad_blocks.get()


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed memory in the process; True if it agreed.

    Every op makes a fresh array. glibc hands arrays above 128 kB back to the system when they are
    freed, and the next step pays for each page again: 8,000 to 18,000 page faults a training step,
    about a third of its time. With these two settings the memory stays with the process and is used
    again. They change the whole process, so they can be switched off with the environment variable
    MINIGEN_KEEP_MEMORY=0, and systems without glibc's `mallopt` do without.
    """
    if os.environ.get("MINIGEN_KEEP_MEMORY") == "0" or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    mmap_threshold, trim_threshold = -3, -1
    return bool(mallopt and mallopt(mmap_threshold, 1 << 30) and mallopt(trim_threshold, 2**31 - 1))
