"""The house rules, read from the sources.

Who imports whom, how large files are, no global randomness, no names that nobody uses.
"""

import ast
import io
import json
import tokenize
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import minigen as mg

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minigen"

# From the ground up: a room imports only rooms that stand before it here.
ROOMS = """arguments tensor kernels ops gradients nn networks optim data schedules oracles sampling
models training evaluate plots checkpoints course compare exercises""".split()
MODELS = "protocol markov linear made gpt masked block ddpm score".split()
PLAIN_NUMPY = {"arguments", "schedules", "data", "oracles", "sampling"}
AUTOGRAD = {"tensor", "kernels", "ops", "gradients", "nn", "networks", "optim"}

# Size is counted in tokens, so that a clear line costs nothing and a clever one saves nothing.
STORY_BUDGET, FILE_BUDGET = 42_500, 3_000
ANNEXES = {  # what is no part of the story: a file or a folder, and its own budget
    "kernels": 5_650,
    "data/files": 2_900,
    "checkpoints": 2_200,
    "course": 16_700,  # of which the probes of exercises are 3,600
    "compare/claims": 10_500,  # fifteen experiments, one file each
    "compare": 20_500,
}
TOKENS_A_LINE, MANY, SHARE_OF_FULL_LINES = 14, 25, 0.12  # at most, in every file of the story
TABLES = {"ops.py"}  # an op beside its rules: one line a row, however full

SOURCES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def annex(path: Path) -> str | None:
    """The annex that a file belongs to; None: it is part of the story."""
    name = path.relative_to(PACKAGE).with_suffix("").as_posix()
    return next((a for a in ANNEXES if name == a or name.startswith(f"{a}/")), None)


STORY = [p for p in SOURCES if annex(p) is None and room(p) != "__main__"]


def imports(path: Path, inside_functions: bool = True):
    """Full names of what a file imports: "numpy", "minigen.ops", "minigen.ops.add", ..."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if inside_functions else tree.body
    package = ["minigen", *path.relative_to(PACKAGE).parts[:-1]]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def tokens_by_line(path: Path) -> Counter:
    """How many tokens begin on each line of code: no docstrings, comments, newlines or indents.

    An f-string is one token, as it was before Python 3.12.
    """
    source = path.read_text(encoding="utf-8")
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        text = isinstance(node, ast.Expr) and getattr(node.value, "value", None)
        if isinstance(text, str):
            docstrings.update(range(node.lineno, node.end_lineno + 1))
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}
    layout |= {tokenize.INDENT, tokenize.DEDENT}
    lines, inside = Counter(), 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        inside += kind == "FSTRING_START"
        starts = inside == 0 or (kind == "FSTRING_START" and inside == 1)
        inside -= kind == "FSTRING_END"
        if starts and token.type not in layout and token.start[0] not in docstrings:
            lines[token.start[0]] += 1
    return lines


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_above_it(path):
    if room(path) in ("__init__", "__main__"):
        return
    assert room(path) in ROOMS, f"{path.name} is no room of the house"
    # The tables of the exercises check all rooms: `course` loads one only where it is asked for.
    here = "exercises" if path.parent.name == "exercises" else room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "minigen" or len(parts) < 2:
            continue
        other = parts[1]
        if other not in ROOMS:  # a name as `import minigen as mg` gives it: annexes only
            why = f"{path.name} imports {name} from the package's front door"
            assert room(path) in ("course", "compare"), why
        elif other == "models" and room(path) == "models" and len(parts) > 2:
            own, its = path.stem, parts[2]
            why = f"models/{own} imports models/{its}, which stands below it"
            assert MODELS.index(its) <= MODELS.index(own), why
        else:
            why = f"{here} imports {other}, which stands below it"
            assert ROOMS.index(other) <= ROOMS.index(here), why
        if room(path) in PLAIN_NUMPY:
            assert other not in AUTOGRAD, f"{room(path)} is plain NumPy and imports {other}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_plots_needs_matplotlib(path):
    if room(path) == "plots":
        return
    # colours, fonts and PNG files are read through matplotlib, where they are asked for
    lazy_allowed = annex(path) == "data/files"
    names = imports(path, inside_functions=not lazy_allowed)
    drawing = [n for n in names if n.split(".")[0] in ("matplotlib", "PIL")]
    assert not drawing, f"{path.name} imports {drawing}"


def test_token_budgets():
    counts = {str(p.relative_to(PACKAGE)): tokens_by_line(p).total() for p in STORY}
    print(f"the story: {sum(counts.values()):,} of {STORY_BUDGET:,} tokens", counts)
    assert max(n for name, n in counts.items() if name not in TABLES) <= FILE_BUDGET, counts
    assert sum(counts.values()) <= STORY_BUDGET, counts
    for name, budget in ANNEXES.items():
        files = [p for p in SOURCES if annex(p) == name and p.parent.name != "exercises"]
        size = sum(tokens_by_line(p).total() for p in files)
        print(f"{name}: {size:,} of {budget:,}")
        assert 0 < size <= budget, f"{name}: {size:,} of {budget:,}"


@pytest.mark.parametrize("path", STORY, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_file_of_the_story_is_dense(path):
    lines = tokens_by_line(path)
    if not lines or path.name in TABLES:
        return
    a_line = lines.total() / len(lines)
    full = sum(n > MANY for n in lines.values()) / len(lines)
    assert a_line <= TOKENS_A_LINE, f"{a_line:.1f} tokens a line"
    assert full <= SHARE_OF_FULL_LINES, f"{full:.0%} of the lines hold more than {MANY} tokens"


def test_the_token_counter_counts_code_only(tmp_path):
    file = tmp_path / "x.py"
    file.write_text(
        '"""Doc\nstring."""\n\n# comment\nx = (\n    1  # why\n)\n\n'
        'def f():\n    """Doc."""\n    return f"{x} and {x:{x}}"\n'
    )
    assert tokens_by_line(file) == {5: 3, 6: 1, 7: 1, 9: 5, 11: 2}


def python_texts():
    """(name, source) of every Python file and every notebook's code."""
    for path in [*SOURCES, *ROOT.glob("tests/**/*.py")]:
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for path in ROOT.glob("lessons/**/*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        yield (
            str(path.relative_to(ROOT)),
            "\n".join(line for c in code for line in c.splitlines() if line[:1] not in "%!"),
        )


