"""The engine: a Tensor remembers how it was computed; `backward` walks that history in reverse.

Reverse-mode automatic differentiation (Baydin et al. 2018, section 3.2) in four ideas:

1. an **op** is a NumPy function that returns its value and, for every argument, a *vector-Jacobian
   product* (vjp): a function from the gradient of the loss by the value to the gradient of the loss
   by that argument (None where there is none; ops whose gradients share most of their work give
   one rule for all: see `joint_op`, and `ops.layer_norm`);
2. running an op on Tensors leaves a `Node` behind: whose value it was computed from, and the vjps;
3. a node is always younger than its parents, so going from the youngest node to the oldest visits
   every node after all the nodes that use it: no recursion, no separate sort;
4. what all ops have in common (un-broadcasting, dtypes, adding up, freeing memory) happens here.
"""

import contextlib
import contextvars
import functools
import inspect
import itertools
import math
import operator
from collections.abc import Callable, Iterator
from heapq import heappop, heappush

import numpy as np

# Births count down from 0, because a heap gives the smallest number first: the youngest node.
_births = itertools.count(0, -1)
_no_grad_blocks = contextvars.ContextVar("how many no_grad blocks are open", default=0)
_is_silent = _no_grad_blocks.get
_PLAIN = {float, int, bool, str, type(None)}  # constants that an op may use as they are
ndarray, new = np.ndarray, object.__new__  # looked up once: every op needs them


class Node:
    """One step of the history: the gradient that arrives here goes on to `parents`, by `rules`."""

    __slots__ = ("birth", "dtype", "name", "parents", "rules", "shape")

    def __init__(self, name: str, parents, rules, shape: tuple, dtype: np.dtype) -> None:
        self.name = name
        self.parents = parents  # one Node an argument; None for one that needs no gradient
        self.rules = rules  # one vjp a parent, or one function for all of them; None once used
        self.shape = shape
        self.dtype = dtype
        self.birth = next(_births)


class Leaf(Node):
    """Where the history begins: a Tensor that was not computed. Its gradients add up in `grad`."""

    __slots__ = ("grad",)

    def __init__(self, shape: tuple, dtype: np.dtype) -> None:
        super().__init__("leaf", (), (), shape, dtype)
        self.grad = None


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

    def __init__(self, data, requires_grad: bool = True) -> None:
        _refuse_tensors_inside("Tensor", data)
        array = np.array(data)
        if array.dtype.kind != "f":
            expected = "expected floats (tokens and labels stay ndarrays)"
            raise TypeError(f"Tensor: data has dtype {array.dtype}, {expected}")
        keeps_dtype = isinstance(data, (Tensor, ndarray, np.floating))
        dtype = array.dtype.newbyteorder("=") if keeps_dtype else np.float32
        self._data = read_only(array.astype(dtype, copy=False))
        self.node = Leaf(self.shape, self.dtype) if requires_grad else None

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
        while waiting:
            node = heappop(waiting)[1]
            if type(node) is Leaf:
                continue  # its gradient stays; those of all others are popped as they are used
            g = gradients.pop(node)  # complete: all nodes that use this one are younger
            rules, parents = node.rules, node.parents
            if rules is None:
                freed = f"an earlier backward() freed the graph behind {node.name!r}"
                raise RuntimeError(f"backward: {freed}")
            node.rules = node.parents = None  # free what the rules saved as soon as it was used
            together = None if type(rules) is tuple else rules(g)
            for place, parent in enumerate(parents):
                if parent is None:
                    continue
                d = together[place] if together else rules[place](g)
                if type(d) is not ndarray or d.shape != parent.shape or d.dtype is not parent.dtype:
                    d = _fit(d, parent, node.name)
                if parent in gradients:  # never in place: a rule may hand the same array to two
                    gradients[parent] = gradients[parent] + d
                else:
                    gradients[parent] = d
                    heappush(waiting, (parent.birth, parent))
        for leaf, g in gradients.items():
            leaf.grad = np.array(g) if leaf.grad is None else np.asarray(leaf.grad + g)

    def _refuse_backward(self, create_graph) -> None:
        if create_graph:
            raise ValueError("backward: create_graph: this engine has no gradients of gradients")
        if self.size != 1:
            raise ValueError(f"backward: starts from a scalar, this tensor has shape {self.shape}")
        if self.node is None:
            raise RuntimeError("backward: no history (computed under no_grad, or from constants)")

    @property
    def data(self) -> np.ndarray:
        """The value, read-only: a later `backward` may need it.

        Assign an array to replace it; it is kept by column.
        """
        return self._data

    @data.setter
    def data(self, array: np.ndarray) -> None:
        fits = isinstance(array, ndarray) and array.dtype == self.dtype
        if not fits or array.shape != self.shape:
            came = f"{type(array).__name__} {getattr(array, 'dtype', '')} {np.shape(array)}"
            expected = f"expected an array of {self.dtype} {self.shape}"
            raise ValueError(f"Tensor.data: {expected}, got {came}")
        # By column, so that x W^T reads W along them: three times faster where x has a dozen rows.
        keep = np.asarray if _is_frozen(array) else np.array
        self._data = read_only(keep(array, order="F"))

    @property
    def grad(self) -> np.ndarray | None:
        """Sum of the gradients of all `backward` calls so far, an array of its own.

        None if there was none, or if this is no leaf.
        """
        return getattr(self.node, "grad", None)

    @grad.setter
    def grad(self, gradient: np.ndarray | None) -> None:
        if type(self.node) is not Leaf:
            raise ValueError("Tensor.grad: only a leaf that requires a gradient has one")
        if gradient is not None and np.shape(gradient) != self.shape:
            raise ValueError(f"Tensor.grad: expected shape {self.shape}, got {np.shape(gradient)}")
        self.node.grad = None if gradient is None else np.array(gradient, self.dtype)

    requires_grad = property(lambda self: self.node is not None)
    shape = property(lambda self: self._data.shape)
    dtype = property(lambda self: self._data.dtype)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)

    # -- as a value --------------------------------------------------------------------------------

    def item(self) -> float:
        """The value of a tensor of one element, as a Python float."""
        if self.size != 1:
            raise ValueError(f"a number is made of one element, this Tensor has shape {self.shape}")
        return self._data.item()

    def numpy(self) -> np.ndarray:
        """A copy of the value that may be written to."""
        return self._data.copy()

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """np.asarray(tensor): the value, read-only; np.array(tensor): a copy."""
        return np.array(self._data, dtype, copy=copy)

    def __array_function__(self, function, types, args, kwargs):
        instead = "there are minigen.ops for Tensors; NumPy gets their .data"
        raise TypeError(f"np.{function.__name__} would lose the gradient of a Tensor: {instead}")

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator["Tensor"]:
        return map(self.__getitem__, range(len(self)))

    __float__ = item

    def __bool__(self) -> bool:
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __repr__(self) -> str:
        numbers = np.array2string(self._data, separator=", ", prefix="Tensor(")
        computed = type(self.node) is Node
        return f"Tensor({numbers}, from={self.node.name})" if computed else f"Tensor({numbers})"


