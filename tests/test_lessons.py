"""Every notebook runs: stubs alone, with solutions filled in, and (thorough) as it stands; then the
machinery itself.

All in fresh kernels without network. No clock decides whether a lesson is right: what it took is
shown beside what it states, and only ten times as much fails.
"""

import csv
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from minigen.course import handed_in, notebooks, work
from minigen.course.exercise import table
from minigen.course.notebooks import clean, execute, exercise_cells, fill_in, read

LESSONS = [path for path in notebooks.lesson_paths() if path.parent == notebooks.LESSONS]
PARTS = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
NUMBERED = pytest.mark.parametrize(
    "path", [p for p in LESSONS if p.stem[:2].isdigit()], ids=lambda path: path.stem
)


def printed(notebook) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


def assert_all_passed(notebook) -> None:
    text = printed(notebook)
    assert [name for name in exercise_cells(notebook) if f"{name}: passed" not in text] == []


# -- the lessons -----------------------------------------------------------------------------------


@NUMBERED
def test_lesson_table_and_solutions_have_the_same_exercises(path):
    names = [exercise.id for exercise in table(path.stem[:2])]
    assert list(exercise_cells(read(path))) == names
    assert list(exercise_cells(read(path.parent / "solutions" / path.name))) == names
    assert 3 <= len(names) <= 7


@NUMBERED
def test_stubs_are_not_attempted_yet(path):
    lesson = read(path)
    cells = exercise_cells(lesson)
    context = notebooks.context_of(lesson, max(cells.values()))
    verdicts, errors = handed_in.run_cells(
        [lesson.cells[index].source for index in cells.values()], context, limit=60
    )
    assert errors == []
    assert {name: status for name, (status, _) in verdicts.items()} == dict.fromkeys(
        cells, "not attempted"
    )


@pytest.fixture(scope="module")
def runs(request):
    """The runs of the lessons that are asked for: each filled in, and its solutions alone.

    Two at a time, for each keeps to one thread.
    """
    wanted = [item.callspec.params["path"] for item in request.session.items if uses_runs(item)]
    with ThreadPoolExecutor(2) as pool:
        started = {}
        for path in dict.fromkeys(wanted):
            lesson, solutions = read(path), path.parent / "solutions" / path.name
            if solutions.exists():
                lesson = fill_in(lesson, read(solutions))
                started[solutions] = pool.submit(execute, read(solutions))
            started[path] = pool.submit(execute, lesson)
        yield started
        for run in started.values():
            run.cancel()


def uses_runs(item) -> bool:
    return "runs" in getattr(item, "fixturenames", ())


@PARTS
def test_lesson_runs_with_its_solutions_within_its_seconds(path, runs):
    run = runs[path].result()
    assert run.problems == []
    assert_all_passed(run.notebook)
    stated = notebooks.stated_seconds(read(path))
    print(f"{path.name} states {stated} seconds, and took {run.seconds:.0f}")
    assert stated is not None and stated <= notebooks.LONGEST
    assert run.seconds <= 10 * stated


@NUMBERED
def test_solutions_run_by_themselves(path, runs):
    run = runs[path.parent / "solutions" / path.name].result()
    assert run.problems == []
    assert_all_passed(run.notebook)


@PARTS
def test_committed_notebook_is_whole_clean_and_small(path):
    for file in (path, path.parent / "solutions" / path.name):
        if not file.exists():
            continue
        notebook = read(file)
        nbformat.validate(notebook)
        assert file.stat().st_size <= notebooks.LARGEST
        assert clean(notebook) == notebook, "refresh it: python -m minigen lessons"
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert outputs and all(output.output_type != "error" for output in outputs)


@NUMBERED
def test_a_lesson_points_only_to_what_is_there(path):
    lesson = read(path)
    assert notebooks.dead_ends(lesson) == []
    assert notebooks.dead_ends(read(path.parent / "solutions" / path.name)) == []
    (links,) = [c for c in lesson.cells if "navigation" in c.metadata.get("tags", [])]
    assert links.source == notebooks.navigation(path), "refresh it: python -m minigen lessons"


