"""A window: how a network of limited context reads a sequence of any length.

When the context is full, its last part is kept and read anew from position 0, with a cache or
without; so what is said at a position is the same in scoring, all windows side by side, as in
sampling, one position after the other.
"""

import numpy as np
from numpy import ndarray

from minigen.networks.transformer import TokenTransformer, block_mask
from minigen.tensor import no_grad

LOGITS_AT_ONCE = 2**22  # that scoring holds in memory, 16 MB


class Window:
    """Reads with `network` under the mask of blocks, left to right.

    Args:
        block_size: a position looks at its own block and those to its left; 1 is the causal mask.
    """

    def __init__(self, network: TokenTransformer, block_size: int = 1) -> None:
        self.network, self.block_size = network, block_size
        self.keep = network.context // 2 // block_size * block_size  # the last half, whole blocks
        self.step = network.context - self.keep

    def start(self, position: int) -> int:
        """First input of the window in which `position` stands."""
        times_full = max(0, position - self.keep) // self.step
        return times_full * self.step

    # -- sampling: one block after the other -------------------------------------------------------

    def reader(self, batch: int, cache: bool):
        """read(x, settled, end) -> logits (B, end - start - seen, V) of what is new up to `end`.

            columns of x:   start ......... seen ......... settled ......... end
                            | in the cache  | finished     | the open block  |

        start: where the window begins in which column end - 1 stands. seen: how many columns from
        there on are in the cache. settled: columns before it will not change, so their keys and
        values stay. Where the window has just moved, and always without `cache`, seen is 0: all of
        the window is read again.
        """
        caches, held = None, None  # held: start of the window that the caches belong to

        def read(x, settled, end):
            nonlocal caches, held
            start = self.start(end - 1)
            if not cache or start != held:
                caches, held = self.network.new_caches(batch), start
            seen = caches[0].seen
            mask = None  # the last block may look everywhere
            if end - start - seen > self.block_size:
                mask = block_mask(end - start, self.block_size, seen)
            with no_grad():
                logits = self.network(x[:, start + seen : end], mask, caches=caches).data
            for one in caches:
                one.seen = settled - start  # the open block will change: it is not kept
            return logits

        return read

    # -- scoring: all windows side by side ---------------------------------------------------------

    def cut(self, x: ndarray) -> ndarray:
        """(B, L) -> (windows B, at most context): the windows in turn; zeros fill the last one."""
        length = min(self.network.context, x.shape[1])
        starts = range(0, self.start(x.shape[1] - 1) + 1, self.step)
        padded = np.pad(x, ((0, 0), (0, starts[-1] + length - x.shape[1])))
        return np.concatenate([padded[:, s : s + length] for s in starts])

    def parts(self, windows: ndarray) -> list[ndarray]:
        """Windows in groups whose logits fit in memory."""
        logits_a_row = self.network.context * self.network.vocab_size
        rows = min(64, max(1, LOGITS_AT_ONCE // logits_a_row))
        return np.split(windows, range(rows, len(windows), rows))

    def join(self, windows: ndarray, shape: tuple[int, int]) -> ndarray:
        """What was said of each window (windows B, context, ...), for x of `shape`: (B, L, ...)."""
        first, *others = np.split(windows, len(windows) // shape[0])
        return np.concatenate([first, *(o[:, self.keep :] for o in others)], axis=1)[:, : shape[1]]
