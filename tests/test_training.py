"""The training loop: what it yields, how it stops, and what it refuses with nothing changed."""

import inspect
import os
import re
import signal
import threading
import time

import numpy as np
import pytest

import minigen as mg
from minigen import nn, ops
from minigen.training import interrupts


def rng(seed=0):
    return np.random.default_rng(seed)


class Line:
    """y = slope x + offset, fitted by least squares: the smallest model with a known answer."""

    def __init__(self):
        self.slope = mg.Tensor(np.zeros((1, 1), np.float32))
        self.offset = mg.Tensor(np.zeros(1, np.float32))

    def loss(self, x, rng, label=None):
        return ops.mse_loss(
            ops.linear(x, self.slope, self.offset), 2 * x + 1 if label is None else label
        )


class Poisoned(Line):
    """At step `when` the loss or one gradient is not a number."""

    def __init__(self, what, when, value):
        super().__init__()
        self._what, self._when, self._value, self._calls = what, when, value, 0

    def loss(self, x, rng, label=None):
        self._calls += 1
        loss = super().loss(x, rng)
        if self._calls < self._when:
            return loss
        if self._what == "loss":
            return loss * np.float32(self._value)
        before = loss.backward
        parameter = self.offset

        class Backward:
            item = loss.item

            def backward(self):
                before()
                parameter.grad = np.full(1, self_value, np.float32)

        self_value = self._value
        return Backward()


BATCHES = [
    np.linspace(-1, 1, 8, dtype=np.float32)[:, None] + np.float32(0.1 * i) for i in range(50)
]


def run(model, batches, steps=50, **how):
    optimizer = how.pop("optimizer", None) or mg.AdamW(nn.parameters(model), 0.05)
    return mg.train(model, batches, steps, optimizer, how.pop("rng", rng()), progress=False, **how)


def test_it_yields_step_and_loss_after_every_step_and_finds_the_line():
    model = Line()
    seen = []
    for step, loss in run(model, BATCHES * 10, 500, optimizer=mg.SGD(nn.parameters(model), 0.02)):
        seen.append((step, loss))
        assert isinstance(loss, float)
    assert [step for step, _ in seen] == list(range(1, 501))
    assert abs(model.slope.item() - 2) < 1e-2 and abs(model.offset.item() - 1) < 1e-2
    assert seen[-1][1] < 1e-4 < seen[0][1]


def test_the_first_step_is_one_step_of_the_optimiser_by_hand():
    model, x = Line(), BATCHES[0]
    loss = next(run(model, [x], optimizer=mg.SGD(nn.parameters(model), 0.1)))[1]
    residual = 0 - (2 * x + 1)
    assert loss == pytest.approx(np.mean(residual**2), rel=1e-6)
    assert model.slope.item() == pytest.approx(-0.1 * 2 * np.mean(residual * x), rel=1e-5)
    assert model.offset.item() == pytest.approx(-0.1 * 2 * np.mean(residual), rel=1e-5)


def test_learning_rate_clipping_and_average_are_applied():
    model, rates = Line(), []
    optimizer = mg.SGD(nn.parameters(model), 1.0)
    ema = mg.EMA(nn.parameters(model), 0.5)
    averages, values = np.zeros(2), []
    for _ in run(
        model,
        BATCHES,
        10,
        optimizer=optimizer,
        learning_rate=lambda p: 0.01 + p,
        max_norm=0.1,
        ema=ema,
    ):
        rates.append(optimizer.lr)
        values.append(np.array([model.slope.item(), model.offset.item()]))
        d = min(0.5, len(values) / (9 + len(values)))
        averages = d * averages + (1 - d) * values[-1]
    assert rates == [0.01 + k / 10 for k in range(10)]
    moves = np.linalg.norm(np.diff([np.zeros(2), *values], axis=0), axis=1)
    assert np.allclose(
        moves, 0.1 * np.array(rates), rtol=1e-4
    )  # the gradient is longer than 0.1 all along
    assert np.allclose(ema.average, averages, rtol=1e-5)


