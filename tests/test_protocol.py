"""Every model of the package against `models/protocol.py`.

The methods, their arguments, their answers.
"""

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest

import minigen as mg
from minigen import models, networks, schedules
from minigen.models import protocol


def rng(seed=0):
    return np.random.default_rng(seed)


def points():
    return networks.MLP((2,), width=8, layers=2, time_features=8, rng=rng())


def letters(n=200):
    return rng(1).integers(0, 3, n)


# A model, two examples of what it models, and what `sample` must be told besides n and rng.
EXAMPLES = {
    "MarkovChain": lambda: (
        mg.MarkovChain(np.array([[0.5, 0.5], [0.2, 0.8]])),
        rng().integers(0, 2, (2, 5)),
        {"length": 5},
    ),
    "NGram": lambda: (mg.NGram(2, 3).fit(letters()), letters(10).reshape(2, 5), {"length": 5}),
    "LinearAR": lambda: (
        mg.LinearAR(2).fit(rng().standard_normal(100)),
        rng().standard_normal((2, 5)),
        {"length": 5},
    ),
    "MADE": lambda: (mg.MADE(4, 3, hidden=(8,), rng=rng()), letters(8).reshape(2, 4), {}),
    "GPT": lambda: (
        mg.GPT(3, 5, layers=1, heads=1, width=4, rng=rng()),
        letters(10).reshape(2, 5),
        {"length": 5},
    ),
    "MaskedDiffusion": lambda: (
        mg.MaskedDiffusion(3, 4, layers=1, heads=1, width=4, rng=rng()),
        letters(8).reshape(2, 4),
        {},
    ),
    "BlockDiffusion": lambda: (
        mg.BlockDiffusion(3, 4, layers=1, heads=1, width=4, block_size=2, rng=rng()),
        letters(8).reshape(2, 4),
        {},
    ),
    "DDPM": lambda: (mg.DDPM(points(), steps=5), rng().standard_normal((2, 2)), {}),
    "ScoreSDE": lambda: (
        mg.ScoreSDE(points(), schedules.linear()),
        rng().standard_normal((2, 2)),
        {"steps": 5},
    ),
}
every = pytest.mark.parametrize("name", EXAMPLES)
IN_CLOSED_FORM = {"MarkovChain", "NGram", "LinearAR"}
HIDES_BY_CHANCE = {"DDPM", "ScoreSDE", "MaskedDiffusion", "BlockDiffusion"}


def test_there_is_an_example_of_every_model():
    found = set()
    for module in pkgutil.iter_modules(models.__path__):
        room = importlib.import_module(f"minigen.models.{module.name}")
        for name, thing in vars(room).items():
            here = inspect.isclass(thing) and thing.__module__ == room.__name__
            if here and hasattr(thing, "sample") and room is not protocol:
                found.add(name)
    assert found == set(EXAMPLES)


@every
def test_samples(name):
    model, x, how = EXAMPLES[name]()
    assert isinstance(model, protocol.Samples)
    drawn = model.sample(3, rng(), **how)
    assert isinstance(drawn, np.ndarray) and drawn.shape == (3, *x.shape[1:])
    assert drawn.dtype.kind == x.dtype.kind
    np.testing.assert_array_equal(drawn, model.sample(3, rng(), **how))


@every
def test_trains_by_a_loss_or_is_in_closed_form(name):
    model, x, _ = EXAMPLES[name]()
    assert isinstance(model, protocol.Trains) == (name not in IN_CLOSED_FORM)
    if name in IN_CLOSED_FORM:
        assert hasattr(model, "fit")
    else:
        loss = model.loss(x, rng())
        assert isinstance(loss, mg.Tensor) and loss.size == 1 and np.isfinite(loss.item())


@every
def test_scores_every_example(name):
    model, x, _ = EXAMPLES[name]()
    answers = []
    if hasattr(model, "log_prob"):
        answers.append(model.log_prob(x))
    if hasattr(model, "bound"):
        answers.append(model.bound(x, rng()))
    assert answers
    for nats in answers:
        assert nats.shape == (2,) and nats.dtype.kind == "f" and np.all(np.isfinite(nats))


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in IN_CLOSED_FORM])
def test_the_neural_models_tell_the_same_story_in_the_same_order(name):
    model, _, how = EXAMPLES[name]()
    own, source = vars(type(model)), inspect.getsource(type(model))
    assert name not in HIDES_BY_CHANCE or hasattr(model, "q_sample")
    predict = [method for method in ("denoise", "logits", "predict") if hasattr(model, method)]
    scored = "log_prob" if hasattr(model, "log_prob") else "bound"
    order = ["q_sample", predict[0], "loss", "sample_walk", scored]
    places = [source.index(f"    def {method}(") for method in order if method in own]
    assert places == sorted(places), order
    headings = re.findall(r"^    # -- (\w+)", source, flags=re.MULTILINE)
    assert headings == ["hide", "predict", "loss", "sample_walk", scored]
    *_, last = model.sample_walk(2, rng(), **how)
    np.testing.assert_array_equal(last, model.sample(2, rng(), **how))


def test_the_table_of_the_families_names_what_there_is():
    for word in (
        "GPT, MADE, n-gram, AR",
        "masked",
        "block",
        "DDPM, score SDE",
        "hides",
        "commits to",
    ):
        assert word in protocol.__doc__
