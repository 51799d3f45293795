"""The lessons' notebooks: execute them in a fresh kernel without network, clean their outputs, report their seconds.

`python -m minigen lessons` refreshes all, `python -m minigen lessons 02 11` only those; `--check` writes nothing.
A lesson is lessons/NN_name.ipynb, its solutions are lessons/solutions/NN_name.ipynb.
"""

import argparse
import ast
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
LESSONS = ROOT / "lessons"
LARGEST = 1_500_000  # bytes of one notebook
LONGEST = 60  # seconds of computing of one lesson

# Runs in the kernel before the lesson: whatever reaches beyond this machine fails, as it would offline.
NO_NETWORK = """
import socket
def _offline(*arguments, **keywords):
    raise OSError("no network while the lessons are executed")
_resolve = socket.getaddrinfo
def _local(host, *arguments, **keywords):
    return _resolve(host, *arguments, **keywords) if host in (None, "", "localhost", "127.0.0.1", "::1") else _offline()
_connect = socket.socket.connect
def _connect_local(self, address):
    return _connect(self, address) if isinstance(address, str) or address[0] in ("localhost", "127.0.0.1", "::1") \\
        else _offline()
socket.getaddrinfo, socket.socket.connect = _local, _connect_local
"""
MEASURE = "import os as _os; _t = _os.times(); print(_t.user + _t.system)"


@dataclass
class Run:
    """What executing a notebook took; `seconds` is what the lesson itself used, whatever else the machine was doing."""

    notebook: NotebookNode
    wall: float
    processor: float
    problems: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return min(self.wall, self.processor)


# -- executing -------------------------------------------------------------------------------------------------------


def execute(notebook: NotebookNode, folder: Path = LESSONS, limit: float = 600) -> Run:
    """A copy of `notebook` executed top to bottom in a fresh kernel that starts in `folder` and has no network.

    Raises nbclient's CellExecutionError if a cell raises, and TimeoutError if one takes more than `limit` seconds.
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
    client.execute(env={**os.environ, "PYTHONPATH": search_path, "PYTHONHASHSEED": "0"})
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
    return nbformat.read(path, as_version=4)


def stated_seconds(notebook: NotebookNode) -> float | None:
    """The seconds of computing that the lesson's header states ("Computing: 12 seconds"), if it does."""
    for cell in notebook.cells:
        found = (
            re.search(r"Computing\W+(\d+) seconds", cell.source)
            if cell.cell_type == "markdown"
            else None
        )
        if found:
            return float(found[1])
    return None


# -- exercises and solutions -----------------------------------------------------------------------------------------


def exercise_id(source: str) -> str | None:
    """The id of the exercise that a cell checks, the first argument of its call of `check`; None without a call."""
    try:
        tree = ast.parse(re.sub(r"^\s*[%!].*", "", source, flags=re.MULTILINE))
    except (
        SyntaxError
    ):  # a learner's cell may not parse; its check line still tells which exercise it is
        found = re.search(r"^check\(\s*[\"']([^\"']+)[\"']", source, flags=re.MULTILINE)
        return found[1] if found else None
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "check"
            and node.args
        ):
            return node.args[0].value if isinstance(node.args[0], ast.Constant) else None
    return None


def exercise_cells(notebook: NotebookNode) -> dict[str, int]:
    """The index of each exercise's cell, by the exercise's id; a cell tagged "demo" only shows what a check says."""
    indices = {}
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and "demo" not in cell.metadata.get("tags", []):
            indices[exercise_id(cell.source)] = index
    indices.pop(None, None)
    return indices


def context_of(notebook: NotebookNode, index: int) -> list[str]:
    """What the exercise cell at `index` may rely on: cells tagged "setup", and definitions in other cells above."""
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
    """The imports, functions and classes at the top level of a cell, each as a source of its own."""
    try:
        body = ast.parse(re.sub(r"^\s*[%!].*", "", source, flags=re.MULTILINE)).body
    except SyntaxError:
        return []
    wanted = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return [ast.unparse(node) for node in body if isinstance(node, wanted)]


def fill_in(lesson: NotebookNode, solutions: NotebookNode) -> NotebookNode:
    """The lesson with each exercise cell replaced by the cell of the solutions that has the same check."""
    filled = nbformat.from_dict(lesson)
    solved = exercise_cells(solutions)
    for name, index in exercise_cells(lesson).items():
        filled.cells[index].source = solutions.cells[solved[name]].source
    return filled


