"""Optimisers against hand calculation (and torch, if installed), clipping, schedules, averages."""

import itertools
import math

import numpy as np
import pytest

import minigen as mg
from minigen import ops, optim


def parameters(dtype=np.float64):
    """A matrix, a vector and a scalar-like vector, in an order in which the matrix is not first."""
    r = np.random.default_rng(0)
    shapes = {"bias": (3,), "weight": (3, 2), "scale": (1,), "kernel": (2, 1, 2, 2)}
    return {
        name: mg.Tensor(r.standard_normal(shape).astype(dtype)) for name, shape in shapes.items()
    }


def gradients(step, found):
    r = np.random.default_rng(100 + step)
    return {name: r.standard_normal(p.shape) for name, p in found.items()}


def run(optimizer, found, steps=5):
    for step in range(steps):
        for name, g in gradients(step, found).items():
            found[name].grad = g
        optimizer.step()
    return {name: p.data for name, p in found.items()}


# -- the update rules, one number at a time ------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_by_hand(momentum):
    found = parameters()
    expected = {name: p.numpy() for name, p in found.items()}
    velocity = dict.fromkeys(found, 0.0)
    for step in range(5):
        for name, g in gradients(step, found).items():
            velocity[name] = momentum * velocity[name] + g
            expected[name] -= 0.1 * velocity[name]
    came = run(optim.SGD(found, lr=0.1, momentum=momentum), found)
    assert all(np.allclose(came[name], expected[name], rtol=0, atol=1e-14) for name in found)


@pytest.mark.parametrize("weight_decay", [None, 0.0, 0.3])
def test_adam_and_adamw_by_hand(weight_decay):
    """Kingma & Ba (2015), algorithm 1; Loshchilov & Hutter (2019), algorithm 2, on matrices."""
    found = parameters()
    expected = {name: p.numpy() for name, p in found.items()}
    m, v = (dict.fromkeys(found, 0.0) for _ in range(2))
    for step in range(5):
        for name, g in gradients(step, found).items():
            m[name] = 0.8 * m[name] + 0.2 * g
            v[name] = 0.95 * v[name] + 0.05 * g**2
            m_hat, v_hat = m[name] / (1 - 0.8 ** (step + 1)), v[name] / (1 - 0.95 ** (step + 1))
            if weight_decay and name in ("weight", "kernel"):
                expected[name] -= 0.01 * weight_decay * expected[name]
            expected[name] -= 0.01 * m_hat / (np.sqrt(v_hat) + 1e-3)
    settings = {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3}
    if weight_decay is None:
        optimizer = optim.Adam(found, **settings)
    else:
        optimizer = optim.AdamW(found, weight_decay=weight_decay, **settings)
    came = run(optimizer, found)
    assert all(np.allclose(came[name], expected[name], rtol=0, atol=1e-14) for name in found)


def test_the_first_step_of_adam_is_the_learning_rate_whatever_the_scale():
    for scale in (1e-3, 1, 1e3):
        x = mg.Tensor(np.zeros(2))
        x.grad = np.array([scale, -scale])
        optim.Adam({"x": x}, lr=0.1, eps=0).step()
        assert np.allclose(x.data, [-0.1, 0.1])


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_agrees_with_torch(name):
    torch = pytest.importorskip("torch")
    ours = {
        key: p for key, p in parameters(np.float32).items() if p.ndim > 1
    }  # torch would decay vectors too
    theirs = {key: torch.nn.Parameter(torch.tensor(p.numpy())) for key, p in ours.items()}
    settings = {
        "SGD": {"lr": 0.1, "momentum": 0.9},
        "Adam": {"lr": 0.01, "betas": (0.9, 0.99)},
        "AdamW": {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.1},
    }[name]
    reference = getattr(torch.optim, name)(theirs.values(), **settings)
    for step in range(20):
        for key, g in gradients(step, ours).items():
            theirs[key].grad = torch.tensor(g.astype(np.float32))
        reference.step()
    came = run(getattr(optim, name)(ours, **settings), ours, 20)
    assert all(np.abs(came[key] - theirs[key].detach().numpy()).max() < 1e-5 for key in ours)


