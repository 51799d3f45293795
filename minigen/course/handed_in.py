"""For a class: run the exercises of handed-in notebooks, and write one row a student.

Each exercise runs in a process of its own. This is no sandbox: a handed-in cell runs with all the
rights of the person who runs this command. It can read and delete files, and it can lie about its
result. Read what you run, or run it where nothing can be lost.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from nbformat import NotebookNode
from tqdm import tqdm

from minigen.course.exercise import table
from minigen.course.notebooks import LESSONS, ROOT, context_of, exercise_copies, read

CHILD = """
import json, os, sys
os.environ["MPLBACKEND"] = "Agg"
cells, context, target = json.load(sys.stdin)
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for source in context:
    shell.run_cell(source)
results = [shell.run_cell(source) for source in cells]
errors = [repr(r.error_before_exec or r.error_in_exec) for r in results if not r.success]
from minigen.course.checks import VERDICTS, report
verdicts = {name: [verdict.status, report(verdict)] for name, verdict in VERDICTS.items()}
with open(target, "w", encoding="utf-8") as file:
    json.dump([verdicts, errors], file)
os._exit(0)  # whatever threads are left
"""


def run_cells(
    cells: list[str], context: list[str], limit: float
) -> tuple[dict[str, list[str]], list[str]]:
    """Run the cells after their context in a process of its own.

    Returns the verdicts, id -> [status, report], and the exceptions that cells raised; or (empty,
    [what happened]) if the process took more than `limit` seconds or died.
    """
    search_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "verdicts.json"
        try:
            subprocess.run(
                [sys.executable, "-c", CHILD],
                input=json.dumps([cells, context, str(target)]).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=limit,
                cwd=LESSONS,  # where a lesson finds its checkpoints
                env={**os.environ, "PYTHONPATH": search_path, "IPYTHONDIR": folder},
            )
        except subprocess.TimeoutExpired:
            return {}, [f"not finished after {limit:g} seconds"]
        if not target.exists():
            return {}, ["its process ended early"]
        verdicts, errors = json.loads(target.read_text(encoding="utf-8"))
        return verdicts, errors


def lessons_of(notebook: NotebookNode) -> list[str]:
    """The numbers of the lessons whose exercises the notebook holds."""
    return sorted({name.partition(".")[0] for name in exercise_copies(notebook)})


def grade(notebook: NotebookNode, limit: float = 60) -> dict[str, str]:
    """For each exercise of its lessons: "passed", "not attempted", or "failed: ..." with the
    message.

    Of several copies of an exercise the best counts, and the grade says how many there were.
    """
    grades = {}
    copies = exercise_copies(notebook)
    for lesson in lessons_of(notebook):
        for exercise in tqdm(table(lesson), f"lesson {lesson}", leave=False, unit="exercise"):
            indices = copies.get(exercise.id, [])
            marks = [grade_cell(notebook, exercise.id, index, limit) for index in indices]
            ranked = sorted(marks, key=lambda mark: (mark != "passed", mark == "not attempted"))
            best = ranked[0] if ranked else "not attempted"
            grades[exercise.id] = f"{best} (best of {len(marks)} copies)" if marks[1:] else best
    return grades


def grade_cell(notebook: NotebookNode, name: str, index: int, limit: float) -> str:
    """The grade of one exercise cell, run by itself after its context."""
    source = notebook.cells[index].source
    verdicts, errors = run_cells([source], context_of(notebook, index), limit)
    silent = "; ".join(errors) or "its check did not run"
    status, message = verdicts.get(name, ["failed", silent])
    return status if status != "failed" else f"failed: {' '.join(message.split())}"


def main(argv: list[str] | None = None) -> int:
    """`python -m minigen check FILE.ipynb [...] --csv out.csv`.

    One row a student, that is a file. Returns 0; 1 if a file was no readable notebook.
    """
    parser = argparse.ArgumentParser(
        "python -m minigen check",
        description="Run the exercises of handed-in notebooks. This is no sandbox: the notebooks'"
        " code runs with your rights, can read and delete your files, and can lie about its"
        " result.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.ipynb")
    parser.add_argument("--csv", type=Path, metavar="out.csv", help="where the rows go")
    parser.add_argument("--seconds", type=float, default=60, help="limit of one exercise (60)")
    options = parser.parse_args(argv)
    if not options.seconds > 0:
        parser.error(f"--seconds: expected a positive number, got {options.seconds}")
    print("This is no sandbox: the notebooks' code runs with your rights.")
    handed_in = {path: opened(path) for path in options.files}
    lessons = sorted({n for book in handed_in.values() if book for n in lessons_of(book)})
    names = [exercise.id for lesson in lessons for exercise in table(lesson)]
    with (options.csv or Path(os.devnull)).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["student", "passed", "problem", *names], restval="")
        writer.writeheader()
        for path, notebook in handed_in.items():
            grades = grade(notebook, options.seconds) if notebook else {}
            passed = sum(mark.startswith("passed") for mark in grades.values())
            row = {"student": path.with_suffix("").as_posix(), "passed": passed, **grades}
            if not grades:
                row["problem"] = "no exercise in it" if notebook else "not a readable notebook"
            writer.writerow(row)
            file.flush()  # as soon as it is marked
            print(f"{path}: {row.get('problem') or f'{passed} of {len(grades)} passed'}")
            for name, mark in grades.items():
                print(f"    {name}: {mark}")
    return int(None in handed_in.values())


def opened(path: Path) -> NotebookNode | None:
    """The notebook, or None: one broken file must not cost the class its table."""
    try:
        return read(path)
    except Exception as error:
        print(f"{path}: not a readable notebook: {type(error).__name__}: {error}")
        return None
