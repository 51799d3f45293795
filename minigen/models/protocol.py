"""What every model offers, and how the families differ.

To generate is to walk from ignorance to data: start from a prior, and at every step predict the
clean thing and commit to a little more of it (`minigen.sampling.walk`). Diffusion and
autoregressive models are the same walk; they differ in what one step commits to, and training hides
just that:

    family                                  training hides             one step commits to
    --------------------------------------  -------------------------  ---------------------------
    autoregressive (GPT, MADE, n-gram, AR)  all to the right           one position, exactly
    masked diffusion                        random positions           some random positions
    block diffusion                         the block, what follows    some positions of one block
    Gaussian diffusion (DDPM, score SDE)    a little precision         a little precision
                                            everywhere                 everywhere

So every neural model is one file under the same headings, in this order: *hide* (`q_sample`; MADE
hides inside its network, by masks), *predict* (tokens: logits; Gaussian: `denoise`), *loss*,
*sample_walk*, and *log_prob* or *bound*. A model without an exact likelihood does not have the
method `log_prob`. The models in closed form have *fit* for *loss*; the sampler of an n-gram is the
same walk in one line, `sampling.run`.

Chance sits in different places of the training. GPT and MADE: none, all is predicted at once.
Masked and block diffusion: `hide` draws what is hidden, `q_sample` only hides it. DDPM and
ScoreSDE: `loss` draws times and noise, and hands them to `q_sample`. Models of sequences of any
length take the `length` to sample (GPT and block diffusion: the context if not given).
"""

from typing import Protocol, runtime_checkable

from numpy import ndarray
from numpy.random import Generator

from minigen.tensor import Tensor


@runtime_checkable
class Samples(Protocol):
    """Every model."""

    def sample(self, n: int, rng: Generator, **how) -> ndarray:
        """n fresh draws."""


class Walks:
    """The neural models, each with its own sample_walk(n, rng, **how): every state on the way."""

    def sample(self, n: int, rng: Generator, **how) -> ndarray:
        """n fresh draws: where the walk ends. `sample_walk` says what `how` may be."""
        *_, x = self.sample_walk(n, rng, **how)
        return x


@runtime_checkable
class Trains(Protocol):
    """The neural models. Those in closed form have fit(x) instead."""

    def loss(self, x: ndarray, rng: Generator) -> Tensor:
        """What training minimises, a scalar, for a batch x (B, ...)."""


class Scores(Protocol):
    """One of the two, or both (so nothing is checked against it): nats per example, (B,)."""

    def log_prob(self, x: ndarray) -> ndarray:
        """Exact."""

    def bound(self, x: ndarray, rng: Generator) -> ndarray:
        """An unbiased estimate of a lower bound on log p(x); of log p itself, where it can be.

        (log p is a lower bound on itself, so an estimate of it is one of a bound: ScoreSDE.)
        """
