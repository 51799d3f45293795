"""The house rules, read from the sources: who imports whom, how long files are, no global randomness, no dead names."""

import ast
import io
import json
import tokenize
from pathlib import Path

import numpy as np
import pytest

import minigen as mg

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minigen"

ROOMS = """tensor attention winograd convolution ops gradients nn networks optim data schedules oracles sampling models
training checkpoints evaluate plots course compare""".split()
MODELS = "markov linear made gpt ddpm score masked block".split()
PLAIN_NUMPY = {"schedules", "data", "oracles"}
CORE_BUDGET, FILE_BUDGET = 2600, 300
# A hardened file format is no part of the story, nor are algorithms that only make convolutions faster.
ANNEXES = {"course": 1200, "compare": 1200, "checkpoints": 200, "winograd": 150}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


CORE = [p for p in SOURCES if room(p) not in (*ANNEXES, "__main__")]


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


def code_lines(path: Path) -> int:
    """Lines that hold code: no docstrings, comments or blanks."""
    source = path.read_text(encoding="utf-8")
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            docstrings.update(range(node.lineno, node.end_lineno + 1))
    skip = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skip:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_above_it(path):
    if room(path) in ("__init__", "__main__"):
        return
    assert room(path) in ROOMS, f"{path.name} is no room of the house"
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "minigen" or len(parts) < 2:
            continue
        other = parts[1]
        if (
            other not in ROOMS
        ):  # a name of the package itself, as `import minigen as mg` gives them: annexes only
            assert room(path) in ("course", "compare"), (
                f"{path.name} imports {name} from the package's front door"
            )
        elif other == "models" and room(path) == "models" and len(parts) > 2:
            own, its = path.stem, parts[2]
            assert MODELS.index(its) <= MODELS.index(own), (
                f"models/{own} imports models/{its}, which stands below it"
            )
        else:
            assert ROOMS.index(other) <= ROOMS.index(room(path)), (
                f"{room(path)} imports {other}, which stands below it"
            )
        if room(path) in PLAIN_NUMPY:
            assert ROOMS.index(other) >= ROOMS.index("data"), (
                f"{room(path)} is plain NumPy and imports {other}"
            )


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_plots_needs_matplotlib(path):
    if room(path) == "plots":
        return
    lazy_allowed = (
        room(path) == "data"
    )  # colours, fonts and PNG files are read through matplotlib where they are asked for
    names = imports(path, inside_functions=not lazy_allowed)
    assert not [n for n in names if n.split(".")[0] in ("matplotlib", "PIL")], (
        f"{path.name} imports matplotlib"
    )


def test_line_budgets():
    counts = {str(p.relative_to(PACKAGE)): code_lines(p) for p in CORE}
    print(f"core: {sum(counts.values())} of {CORE_BUDGET} lines", counts)
    assert max(counts.values()) <= FILE_BUDGET, counts
    assert sum(counts.values()) <= CORE_BUDGET, counts
    for annex, budget in ANNEXES.items():
        files = [p for p in SOURCES if room(p) == annex and p.parent.name != "exercises"]
        assert sum(map(code_lines, files)) <= budget, annex


def test_the_line_counter_counts_code_only(tmp_path):
    file = tmp_path / "x.py"
    file.write_text(
        '"""Doc\nstring."""\n\n# comment\nx = (\n    1  # why\n)\n\ndef f():\n    """Doc."""\n    return x\n'
    )
    assert code_lines(file) == 5


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
    """Whether np.random.NAME is a generator to hold, not a function that draws from the hidden global one."""
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
    names = """Tensor no_grad ops nn networks gradients SGD Adam AdamW EMA MarkovChain NGram LinearAR MADE GPT DDPM
    ScoreSDE train save load data schedules sampling oracles evaluate compare plots course""".split()
    for name in names:
        assert getattr(mg, name) is not None
    from minigen.course import check, predict, read

    assert callable(check) and callable(predict) and callable(read)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="polts"):
        _ = mg.polts


# Built and tested for lessons that are planned and not written yet, by the number of the lesson that will use them.
WAITING = {
    "two_moons": 12, "checkerboard": 12, "Dequantized": 12,  # score matching
    "autocorrelation": 5, "partial_autocorrelation": 5, "order_criteria": 5,  # autoregression
    "crps": 16, "interval_coverage": 16,  # sequences in time
    "euler": 13, "denoise_image": 13, "psnr": 13,  # sampling diffusion
    "glyphs": 17, "image_files": 17,  # head to head, also on data that a user brings
}  # fmt: skip


def test_every_public_name_of_the_core_is_used():
    """By another definition of the package, a lesson, a benchmark or README.md; tests and imports do not count."""
    used = (ROOT / "README.md").read_text(encoding="utf-8")
    texts = {name: source for name, source in python_texts() if not name.startswith("tests/test_")}
    words = {name: _words(source) for name, source in texts.items()}
    unused = set()
    for path in CORE:
        own = path.relative_to(ROOT).as_posix()
        for node in ast.parse(texts[own]).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                elsewhere = any(node.name in w for name, w in words.items() if name != own)
                if not elsewhere and words[own].count(node.name) < 2 and node.name not in used:
                    unused.add(node.name)
    assert unused == set(WAITING), (
        f"unused: {unused - set(WAITING)}; used by now: {set(WAITING) - unused}"
    )


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
