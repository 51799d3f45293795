"""Layers: plain objects that hold Tensors and are called.

Names, arguments and initial values are those of `torch.nn`, where torch has the layer. There is no
registry and no train/eval mode: `parameters` (below the layers) finds the tensors of any object by
looking at its attributes. No layer draws when it is called; a network that wants dropout calls
`ops.dropout` with a generator.
"""

import contextlib
import inspect
import math
import operator
import reprlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from types import ModuleType

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments, ops
from minigen.tensor import Tensor, read_only

# -- what an object says of itself -----------------------------------------------------------------


def describe(obj) -> str:
    """One line for a prompt: the arguments that built obj, and how many numbers it has learned.

    Of the arguments those that it keeps as attributes are shown.
    """
    built_with = []
    for name in inspect.signature(type(obj)).parameters:
        value = getattr(obj, name, None)
        if value is not None and not isinstance(value, Tensor):
            built_with.append(f"{name}={_short(value)}")
    size = sum(part.size for part in _named(obj).values())
    return f"{type(obj).__name__}({', '.join(built_with)}), {size:,} parameters"


def _short(value) -> str:
    """A plain value as Python writes it, cut where it is long; the class of anything else."""
    if isinstance(value, ndarray):
        return f"array{value.shape}"
    if isinstance(value, (bool, int, float, str, tuple, list, dict, np.generic)):
        return " ".join(reprlib.repr(value).split())
    return f"{getattr(value, '__name__', type(value).__name__)}(...)"


# -- layers --------------------------------------------------------------------------------------


def _weight(shape: tuple, fan_in: int, std: float | None, rng: Generator) -> Tensor:
    """torch's default, uniform in +-1/sqrt(fan_in); or normal with a given standard deviation."""
    arguments.generator(rng)
    shape = _counted(*shape)
    if std is None:
        width = fan_in**0.5
        values = rng.uniform(-1, 1, shape) / width
    else:
        values = std * rng.standard_normal(shape, np.float32)
    return Tensor(np.asarray(values, np.float32, order="F"))  # by column: see `Tensor.data`


def _bias(size: int, fan_in: int, std: float | None, rng: Generator) -> Tensor:
    """torch's default, as the weights; 0 where these have a given standard deviation."""
    return _weight((size,), fan_in, None if std is None else 0.0, rng)


class Linear:
    """x W^T + b: (..., in_features) -> (..., out_features). `std`: see `_weight`."""

    __repr__ = describe

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, rng: Generator,
        std: float | None = None,
    ) -> None:  # fmt: skip
        self.in_features, self.out_features = in_features, out_features
        self.weight = _weight((out_features, in_features), in_features, std, rng)
        self.bias = _bias(out_features, in_features, std, rng) if bias else None

    def __call__(self, x) -> Tensor:
        return ops.linear(x, self.weight, self.bias)


class Embedding:
    """A table of vectors: integers (...) below num_embeddings -> (..., embedding_dim)."""

    __repr__ = describe

    def __init__(self, num_embeddings: int, embedding_dim: int, *, rng, std: float = 1.0) -> None:
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = _weight((num_embeddings, embedding_dim), 1, std, rng)

    def __call__(self, indices: ndarray) -> Tensor:
        return ops.embedding(indices, self.weight)


class LayerNorm:
    """Zero mean and unit variance over the last axis, then a learned scale and shift."""

    __repr__ = describe

    def __init__(self, normalized_shape: int, eps: float = 1e-5, bias: bool = True) -> None:
        self.normalized_shape, self.eps = normalized_shape, eps
        self.weight = Tensor(np.ones(_counted(normalized_shape), np.float32))
        self.bias = Tensor(np.zeros(_counted(normalized_shape), np.float32)) if bias else None

    def __call__(self, x) -> Tensor:
        return ops.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)


class GroupNorm:
    """Zero mean and unit variance over groups of channels; a learned scale and shift a channel."""

    __repr__ = describe

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"{num_channels} channels do not divide into {num_groups} groups")
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = Tensor(np.ones(_counted(num_channels), np.float32))
        self.bias = Tensor(np.zeros(_counted(num_channels), np.float32))

    def __call__(self, x) -> Tensor:
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class Conv2d:
    """Convolution of images (B, C, Y, X) with a square kernel."""

    __repr__ = describe

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1,
        padding: int = 0, *, rng: Generator, std: float | None = None,
    ) -> None:  # fmt: skip
        arguments.whole(1, stride=stride)
        arguments.whole(0, padding=padding)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        fan_in = in_channels * kernel_size**2
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = _weight(shape, fan_in, std, rng)
        self.bias = _bias(out_channels, fan_in, std, rng)

    def __call__(self, x) -> Tensor:
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class UpsampleConv2d(Conv2d):
    """Every pixel doubled, then a 3 x 3 convolution: (B, in, Y, X) -> (B, out, 2 Y, 2 X)."""

    def __init__(self, in_channels: int, out_channels: int, *, rng: Generator) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, rng=rng)

    def __call__(self, x) -> Tensor:
        return ops.upsample_conv2d(x, self.weight, self.bias)


