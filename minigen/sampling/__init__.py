"""Sampling: the one loop that all families share, and what each of its steps can commit to.

Plain NumPy: a sampler only ever sees what is predicted, `denoise(x, t)` or logits.
"""

from minigen.sampling.control import denoise_image, encode, guidance, inpaint, interpolate
from minigen.sampling.gaussian import (
    ancestral,
    ddim,
    euler,
    euler_maruyama,
    from_noise,
    heun,
    langevin,
    multistep,
    ode_slope,
    runge_kutta,
)
from minigen.sampling.tokens import (
    at_random,
    begun,
    by_confidence,
    categorical,
    draw,
    numbers_hidden,
    probabilities,
    ranks,
    reveal,
    temperature,
    token_log_probs,
    top_k,
    top_p,
    write,
)
from minigen.sampling.walk import Commit, Denoise, run, walk