@pytest.mark.thorough
@PARTS
def test_lesson_runs_as_it_stands(path):
    assert execute(read(path)).problems == []


# -- the machinery ---------------------------------------------------------------------------------

TABLE = """
from minigen.course.exercise import Exercise

def double(x):
    return 2 * x

EXERCISES = tuple(
    Exercise(
        name, "doubling", double,
        alternatives=(lambda x: x + x, lambda x: x * 2),
        wrong=(
            (lambda x: x * x, "this is the square"), (lambda x: x, "unchanged"),
            (lambda x: x / 2, "half"),
        ),
        hints=("one", "two"),
        inputs=lambda rng: (rng.normal(size=3),),
    )
    for name in ("98.double", "98.twice", "98.again", "98.left")
)
"""
SETUP = "import numpy as np\nfrom minigen.course import check, predict, reveal"


def code(source: str, *tags: str):
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def lesson_98(*cells):
    header = new_markdown_cell("# 98\n**Minutes:** 1. **Computing:** 20 seconds.")
    return new_notebook(cells=[header, code(SETUP, "setup"), *cells])


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A folder with a table for lesson 98, which child processes find too."""
    import minigen.course.exercises as package

    folder = tmp_path_factory.mktemp("tables")
    (folder / "lesson_98.py").write_text(TABLE, encoding="utf-8")
    (folder / "sitecustomize.py").write_text(
        f"import minigen.course.exercises as package\npackage.__path__.append({str(folder)!r})",
        encoding="utf-8",
    )
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(folder))
    patch.setattr(package, "__path__", [*package.__path__, str(folder)])
    yield folder
    patch.undo()
    sys.modules.pop("minigen.course.exercises.lesson_98", None)


STUB = 'def double(x):\n    raise NotImplementedError\n\ncheck("98.double", double)'
SOLVED = 'def double(x):\n    return x + x\n\ncheck("98.double", double)'


def test_a_lesson_is_filled_in_executed_and_cleaned_to_the_same_bytes_twice(tables, tmp_path):
    lesson = lesson_98(
        code("from tqdm import tqdm\nfor _ in tqdm(range(3)):\n    print(object())"),
        code("predict('98.a', None)\nreveal('98.a', 2.0)"),
        code(
            "from minigen import plots\npoints = np.random.default_rng(0).normal(size=(4, 20, 2))\n"
            "plots.animate(points, plots.points())"
        ),
        code("plots.curves({'loss': np.arange(3.0)}, 'step', 'nats')"),
        code(STUB),
        code("import time; print(time.perf_counter())", "varies"),
    )
    filled = fill_in(lesson, lesson_98(code(SOLVED)))
    first, second = execute(filled, tmp_path), execute(filled, tmp_path)
    assert first.problems == [] and 0 < first.seconds <= first.wall
    assert notebooks.stated_seconds(lesson) == 20
    once = clean(first.notebook)
    assert nbformat.writes(clean(second.notebook, previous=once)) == nbformat.writes(once)
    assert nbformat.writes(clean(second.notebook)) != nbformat.writes(once), (
        "the time was taken anew"
    )
    assert clean(once) == once
    assert_all_passed(once)
    text = printed(once)
    assert "no prediction yet" in text and "<object object at 0x...>" in text and "it/s" not in text
    kinds = [
        set(output.data)
        for cell in once.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    assert "image/gif" in kinds[0] and "image/png" in kinds[1]
    assert (
        clean(execute(lesson, tmp_path).notebook).cells[-2].outputs[0].text
        == "98.double: not attempted yet\n  goes on with: the reference\n"
    )


def test_a_kernel_has_this_package_but_no_network(tmp_path):
    attempts = [
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=5)",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)",
    ]
    cells = [
        code(f"try:\n    {attempt}\nexcept OSError as error:\n    print(error)")
        for attempt in attempts
    ]
    cells.append(code("import socket\nwith socket.create_server(('127.0.0.1', 0)) as server:\n"
                      "    socket.create_connection(server.getsockname()).close()"))  # fmt: skip
    cells.append(
        code("import numpy, minigen\nprint(numpy.__version__, minigen.__file__, sep='\\n')")
    )
    *errors, version, file = printed(
        execute(new_notebook(cells=cells), tmp_path).notebook
    ).splitlines()
    assert len(errors) == 3 and all(
        "no network while the lessons are executed" in error for error in errors
    )
    assert version == np.__version__ and Path(file).is_relative_to(notebooks.ROOT)


def test_warnings_are_problems_and_progress_bars_are_not(tmp_path):
    loop = code("from tqdm import tqdm\nfor _ in tqdm(range(3), desc='training'): pass")
    warning = code("import warnings; warnings.warn('mind the step')")
    (problem,) = execute(new_notebook(cells=[loop, warning]), tmp_path).problems
    assert problem.startswith("cell 1") and "mind the step" in problem


def test_cleaning_takes_out_what_changes():
    cell = code("x")
    cell.execution_count = 7
    cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00Z"}
    cell.outputs = [
        new_output("stream", name="stdout", text="a 50%\r"),
        new_output(
            "stream", name="stdout", text="a done\n" + str(notebooks.ROOT / "lessons") + "\n"
        ),
        new_output(
            "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "f00"}}
        ),
        new_output("execute_result", {"text/plain": "<f at 0x7f0012345678>"}, execution_count=7),
    ]
    cleaned = clean(new_notebook(cells=[cell], metadata={"widgets": {"state": 1}}))
    assert "widgets" not in cleaned.metadata and cleaned.cells[0].metadata == {}
    assert [
        output.get("text") or output.data["text/plain"] for output in cleaned.cells[0].outputs
    ] == ["a done\nlessons\n", "<f at 0x...>"]
    assert (
        cleaned.cells[0].execution_count is None
        and cleaned.cells[0].outputs[1].execution_count is None
    )
    assert cell.execution_count == 7, "the original is left alone"


def test_an_exercise_sees_setup_cells_and_definitions_only():
    lesson = lesson_98(
        code("import time\ntime.sleep(100)\ndef helper(x):\n    return x\nslow = helper(3)"),
        code("%matplotlib inline\nclass Helper: pass"),
        code("this does not parse"),
        code('check("98.again", abs)', "demo"),
        code('def other(x):\n    return x\ncheck("98.twice", other)'),
        code(STUB),
    )
    other = "def other(x):\n    return x"
    context = notebooks.context_of(lesson, exercise_cells(lesson)["98.double"])
    assert "98.again" not in exercise_cells(lesson)
    assert context == [
        SETUP,
        "import time",
        "def helper(x):\n    return x",
        "class Helper:\n    pass",
        other,
    ]


def test_a_class_is_graded_one_row_a_student(tables, tmp_path, capsys):
    good = lesson_98(
        code("def add(x, y):\n    return x + y"),
        code('def double(x):\n    return add(x, x)\n\ncheck("98.double", double)'),
        code('def twice(x):\n    raise NotImplementedError\n\ncheck("98.twice", twice)'),
        code('check("98.again", lambda x: x * x)'),
    )
    bad = lesson_98(
        code('def double(x):\n    return x +\n\ncheck("98.double", double)'),
        code('def twice(x):\n    import time; time.sleep(100)\n\ncheck("98.twice", twice)'),
        code('import os\nos._exit(3)\ncheck("98.again", abs)'),
        code('def left(x):\n    return [x][1]\n\ncheck("98.left", left)'),
    )
    nbformat.write(good, tmp_path / "ada.ipynb")
    nbformat.write(bad, tmp_path / "bob.ipynb")
    (tmp_path / "eve.ipynb").write_text("no notebook", encoding="utf-8")
    ada, bob, eve = marked(tmp_path, "ada.ipynb", "bob.ipynb", "eve.ipynb")
    assert Path(ada["student"]).name == "ada" and ada["passed"] == "1"
    assert ada["98.double"] == "passed" and "this is the square" in ada["98.again"]
    assert ada["98.twice"] == ada["98.left"] == "not attempted"
    assert "SyntaxError" in bob["98.double"]
    assert bob["98.twice"] == "failed: not finished after 10 seconds"
    assert bob["98.again"] == "failed: its process ended early"
    assert "IndexError" in bob["98.left"] and "return [x][1]" in bob["98.left"]
    assert eve["problem"] == "not a readable notebook" and eve["98.double"] == ""
    assert "This is no sandbox" in capsys.readouterr().out


def marked(folder: Path, *names: str) -> list[dict]:
    """The rows that marking the files of a folder gives; the status is 1 if one is unreadable."""
    table = folder / "out.csv"
    files = [str(folder / name) for name in names]
    status = handed_in.main([*files, "--csv", str(table), "--seconds", "10"])
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert status == any(row["problem"] == "not a readable notebook" for row in rows)
    return rows


def test_odd_hand_ins_each_get_their_row(tables, tmp_path):
    redefined = 'def check(name, answer):\n    print("passed")\n\ncheck("98.double", None)'
    twice = code('check("98.twice", lambda x: x + x)')
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(100,)).start()\n"
    handed = {
        "folder.ipynb": None,
        "redefines.ipynb": lesson_98(code(redefined), twice),
        "constant.ipynb": lesson_98(
            code("FACTOR = 2"),
            code("times = lambda x, n: x * n"),
            code('def double(x):\n    return times(x, FACTOR)\n\ncheck("98.double", double)'),
        ),
        "copies.ipynb": lesson_98(code(STUB), code(SOLVED), code('check("98.double", abs)')),
        "thread.ipynb": lesson_98(code(thread + SOLVED)),
        "none.ipynb": lesson_98(code("1 + 1")),
        "carried.ipynb": lesson_98(
            code('def double(x):\n    return x\n\ndouble = check("98.double", double)'),
            code('check("98.twice", lambda x: double(x))'),
        ),
        "bom.ipynb": lesson_98(code(SOLVED)),
    }
    for name, notebook in handed.items():
        if notebook:
            nbformat.write(notebook, tmp_path / name)
    (tmp_path / "folder.ipynb").mkdir()
    text = (tmp_path / "bom.ipynb").read_text(encoding="utf-8")
    (tmp_path / "bom.ipynb").write_text(text, encoding="utf-8-sig")
    rows = dict(zip([*handed, "gone"], marked(tmp_path, *handed, "gone.ipynb")))
    assert rows["folder.ipynb"]["problem"] == rows["gone"]["problem"] == "not a readable notebook"
    assert rows["redefines.ipynb"]["98.double"].startswith("failed: its check did not run")
    assert rows["redefines.ipynb"]["98.twice"] == "passed"
    assert rows["constant.ipynb"]["98.double"] == "passed"
    assert rows["copies.ipynb"]["98.double"] == "passed (best of 3 copies)"
    assert rows["copies.ipynb"]["passed"] == "1"
    assert rows["thread.ipynb"]["98.double"] == "passed"
    assert rows["none.ipynb"]["problem"] == "no exercise in it"
    assert rows["carried.ipynb"]["98.double"].startswith("failed")
    assert rows["carried.ipynb"]["98.twice"] == "passed", "it goes on with the reference"
    assert rows["bom.ipynb"]["98.double"] == "passed"


def test_a_row_is_written_as_soon_as_it_is_marked(tables, tmp_path, monkeypatch):
    names = ("ada.ipynb", "bob.ipynb", "eve.ipynb")
    for name in names:
        nbformat.write(lesson_98(code(SOLVED)), tmp_path / name)
    seen = []

    def grade(notebook, limit):
        seen.append((tmp_path / "out.csv").read_text(encoding="utf-8").count("\n"))
        return {"98.double": "passed"}

    monkeypatch.setattr(handed_in, "grade", grade)
    marked(tmp_path, *names)
    assert seen[1:] == [2, 3]


def test_minutes_of_a_learner(tables):
    figure = new_output("display_data", {"image/png": "...", "text/plain": "<Figure>"})
    source = new_output("display_data", {"text/html": "<pre>", "text/plain": "a\n\nb\nc"})
    drawn, shown = code("plot()\nplot()", "figure"), code("read(thing)")
    drawn.outputs, shown.outputs = [figure, figure], [source]
    lesson = lesson_98(
        new_markdown_cell("seven words, and a formula: $x$ too"),
        drawn,
        shown,
        code(STUB),
        code(STUB.replace("double", "twice")),
        new_markdown_cell("counted\n## Further\nnot counted"),
        code("1\n2\n3"),
    )
    time = notebooks.minutes(lesson)
    header = len("98 Minutes 1 Computing 20 seconds".split())
    assert time.words == header + 7 + 1
    assert time.lines == 2 + 1 + 3 + 3 + 3  # setup, read and what it shows, two stubs
    assert time.figures == 2
    assert time.exercises == sum(exercise.minutes for exercise in table("98")[:2])
    assert time.total == time.words / 130 + time.lines / 10 + time.figures / 2 + time.exercises


def test_dead_ends_are_found(tmp_path):
    (tmp_path / "04_chains.ipynb").touch()
    text = "Lessons 04, 05 and 11, [here](04_chains.ipynb), [there](05_x.ipynb#part), lesson 4."
    lesson = new_notebook(cells=[new_markdown_cell(text)])
    assert notebooks.dead_ends(lesson, tmp_path) == ["lesson 05", "lesson 11", "05_x.ipynb"]


def test_tags_fold_cells_away():
    cells = [code("plot()", "figure"), code("reveal()", "decisive"), code("1", "varies")]
    folded = [cell.metadata.get("jupyter") for cell in clean(new_notebook(cells=cells)).cells]
    assert folded == [{"source_hidden": True}, {"outputs_hidden": True}, None]


def test_work_copies_the_lessons_and_never_overwrites(tmp_path, capsys):
    source, folder = tmp_path / "lessons", tmp_path / "mine"
    for name in ("00_a.ipynb", "checkpoints/x.npz", ".ipynb_checkpoints/00_a.ipynb"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("theirs")
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "00_a.ipynb").write_text("mine")
    copied, left = work.copy_lessons(source, folder)
    assert (copied, left) == ([Path("checkpoints/x.npz")], [Path("00_a.ipynb")])
    assert (folder / "00_a.ipynb").read_text() == "mine"
    assert work.main([str(tmp_path / "all")]) == 0
    lessons = sorted(path.name for path in notebooks.LESSONS.glob("*.ipynb"))
    assert sorted(path.name for path in (tmp_path / "all").glob("*.ipynb")) == lessons
    with pytest.raises(SystemExit):
        work.main([str(tmp_path / "lessons" / "00_a.ipynb")])
    assert "00_a.ipynb" in capsys.readouterr().err


def test_refresh_writes_once_and_reports(tables, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "LESSONS", tmp_path)
    monkeypatch.setattr(notebooks, "ROOT", tmp_path.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tables), str(Path(__file__).parents[1])]))
    path = tmp_path / "98_fake.ipynb"
    nbformat.write(lesson_98(code("print(np.pi)"), code(STUB)), path)
    assert notebooks.refresh(path) == [] and "written" in capsys.readouterr().out
    first = path.read_bytes()
    assert notebooks.refresh(path) == [] and "unchanged" in capsys.readouterr().out
    assert path.read_bytes() == first
    nbformat.write(new_notebook(cells=[code("raise ValueError('here')")]), path)
    assert "here" in notebooks.refresh(path)[0]
    monkeypatch.setattr(notebooks, "LARGEST", 10)
    nbformat.write(new_notebook(cells=[code("1")]), path)
    problems = notebooks.refresh(path, check_only=True)
    assert any("bytes" in problem for problem in problems) and any(
        "does not state" in problem for problem in problems
    )
