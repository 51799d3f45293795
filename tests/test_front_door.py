"""What `import minigen as mg` gives: every name that is listed, and no other."""

import subprocess
import sys
from pathlib import Path

import pytest

import minigen as mg

ROOT = Path(__file__).parents[1]


def test_every_listed_name_is_there():
    for name in dir(mg):
        assert getattr(mg, name) is not None
    assert set(mg.__all__) < set(dir(mg)) and len(set(mg.__all__)) == len(mg.__all__)
    assert {"plots", "compare", "course", "read", "nn", "GPT", "train", "fit"} <= set(dir(mg))


def test_nothing_else_is_listed():
    """Every public class and function that the front door imports, and no modules behind it."""
    imported = {
        name
        for name, value in vars(mg).items()
        if getattr(value, "__module__", "").startswith("minigen") and not name.startswith("_")
    }
    assert imported - set(dir(mg)) == {"keep_freed_memory", "limit_threads"}  # called there
    assert not set(dir(mg)) & {"importlib", "difflib", "tensor", "training", "checkpoints"}


def test_the_list_is_the_same_before_and_after_the_lazy_rooms_are_used():
    code = (
        "import minigen as mg; before = dir(mg); assert 'plots' in before;"
        "import sys; assert 'matplotlib' not in sys.modules;"
        "mg.plots, mg.compare, mg.course, mg.read; assert dir(mg) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_read_is_the_one_of_the_course():
    assert mg.read is mg.course.read and mg.course.__name__ == "minigen.course"


@pytest.mark.parametrize(
    "typed, meant", [("polts", "plots"), ("Tenser", "Tensor"), ("MarkovChian", "MarkovChain")]
)
def test_a_mistyped_name_names_the_nearest(typed, meant):
    with pytest.raises(AttributeError, match=f"no attribute '{typed}'; did you mean {meant}"):
        getattr(mg, typed)
    with pytest.raises(AttributeError, match=r"no attribute 'quaternions'$"):
        _ = mg.quaternions