def test_finds_the_minimum_of_a_valley():
    """Rosenbrock's function (1 - x)^2 + 100 (y - x^2)^2 has its minimum 0 at (1, 1)."""
    for build in (lambda p: optim.SGD(p, 2e-4, momentum=0.98), lambda p: optim.Adam(p, 0.02)):
        x, y = mg.Tensor(np.array([-1.0])), mg.Tensor(np.array([1.0]))
        optimizer = build({"x": x, "y": y})
        for _ in range(4000):
            loss = ((1 - x) ** 2 + 100 * (y - x**2) ** 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert abs(x.item() - 1) < 0.02 and abs(y.item() - 1) < 0.04


# -- what a step touches -------------------------------------------------------------------------


def test_a_step_between_forward_and_backward_leaves_the_gradient_of_the_old_values():
    w = mg.Tensor(np.array([[2.0, -1.0]]))
    x = np.array([[3.0, 5.0]])
    optimizer = optim.SGD({"w": w}, lr=1.0)
    loss = (
        ops.linear(x, w) ** 2 * w.sum()
    ).sum()  # d/dw = 2 s x sum(w) + s^2 with s = w x = 1, sum(w) = 1
    w.grad = np.array([[10.0, 10.0]])
    optimizer.step()
    assert (w.data == [[-8.0, -11.0]]).all()
    optimizer.zero_grad()
    loss.backward()
    assert np.allclose(w.grad, 2 * x + 1)


def test_parameters_are_read_only_before_and_after_a_step():
    found = parameters()
    optimizer = optim.Adam(found)
    held = {name: p.data for name, p in found.items()}
    kept = {name: p.numpy() for name, p in found.items()}
    run(optimizer, found, 1)
    for name, p in found.items():
        assert (held[name] == kept[name]).all()  # who holds the old array still has the old values
        with pytest.raises(ValueError, match="read-only"):
            p.data[...] = 0


def test_dtype_stays_float32():
    found = parameters(np.float32)
    came = run(optim.AdamW(found, lr=np.float64(0.1)), found)
    assert all(array.dtype == np.float32 for array in came.values())


def test_a_parameter_without_gradient_stands_still_and_the_others_move():
    found = parameters()
    before = {name: p.numpy() for name, p in found.items()}
    found["weight"].grad = np.ones((3, 2))
    optim.Adam(found).step()
    assert all((p.data == before[name]).all() == (name != "weight") for name, p in found.items())


def test_zero_grad_forgets():
    found = parameters()
    optimizer = optim.SGD(found, 0.1)
    found["bias"].grad = np.ones(3)
    optimizer.zero_grad()
    assert all(p.grad is None for p in found.values())


def test_tied_weights_get_one_update():
    table = mg.nn.Embedding(4, 2, rng=np.random.default_rng(0))
    holder = [table, table.weight]
    found = mg.nn.parameters(holder)
    before = table.weight.numpy()
    assert len(found) == 1
    table.weight.grad = np.ones((4, 2), np.float32)
    optim.SGD(found, 0.5).step()
    assert np.allclose(table.weight.data, before - 0.5)


# -- clipping ------------------------------------------------------------------------------------


def test_clipping_scales_the_whole_gradient_and_returns_its_norm():
    found = parameters()
    given = gradients(0, found)
    norm = math.sqrt(sum((g**2).sum() for g in given.values()))
    for limit in (None, norm * 2, norm / 3):
        before = {name: p.numpy() for name, p in found.items()}
        for name, g in given.items():
            found[name].grad = g
        came = optim.SGD(found, lr=1.0).step(max_norm=limit)
        scale = min(1, (limit or np.inf) / norm)
        assert came == pytest.approx(norm)
        for name, g in given.items():
            assert np.allclose(before[name] - found[name].data, scale * g)
            assert np.allclose(found[name].grad, g)  # the gradient itself is left as it was


@pytest.mark.filterwarnings("ignore:overflow")
def test_clipping_a_gradient_whose_square_overflows():
    x = mg.Tensor(np.zeros(2, np.float32))
    x.grad = np.array([3e30, 4e30], np.float32)
    assert optim.SGD({"x": x}, lr=1.0).step(max_norm=1.0) == pytest.approx(5e30)
    assert np.allclose(x.data, [-0.6, -0.8])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_no_number_names_its_parameter_and_changes_nothing(bad):
    found = parameters()
    optimizer = optim.AdamW(found)
    run(optimizer, found, 2)
    before = {name: p.data for name, p in found.items()}
    moments = optimizer.first_moment.copy(), optimizer.second_moment.copy(), int(optimizer.steps)
    for name, g in gradients(7, found).items():
        found[name].grad = g
    found["weight"].grad = np.array([[0, 0], [0, bad], [0, 0]])
    with pytest.raises(FloatingPointError, match="weight"):
        optimizer.step(max_norm=1.0)
    assert all((p.data == before[name]).all() for name, p in found.items())
    after = optimizer.first_moment, optimizer.second_moment, int(optimizer.steps)
    assert all(np.array_equal(a, b) for a, b in zip(moments, after))


# -- state, schedule, average --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, settings", [("SGD", {"lr": 0.1, "momentum": 0.9}), ("AdamW", {"lr": 0.01})]
)
def test_an_optimizer_continues_from_its_state_exactly(name, settings):
    whole = parameters(np.float32)
    run(getattr(optim, name)(whole, **settings), whole, 6)

    begun = parameters(np.float32)
    first = getattr(optim, name)(begun, **settings)
    run(first, begun, 3)
    again = {key: mg.Tensor(p.data) for key, p in begun.items()}
    second = getattr(optim, name)(again, **settings)
    mg.nn.load_state(second, mg.nn.state(first))
    for step in range(3, 6):
        for key, g in gradients(step, again).items():
            again[key].grad = g
        second.step()
    assert all((again[key].data == whole[key].data).all() for key in whole)


