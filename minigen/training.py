"""How models learn: one step downhill, the loop around it, and `fit`, the recipe used everywhere.

The loop is a generator, so that whoever trains can look, plot, save or stop between two steps.
"""

import contextlib
import itertools
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from minigen import arguments, nn
from minigen.optim import EMA, AdamW, Optimizer, warmup_cosine

BAR = "{l_bar}{bar}| {n:.0f}/{total:.0f} {unit} [{elapsed}<{remaining}{postfix}]"


def train_step(model, batch, optimizer, rng, max_norm=None) -> float:
    """How wrong is the model, which way is it less wrong, a step that way: the loss before it."""
    x, *label = batch if isinstance(batch, tuple) else (batch,)
    loss = model.loss(x, rng, *label)
    refuse_not_finite("loss", loss.item())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step(max_norm)
    return loss.item()


def train(
    model, batches: Iterable[ndarray], steps: int | None, optimizer: Optimizer,
    rng: Generator, *,
    seconds: float | None = None, learning_rate: Callable[[float], float] | None = None,
    max_norm: float | None = None, ema: EMA | None = None, start: int = 0, progress: bool = True,
) -> Iterator[tuple[int, float]]:  # fmt: skip
    """Train `model`, yielding (step, loss) after every step; steps count from 1.

    Ctrl-C during a step ends the loop after that step: what was learned is kept. A program that
    ignores Ctrl-C, or handles it itself, keeps its way.

    Args:
        model: has `loss(x, rng)`, a scalar Tensor.
        batches: arrays x for `model.loss(x, rng)`, or tuples (x, label) for
            `model.loss(x, rng, label)`; training ends where they end.
        steps, seconds: how long to train; one of the two, steps=None where it is seconds.
        optimizer: made from `nn.parameters(model)`.
        rng: source of all randomness in the loss.
        learning_rate: function of progress in [0, 1], such as `optim.warmup_cosine(1e-3)`; None
            keeps `optimizer.lr`.
        max_norm: gradients longer than this are scaled down.
        ema: moving average to update after every step.
        start: the step after which an earlier run was saved (`mg.resume` says it): `steps` and
            `learning_rate` go on from there, and the first `start` batches are skipped, so that the
            result is that of one uninterrupted run, bit for bit. `batches` must be made as they
            were then, from a generator of their own.
        progress: show a bar with loss, steps per second and time left.

    Raises:
        FloatingPointError: naming the step and what was not finite (batch, loss, or the parameter
            whose gradient); the parameters are those of the step before.
    """
    check_budget(steps, seconds)
    arguments.generator(rng)
    if not isinstance(optimizer, Optimizer):
        came = type(optimizer).__name__
        raise TypeError(f"optimizer: expected one of SGD, Adam, AdamW, got {came}")
    if start < 0 or (start and steps is None):
        expected = "a number of steps, with steps= (a time cannot be continued)"
        raise ValueError(f"start: expected {expected}, got {start}")

    def loop():
        begin, state = time.perf_counter(), rng.bit_generator.state
        timed = steps is None
        total = seconds if timed else steps
        with progress_bar(total, "s" if timed else "step", not progress) as bar:
            for step, batch in enumerate(itertools.islice(batches, start, None), start + 1):
                if start and step == start + 1 and rng.bit_generator.state != state:
                    own = "so start cannot skip them: give them their own"
                    raise ValueError(f"train: batches draw from `rng`, {own}")
                done = time.perf_counter() - begin if timed else step - 1
                if done >= total:
                    return
                with interrupts() as interrupt, naming(step):
                    refuse_not_finite("batch", *(batch if isinstance(batch, tuple) else (batch,)))
                    if learning_rate is not None:
                        optimizer.lr = learning_rate(done / total)
                    loss = train_step(model, batch, optimizer, rng, max_norm)
                    if ema is not None:
                        ema.update()
                elapsed = time.perf_counter() - begin
                speed = f"loss {loss:.4f}, {(step - start) / elapsed:.1f} steps/s"
                bar.set_postfix_str(speed, refresh=False)
                bar.update((min(elapsed, total) if timed else step) - bar.n)
                yield step, loss
                if interrupt.came:
                    return

    return loop()


# -- the guards ------------------------------------------------------------------------------------


def check_budget(steps: int | None, seconds: float | None) -> None:
    given = [budget for budget in (steps, seconds) if budget is not None]
    if len(given) != 1 or not 0 < given[0] < math.inf:
        came = f"got steps={steps}, seconds={seconds}"
        raise ValueError(f"give steps or seconds, one positive number; {came}")


def refuse_not_finite(name: str, *values) -> None:
    for value in values:
        if not np.isfinite(value).all():
            raise FloatingPointError(f"the {name} has NaN or infinity")


@contextlib.contextmanager
def naming(step: int) -> Iterator[None]:
    """Say at which step something was not finite."""
    try:
        yield
    except FloatingPointError as error:
        raise FloatingPointError(f"step {step}: {error}; no parameter was changed") from None


class Interrupt:
    """A handler of Ctrl-C that only notes the first one; a second one interrupts as usual."""

    came = False

    def __call__(self, number, frame) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True


@contextlib.contextmanager
def interrupts() -> Iterator[Interrupt]:
    """Within this block the first Ctrl-C only sets `came`; a block in it shares its Interrupt.

    Signals belong to the main thread, and a handler that somebody else installed (or SIG_IGN) to
    them: then nothing is touched, and `came` stays false.
    """
    present = signal.getsignal(signal.SIGINT)
    interrupt = present if isinstance(present, Interrupt) else Interrupt()
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or present is not signal.default_int_handler:
        yield interrupt if in_main else Interrupt()
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, present)


def progress_bar(total: float, unit: str, disable: bool = False):
    """A tqdm bar that vanishes when it is done."""
    from tqdm.auto import tqdm  # imported where it is needed: it takes longer than all of minigen

    return tqdm(total=total, unit=unit, disable=disable, leave=False, bar_format=BAR)


# -- the recipe ------------------------------------------------------------------------------------


def fit(
    model, batches: Iterable, *, steps: int | None = None, seconds: float | None = None, lr: float,
    rng: Generator, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.1,
    decay: float = 0.998, max_norm: float = 1.0, progress: bool = True,
) -> tuple[list[float], EMA]:  # fmt: skip
    """AdamW, warm-up and cosine up to `lr`, clipping, a moving average: losses and average.

    The model is left with its last values; `with ema.applied(): model.sample(...)` uses their
    average. Ctrl-C ends it after the step that is being taken.

    Args:
        model, batches, steps, seconds, rng, max_norm, progress: as in `train`.
        lr: the highest learning rate.
        betas, weight_decay: of AdamW.
        decay: of the moving average.
    """
    parameters = nn.parameters(model)
    optimizer = AdamW(parameters, lr, betas=betas, weight_decay=weight_decay)
    ema, losses = EMA(parameters, decay), []
    with interrupts():
        for _, loss in train(
            model, batches, steps, optimizer, rng, seconds=seconds, max_norm=max_norm, ema=ema,
            learning_rate=warmup_cosine(lr), progress=progress,
        ):  # fmt: skip
            losses.append(loss)
    return losses, ema