def _on_values(comparison: Callable) -> Callable:
    return lambda x, y: comparison(x._data, y)


# Comparisons have no gradient: they give an ndarray of booleans, one an element.
for _name in ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"):
    setattr(Tensor, _name, _on_values(getattr(operator, _name)))


# -- what all ops have in common, on the way forward -----------------------------------------------


def op(function: Callable, joint: bool = False) -> Callable:
    """Make a differentiable op of a NumPy function that returns `value, vjp_0, vjp_1, ...`.

    The function gets plain arrays. One vjp belongs to each of its first arguments, in order; None
    stands for an argument that has no gradient (indices, labels, settings), and so do missing ones
    at the end. A vjp must not refer to a Tensor (it would keep the whole graph alive), and must not
    write to the gradient it gets.
    """
    name, signature = function.__name__, inspect.signature(function)

    @functools.wraps(function)
    def apply(*args, **settings):
        if settings:
            args, settings = _arrays_by_place(signature, args, settings)
        silent = _is_silent()
        arrays, dtype, lent = _admit(name, args, silent)
        try:
            returned = function(*arrays, **settings)
        except (ValueError, IndexError, ZeroDivisionError) as error:
            raise _named(error, name, arrays) from None
        value = returned[0]
        if type(value) is not ndarray or value.dtype is not dtype:
            value = _floats(name, value, dtype)
        if lent and _may_be_of(value, lent):
            value = value.copy()
        value.setflags(False)  # nobody writes to it (write=False, by name, takes 100 ns more)
        result = new(Tensor)
        result._data = value
        result.node = None
        if not silent:
            nodes = [x.node if type(x) is Tensor else None for x in args]
            if any(nodes):
                rules = returned[1:]
                if len(rules) != len(nodes) or None in rules:
                    _refuse_lost_gradients(name, signature.parameters, nodes, rules)
                result.node = Node(name, nodes, rules[0] if joint else rules, value.shape, dtype)
        return result

    return apply


