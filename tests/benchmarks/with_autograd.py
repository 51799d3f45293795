"""The training workloads in autograd (Maclaurin et al. 2015), which differentiates plain NumPy."""

import itertools

import autograd.numpy as np
import inputs
from autograd import value_and_grad


def trainer(loss, weights, batches, betas=(0.9, 0.999), decay=0.0):
    """Adam as written by hand for a dict of arrays."""
    derivative, batches, moments, count = (
        value_and_grad(loss),
        itertools.cycle(batches),
        {},
        itertools.count(1),
    )

    def step():
        value, gradients = derivative(weights, *next(batches))
        (b1, b2), k = betas, next(count)
        for name, g in gradients.items():
            m, v = moments.get(name, (0.0, 0.0))
            moments[name] = m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            w = weights[name] * (1 - inputs.LR * decay if weights[name].ndim >= 2 else 1)
            weights[name] = w - inputs.LR / (1 - b1**k) * m / (np.sqrt(v / (1 - b2**k)) + 1e-8)
        return float(value)

    return step


def sinusoidal(t, width):
    angles = t[:, None] * (1000 * 10000.0 ** (-np.arange(width // 2) / (width // 2)))
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def silu(x):
    return x / (1 + np.exp(-x))


def W1():
    def loss(w, x, t, noise):
        h = (
            x @ w["first.weight"].T
            + sinusoidal(t, 64) @ w["conditioning.time.weight"].T
            + w["conditioning.time.bias"]
        )
        for name in ("hidden.0", "hidden.1", "last"):
            h = silu(h) @ w[f"{name}.weight"].T + w[f"{name}.bias"]
        return np.mean((h - noise) ** 2)

    return trainer(loss, *inputs.mlp())


def norm(x, weight):
    z = x - np.mean(x, axis=-1, keepdims=True)
    return z / np.sqrt(np.mean(z * z, axis=-1, keepdims=True) + 1e-5) * weight


def body(w, h, layers, heads, mask):
    B, L, C = h.shape
    for i in range(layers):
        block = {name: w[f"blocks.{i}.{name}.weight"] for name in ("norm1", "norm2", "up", "down")}
        qkv = norm(h, block["norm1"]) @ w[f"blocks.{i}.attention.qkv.weight"].T
        q, k, v = (
            np.reshape(part, (B, L, heads, C // heads)).swapaxes(1, 2)
            for part in np.split(qkv, 3, axis=2)
        )
        scores = np.exp(q @ np.swapaxes(k, 2, 3) * float((C // heads) ** -0.5)) * mask
        y = (scores / np.sum(scores, axis=-1, keepdims=True)) @ v
        h = (
            h
            + np.reshape(np.swapaxes(y, 1, 2), (B, L, C)) @ w[f"blocks.{i}.attention.out.weight"].T
        )
        u = norm(h, block["norm2"]) @ block["up"].T
        u = u / (1 + np.exp(-2 * float((2 / np.pi) ** 0.5) * (u + 0.044715 * u * u * u)))
        h = h + u @ block["down"].T
    return norm(h, w["norm.weight"])


def W2():
    mask = np.tril(np.ones((64, 64), np.float32))

    def loss(w, x, y):
        h = (
            body(w, w["tokens.weight"][x] + w["positions.weight"], 4, 4, mask)
            @ w["tokens.weight"].T
        )
        h = h - np.max(h, axis=-1, keepdims=True)
        log_p = h - np.log(np.sum(np.exp(h), axis=-1, keepdims=True))
        return -np.mean(log_p[np.arange(len(x))[:, None], np.arange(64), y])

    return trainer(loss, *inputs.gpt(**inputs.W2), inputs.GPT_BETAS, inputs.GPT_DECAY)


def convolve(x, weight, bias, stride=1):
    """x (B, Y, X, C): nine shifted products."""
    Y, X = x.shape[1] // stride, x.shape[2] // stride
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "constant")
    out = bias
    for i in range(3):
        for j in range(3):
            part = x[:, i : i + stride * Y : stride, j : j + stride * X : stride]
            out = out + part @ weight[:, :, i, j].T
    return out


def W3():
    def layer(w, name, x, stride=1):
        return convolve(x, w[f"{name}.weight"], w[f"{name}.bias"], stride)

    def loss(w, x, t, noise):
        h = silu(layer(w, "a", np.swapaxes(x, 1, 3)))
        z = np.reshape(layer(w, "b", h, 2), (64, 64, 8, 8))
        z = z - np.mean(z, axis=(1, 3), keepdims=True)
        z = np.reshape(
            z / np.sqrt(np.mean(z * z, axis=(1, 3), keepdims=True) + 1e-5), (64, 8, 8, 64)
        )
        time = sinusoidal(t, 64) @ w["time.weight"].T + w["time.bias"]
        z = layer(w, "c", silu(z * w["norm.weight"] + w["norm.bias"] + time[:, None, None]))
        z = np.reshape(np.repeat(np.repeat(z, 2, axis=1), 2, axis=2), (64, 16, 16, 64))
        return np.mean((np.swapaxes(layer(w, "e", silu(layer(w, "d", z) + h)), 1, 3) - noise) ** 2)

    weights, batches = (
        inputs.convolutional()
    )  # images lie on their side here, and so do the filters
    weights = {name: w.swapaxes(2, 3) if w.ndim == 4 else w for name, w in weights.items()}
    return trainer(loss, weights, batches)


def W4():
    mask = np.ones((16, 16), np.float32)

    def loss(w, x, t, noise):
        patches = np.reshape(np.reshape(x, (128, 4, 2, 4, 2)).swapaxes(2, 3), (128, 16, 4))
        h = patches @ w["inputs.weight"].T + w["inputs.bias"] + w["positions.weight"]
        h = (
            h
            + (sinusoidal(t, 96) @ w["conditioning.time.weight"].T + w["conditioning.time.bias"])[
                :, None
            ]
        )
        out = body(w, h, 3, 4, mask) @ w["outputs.weight"].T + w["outputs.bias"]
        out = np.reshape(np.swapaxes(np.reshape(out, (128, 4, 4, 2, 2)), 2, 3), noise.shape)
        return np.mean((out - noise) ** 2)

    return trainer(loss, *inputs.patches())


def W7():
    def chain(x):
        y = x
        for _ in range(250):
            y = np.tanh(y * 1.01 + x) - 0.5
        return np.sum(y)

    derivative, x = value_and_grad(chain), np.linspace(-1, 1, 16, dtype=np.float32)
    return lambda: float(derivative(x)[0])
