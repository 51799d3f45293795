"""minigen: diffusion and autoregressive models from scratch in NumPy.

To read, to learn from, and to measure. The names stand in reading order: the engine, what is built
from it, the models of both families, and the tools around.
"""

import difflib
import importlib

from minigen.kernels.memory import keep_freed_memory
from minigen.kernels.threads import limit_threads
from minigen.tensor import Tensor, no_grad

keep_freed_memory()  # before anything large is allocated; there: what it does, how to switch it off
limit_threads()  # likewise

from minigen import (
    data,
    evaluate,
    gradients,
    networks,
    nn,
    ops,
    optim,
    oracles,
    sampling,
    schedules,
)
from minigen.checkpoints import load, resume, save
from minigen.models.block import BlockDiffusion
from minigen.models.ddpm import DDPM
from minigen.models.gpt import GPT
from minigen.models.linear import LinearAR
from minigen.models.made import MADE
from minigen.models.markov import MarkovChain, NGram
from minigen.models.masked import MaskedDiffusion, left_to_right
from minigen.models.score import ScoreSDE
from minigen.optim import EMA, SGD, Adam, AdamW
from minigen.training import fit, train

__version__ = "0.1.0"

__all__ = [  # in reading order
    *("Tensor", "no_grad", "ops", "gradients", "nn", "networks", "optim"),
    *("SGD", "Adam", "AdamW", "EMA", "data", "schedules", "oracles", "sampling"),
    *("MarkovChain", "NGram", "LinearAR", "MADE", "GPT"),
    *("MaskedDiffusion", "BlockDiffusion", "left_to_right", "DDPM", "ScoreSDE"),
    *("train", "fit", "save", "load", "resume", "evaluate"),
]
ON_DEMAND = ("plots", "compare", "course", "read")  # they need matplotlib or IPython


def __dir__() -> list[str]:
    return sorted([*__all__, *ON_DEMAND, "__version__"])


def __getattr__(name: str):
    """`mg.plots`, `mg.compare`, `mg.course`, and `mg.read`, which is `mg.course.read`."""
    if name == "read":
        return importlib.import_module("minigen.course").read
    if name in ON_DEMAND:
        return importlib.import_module(f"minigen.{name}")
    near = difflib.get_close_matches(name, __dir__())
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise AttributeError(f"module 'minigen' has no attribute {name!r}{hint}")
