"""The workloads in PyTorch eager, as its users write them.

nn.Module, scaled_dot_product_attention, torch.optim.
"""

import itertools
import math

import inputs
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def trainer(model, loss, batches, optimizer):
    batches = itertools.cycle(
        [[torch.from_numpy(np.array(part)) for part in batch] for batch in batches]
    )

    def step():
        value = loss(model, *next(batches))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return step


def loaded(model, weights):
    model.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
    return model


def denoising(model, x, t, noise):
    return F.mse_loss(model(x, t), noise)


def sinusoidal(t, width):
    frequencies = 1000.0 * torch.exp(-math.log(10000.0) * torch.arange(width // 2) / (width // 2))
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(66, 128),
            nn.SiLU(),
            nn.Linear(128, 128),
            nn.SiLU(),
            nn.Linear(128, 128),
            nn.SiLU(),
            nn.Linear(128, 2),
        )

    def forward(self, x, t):
        return self.layers(torch.cat([x, sinusoidal(t, 64)], dim=1))


def W1():
    w, batches = inputs.mlp()
    first = np.concatenate([w["first.weight"], w["conditioning.time.weight"]], axis=1)
    weights = {"layers.0.weight": first, "layers.0.bias": w["conditioning.time.bias"]}
    for place, name in [(2, "hidden.0"), (4, "hidden.1"), (6, "last")]:
        weights |= {f"layers.{place}.{part}": w[f"{name}.{part}"] for part in ("weight", "bias")}
    model = loaded(MLP(), weights)
    return trainer(model, denoising, batches, torch.optim.Adam(model.parameters(), inputs.LR))


class Attention(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x, cache=None):
        B, L, C = x.shape
        q, k, v = (
            part.view(B, L, self.heads, C // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(C, dim=2)
        )
        if cache is not None:
            end = cache["seen"] + L
            cache["k"][:, :, cache["seen"] : end], cache["v"][:, :, cache["seen"] : end] = k, v
            cache["seen"], k, v = end, cache["k"][:, :, :end], cache["v"][:, :, :end]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal and cache is None)
        return self.out(y.transpose(1, 2).reshape(B, L, C))


class Block(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.attention = Attention(width, heads, causal)
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.gelu = nn.GELU(approximate="tanh")
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x, cache=None):
        x = x + self.attention(self.norm1(x), cache)
        return x + self.down(self.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, vocab_size, context, layers, width, batch):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList([Block(width, 4, causal=True) for _ in range(layers)])
        self.norm = nn.LayerNorm(width, bias=False)

    def forward(self, x, caches=None):
        start = caches[0]["seen"] if caches else 0
        h = self.tokens(x) + self.positions(torch.arange(start, start + x.shape[1]))
        for i, block in enumerate(self.blocks):
            h = block(h, caches[i] if caches else None)
        return F.linear(self.norm(h), self.tokens.weight)


def language_model(size=inputs.W2):
    weights, batches = inputs.gpt(**size)
    return loaded(GPT(**size), weights), batches


def W2(size=inputs.W2):
    model, batches = language_model(size)
    groups = [
        {
            "params": [p for p in model.parameters() if p.dim() >= 2],
            "weight_decay": inputs.GPT_DECAY,
        },
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, inputs.LR, inputs.GPT_BETAS)
    return trainer(
        model,
        lambda model, x, y: F.cross_entropy(model(x).view(-1, size["vocab_size"]), y.reshape(-1)),
        batches,
        optimizer,
    )


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.Linear(64, 64)
        self.a = nn.Conv2d(1, 32, 3, padding=1)
        self.b = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(8, 64)
        self.c = nn.Conv2d(64, 64, 3, padding=1)
        self.d = nn.Conv2d(64, 32, 3, padding=1)
        self.e = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, x, t):
        h = F.silu(self.a(x))
        time = self.time(sinusoidal(t, 64))[:, :, None, None]
        deep = self.c(F.silu(self.norm(self.b(h)) + time))
        return self.e(F.silu(self.d(F.interpolate(deep, scale_factor=2)) + h))


def convolutional():
    weights, batches = inputs.convolutional()
    return loaded(Convolutional(), weights), batches


def W3():
    model, batches = convolutional()
    return trainer(model, denoising, batches, torch.optim.Adam(model.parameters(), inputs.LR))


class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.inputs, self.outputs = nn.Linear(4, 96), nn.Linear(96, 4)
        self.positions = nn.Embedding(16, 96)
        self.conditioning = nn.ModuleDict({"time": nn.Linear(96, 96)})
        self.blocks = nn.ModuleList([Block(96, 4, causal=False) for _ in range(3)])
        self.norm = nn.LayerNorm(96, bias=False)

    def forward(self, x, t):
        B = len(x)
        patches = x.view(B, 1, 4, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).reshape(B, 16, 4)
        h = self.inputs(patches) + self.positions.weight
        h = h + self.conditioning["time"](sinusoidal(t, 96))[:, None]
        for block in self.blocks:
            h = block(h)
        out = self.outputs(self.norm(h)).view(B, 4, 4, 1, 2, 2)
        return out.permute(0, 3, 1, 4, 2, 5).reshape(x.shape)


def W4():
    weights, batches = inputs.patches()
    model = loaded(Patches(), weights)
    return trainer(model, denoising, batches, torch.optim.Adam(model.parameters(), inputs.LR))


def W5():
    model, _ = language_model()

    @torch.no_grad()
    def generate():
        x = torch.zeros(1, 1, dtype=torch.long)
        for _ in range(256):
            logits = model(x[:, -64:])[:, -1]
            x = torch.cat([x, logits.argmax(dim=1, keepdim=True)], dim=1)
        return float(x.sum())

    return generate


def W5kv():
    model, _ = language_model(inputs.W5KV)

    @torch.no_grad()
    def generate():
        caches = [
            {"seen": 0, "k": torch.empty(1, 4, 256, 32), "v": torch.empty(1, 4, 256, 32)}
            for _ in range(4)
        ]
        token, total = torch.zeros(1, 1, dtype=torch.long), 0
        for _ in range(256):
            token = model(token, caches)[:, -1].argmax(dim=1, keepdim=True)
            total += token.item()
        return float(total)

    return generate


def W6():
    model, batches = convolutional()
    start = torch.from_numpy(batches[0][0])

    @torch.no_grad()
    def denoise():
        x = start
        for i in range(50, 0, -1):
            x = x - 0.02 * model(x, torch.full((len(x),), i / 50))
        return x.square().mean().item()

    return denoise


def W7():
    x = torch.linspace(-1, 1, 16, requires_grad=True)

    def chain():
        y = x
        for _ in range(250):
            y = torch.tanh(y * 1.01 + x) - 0.5
        loss = y.sum()
        loss.backward()
        x.grad = None
        return loss.item()

    return chain


def W8():
    return W2(inputs.W8)
