"""Block diffusion: left to right over blocks, masked diffusion within each (Arriola et al. 2025).

Training hides some of the current block and all that follows; one step of sampling commits to some
positions of one block. Blocks of one token are autoregression, one block of all masked diffusion.
"""

from collections.abc import Iterator

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments, sampling
from minigen.models.masked import MaskedDiffusion
from minigen.networks import Window, block_mask
from minigen.tensor import Tensor


class BlockDiffusion(MaskedDiffusion):
    """p(x) = prod_b p(block b | blocks before it), every factor a masked diffusion model.

    Args:
        vocab_size, context, layers, heads, width, weighting: as for `MaskedDiffusion`.
        block_size: tokens in a block; it divides `context`.
    """

    _part = "block"

    def __init__(
        self, vocab_size: int, context: int, layers: int = 4, heads: int = 4, width: int = 128,
        weighting: str = "simple", *, block_size: int, rng: Generator,
    ) -> None:  # fmt: skip
        if block_size < 1 or context % block_size:
            raise ValueError(f"BlockDiffusion: {block_size=} does not divide {context=}")
        super().__init__(vocab_size, context, layers, heads, width, weighting, rng=rng)
        self.block_size = block_size

    # -- hide: some positions of each block --------------------------------------------------------

    def hide(self, x: ndarray, rng: Generator) -> ndarray:
        """What to hide of x (B, L): of each block as masked diffusion does of the whole."""
        return super().hide(x.reshape(-1, self.block_size), rng).reshape(x.shape)

    def weights(self, hidden: ndarray) -> ndarray:
        """block_size / k where hidden (B, L) is true, k the number hidden in that block."""
        return super().weights(hidden.reshape(-1, self.block_size)).reshape(hidden.shape)

    # -- predict -----------------------------------------------------------------------------------

    def predict(self, x: ndarray, hidden: ndarray) -> Tensor:
        """Logits (B, L, V), given what is shown of the own block and all of the blocks before.

        All blocks in one pass: it reads the hidden copy and the clean copy of x side by side.
        """
        L = x.shape[1]
        copies = np.concatenate([self.q_sample(x, hidden), x], axis=1)
        mask = side_by_side_mask(L, self.block_size)
        return self.network(copies, mask, positions=np.tile(np.arange(L), 2))[:, :L]

    # -- loss: that of MaskedDiffusion, by what is hidden and predicted above ----------------------

    # -- sample_walk -------------------------------------------------------------------------------

    def sample_walk(
        self, n: int, rng: Generator, length: int | None = None,
        steps: int | None = None, order: str = "random", counts=None,
        known: ndarray | None = None, temperature: float = 1.0, top_k: int | None = None,
        top_p: float | None = None, cache: bool = True,
    ) -> Iterator[ndarray]:  # fmt: skip
        """Every state, each (n, length), block after block. As in `MaskedDiffusion`, and besides:

        Args:
            length: tokens in all, whole blocks; the context if not given. Beyond the context: when
                it is full, the last half (of whole blocks) is kept and read anew.
            steps, counts: of each block that is not known.
            cache: keep keys and values of finished blocks; the result is the same without.
        """
        length = self.context if length is None else length
        read = self._window(length).reader(n, cache)
        x = self._start(n, known, length)
        starts = range(0, length, self.block_size)
        hidden = np.split(x == self.vocab_size, starts[1:], axis=1)
        times = [sampling.numbers_hidden(one, steps, counts) for one in hidden]
        commit = self._commit(rng, order, temperature, top_k, top_p)
        yield x
        for start, block_times in zip(starts, times):
            for state in self._block_walk(x, start, block_times, read, commit):
                yield (x := state)

    def _block_walk(self, x, start, times, read, commit) -> Iterator[ndarray]:
        """The walk of masked diffusion over the block of x that begins at `start`."""
        end = start + self.block_size
        before, block, after = np.split(x, [start, end], axis=1)

        def predict(block, now):
            seen = np.concatenate([before, block], axis=1)
            return read(seen, settled=start, end=end)[:, -self.block_size :]

        for state in sampling.walk(block, times, predict, commit):
            yield np.concatenate([before, state, after], axis=1)

    # -- bound -------------------------------------------------------------------------------------

    def token_log_probs(self, x: ndarray, hidden: ndarray) -> ndarray:
        """log p(x_i | what is shown of its block, and the blocks before): (B, L) nats, any L."""
        window, said = self._window(x.shape[1]), []
        for part in zip(window.parts(window.cut(x)), window.parts(window.cut(hidden))):
            said.append(super().token_log_probs(*part))
        return window.join(np.concatenate(said), x.shape)

    def _window(self, length: int) -> Window:
        """The window through which `length` tokens are read."""
        window = Window(self.network, self.block_size)
        if length < 1 or length % self.block_size or (length > self.context and not window.keep):
            came = f"got {length}, in blocks of {self.block_size} and a context of {self.context}"
            raise ValueError(f"length: expected whole blocks, one kept beyond the context; {came}")
        return window

    def _checked(self, x: ndarray) -> ndarray:
        x = arguments.tokens(x, self.vocab_size)
        self._window(x.shape[1] if x.size else 0)
        return x


def side_by_side_mask(length: int, block_size: int) -> ndarray:
    """(2L, 2L) booleans: who may look at whom in [hidden copy | clean copy].

    A hidden copy's position looks at its own block, and at earlier blocks of the clean copy.
    """
    clean = block_mask(length, block_size)
    own = clean & clean.T
    return np.block([[own, clean & ~own], [np.zeros_like(own), clean]])
