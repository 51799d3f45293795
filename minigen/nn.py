"""Layers: plain objects that hold Tensors and are called. Names, arguments and initial values follow `torch.nn`.

There is no registry and no train/eval mode. `parameters` finds the tensors of any object by looking at its attributes,
and a layer is stochastic exactly when it is handed a generator.
"""

import inspect
from collections.abc import Iterator

import numpy as np

from minigen import ops
from minigen.tensor import Tensor, read_only

# -- finding and replacing what a model has learned --------------------------------------------------------------------


def parameters(obj) -> dict[str, Tensor]:
    """The Tensors reachable from obj by name, each once: `{"blocks.0.attention.qkv.weight": Tensor, ...}`."""
    return {
        name: value
        for name, _, _, value in _walk(obj)
        if isinstance(value, Tensor) and value.requires_grad
    }


def state(obj) -> dict[str, np.ndarray]:
    """What obj has learned, as arrays by name: its Tensors, and its ndarrays that do not start with an underscore."""
    return {
        name: value.data if isinstance(value, Tensor) else value.copy()
        for name, _, _, value in _walk(obj)
    }


def load_state(obj, arrays: dict[str, np.ndarray]) -> None:
    """Put arrays (as `state` gave them) in place.

    Raises:
        ValueError: listing every missing, unexpected, re-shaped or re-typed array; obj is left as it was.
    """
    places = {name: place for name, *place in _walk(obj)}
    problems = [f"missing: {name}" for name in places if name not in arrays]
    problems += [f"unexpected: {name}" for name in arrays if name not in places]
    for name, (_, _, have) in places.items():
        came = arrays.get(name, have)
        if (have.shape, have.dtype) != (came.shape, came.dtype) or (
            type(came) is Tensor and came is not have
        ):
            kind = " in a Tensor" * (type(came) is Tensor)
            problems.append(
                f"{name}: expected {have.dtype} {have.shape}, got {came.dtype} {came.shape}{kind}"
            )
    if problems:
        raise ValueError("load_state: the arrays do not fit\n  " + "\n  ".join(sorted(problems)))
    for name, (owner, key, value) in places.items():
        if isinstance(value, Tensor):
            value.data = arrays[name]
        else:
            owner[key] = np.array(arrays[name])


def describe(obj) -> str:
    """One line for a prompt: the arguments that built obj, and how many numbers it has learned.

    Every class with `__repr__ = nn.describe` keeps its constructor's arguments as attributes.
    """
    names = [name for name in inspect.signature(type(obj)).parameters if hasattr(obj, name)]
    arguments = ", ".join(f"{name}={getattr(obj, name)!r}" for name in names)
    size = sum(parameter.size for parameter in parameters(obj).values())
    return f"{type(obj).__name__}({arguments}), {size:,} parameters"


def _walk(obj, path: str = "", seen: set | None = None) -> Iterator[tuple]:
    """Yield (name, owner, key, value) of every Tensor and ndarray below obj, in the order of definition."""
    seen = {id(obj)} if seen is None else seen
    owner = obj if isinstance(obj, (list, tuple, dict)) else getattr(obj, "__dict__", {})
    for key, value in owner.items() if hasattr(owner, "items") else enumerate(owner):
        if str(key).startswith("_") or id(value) in seen or isinstance(value, type):
            continue
        seen.add(id(value))  # shared (tied) parts count once
        if isinstance(value, (Tensor, np.ndarray)):
            yield f"{path}{key}", owner, key, value
        else:
            yield from _walk(value, f"{path}{key}.", seen)


# -- layers ------------------------------------------------------------------------------------------------------------


def _weight(shape: tuple, fan_in: int, std: float | None, rng: np.random.Generator) -> Tensor:
    """torch's default, uniform in +-1/sqrt(fan_in); or normal with a given standard deviation."""
    values = (
        rng.uniform(-1, 1, shape) / fan_in**0.5
        if std is None
        else std * rng.standard_normal(shape, np.float32)
    )
    return Tensor(np.asarray(values, np.float32, order="F"))  # column by column: see `Tensor.data`


