"""minigen: diffusion and autoregressive models from scratch in NumPy.

To read, to learn from, and to measure. The names stand in reading order: the engine, what is built
from it, the models of both families, and the tools around.
"""

import difflib
import importlib

from minigen.tensor import Tensor, keep_freed_memory, no_grad

keep_freed_memory()  # before anything large is allocated; there: what it does, how to switch it off

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
from minigen.models.ddpm import DDPM
from minigen.models.gpt import GPT
from minigen.models.linear import LinearAR
from minigen.models.made import MADE
from minigen.models.markov import MarkovChain, NGram
from minigen.models.score import ScoreSDE
from minigen.optim import EMA, SGD, Adam, AdamW
from minigen.training import fit, train

__version__ = "0.1.0"


__all__ = [  # in reading order; beside them what is imported when first used
    *("Tensor", "no_grad", "ops", "gradients", "nn", "networks", "optim"),
    *("SGD", "Adam", "AdamW", "EMA", "data", "schedules", "oracles", "sampling"),
    *("MarkovChain", "NGram", "LinearAR", "MADE", "GPT", "DDPM", "ScoreSDE"),
    *("train", "save", "load", "resume", "evaluate"),
]
ON_DEMAND = {  # they need matplotlib or IPython
    "plots": "minigen.plots",
    "compare": "minigen.compare",
    "course": "minigen.course",
    "read": "minigen.course",
}


def __dir__() -> list[str]:
    return sorted([*__all__, *ON_DEMAND, "__version__"])


def __getattr__(name: str):
    """`mg.plots`, `mg.compare`, `mg.course` and `mg.read` (`course.read`), when first used."""
    if name in ON_DEMAND:
        room = importlib.import_module(ON_DEMAND[name])
        return getattr(room, name, room)
    near = difflib.get_close_matches(name, __dir__())
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise AttributeError(f"module 'minigen' has no attribute {name!r}{hint}")
