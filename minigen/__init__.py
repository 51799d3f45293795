"""minigen: diffusion and autoregressive models from scratch in NumPy, to read, to learn from, and to measure.

The names stand in reading order: the engine, what is built from it, the models of both families, and the tools around.
"""

import importlib

from minigen.tensor import Tensor, keep_freed_memory, no_grad

keep_freed_memory()  # before anything large is allocated; see there for what it does and how to switch it off

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


def __getattr__(name: str):
    """`mg.plots`, `mg.compare` and `mg.course` are imported when first used: they need matplotlib or IPython."""
    if name in ("plots", "compare", "course"):
        return importlib.import_module(f"minigen.{name}")
    raise AttributeError(f"module 'minigen' has no attribute {name!r}")
