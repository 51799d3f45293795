"""The same weights and data for every framework, as NumPy arrays, named and shaped as in torch.nn.

W1 noise-prediction MLP on points, W2 GPT (nanoGPT's CPU setting), W3 convolutional denoiser, W4
patch Transformer denoiser, W5 and W5kv sampling of 256 tokens without and with a cache, W6 sampling
with W3, W7 cost of one small op, W8 a smaller GPT.
"""

import numpy as np

LR, GPT_BETAS, GPT_DECAY = 1e-3, (0.9, 0.99), 0.1
BATCHES = 4  # every training workload walks round these


def matrix(rng, *shape):
    fan_in = np.prod(shape[1:])
    return (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)


def vector(n, value=0.0):
    return np.full(n, value, np.float32)


def noisy(rng, n, *shape):
    """(x_t, t, noise) of a denoiser's batch."""
    draw = rng.standard_normal((BATCHES, 2, n, *shape)).astype(np.float32)
    return [(x, rng.random(n).astype(np.float32), noise) for x, noise in draw]


def blocks(rng, layers, width):
    weights = {}
    for i in range(layers):
        weights |= {
            f"blocks.{i}.norm1.weight": vector(width, 1),
            f"blocks.{i}.attention.qkv.weight": matrix(rng, 3 * width, width),
            f"blocks.{i}.attention.out.weight": matrix(rng, width, width),
            f"blocks.{i}.norm2.weight": vector(width, 1),
            f"blocks.{i}.up.weight": matrix(rng, 4 * width, width),
            f"blocks.{i}.down.weight": matrix(rng, width, 4 * width),
        }
    return weights | {"norm.weight": vector(width, 1)}


def mlp():
    rng = np.random.default_rng(1)
    weights = {
        "first.weight": matrix(rng, 128, 2),
        "conditioning.time.weight": matrix(rng, 128, 64),
        "conditioning.time.bias": vector(128),
    }
    for i in range(2):
        weights |= {f"hidden.{i}.weight": matrix(rng, 128, 128), f"hidden.{i}.bias": vector(128)}
    weights |= {"last.weight": matrix(rng, 2, 128), "last.bias": vector(2)}
    return weights, noisy(rng, 512, 2)


W2 = {"vocab_size": 65, "context": 64, "layers": 4, "width": 128, "batch": 12}
W5KV = W2 | {"context": 256}
W8 = {"vocab_size": 27, "context": 48, "layers": 3, "width": 96, "batch": 16}


def gpt(vocab_size, context, layers, width, batch):
    rng = np.random.default_rng(2)
    tables = {"tokens.weight": vocab_size, "positions.weight": context}
    weights = {
        name: 0.02 * rng.standard_normal((rows, width)).astype(np.float32)
        for name, rows in tables.items()
    }
    tokens = rng.integers(0, vocab_size, (BATCHES, batch, context + 1))
    return weights | blocks(rng, layers, width), [(x[:, :-1], x[:, 1:]) for x in tokens]


def convolutional():
    rng = np.random.default_rng(3)
    weights = {"time.weight": matrix(rng, 64, 64), "time.bias": vector(64)}
    for name, inside, outside in [
        ("a", 1, 32),
        ("b", 32, 64),
        ("c", 64, 64),
        ("d", 64, 32),
        ("e", 32, 1),
    ]:
        weights |= {
            f"{name}.weight": matrix(rng, outside, inside, 3, 3),
            f"{name}.bias": vector(outside),
        }
    return weights | {"norm.weight": vector(64, 1), "norm.bias": vector(64)}, noisy(
        rng, 64, 1, 16, 16
    )


def patches():
    rng = np.random.default_rng(4)
    weights = {
        "inputs.weight": matrix(rng, 96, 4),
        "inputs.bias": vector(96),
        "outputs.weight": matrix(rng, 4, 96),
        "outputs.bias": vector(4),
        "positions.weight": (0.02 * rng.standard_normal((16, 96))).astype(np.float32),
        "conditioning.time.weight": matrix(rng, 96, 96),
        "conditioning.time.bias": vector(96),
    }
    return weights | blocks(rng, 3, 96), noisy(rng, 128, 1, 8, 8)