def keeps_its_own_state(name: str) -> bool:
    """Whether np.random.NAME is a generator to hold, not a function that draws from the hidden
    global one.
    """
    return name == "default_rng" or (
        isinstance(getattr(np.random, name), type) and name != "RandomState"
    )


def test_no_global_random_state():
    for name, source in python_texts():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in (
                "np.random",
                "numpy.random",
            ):
                assert keeps_its_own_state(node.attr), (
                    f"{name}: np.random.{node.attr} uses global random state"
                )
            if isinstance(node, ast.Import):
                assert "random" not in [a.name for a in node.names], f"{name} imports random"
            if isinstance(node, ast.ImportFrom):
                assert node.module != "random", f"{name} imports from random"
                if node.module == "numpy.random":
                    assert all(keeps_its_own_state(a.name) for a in node.names), (
                        f"{name} imports global random state"
                    )


def test_public_names_exist():
    names = """Tensor no_grad ops nn networks gradients SGD Adam AdamW EMA
    MarkovChain NGram LinearAR MADE GPT MaskedDiffusion BlockDiffusion DDPM ScoreSDE
    train fit save load data schedules sampling oracles evaluate compare plots course""".split()
    for name in names:
        assert getattr(mg, name) is not None
    from minigen.course import check, predict, read

    assert callable(check) and callable(predict) and callable(read)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="polts"):
        _ = mg.polts


# Built and tested for lessons that are planned and not written yet, by the number of the lesson
# that will use them.
WAITING: dict[str, int] = {}
# What tests hold every model against, and points that they train on.
FOR_TESTS = {"Samples", "Trains", "Scores", "two_moons"}


def test_every_public_name_of_the_core_is_used():
    """By another definition of the package, a lesson, a benchmark or README.md.

    Tests and imports do not count.
    """
    used = (ROOT / "README.md").read_text(encoding="utf-8")
    texts = {name: source for name, source in python_texts() if not name.startswith("tests/test_")}
    words = {name: _words(source) for name, source in texts.items()}
    unused = set()
    for path in STORY:
        own = path.relative_to(ROOT).as_posix()
        for node in ast.parse(texts[own]).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                elsewhere = any(node.name in w for name, w in words.items() if name != own)
                if not elsewhere and words[own].count(node.name) < 2 and node.name not in used:
                    unused.add(node.name)
    assert unused <= set(WAITING) | FOR_TESTS, f"unused: {unused - set(WAITING) - FOR_TESTS}"
    assert unused >= set(WAITING), f"used by now: {set(WAITING) - unused}"


def _words(source: str) -> list[str]:
    """Every name in a source, as often as it occurs."""
    tree = ast.parse(source)
    found = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name)]
    found += [n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
    found += [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    return found


def test_nothing_names_a_path_of_one_machine():
    for path in [
        *SOURCES,
        *ROOT.glob("*.md"),
        *ROOT.glob("lessons/**/*.ipynb"),
        *ROOT.glob("lessons/**/*.md"),
    ]:
        text = path.read_text(encoding="utf-8")
        for word in ("../shared", "/home/", "/root/", "/work/"):
            assert word not in text, f"{path.relative_to(ROOT)} names {word}"