class Linear:
    """x W^T + b: (..., in_features) -> (..., out_features). `std`: see `_weight`."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng,
        std: float | None = None,
    ):
        self.weight = _weight((out_features, in_features), in_features, std, rng)
        self.bias = _weight((out_features,), in_features, std and 0.0, rng) if bias else None

    def __call__(self, x) -> Tensor:
        return ops.linear(x, self.weight, self.bias)


class Embedding:
    """A table of vectors: integers (...) below num_embeddings -> (..., embedding_dim)."""

    def __init__(self, num_embeddings: int, embedding_dim: int, *, rng, std: float = 1.0):
        self.weight = _weight((num_embeddings, embedding_dim), 1, std, rng)

    def __call__(self, indices: np.ndarray) -> Tensor:
        return ops.embedding(indices, self.weight)


class LayerNorm:
    """Zero mean and unit variance over the last axis, then a learned scale and shift."""

    def __init__(self, normalized_shape: int, eps: float = 1e-5, bias: bool = True):
        self.normalized_shape, self.eps = normalized_shape, eps
        self.weight = Tensor(np.ones(normalized_shape, np.float32))
        self.bias = Tensor(np.zeros(normalized_shape, np.float32)) if bias else None

    def __call__(self, x) -> Tensor:
        return ops.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)


class GroupNorm:
    """Zero mean and unit variance over each group of channels of an image, then a learned scale and shift a channel."""

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5):
        self.num_groups, self.eps = num_groups, eps
        self.weight = Tensor(np.ones(num_channels, np.float32))
        self.bias = Tensor(np.zeros(num_channels, np.float32))

    def __call__(self, x) -> Tensor:
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class Conv2d:
    """Convolution of images (B, C, Y, X) with a square kernel."""

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        *,
        rng,
        std: float | None = None,
    ):
        self.stride, self.padding, fan_in = stride, padding, in_channels * kernel_size**2
        self.weight = _weight(
            (out_channels, in_channels, kernel_size, kernel_size), fan_in, std, rng
        )
        self.bias = _weight((out_channels,), fan_in, std and 0.0, rng)

    def __call__(self, x) -> Tensor:
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class UpsampleConv2d(Conv2d):
    """Every pixel doubled, then a 3 x 3 convolution with padding 1: (B, in, Y, X) -> (B, out, 2 Y, 2 X)."""

    def __init__(self, in_channels: int, out_channels: int, *, rng):
        super().__init__(in_channels, out_channels, 3, padding=1, rng=rng)

    def __call__(self, x) -> Tensor:
        return ops.upsample_conv2d(x, self.weight, self.bias)


class KeyValueCache:
    """The packed queries, keys and values of the positions that one attention layer has seen."""

    def __init__(self, batch: int, context: int, width: int) -> None:
        self.seen = 0
        self._buffer = np.empty((batch, context, 3 * width), np.float32)

    def extend(self, qkv: np.ndarray) -> np.ndarray:
        """Add qkv (B, new, 3C); returns a read-only view of all so far (B, seen, 3C)."""
        self._buffer[:, self.seen : self.seen + qkv.shape[1]] = qkv
        self.seen += qkv.shape[1]
        return read_only(self._buffer[:, : self.seen])


class Attention:
    """Multi-head self-attention (B, L, C) -> (B, L, C); mask (..., L, L) is True where a position may look."""

    def __init__(
        self, width: int, heads: int, *, rng, std: float | None = None, out_std: float | None = None
    ):
        if width % heads:
            raise ValueError(f"Attention: width {width} does not divide into {heads} heads")
        self.heads = heads
        self.qkv = Linear(width, 3 * width, bias=False, rng=rng, std=std)
        self.out = Linear(width, width, bias=False, rng=rng, std=out_std)

    def __call__(
        self, x, mask: np.ndarray | None = None, cache: KeyValueCache | None = None
    ) -> Tensor:
        qkv = self.qkv(x)
        if cache is not None:
            qkv = cache.extend(qkv.data)
        return self.out(ops.attention(qkv, self.heads, mask))

    def weights(self, x, mask: np.ndarray | None = None) -> np.ndarray:
        """Who looks at whom: (B, H, L, L), rows sum to 1."""
        return ops.attention_weights(self.qkv(x).data, self.heads, mask)


def sinusoidal(t: np.ndarray, width: int) -> np.ndarray:
    """Sines and cosines of t (B,) in [0, 1] at `width` / 2 frequencies -> (B, width), float32.

    As in Vaswani et al. (2017), section 3.5, with 1000 t as the position: what DDPM feeds its network.
    """
    frequencies = 1000.0 * 10000.0 ** (-np.arange(width // 2) / (width // 2))
    angles = np.asarray(t, np.float32)[:, None] * frequencies.astype(
        np.float32
    )  # float64 sines take ten times as long
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
