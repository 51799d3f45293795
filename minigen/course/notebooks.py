"""The lessons' notebooks: execute them in a fresh kernel, offline, clean them, report their time.

`python -m minigen lessons` refreshes all, `python -m minigen lessons 02 11` only those; `--check`
writes nothing. A lesson is lessons/NN_name.ipynb, its solutions are
lessons/solutions/NN_name.ipynb.

What a cell's tags mean: "setup" (an exercise may rely on it), "varies" (what it shows changes from
run to run and is kept), "demo" (its check only shows what a check says), "figure" (it only draws:
folded away), "decisive" (its output answers a prediction: folded away), "navigation" (links, made
here).
"""

import argparse
import ast
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from minigen.course.exercise import find

ROOT = Path(__file__).resolve().parents[2]
LESSONS = ROOT / "lessons"
LARGEST = 1_500_000  # bytes of one notebook
LONGEST = 60  # seconds of computing of one lesson
FULL_HOUR = 60  # minutes of a learner's time for one lesson, exercises included

# In JupyterLab; other renderers ignore it.
FOLDED = {"figure": {"source_hidden": True}, "decisive": {"outputs_hidden": True}}

# Runs in the kernel before the lesson: whatever reaches beyond this machine fails, as it would
# offline.
NO_NETWORK = """
import socket
def _offline(*arguments, **keywords):
    raise OSError("no network while the lessons are executed")
_resolve = socket.getaddrinfo
_here = ("localhost", "127.0.0.1", "::1")
def _local(host, *arguments, **keywords):
    known = host in (None, "", *_here)
    return _resolve(host, *arguments, **keywords) if known else _offline()
_connect = socket.socket.connect
def _connect_local(self, address):
    known = isinstance(address, str) or address[0] in _here
    return _connect(self, address) if known else _offline()
socket.getaddrinfo, socket.socket.connect = _local, _connect_local
"""
MEASURE = "import os as _os; _t = _os.times(); print(_t.user + _t.system)"


@dataclass
class Run:
    """What executing a notebook took.

    `seconds` is what the lesson itself used, whatever else the machine was doing.
    """

    notebook: NotebookNode
    wall: float
    processor: float
    problems: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return min(self.wall, self.processor)


# -- executing -------------------------------------------------------------------------------------


def execute(notebook: NotebookNode, folder: Path = LESSONS, limit: float = 600) -> Run:
    """A copy of `notebook`, executed in a fresh kernel that starts in `folder` and has no network.

    Raises nbclient's CellExecutionError if a cell raises, and TimeoutError if one takes more than
    `limit` seconds.
    """
    notebook = nbformat.from_dict(notebook)
    before, after = nbformat.v4.new_code_cell(NO_NETWORK), nbformat.v4.new_code_cell(MEASURE)
    notebook.cells = [before, *notebook.cells, after]
    client = NotebookClient(
        notebook,
        timeout=limit,
        kernel_name="python3",
        resources={"metadata": {"path": folder}},
        extra_arguments=["--log-level=ERROR"],
    )
    search_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    start = time.perf_counter()
    # One thread, unless the caller says otherwise: the same figures on any number of cores, and two
    # threads of OpenBLAS wait for each other where something else runs.
    fixed = {"PYTHONPATH": search_path, "PYTHONHASHSEED": "0"}
    client.execute(env={"OPENBLAS_NUM_THREADS": "1", **os.environ, **fixed})
    wall = time.perf_counter() - start
    processor = float(after.outputs[0].text)
    notebook.cells = notebook.cells[1:-1]
    problems = [
        f"cell {index} wrote to stderr: {output.text.strip()[-200:]}"
        for index, cell in enumerate(notebook.cells)
        for output in clean_outputs(cell.get("outputs", []))
        if output.get("name") == "stderr"
    ]
    return Run(notebook, wall, processor, problems)


def read(path: Path) -> NotebookNode:
    """The notebook in a file, with or without a byte-order mark."""
    return nbformat.reads(path.read_text(encoding="utf-8-sig"), as_version=4)


def stated_seconds(notebook: NotebookNode) -> float | None:
    """The seconds of computing that the lesson's header states ("Computing.

    12 seconds"), if it does.
    """
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = re.search(r"Computing\W+(\d+) seconds", cell.source)
            if found:
                return float(found[1])
    return None


