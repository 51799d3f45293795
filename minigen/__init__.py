"""minigen: diffusion and autoregressive models from scratch in NumPy, to read, to learn from, and to measure.

The names stand in reading order: the engine, what is built from it, the models of both families, and the tools around.
"""

import importlib

from minigen.tensor import Tensor, keep_freed_memory, no_grad

keep_freed_memory()  # before anything large is allocated; see there for what it does and how to switch it off

from minigen import data, evaluate, gradients, networks, nn, ops, optim, oracles, sampling, schedules  # noqa: E402
from minigen.checkpoints import load, resume, save  # noqa: E402
from minigen.models.ddpm import DDPM  # noqa: E402
from minigen.models.gpt import GPT  # noqa: E402
from minigen.models.linear import LinearAR  # noqa: E402
from minigen.models.made import MADE  # noqa: E402
from minigen.models.markov import MarkovChain, NGram  # noqa: E402
from minigen.models.score import ScoreSDE  # noqa: E402
from minigen.optim import EMA, SGD, Adam, AdamW  # noqa: E402
from minigen.training import train  # noqa: E402

__version__ = "0.1.0"


def __getattr__(name: str):
    """`mg.plots`, `mg.compare` and `mg.course` are imported when first used: they need matplotlib or IPython."""
    if name in ("plots", "compare", "course"):
        return importlib.import_module(f"minigen.{name}")
    raise AttributeError(f"module 'minigen' has no attribute {name!r}")


__all__ = [
    "DDPM",
    "EMA",
    "GPT",
    "MADE",
    "SGD",
    "Adam",
    "AdamW",
    "LinearAR",
    "MarkovChain",
    "NGram",
    "ScoreSDE",
    "Tensor",
    "compare",
    "course",
    "data",
    "evaluate",
    "gradients",
    "load",
    "networks",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "oracles",
    "plots",
    "resume",
    "sampling",
    "save",
    "schedules",
    "train",
]
