"""The one training loop: a generator, so that whoever trains can look, plot, save or stop between two steps."""

import contextlib
import itertools
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from minigen.optim import EMA, Optimizer

BAR = "{l_bar}{bar}| {n:.0f}/{total:.0f} {unit} [{elapsed}<{remaining}{postfix}]"


def train(
    model, batches: Iterable[np.ndarray], steps: int | None = None, optimizer: Optimizer | None = None,
    rng: np.random.Generator | None = None, *, seconds: float | None = None,
    learning_rate: Callable[[float], float] | None = None, max_norm: float | None = None, ema: EMA | None = None,
    start: int = 0, progress: bool = True,
) -> Iterator[tuple[int, float]]:  # fmt: skip
    """Train `model`, yielding (step, loss) after every step; steps count from 1.

    Ctrl-C during a step ends the loop after that step: what was learned is kept.

    Args:
        model: has `loss(x, rng)`, a scalar Tensor.
        batches: arrays x for `model.loss(x, rng)`, or tuples (x, label) for `model.loss(x, rng, label)`; training ends
            where they end.
        steps, seconds: how long to train; give one of the two.
        optimizer: made from `nn.parameters(model)`.
        rng: source of all randomness in the loss.
        learning_rate: function of progress in [0, 1], such as `optim.warmup_cosine(1e-3)`; None keeps `optimizer.lr`.
        max_norm: gradients longer than this are scaled down.
        ema: moving average to update after every step.
        start: the step after which an earlier run was saved (`mg.resume` says it): `steps` and `learning_rate` go on
            from there, and the first `start` batches are skipped, so that the result is that of one uninterrupted run,
            bit for bit. `batches` must be made as they were then, from a generator of their own.
        progress: show a bar with loss, steps per second and time left.

    Raises:
        FloatingPointError: naming the step and what was not finite (batch, loss, or the parameter whose gradient);
            the parameters are those of the step before.
    """
    if (
        (steps is None) == (seconds is None)
        or (steps or seconds) is None
        or (steps or seconds) <= 0
    ):
        raise ValueError(
            f"train: give steps or seconds, one positive number; got steps={steps}, seconds={seconds}"
        )
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"train: optimizer is {type(optimizer).__name__}, expected one of SGD, Adam, AdamW"
        )
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"train: rng is {type(rng).__name__}, expected a numpy.random.Generator")
    if start < 0 or (start and steps is None):
        raise ValueError(
            f"train: start={start}: expected a number of steps, with steps (a time cannot be continued)"
        )
    return _steps(
        model,
        batches,
        steps,
        optimizer,
        rng,
        seconds,
        learning_rate,
        max_norm,
        ema,
        start,
        progress,
    )


def _steps(
    model, batches, steps, optimizer, rng, seconds, learning_rate, max_norm, ema, start, progress
):
    from tqdm.auto import tqdm  # imported where it is needed: it takes longer than all of minigen

    total, unit = (steps, "step") if steps else (seconds, "s")
    before, begin = rng.bit_generator.state, time.perf_counter()
    with tqdm(total=total, unit=unit, disable=not progress, leave=False, bar_format=BAR) as bar:
        for step, batch in enumerate(itertools.islice(batches, start, None), start=start + 1):
            if step == start + 1 and start and rng.bit_generator.state != before:
                raise ValueError(
                    "train: batches draw from `rng`, so start cannot skip them: give them their own"
                )
            done = step - 1 if steps else time.perf_counter() - begin
            if done >= total:
                return
            with _noting_interrupts() as interrupts:
                if learning_rate is not None:
                    optimizer.lr = learning_rate(done / total)
                loss = _one_step(model, batch, optimizer, rng, max_norm, step)
                if ema is not None:
                    ema.update()
            elapsed = time.perf_counter() - begin
            bar.set_postfix_str(
                f"loss {loss:.4f}, {(step - start) / elapsed:.1f} steps/s", refresh=False
            )
            bar.update((step if steps else min(elapsed, seconds)) - bar.n)
            yield step, loss
            if interrupts:
                return


def _one_step(model, batch, optimizer, rng, max_norm, step) -> float:
    arguments = batch if isinstance(batch, tuple) else (batch,)
    if not all(np.isfinite(a).all() for a in arguments):
        raise FloatingPointError(
            f"step {step}: the batch has NaN or infinity; no parameter was changed"
        )
    loss = model.loss(arguments[0], rng, *arguments[1:])
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(f"step {step}: the loss is {value}; no parameter was changed")
    optimizer.zero_grad()
    loss.backward()
    try:
        optimizer.step(max_norm)
    except FloatingPointError as error:
        raise FloatingPointError(f"step {step}: {error}; no parameter was changed") from None
    return value


@contextlib.contextmanager
def _noting_interrupts() -> Iterator[list]:
    """Within this block the first Ctrl-C is only noted in the list; a second one interrupts as usual."""
    noted = []
    if (
        threading.current_thread() is not threading.main_thread()
    ):  # only the main thread may handle signals
        yield noted
        return

    def note(number, frame):
        noted.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