# -- a learner's time ------------------------------------------------------------------------------


class Minutes(NamedTuple):
    """What a learner reads and does before *Further*, and the minutes that it takes."""

    words: int
    lines: (
        int  # of code to be read: cells that only draw are left out, sources shown by `read` are in
    )
    figures: int  # and tables
    exercises: int
    total: float


def minutes(notebook: NotebookNode) -> Minutes:
    """words / 130 + lines / 10 + figures / 2 + the minutes that its exercises state."""
    words = lines = figures = 0
    exercises = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text, *further = re.split(r"^#+ .*\bFurther\b", cell.source, flags=re.MULTILINE)
            words += len(re.findall(r"\w[\w'’-]*", text))
            if further:
                break
            continue
        if "figure" not in cell.metadata.get("tags", []):
            lines += count_lines(cell.source)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            figures += any(kind.startswith("image/") for kind in data)
            if "text/html" in data:
                lines += count_lines(data.get("text/plain", ""))  # what `read` shows
        exercises.append(exercise_id(cell.source))
    stated = sum(find(name).minutes for name in dict.fromkeys(exercises) if name)
    total = words / 130 + lines / 10 + figures / 2 + stated
    return Minutes(words, lines, figures, stated, total)


def count_lines(source: str) -> int:
    """Lines that are not blank."""
    return sum(bool(line.strip()) for line in source.splitlines())


# -- the way through the course --------------------------------------------------------------------


def title(notebook: NotebookNode) -> str:
    """The title of a lesson, "04 · Markov chains"."""
    return re.search(r"^# (.+)", notebook.cells[0].source, flags=re.MULTILINE)[1].strip()


def navigation(path: Path) -> str:
    """Links to the lesson before and after the one at `path`, of those that are there."""
    paths = [p for p in sorted(path.parent.glob("*.ipynb")) if p.name[:2].isdigit()]
    at = paths.index(path)
    before = [f"[← {title(read(p))}]({p.name})" for p in paths[at - 1 : at] if at]
    after = [f"[{title(read(p))} →]({p.name})" for p in paths[at + 1 : at + 2]]
    return " · ".join([*before, "[all lessons](../README.md#the-course)", *after])


def dead_ends(notebook: NotebookNode, folder: Path = LESSONS) -> list[str]:
    """Lessons that the text speaks of and files that it links to, and that are not there."""
    numbers = {path.name[:2] for path in folder.glob("[0-9][0-9]_*.ipynb")}
    missing = []
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        for mention in re.findall(r"[Ll]essons?((?:\W+(?:and|to|or)?\W*\d\d\b)+)", cell.source):
            for number in re.findall(r"\d\d", mention):
                if number not in numbers:
                    missing.append(f"lesson {number}")
        for target in re.findall(r"\]\(([^)#:]+\.\w+)(?:#[^)]*)?\)", cell.source):
            if not (folder / target).exists():
                missing.append(target)
    return missing


# -- exercises and solutions -----------------------------------------------------------------------


def exercise_id(source: str) -> str | None:
    """The id of the exercise that a cell checks, the first argument of `check`.

    None without a call.
    """
    try:
        tree = ast.parse(without_magics(source))
    except SyntaxError:  # a learner's cell may not parse; its check line still tells its exercise
        found = re.search(r"^(?:\w+ = )?check\(\s*[\"']([^\"']+)[\"']", source, flags=re.MULTILINE)
        return found[1] if found else None
    for node in ast.walk(tree):
        if is_check(node) and node.args and isinstance(node.args[0], ast.Constant):
            return node.args[0].value
    return None


def is_check(node: ast.AST) -> bool:
    """Whether this is a call of `check`."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", None) == "check"


def without_magics(source: str) -> str:
    """The source without IPython's own lines, `%matplotlib` and `!ls`."""
    return re.sub(r"^\s*[%!].*", "", source, flags=re.MULTILINE)


def exercise_copies(notebook: NotebookNode) -> dict[str, list[int]]:
    """The indices of each exercise's cells, by its id.

    A cell tagged "demo" only shows what a check says.
    """
    copies = {}
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and "demo" not in cell.metadata.get("tags", []):
            name = exercise_id(cell.source)
            if name is not None:
                copies.setdefault(name, []).append(index)
    return copies