# An op whose gradients have most of their work in common: `value, vjp, None, vjp`. One rule gives a
# tuple of all of them, and stands in the place of each argument that it serves.
joint_op = functools.partial(op, joint=True)


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Within this block nothing is recorded: values cost no memory, and have no gradient.

    It holds for one thread and, under asyncio, one task. Blocks may end in any order.
    """
    _no_grad_blocks.set(_no_grad_blocks.get() + 1)
    try:
        yield
    finally:  # (a generator may be ended by another thread than began it: never below 0)
        _no_grad_blocks.set(max(0, _no_grad_blocks.get() - 1))


def _arrays_by_place(signature, args, settings):
    """Where more than a number was given by name, all arguments by their places."""
    if any(type(value) not in _PLAIN for value in settings.values()):
        bound = signature.bind(*args, **settings)
        bound.apply_defaults()
        return bound.args, bound.kwargs
    return args, settings


def _admit(name, args, silent: bool):
    """What an op may compute with, and its rules may keep: arrays of one float dtype.

    Returns them, the dtype, and what is lent: where nothing is recorded we do not copy the caller's
    arrays, which may be written to later; a result that is a view of one is copied instead.
    """
    arrays, dtype, plain = [], None, True
    for x in args:  # runs for every op: what it does not need for numbers, it does not do
        if type(x) is Tensor:
            x = x._data
            if dtype is None:
                dtype = x.dtype
            elif x.dtype is not dtype:  # two kinds of floats: the wider one for all
                dtype, plain = np.promote_types(x.dtype, dtype), False
        elif type(x) not in _PLAIN:
            plain = False
        arrays.append(x)
    lent = [] if silent else None
    if not plain:
        arrays = [x if type(x) in _PLAIN else _admit_one(name, x, dtype, lent) for x in args]
    return arrays, dtype, lent


def _admit_one(name, x, dtype: np.dtype | None, lent: list | None):
    """One argument as an op may compute with it and a rule may keep it."""
    if type(x) is Tensor:
        return x._data.astype(dtype, copy=False)
    if isinstance(x, (tuple, list)):
        _refuse_tensors_inside(name, x)
        return type(x)(_admit_one(name, part, dtype, lent) for part in x)
    if isinstance(x, np.integer):
        return int(x)
    if isinstance(x, (ndarray, np.floating)) and x.dtype.kind == "f" and dtype is not None:
        x = x.astype(dtype, copy=False)  # float64 must not widen a float32 graph
    if isinstance(x, ndarray) and not _is_frozen(x):
        if lent is None:
            return read_only(x.copy())
        lent.append(x)
    return x


def _may_be_of(value: np.ndarray, lent: list) -> bool:
    """Whether writing to one of the lent arrays might change the value."""
    if value.base is None:  # it owns its memory: the usual case, for which this is faster
        return any(value is array for array in lent)
    return any(np.may_share_memory(value, array) for array in lent)


def _named(error, name, arrays) -> Exception:
    """The error of an op's function, with the name of the op and the shapes it was given."""
    kind = IndexError if type(error) is IndexError else ValueError
    shapes = ", ".join(str(a.shape) for a in arrays if isinstance(a, ndarray))
    return kind(f"{name}: {error} [shapes {shapes}]")


def _floats(name, value, dtype: np.dtype | None) -> np.ndarray:
    """The value of an op as an array of floats, of the graph's dtype if there is a graph."""
    value = np.asarray(value)
    if value.dtype.kind != "f" or value.dtype != (dtype or value.dtype):
        hint = "a graph has floats of one kind (whole numbers in an array: .astype(np.float32))"
        raise TypeError(f"{name}: gives {value.dtype} from {dtype} tensors; {hint}")
    return value


def _refuse_lost_gradients(name, arguments, nodes, rules) -> None:
    rules = (*rules, *[None] * len(nodes))
    for argument, node, rule in zip(arguments, nodes, rules):
        if node is not None and rule is None:
            expected = "an argument without gradient; give a number or ndarray"
            raise TypeError(f"{name}: a Tensor came for {argument}, {expected}")


def _refuse_tensors_inside(name, value) -> None:
    if isinstance(value, (tuple, list)) and any(isinstance(v, Tensor) for v in value):
        lost = "Tensors in a list would lose their gradients; see ops.concatenate"
        raise TypeError(f"{name}: {lost}")


def _is_frozen(array: np.ndarray) -> bool:
    """Whether nobody can write to an array: not through it, nor through what it is a view of."""
    while isinstance(array, ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return array is None


# -- and on the way back ---------------------------------------------------------------------------


def _fit(d, parent: Node, name: str) -> np.ndarray:
    """A gradient in the shape and dtype of the parent it belongs to.

    The transpose of broadcasting: it is summed over the axes along which the parent was repeated.
    """
    d = np.asarray(d)
    extra = d.ndim - len(parent.shape)
    rest = d.shape[extra:]
    fits = extra >= 0 and all(n in (1, m) for n, m in zip(parent.shape, rest))
    if not fits or d.dtype == object:
        gives = f"the rule of {name!r} gives a gradient of shape {d.shape}"
        raise ValueError(f"backward: {gives} to an argument of shape {parent.shape}")
    if extra:  # a product sums faster than .sum
        rows = d.reshape(math.prod(d.shape[:extra]), math.prod(rest))
        d = (ones(len(rows), d.dtype) @ rows).reshape(rest)
    repeated = tuple(axis for axis, n in enumerate(parent.shape) if n != rest[axis])
    if repeated:
        d = d.sum(axis=repeated, keepdims=True)
    return d.astype(parent.dtype, copy=False)


@functools.lru_cache(maxsize=100)
def ones(shape: int | tuple, dtype: np.dtype, times: float = 1.0) -> np.ndarray:
    """One number n times: `ones @ x` adds up the rows of x, `x @ ones` its columns.

    Faster than `x.sum`. With times = 1 / n it averages.
    """
    return read_only(np.full(shape, times, dtype))


def read_only(array: np.ndarray) -> np.ndarray:
    """The array, flagged so that nobody writes to it."""
    array.flags.writeable = False
    return array
