"""What one sampled token costs against its position, with a cache and without (claim C2).

`python -m tests.benchmarks.sampling_cost`: the arithmetic of a token, counted below, beside the
processor time measured for it. GPT of width 128, 4 layers, context 256, untrained (the cost does
not depend on the weights).
"""

import argparse
import time
from itertools import pairwise

import numpy as np

import minigen as mg

VOCABULARY, CONTEXT, LAYERS, HEADS, WIDTH = 65, 256, 4, 4, 128


def operations(new: int, seen: int) -> int:
    """Floating-point operations of `new` tokens after `seen` cached ones.

    A multiplication and an addition are two. A layer multiplies every new token with 12 C^2 weights
    (qkv 3, out 1, MLP 4 + 4) and every query with all keys and values so far, 2 C each; the output
    multiplies every new token with V C weights.
    """
    weights = LAYERS * 12 * WIDTH**2 + VOCABULARY * WIDTH
    return 2 * new * (weights + LAYERS * 2 * WIDTH * (seen + new))


def operations_at(position: int, cache: bool) -> int:
    """Of the token at `position`: without a cache, all that the context holds is computed anew."""
    start = 0
    while position - start >= CONTEXT:
        start += CONTEXT - CONTEXT // 2
    held = position - start + 1
    if not cache or (start and held == CONTEXT // 2 + 1):  # just now re-encoded
        return operations(held, 0)
    return operations(1, held - 1)


def milliseconds(gpt: mg.GPT, batch: int, length: int, cache: bool, rounds: int) -> np.ndarray:
    """Processor time of every step of the walk (length,), the least of some rounds."""
    times = np.empty((rounds, length))
    for r in range(rounds):
        stamps = [
            time.process_time()
            for _ in gpt.sample_walk(batch, np.random.default_rng(r), length=length, cache=cache)
        ]
        times[r] = 1000 * np.diff(stamps)
    return times.min(axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    how = parser.parse_args()
    gpt = mg.GPT(VOCABULARY, CONTEXT, LAYERS, HEADS, WIDTH, rng=np.random.default_rng(0))
    measured = {
        cache: milliseconds(gpt, how.batch, how.length, cache, how.rounds)
        for cache in (True, False)
    }
    counted = {
        c: how.batch * np.array([operations_at(p, c) for p in range(how.length)])
        for c in (True, False)
    }
    print(f"batch {how.batch}; a token at these positions, on average")
    print("  positions   with cache              without                 without / with")
    print("              MFLOP    ms   GFLOP/s   MFLOP    ms   GFLOP/s   arithmetic  time")
    edges = [0, *(1 << i for i in range(4, 20) if 1 << i < how.length), how.length]
    for start, end in pairwise(edges):
        part, row = slice(start, end), f"{start:5} - {end - 1:4}"
        mega, ms = (
            {c: table[c][part].mean() for c in (True, False)} for table in (counted, measured)
        )
        for c in (True, False):
            row += f"  {mega[c] / 1e6:8.1f}  {ms[c]:6.2f}  {mega[c] / ms[c] / 1e6:6.1f}"
        print(f"{row}     {mega[False] / mega[True]:7.1f}  {ms[False] / ms[True]:5.1f}")
    for name, table in (("MFLOP", {c: counted[c] / 1e6 for c in counted}), ("ms", measured)):
        cached, anew = (f"{table[cache].sum():.0f} {name}" for cache in (True, False))
        print(f"all {how.length} tokens: {cached} with, {anew} without")


if __name__ == "__main__":
    main()