def exercise_cells(notebook: NotebookNode) -> dict[str, int]:
    """The index of each exercise's last cell, by its id."""
    return {name: indices[-1] for name, indices in exercise_copies(notebook).items()}


def context_of(notebook: NotebookNode, index: int) -> list[str]:
    """What the exercise cell at `index` may rely on, as sources to run before it.

    Cells tagged "setup", the definitions of other cells above, and the reference of every exercise
    above whose `check` gave a name to go on with: each exercise is marked by itself.
    """
    sources = []
    for cell in notebook.cells[:index]:
        if cell.cell_type != "code":
            continue
        if "setup" in cell.metadata.get("tags", []):
            sources.append(cell.source)
        else:
            sources += definitions(cell.source)
    return sources


def definitions(source: str) -> list[str]:
    """The imports, functions, classes, constants and lambdas at the top level of a cell.

    Nothing that would give `check` another meaning; `name = check(...)` gives the exercise's
    reference.
    """
    try:
        body = ast.parse(without_magics(source)).body
    except SyntaxError:
        return []
    sources = []
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names = [node.name]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign) and is_check(node.value):
            exercise = ast.unparse(node.value.args[0])
            sources += ["from minigen.course.exercise import find as _find"]
            sources += [f"{ast.unparse(t)} = _find({exercise}).reference" for t in node.targets]
            continue
        elif isinstance(node, ast.Assign) and is_plain(node.value):
            names = [ast.unparse(target) for target in node.targets]
        else:
            continue
        if "check" not in names:
            sources.append(ast.unparse(node))
    return sources


def is_plain(value: ast.expr) -> bool:
    """Whether an expression is a constant (or a list, tuple, dict of such) or a lambda."""
    if isinstance(value, ast.Lambda):
        return True
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


def fill_in(lesson: NotebookNode, solutions: NotebookNode) -> NotebookNode:
    """The lesson, with the solutions' cell in place of each exercise cell."""
    filled = nbformat.from_dict(lesson)
    solved = exercise_cells(solutions)
    for name, index in exercise_cells(lesson).items():
        filled.cells[index].source = solutions.cells[solved[name]].source
    return filled


# -- cleaning --------------------------------------------------------------------------------------


def clean(notebook: NotebookNode, previous: NotebookNode | None = None) -> NotebookNode:
    """A copy without what changes from run to run: counts, times, addresses, paths, progress bars.

    What a cell tagged "varies" shows (say, measured seconds) is kept from `previous` while its
    source is the same.
    """
    kept = {}
    if previous:
        kept = {cell.source: cell.get("outputs") for cell in previous.cells}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = nbformat.from_dict(notebook)
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": kernel, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        metadata = {"tags": tags} if tags else {}
        for tag in tags:
            if tag in FOLDED:
                metadata.setdefault("jupyter", {}).update(FOLDED[tag])
        cell.metadata = nbformat.from_dict(metadata)
        if cell.cell_type == "code":
            cell.execution_count = None
            outputs = kept.get(cell.source) if "varies" in tags else None
            cell.outputs = outputs or clean_outputs(cell.outputs)
    return notebook


def clean_outputs(outputs: list[NotebookNode]) -> list[NotebookNode]:
    cleaned = []
    for output in merged(outputs):
        if output.output_type == "stream":
            output.text = clean_text(output.text)
            if not output.text.strip():
                continue
        elif output.output_type in ("display_data", "execute_result"):
            output.data = {kind: data for kind, data in output.data.items() if "widget" not in kind}
            if isinstance(output.data.get("text/plain"), str):
                output.data["text/plain"] = clean_text(output.data["text/plain"])
            if not any(output.data.values()):  # what a progress bar leaves behind
                continue
            if "execution_count" in output:
                output.execution_count = None
        cleaned.append(output)
    return merged(cleaned)  # what stood on both sides of a removed output