# -- cleaning --------------------------------------------------------------------------------------------------------


def clean(notebook: NotebookNode, previous: NotebookNode | None = None) -> NotebookNode:
    """A copy of `notebook` without what changes from run to run: counts, times, addresses, paths, progress bars.

    What a cell tagged "varies" shows (say, measured seconds) is kept from `previous` while its source is the same.
    """
    kept = (
        {cell.source: cell.outputs for cell in previous.cells if cell.cell_type == "code"}
        if previous
        else {}
    )
    notebook = nbformat.from_dict(notebook)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = (kept.get(cell.source) if "varies" in tags else None) or clean_outputs(
                cell.outputs
            )
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
    """Each run of outputs to the same stream as one: how a kernel cuts a stream into pieces is chance."""
    whole = []
    for output in map(nbformat.from_dict, outputs):
        if whole and output.output_type == "stream" and whole[-1].get("name") == output.name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def clean_text(text: str) -> str:
    """Text without progress bars (the last state of a line that was overwritten counts), addresses and paths."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    text = "\n".join(line for line in lines if not re.search(r"\d+%\|.*\||\d+it \[\d\d:\d\d", line))
    text = re.sub(r"\b0x[0-9a-f]{6,}", "0x...", text)
    text = re.sub(r"\S*ipykernel_\d+\S*?\.py", "<cell>", text)
    return (
        text.replace(str(ROOT) + os.sep, "")
        .replace(str(ROOT), ".")
        .replace(str(Path.home()) + os.sep, "~" + os.sep)
    )


# -- the command -----------------------------------------------------------------------------------------------------


def lesson_paths(names: list[str] | None = None, folder: Path = LESSONS) -> list[Path]:
    """The lessons, each followed by its solutions; only those whose file name starts with one of `names`, if given."""
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
    """Execute and clean one notebook, write it unless `check_only`, print a line; the problems found are returned."""
    before = read(path)
    try:
        run = execute(before, folder=LESSONS)
    except (CellExecutionError, TimeoutError) as error:
        print(f"{path.name:32} failed: {error}")
        return [f"{path.name}: {error}"]
    result = clean(run.notebook, None if fresh else before)
    size = len(nbformat.writes(result, version=4).encode())
    stated = stated_seconds(before)
    problems = list(run.problems)
    if size > LARGEST:
        problems.append(f"{size:,} bytes; at most {LARGEST:,} are allowed")
    if path.parent == LESSONS and stated is None:
        problems.append('the header does not state "Computing: N seconds"')
    if run.seconds > (stated or LONGEST):
        problems.append(f"took {run.seconds:.0f} seconds, its header states {stated}")
    done = "checked" if check_only else "written" if write(result, path) else "unchanged"
    states = f"(states {stated:.0f})" if stated else ""
    name = path.relative_to(LESSONS).as_posix()
    print(
        f"{name:40} {run.wall:6.1f} s, processor {run.processor:6.1f} s {states:12} {size / 1000:7.0f} kB  {done}"
    )
    for problem in problems:
        print(f"    {problem}")
    return [f"{path.name}: {problem}" for problem in problems]


def main(argv: list[str] | None = None) -> int:
    """`python -m minigen lessons [NAME ...] [--check] [--fresh]`: 0 if all notebooks ran and nothing is amiss."""
    parser = argparse.ArgumentParser(
        "python -m minigen lessons", description="Execute, clean and time the lessons' notebooks."
    )
    parser.add_argument(
        "names", nargs="*", help='lessons by the start of their file name, like "02"; default all'
    )
    parser.add_argument("--check", action="store_true", help="execute and report, write nothing")
    parser.add_argument(
        "--fresh", action="store_true", help='take new outputs for cells tagged "varies" too'
    )
    options = parser.parse_args(argv)
    paths = lesson_paths(options.names)
    if not paths:
        parser.error(f"no lesson in {LESSONS} starts with {options.names}")
    problems = [refresh(path, options.fresh, options.check) for path in paths]
    return int(any(problems))


if __name__ == "__main__":
    raise SystemExit(main())
