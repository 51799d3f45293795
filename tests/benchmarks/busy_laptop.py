"""Every lesson and the main job with one and two threads, quiet and beside one busy process.

`python -m tests.benchmarks.busy_laptop`, on a machine of two cores where nothing else runs: about
an hour. Seconds on the wall clock, Python's start included; one run of each, the four of a job
one after the other. The busy process computes without end, as a page in a browser may. Beside it a
job may take three times as long as alone; then it is stopped, and "> " stands before its seconds.
`python -m tests.benchmarks.busy_laptop 07 main` measures only those.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from minigen.course import notebooks

MAIN = "main"
PATIENCE = 3  # times the quiet seconds
LESSON = """
from minigen.course import notebooks
[path] = notebooks.LESSONS.glob("{}_*.ipynb")
notebooks.execute(notebooks.read(path))
"""


@contextmanager
def busy_process() -> Iterator[None]:
    """Another process that wants a core all the time."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def seconds(job: str, threads: int, limit: float | None = None) -> float:
    """Wall clock of a lesson, by its number, or of the main job; `limit` if it takes longer."""
    with tempfile.TemporaryDirectory() as folder:
        what = ["-m", "minigen", "--out", folder] if job == MAIN else ["-c", LESSON.format(job)]
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *what],
            env=os.environ | {"OPENBLAS_NUM_THREADS": str(threads)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # (a kernel has its own, and ends soon after its parent)
        )
        try:
            if process.wait(limit):
                raise RuntimeError(f"{job} failed with {threads} threads")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(3)  # until a notebook's kernel has ended, too
            return limit
        return time.perf_counter() - start


def row(job: str) -> str:
    """One line of the table: the seconds of the four runs of a job."""
    quiet = {threads: seconds(job, threads) for threads in (1, 2)}
    cells = [f"{s:.0f}" for s in quiet.values()]
    for threads, alone in quiet.items():
        limit = PATIENCE * alone
        with busy_process():
            took = seconds(job, threads, limit)
        more = "> " if took == limit else ""
        cells += [f"{more}{took:.0f} ({more}{took / alone:.2f} x)"]
    return f"| {job} | {' | '.join(cells)} |"


def main() -> None:
    lessons = sorted(path.name[:2] for path in notebooks.LESSONS.glob("[0-9]*.ipynb"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="*", default=[*lessons, MAIN])
    print("| | quiet, 1 thread | quiet, 2 threads | busy, 1 thread | busy, 2 threads |")
    print("|---|---|---|---|---|")
    for job in parser.parse_args().jobs:
        print(row(job), flush=True)


if __name__ == "__main__":
    main()