def test_it_ends_with_the_batches_or_the_steps_or_the_seconds():
    assert len(list(run(Line(), BATCHES[:3]))) == 3
    assert len(list(run(Line(), iter(BATCHES), 4))) == 4
    begin = time.perf_counter()
    endless = (BATCHES[0] for _ in iter(int, 1))
    steps = len(list(run(Line(), endless, None, seconds=0.2)))
    assert steps >= 1 and time.perf_counter() - begin >= 0.2


def test_a_batch_may_bring_labels():
    model = Line()
    optimizer = mg.SGD(nn.parameters(model), 0.02)
    for _ in run(model, [(x, -x) for x in BATCHES] * 10, 500, optimizer=optimizer):
        pass
    assert abs(model.slope.item() + 1) < 1e-2 and abs(model.offset.item()) < 1e-2


def test_the_same_seed_gives_the_same_bits():
    def train():
        model = mg.DDPM(mg.networks.MLP((2,), 16, 2, 8, rng=rng(1)))
        batches = mg.data.batches(mg.data.two_moons(100, rng(2)), 10, rng(3))
        losses = list(run(model, batches, 20, rng=rng(4)))
        return losses, [p.data.tobytes() for p in nn.parameters(model).values()]

    assert train() == train()


# -- continuing ------------------------------------------------------------------------------------


def test_start_goes_on_with_step_numbers_batches_and_learning_rate():
    whole, part = Line(), Line()
    rates = {}
    for model, start in ((whole, 0), (part, 7)):
        optimizer = mg.SGD(nn.parameters(model), 1.0)
        how = {"optimizer": optimizer, "learning_rate": lambda p: 1e-3 * (1 + p), "start": start}
        rates[start] = [(step, optimizer.lr) for step, _ in run(model, BATCHES, 10, **how)]
    assert rates[7] == rates[0][7:] and [step for step, _ in rates[7]] == [8, 9, 10]
    assert (
        list(run(Line(), BATCHES, 10, start=10)) == []
        and list(run(Line(), BATCHES, 10, start=12)) == []
    )


def test_batches_that_share_the_generator_cannot_be_skipped_and_say_so():
    generator = rng()
    shared = mg.data.crops(np.arange(9) % 7, 4, 2, generator)
    gpt = mg.GPT(7, 4, 1, 1, 4, rng=rng())
    before = {name: p.data.copy() for name, p in nn.parameters(gpt).items()}
    with pytest.raises(ValueError, match="batches draw from `rng`"):
        next(run(gpt, shared, 10, rng=generator, start=3))
    assert all(np.array_equal(p.data, before[name]) for name, p in nn.parameters(gpt).items())
    assert (
        len(list(run(gpt, mg.data.crops(np.arange(9) % 7, 4, 2, generator), 3, rng=generator))) == 3
    )  # at the start


# -- what is not a number --------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["batch", "label", "loss", "gradient"])
def test_nan_or_infinity_stops_with_the_step_and_the_place_and_nothing_is_changed(
    what, value, tmp_path
):
    when = 4
    model = Poisoned(what, when if what in ("loss", "gradient") else 10**6, value)
    x = BATCHES[0]
    bad = x.copy()
    bad[3] = value
    batches = [(x, x)] * (when - 1) + [
        (bad if what == "batch" else x, bad if what == "label" else x)
    ] * 9
    optimizer, ema, generator = (
        mg.AdamW(nn.parameters(model), 0.05),
        mg.EMA(nn.parameters(model)),
        rng(),
    )
    named = {"batch": "batch", "label": "batch", "loss": "loss", "gradient": "gradient of offset"}[
        what
    ]
    path = tmp_path / "run.npz"

    def everything():
        return {k: v.tobytes() for k, v in nn.state([model, optimizer, ema]).items()}

    with pytest.raises(
        FloatingPointError, match=f"step {when}: the {named}.*no parameter was changed"
    ):
        for step, _ in run(model, batches, optimizer=optimizer, ema=ema, rng=generator):
            kept = everything()
            mg.save(path, mg.LinearAR(1), rng=generator, step=step)
            content = path.read_bytes()
    assert everything() == kept and path.read_bytes() == content
    assert mg.resume(path, mg.LinearAR(1), rng=rng()) == when - 1