def merged(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Each run of outputs to one stream made one.

    How a kernel cuts a stream into pieces is chance.
    """
    whole = []
    for output in map(nbformat.from_dict, outputs):
        if whole and output.output_type == "stream" and whole[-1].get("name") == output.name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def clean_text(text: str) -> str:
    """Text without progress bars, addresses and paths.

    Of an overwritten line the last state counts.
    """
    bar = r"\d+%\|.*\||\d+it \[\d\d:\d\d"
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    text = "\n".join(line for line in lines if not re.search(bar, line))
    text = re.sub(r"\b0x[0-9a-f]{6,}", "0x...", text)
    text = re.sub(r"\S*ipykernel_\d+\S*?\.py", "<cell>", text)
    for path, short in (
        (f"{ROOT}{os.sep}", ""),
        (f"{ROOT}", "."),
        (f"{Path.home()}{os.sep}", "~/"),
    ):
        text = text.replace(path, short)
    return text


# -- the command -----------------------------------------------------------------------------------


def lesson_paths(names: list[str] | None = None, folder: Path = LESSONS) -> list[Path]:
    """The lessons, each followed by its solutions.

    Given `names`, those whose names begin with one.
    """
    paths = []
    for path in sorted(folder.glob("*.ipynb")):
        if not names or path.name.startswith(tuple(names)):
            paths += [path, *(folder / "solutions").glob(path.name)]
    return paths


def write(notebook: NotebookNode, path: Path) -> bool:
    """Write the notebook if its bytes changed; say whether they did."""
    text = nbformat.writes(notebook, version=4) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8", newline="\n")
    return True


def refresh(path: Path, fresh: bool = False, check_only: bool = False) -> list[str]:
    """Execute and clean one notebook, write it unless `check_only`; a line is printed.

    Returns the problems found.
    """
    before = read(path)
    lesson = path.parent == LESSONS
    for cell in before.cells:
        if "navigation" in cell.metadata.get("tags", []):
            cell.source = navigation(path)
    try:
        run = execute(before, folder=LESSONS)
    except (CellExecutionError, TimeoutError) as error:
        print(f"{path.name:32} failed: {error}")
        return [f"{path.name}: {error}"]
    result = clean(run.notebook, None if fresh else before)
    size = len(nbformat.writes(result, version=4).encode())
    stated = stated_seconds(before)
    spent = minutes(result)
    problems = [*run.problems, *(f"points to {end}" for end in dead_ends(result))]
    if size > LARGEST:
        problems.append(f"{size:,} bytes; at most {LARGEST:,} are allowed")
    if lesson and stated is None:
        problems.append('the header does not state "Computing: N seconds"')
    if run.seconds > (stated or LONGEST):
        problems.append(f"took {run.seconds:.0f} seconds, its header states {stated}")
    if lesson and spent.total > FULL_HOUR:
        problems.append(f"takes a learner {spent.total:.0f} minutes; {FULL_HOUR} at most: {spent}")
    done = "checked" if check_only else "written" if write(result, path) else "unchanged"
    measured = f"{run.wall:4.0f} s  {run.processor:4.0f} s  {stated or 0:4.0f} s"
    learner = f"{spent.total:4.0f} min" if lesson else " " * 8
    name = path.relative_to(LESSONS).as_posix()
    print(f"{name:42} {measured}  {learner}  {size / 1000:5.0f} kB  {done}")
    for problem in problems:
        print(f"    {problem}")
    return [f"{path.name}: {problem}" for problem in problems]


def main(argv: list[str] | None = None) -> int:
    """`python -m minigen lessons [NAME ...] [--check] [--fresh]`: 0 if all is well."""
    parser = argparse.ArgumentParser(
        "python -m minigen lessons",
        description="Execute, clean and time the lessons' notebooks, and warn of what is amiss.",
    )
    parser.add_argument("names", nargs="*", help='by the start of the file name, like "02"; all')
    parser.add_argument("--check", action="store_true", help="execute and report, write nothing")
    parser.add_argument("--fresh", action="store_true", help='new outputs for "varies" cells, too')
    options = parser.parse_args(argv)
    paths = lesson_paths(options.names)
    if not paths:
        parser.error(f"no lesson in {LESSONS} starts with {options.names}")
    print(f"{'':42} wall    used    stated  learner")
    problems = [refresh(path, options.fresh, options.check) for path in paths]
    return int(any(problems))


if __name__ == "__main__":
    raise SystemExit(main())