class KeyValueCache:
    """The packed queries, keys and values of the positions that one attention layer has seen.

    The old queries are not needed, but packed as they come, one slice is copied and none is cut.
    """

    def __init__(self, batch: int, context: int, width: int) -> None:
        self.seen = 0
        self._buffer = np.empty((batch, context, 3 * width), np.float32)

    def extend(self, qkv: ndarray) -> ndarray:
        """Add qkv (B, new, 3C); returns a read-only view of all so far (B, seen, 3C)."""
        batch, context, packed = self._buffer.shape
        new, room = qkv.shape[1], context - self.seen
        if qkv.shape != (batch, new, packed) or new > room:
            expected = f"expected ({batch}, at most {room} more positions, {packed})"
            raise ValueError(f"KeyValueCache: {expected}, got {qkv.shape}")
        self._buffer[:, self.seen : self.seen + new] = qkv
        self.seen += new
        return read_only(self._buffer[:, : self.seen])


class Attention:
    """Multi-head self-attention (B, L, C) -> (B, L, C).

    mask (..., L, L) is True where a position may look (None: everywhere). With a cache, x holds the
    new positions, and the mask has a row for each of them, a column for each one seen or new.
    """

    __repr__ = describe

    def __init__(
        self, width: int, heads: int, *, rng, std: float | None = None, out_std: float | None = None
    ) -> None:
        if heads < 1 or width % heads:
            raise ValueError(f"Attention: width {width} does not divide into {heads} heads")
        self.width, self.heads = width, heads
        self.qkv = Linear(width, 3 * width, bias=False, rng=rng, std=std)
        self.out = Linear(width, width, bias=False, rng=rng, std=out_std)

    def __call__(
        self, x, mask: ndarray | None = None, cache: KeyValueCache | None = None
    ) -> Tensor:
        qkv = self.qkv(x)
        if cache is not None:
            if qkv.requires_grad:  # what stands in a cache has no history to send gradients through
                raise RuntimeError("Attention: a cache has no gradients; use it within no_grad()")
            qkv = cache.extend(qkv.data)
        return self.out(ops.attention(qkv, self.heads, mask, x.shape[1]))

    def weights(self, x, mask: ndarray | None = None) -> ndarray:
        """Who looks at whom: (B, H, L, L), rows sum to 1."""
        return ops.attention_weights(self.qkv(x).data, self.heads, mask)


def sinusoidal(t: ndarray, width: int) -> ndarray:
    """Sines and cosines of t (B,) in [0, 1] at `width` / 2 frequencies -> (B, width), float32.

    The frequencies of Vaswani et al. (2017), section 3.5, with 1000 t as the position, in the
    layout of DDPM's code: all sines, then all cosines. DDPM's own frequencies differ slightly: they
    have half - 1 in the exponent's denominator where Vaswani et al. have half = width / 2.
    """
    if width < 2 or width % 2:
        raise ValueError(f"sinusoidal: width must be even and at least 2, got {width}")
    half = width // 2
    frequencies = 1000.0 * 10000.0 ** (-np.arange(half) / half)
    # in float32: float64 sines take ten times as long
    angles = np.asarray(t, np.float32)[:, None] * frequencies.astype(np.float32)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


# -- finding and replacing what a model has learned -----------------------------------------------
# One rule: what has a public name is found, in attributes (also slots), lists, tuples and dicts. A
# name that starts with an underscore is private: it is no part of the state, and must not train.


def parameters(obj) -> dict[str, Tensor]:
    """The Tensors reachable from obj by name, each once: `{"blocks.0.attention.qkv.weight": ...}`.

    Raises:
        ValueError: for a Tensor that trains and cannot be found by a public name: it stands under a
            name with an underscore, or in a set. (A constant has `requires_grad=False`.)
    """
    found = {name: part for name, part in _named(obj).items() if _trains(part)}
    known = {id(part) for part in found.values()}
    for name, _, _, part in _walk(obj, private=True):
        if _trains(part) and id(part) not in known:
            raise ValueError(f"parameters: {name} trains, but has no public name to find it by")
    return found


def state(obj) -> dict[str, ndarray]:
    """What obj has learned, as arrays by name: its Tensors and its ndarrays with public names."""
    return {
        name: part.data if isinstance(part, Tensor) else part.copy()
        for name, part in _named(obj).items()
    }