def test_a_parameter_that_is_not_a_number_is_found_in_the_next_loss():
    model = Line()
    model.slope.data = np.full((1, 1), np.nan, np.float32)
    with pytest.raises(FloatingPointError, match="step 1: the loss has NaN"):
        next(run(model, BATCHES))
    assert model.offset.item() == 0


# -- Ctrl-C ----------------------------------------------------------------------------------------


class Interrupted(Line):
    """Ctrl-C arrives in the middle of step 3."""

    calls = 0

    def loss(self, x, rng):
        self.calls += 1
        if self.calls == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return super().loss(x, rng)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_finishes_the_step_and_keeps_what_was_learned():
    model, twin = Interrupted(), Line()
    before = signal.getsignal(signal.SIGINT)
    assert [step for step, _ in run(model, BATCHES)] == [1, 2, 3]
    assert [step for step, _ in run(twin, BATCHES, 3, learning_rate=None)] == [1, 2, 3]
    assert model.slope.data == twin.slope.data and model.offset.data == twin.offset.data
    assert signal.getsignal(signal.SIGINT) is before
    assert next(run(model, BATCHES))[0] == 1  # and it can be trained on


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_second_ctrl_c_interrupts_at_once():
    class Stuck(Line):
        def loss(self, x, rng):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("unreachable")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        next(run(Stuck(), BATCHES))
    assert signal.getsignal(signal.SIGINT) is before


def test_it_trains_in_a_thread_where_signals_cannot_be_caught():
    steps = []
    thread = threading.Thread(
        target=lambda: steps.extend(step for step, _ in run(Line(), BATCHES, 3))
    )
    thread.start()
    thread.join()
    assert steps == [1, 2, 3]


# -- the bar ---------------------------------------------------------------------------------------


def test_the_bar_shows_loss_speed_and_time_left_and_leaves_nothing(capsys):
    model = Line()
    for _ in mg.train(model, BATCHES, 20, mg.AdamW(nn.parameters(model)), rng()):
        time.sleep(0.01)
    out = capsys.readouterr()
    assert out.out == ""
    assert re.search(r"loss \d+\.\d{4}, ", out.err)
    assert "steps/s" in out.err and "/20 step" in out.err
    assert out.err.split("\r")[-1].strip() == ""  # wiped at the end
    list(run(model, BATCHES, 3))
    assert capsys.readouterr().err == ""


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "named", "change"),
    [
        (ValueError, "steps", {"steps": 0}),
        (ValueError, "steps", {"steps": -1}),
        (ValueError, "steps", {"steps": None}),
        (ValueError, "seconds", {"seconds": 1.0}),
        (ValueError, "seconds", {"steps": None, "seconds": 0}),
        (ValueError, "start", {"start": -1}),
        (ValueError, "start", {"steps": None, "seconds": 1.0, "start": 2}),
        (TypeError, "optimizer", {"optimizer": None}),
        (TypeError, "optimizer", {"optimizer": 1e-3}),
        (TypeError, "rng", {"rng": None}),
        (TypeError, "rng", {"rng": 0}),
    ],
)
def test_bad_arguments_are_named_at_the_call_before_anything_happens(error, named, change):
    model = Line()
    good = {"steps": 3, "optimizer": mg.AdamW(nn.parameters(model)), "rng": rng()}
    with pytest.raises(error, match=named):
        mg.train(model, BATCHES, **good | change)  # not even iterated
    assert model.slope.item() == 0


def test_what_cannot_be_left_out_has_no_default():
    given = inspect.signature(mg.train).parameters
    for name in ("optimizer", "rng"):
        assert given[name].default is inspect.Parameter.empty


