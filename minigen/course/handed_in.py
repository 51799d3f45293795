"""For a class: run the exercises of handed-in notebooks, each in a process of its own, and write one row a student.

This is no sandbox. A handed-in cell runs with all the rights of the person who runs this command: it can read and
delete files, and it can lie about its result. Read what you run, or run it where nothing can be lost.
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

from minigen.course.exercise import table
from minigen.course.notebooks import LESSONS, ROOT, context_of, exercise_cells, read

CHILD = """
import json, os, sys
os.environ["MPLBACKEND"] = "Agg"
cells, context, target = json.load(sys.stdin)
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for source in context:
    shell.run_cell(source)
errors = [repr(result.error_before_exec or result.error_in_exec) for result in map(shell.run_cell, cells)
          if not result.success]
from minigen.course.checks import VERDICTS, report
verdicts = {name: [verdict.status, report(verdict)] for name, verdict in VERDICTS.items()}
with open(target, "w", encoding="utf-8") as file:
    json.dump([verdicts, errors], file)
"""


def run_cells(
    cells: list[str], context: list[str], limit: float
) -> tuple[dict[str, list[str]], list[str]]:
    """Run the cells after their context in a process of its own.

    Returns the verdicts, id -> [status, report], and the exceptions that cells raised; (empty, [what happened]) if the
    process took more than `limit` seconds or died.
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


def grade(notebook: NotebookNode, limit: float = 60) -> dict[str, str]:
    """For each exercise: "passed", "not attempted", or "failed: ..." with the message the learner saw."""
    cells = exercise_cells(notebook)
    lessons = sorted({name.partition(".")[0] for name in cells})
    grades = {exercise.id: "not attempted" for lesson in lessons for exercise in table(lesson)}
    for name in grades:
        if name not in cells:
            continue
        verdicts, errors = run_cells(
            [notebook.cells[cells[name]].source], context_of(notebook, cells[name]), limit
        )
        status, message = verdicts.get(
            name, ["failed", "; ".join(errors) or "its check did not run"]
        )
        grades[name] = status if status != "failed" else f"failed: {' '.join(message.split())}"
    return grades


def main(argv: list[str] | None = None) -> int:
    """`python -m minigen check FILE.ipynb [...] --csv out.csv`: one row a student, that is a file."""
    parser = argparse.ArgumentParser(
        "python -m minigen check",
        description="Run the exercises of handed-in notebooks. This is no sandbox: the notebooks' code runs with your"
        " rights, can read and delete your files, and can lie about its result.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.ipynb")
    parser.add_argument(
        "--csv", type=Path, metavar="out.csv", help="where the rows go; default: only printed"
    )
    parser.add_argument(
        "--seconds", type=float, default=60, help="time limit of one exercise (default 60)"
    )
    options = parser.parse_args(argv)
    print("This is no sandbox: the notebooks' code runs with your rights.")
    rows = []
    for path in options.files:
        try:
            grades = grade(read(path), options.seconds)
        except Exception as error:  # one broken file must not cost the class its table
            grades = {"problem": f"not a readable notebook: {type(error).__name__}: {error}"}
        passed = sum(status == "passed" for status in grades.values())
        print(f"{path}: {passed} of {len(grades)} passed")
        for name, status in grades.items():
            print(f"    {name}: {status}")
        rows.append({"student": path.with_suffix("").as_posix(), "passed": passed, **grades})
    if options.csv:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