def load_state(obj, arrays: dict[str, ndarray]) -> None:
    """Put arrays (as `state` gave them) in place.

    Raises:
        ValueError: listing every missing, unexpected, re-shaped or re-typed array, and every array
            that stands where it cannot be replaced; obj is left as it was.
    """
    have = _named(obj)
    problems = [f"missing: {name}" for name in have if name not in arrays]
    problems += [f"unexpected: {name}" for name in arrays if name not in have]
    for name in have.keys() & arrays.keys():
        expected, came = f"{have[name].dtype} {have[name].shape}", _kind(arrays[name])
        if expected != came:
            problems.append(f"{name}: expected {expected}, got {came}")
    places = list(_walk(obj))
    for name, owner, _, part in places:
        if isinstance(owner, tuple) and isinstance(part, ndarray):
            problems.append(f"{name}: an array in a tuple cannot be replaced; use a list")
    if problems:
        raise ValueError("load_state: the arrays do not fit\n  " + "\n  ".join(sorted(problems)))
    for name, owner, key, part in places:
        if isinstance(part, Tensor):
            part.data = arrays[name]
        elif isinstance(owner, (list, dict)):
            owner[key] = np.array(arrays[name])
        else:
            object.__setattr__(owner, key, np.array(arrays[name]))  # also where frozen


def _trains(part) -> bool:
    return isinstance(part, Tensor) and part.requires_grad and part.node.name == "leaf"


def _kind(came) -> str:
    if isinstance(came, ndarray):
        return f"{came.dtype} {came.shape}"
    return f"a {type(came).__name__}, no array"


def _named(obj) -> dict[str, Tensor | ndarray]:
    """Every Tensor and ndarray of obj by its name; two of one name would hide one another."""
    found = {}
    for name, _, _, part in _walk(obj):
        if name in found:
            raise ValueError(f"two parts of a {type(obj).__name__} have one name: {name}")
        found[name] = part
    return found


def _walk(obj, path: str = "", seen: set | None = None, private: bool = False) -> Iterator[tuple]:
    """(name, owner, key, part) of every Tensor and ndarray below obj, in the order of definition.

    With `private`, also those that have no public name, to be refused.
    """
    seen = {id(obj)} if seen is None else seen
    for owner, key, value in _held(obj, private):
        hidden = str(key).startswith("_") and not private
        if hidden or id(value) in seen or isinstance(value, (type, ModuleType)):
            continue
        seen.add(id(value))  # shared (tied) parts count once
        if isinstance(value, (Tensor, ndarray)):
            yield f"{path}{key}", owner, key, value
        else:
            yield from _walk(value, f"{path}{key}.", seen, private)


def _held(obj, private: bool) -> list[tuple]:
    """(owner, key, value) of what obj holds: items of a container, or attributes."""
    if isinstance(obj, (list, tuple)) or (private and isinstance(obj, (set, frozenset, deque))):
        return [(obj, key, value) for key, value in enumerate(obj)]
    attributes = obj if isinstance(obj, dict) else getattr(obj, "__dict__", {})
    held = [(attributes, key, value) for key, value in attributes.items()]
    for cls in type(obj).__mro__:
        slots = vars(cls).get("__slots__", ())
        names = [slots] if isinstance(slots, str) else slots
        held += [(obj, name, getattr(obj, name)) for name in names if hasattr(obj, name)]
    return held


# -- no more than was agreed -----------------------------------------------------------------------
# A checkpoint from a stranger may describe a model that would fill the memory.

WEIGHT = 256  # numbers that a weight counts besides its own: an object of Python is not free
_left: ContextVar[int | None] = ContextVar("numbers that may still be built", default=None)


@contextlib.contextmanager
def at_most(arrays: Iterable[ndarray]) -> Iterator[None]:
    """Within this block all layers together may be as large as these arrays, and a little larger.

    A layer counts its weights before it allocates them, and raises ValueError where they are more:
    so a model that a file describes is never larger than the file (see `checkpoints`).
    """
    before = _left.set(10_000 + sum(array.nbytes // 4 + WEIGHT for array in arrays))
    try:
        yield
    finally:
        _left.reset(before)


def _counted(*shape: int) -> tuple[int, ...]:
    """The shape of a new weight, as integers of at least 1; taken off what `at_most` left."""
    shape = tuple(operator.index(size) for size in shape)
    if min(shape, default=1) < 1:
        raise ValueError(f"a layer's sizes must be at least 1, got weights of shape {shape}")
    if (left := _left.get()) is not None:
        left -= math.prod(shape) + WEIGHT
        if left < 0:
            raise ValueError(f"weights of shape {shape} are more than may be built (nn.at_most)")
        _left.set(left)
    return shape