# -- who handles Ctrl-C, and threads ---------------------------------------------------------------


@pytest.mark.parametrize("how", ["ignored", "handled"])
def test_who_ignores_or_handles_ctrl_c_keeps_it(how):
    noted = []
    handler = signal.SIG_IGN if how == "ignored" else lambda number, frame: noted.append(number)
    before = signal.signal(signal.SIGINT, handler)
    try:

        class Interrupted(Line):
            def loss(self, x, rng):
                signal.raise_signal(signal.SIGINT)
                return super().loss(x, rng)

        assert [step for step, _ in run(Interrupted(), BATCHES[:4])] == [1, 2, 3, 4]
        assert signal.getsignal(signal.SIGINT) is handler
        assert noted == ([] if how == "ignored" else [signal.SIGINT] * 4)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("where", ["batch", "loss"])
def test_ctrl_c_at_any_moment_of_fit_ends_it_with_what_was_learned(where):
    class Interrupted(Line):
        def loss(self, x, rng):
            if where == "loss" and x is BATCHES[2]:
                signal.raise_signal(signal.SIGINT)
            return super().loss(x, rng)

    def batches():
        for k, batch in enumerate(BATCHES):
            if where == "batch" and k == 2:
                signal.raise_signal(signal.SIGINT)  # between two steps
            yield batch

    with interrupts() as interrupt:
        losses, ema = mg.fit(Interrupted(), batches(), steps=50, lr=0.1, rng=rng())
        assert interrupt.came and len(losses) == 3 == ema.steps
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)  # the second one
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def moons(seed):
    """A small model trained and sampled: what it learned and what it draws, as bytes."""
    ddpm = mg.DDPM(mg.networks.MLP((2,), 16, 2, 8, rng=rng(seed)), predict="velocity", steps=10)
    batches = mg.data.batches(mg.data.two_moons(64, rng(seed)), 16, rng(seed))
    losses, ema = mg.fit(ddpm, batches, steps=30, lr=1e-2, rng=rng(seed), progress=False)
    with ema.applied():
        return losses, ddpm.sample(8, rng(seed)).tobytes()


def test_several_threads_at_once_give_what_one_after_the_other_gives():
    alone = [moons(seed) for seed in range(4)]
    at_once = [None] * 4

    def work(seed):
        at_once[seed] = moons(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert at_once == alone


# -- the recipe ------------------------------------------------------------------------------------


def test_fit_is_the_recipe_written_out():
    one, other = Line(), Line()
    losses, ema = mg.fit(one, BATCHES, steps=20, lr=0.1, rng=rng(), progress=False)
    optimizer = mg.AdamW(nn.parameters(other), 0.1, betas=(0.9, 0.99), weight_decay=0.1)
    average = mg.EMA(nn.parameters(other), 0.998)
    schedule = mg.optim.warmup_cosine(0.1)
    how = {"learning_rate": schedule, "max_norm": 1.0, "ema": average, "optimizer": optimizer}
    assert losses == [loss for _, loss in run(other, BATCHES, 20, **how)]
    assert np.array_equal(ema.average, average.average)
    assert one.slope.item() == other.slope.item()


@pytest.mark.parametrize(
    ("error", "named", "change"),
    [
        (ValueError, "give steps or seconds", {}),
        (ValueError, "give steps or seconds", {"steps": 1, "seconds": 1.0}),
        (ValueError, "steps=0", {"steps": 0}),
        (ValueError, "seconds=nan", {"seconds": float("nan")}),
        (ValueError, "seconds=inf", {"seconds": float("inf")}),
        (TypeError, "rng: .* got int 0", {"steps": 1, "rng": 0}),
    ],
)
def test_fit_names_bad_arguments(error, named, change):
    with pytest.raises(error, match=named):
        mg.fit(Line(), BATCHES, **{"lr": 0.1, "rng": rng(), **change})
