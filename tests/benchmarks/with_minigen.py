"""The workloads in minigen, from its public pieces."""

import itertools

import inputs
import numpy as np

import minigen as mg
from minigen import nn, ops
from minigen.networks import MLP, PatchTransformer, TokenTransformer, causal_mask


def trainer(model, loss, batches, optimizer):
    batches = itertools.cycle(batches)

    def step():
        value = loss(model, *next(batches))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return step


def loaded(model, weights):
    nn.load_state(model, weights)
    return model


def denoising(model, x, t, noise):
    return ops.mse_loss(model(x, t), noise)


def W1():
    weights, batches = inputs.mlp()
    model = loaded(MLP((2,), rng=np.random.default_rng(0)), weights)
    return trainer(model, denoising, batches, mg.Adam(nn.parameters(model), inputs.LR))


def language_model(size=inputs.W2):
    weights, batches = inputs.gpt(**size)
    sizes = (size["vocab_size"], size["context"], size["layers"], 4, size["width"])
    return loaded(TokenTransformer(*sizes, rng=np.random.default_rng(0)), weights), batches


def W2(size=inputs.W2):
    model, batches = language_model(size)
    optimizer = mg.AdamW(
        nn.parameters(model), inputs.LR, inputs.GPT_BETAS, weight_decay=inputs.GPT_DECAY
    )

    def loss(model, x, y):
        return ops.cross_entropy(model(x, causal_mask(x.shape[1])), y)

    return trainer(model, loss, batches, optimizer)


class Convolutional:
    def __init__(self, rng):
        self.time = nn.Linear(64, 64, rng=rng)
        self.a = nn.Conv2d(1, 32, 3, padding=1, rng=rng)
        self.b = nn.Conv2d(32, 64, 3, stride=2, padding=1, rng=rng)
        self.norm = nn.GroupNorm(8, 64)
        self.c = nn.Conv2d(64, 64, 3, padding=1, rng=rng)
        self.d = nn.UpsampleConv2d(64, 32, rng=rng)
        self.e = nn.Conv2d(32, 1, 3, padding=1, rng=rng)

    def __call__(self, x, t):
        h = ops.silu(self.a(x))
        time = self.time(nn.sinusoidal(t, 64)).reshape(len(x), 64, 1, 1)
        deep = self.c(ops.silu(self.norm(self.b(h)) + time))
        return self.e(ops.silu(self.d(deep) + h))


def convolutional():
    weights, batches = inputs.convolutional()
    return loaded(Convolutional(np.random.default_rng(0)), weights), batches


def W3():
    model, batches = convolutional()
    return trainer(model, denoising, batches, mg.Adam(nn.parameters(model), inputs.LR))


def W4():
    weights, batches = inputs.patches()
    model = PatchTransformer(
        (1, 8, 8), 2, layers=3, heads=4, width=96, rng=np.random.default_rng(0)
    )
    return trainer(
        loaded(model, weights), denoising, batches, mg.Adam(nn.parameters(model), inputs.LR)
    )


def W5():
    model, _ = language_model()

    def generate():
        x = np.zeros((1, 1), np.int64)
        with mg.no_grad():
            for _ in range(256):
                seen = x[:, -64:]
                logits = model(seen, causal_mask(seen.shape[1])).data[:, -1]
                x = np.concatenate([x, logits.argmax(axis=1)[:, None]], axis=1)
        return float(x.sum())

    return generate


def W5kv():
    model, _ = language_model(inputs.W5KV)

    def generate():
        caches, token, total = model.new_caches(1), np.zeros((1, 1), np.int64), 0
        with mg.no_grad():
            for _ in range(256):  # one new token may look at all that is cached: no mask
                logits = model(token, caches=caches).data[:, -1]
                token = logits.argmax(axis=1)[:, None]
                total += token.item()
        return float(total)

    return generate


def W6():
    model, batches = convolutional()

    def denoise():
        x = batches[0][0]
        with mg.no_grad():
            for i in range(50, 0, -1):
                x = x - 0.02 * model(x, np.full(len(x), i / 50, np.float32)).data
        return float(np.square(x).mean())

    return denoise


def W7():
    x = mg.Tensor(np.linspace(-1, 1, 16, dtype=np.float32))

    def chain():
        y = x
        for _ in range(250):
            y = ops.tanh(y * 1.01 + x) - 0.5
        loss = y.sum()
        loss.backward()
        x.grad = None
        return loss.item()

    return chain


def W8():
    return W2(inputs.W8)