def test_warmup_cosine():
    rate = optim.warmup_cosine(2.0, warmup=0.1, floor=0.25)
    assert 0 < rate(0.0) < 0.3  # the first step moves, but little
    assert rate(0.05) - rate(0.0) == pytest.approx(rate(0.08) - rate(0.03))  # straight
    assert rate(0.1) == pytest.approx(2.0)
    assert rate(0.1 - 1e-9) == pytest.approx(2.0)  # continuous where the rise meets the fall
    assert rate(0.55) == pytest.approx((2.0 + 0.5) / 2)  # half of the cosine's way
    assert rate(1.0) == pytest.approx(0.5)
    fall = [rate(p) for p in np.linspace(0.1, 1, 50)]
    assert all(a > b for a, b in itertools.pairwise(fall))


def test_ema_by_hand():
    """The decay rises as (1 + k) / (10 + k) to its own value: early averages forget their start."""
    x = mg.Tensor(np.array([1.0, 5.0]))
    ema = mg.EMA({"x": x}, decay=0.3)
    expected = np.array([1.0, 5.0])
    for step in range(8):
        x.data = np.array([float(step), -1.0])
        ema.update()
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * x.data
    assert np.allclose(ema.average, expected)
    assert not np.allclose(x.data, expected)
    with ema.applied():
        assert np.allclose(x.data, expected)
    assert (x.data == [7.0, -1.0]).all()


def test_ema_gives_the_parameters_back_after_an_error():
    x = mg.Tensor(np.array([1.0]))
    ema = mg.EMA({"x": x})
    x.data = np.array([2.0])
    with pytest.raises(KeyError), ema.applied():
        assert x.item() == 1.0
        raise KeyError
    assert x.item() == 2.0


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [{}, [], [mg.Tensor(np.zeros(2))], None])
def test_parameters_must_be_a_dict_with_something_in_it(bad):
    with pytest.raises(ValueError, match=r"nn.parameters\(model\)"):
        optim.AdamW(bad)


@pytest.mark.parametrize("lr", [0.0, -1e-3, np.nan, np.inf])
def test_the_learning_rate_must_be_positive(lr):
    with pytest.raises(ValueError, match=r"lr: expected a number in \(0, inf\), got"):
        optim.SGD(parameters(), lr)


def test_betas_and_decay_must_lie_below_one():
    with pytest.raises(ValueError, match="betas"):
        optim.Adam(parameters(), betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="decay"):
        optim.EMA(parameters(), decay=1.0)


def test_other_settings_that_cannot_work_are_named():
    settings = [
        (lambda p: optim.Adam(p, betas=(0.9,)), "betas"),
        (lambda p: optim.Adam(p, eps=-1.0), "eps"),
        (lambda p: optim.AdamW(p, weight_decay=-0.1), "weight_decay"),
        (lambda p: optim.AdamW(p, weight_decay=np.nan), "weight_decay"),
        (lambda p: optim.SGD(p, 0.1, momentum=1.0), "momentum"),
        (lambda p: optim.warmup_cosine(1e-3, warmup=1.0), "warmup"),
        (lambda p: optim.warmup_cosine(-1e-3), "peak"),
        (lambda p: optim.EMA({}), "nn.parameters"),
    ]
    for build, name in settings:
        with pytest.raises(ValueError, match=name):
            build(parameters())


@pytest.mark.parametrize("build", [optim.Adam, optim.EMA])
def test_what_no_gradient_could_reach_is_no_parameter(build):
    w = mg.Tensor([1.0])
    for bad, words in (
        ({"w": w, "v": w}, "w and v are one Tensor"),  # it would be moved twice
        ({"w": w, "twice": w * 2}, "twice is no Tensor that a gradient could reach"),
        ({"constant": mg.Tensor([1.0], requires_grad=False)}, "constant is no Tensor"),
        ({"array": np.zeros(2)}, "array is no Tensor"),
    ):
        with pytest.raises(ValueError, match=words):
            build(bad)


@pytest.mark.parametrize(
    "lr, max_norm, words",
    [
        (np.nan, None, "lr"),
        (-1.0, None, "lr"),
        (np.inf, None, "lr"),
        (0.1, np.nan, "max_norm"),  # never clips
        (0.1, -1.0, "max_norm"),  # would turn the step around
        (0.1, 0.0, "max_norm"),
    ],
)
def test_a_step_looks_at_its_settings_before_it_changes_anything(lr, max_norm, words):
    found = parameters()
    optimizer = optim.Adam(found)
    run(optimizer, found, 1)
    before, optimizer.lr = {name: p.data for name, p in found.items()}, lr
    with pytest.raises(ValueError, match=words):
        optimizer.step(max_norm)
    assert all(p.data is before[name] for name, p in found.items()) and optimizer.steps == 1
