"""minigen beside PyTorch eager, autograd and bare matrix products: `python -m tests.benchmarks`.

One process a framework, taking turns workload by workload, round by round. A framework that is not
installed in this Python is left out; `--python` may name another interpreter for PyTorch and
autograd.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "W5kv", "W6", "W7", "W8")
TRAINING = ("W1", "W2", "W3", "W4", "W8")
COLUMNS = ("minigen", "torch", "autograd", "products")
PAUSE = 0.2  # seconds before a measurement: threads of the one before still spin for a while


class Worker:
    """A process that measures one framework."""

    def __init__(self, framework: str, python: str, threads: int) -> None:
        environment = os.environ | {
            "OPENBLAS_NUM_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
        }
        environment |= {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
        command = [python, str(HERE / "worker.py"), framework, str(threads)]
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.workloads = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else []  # a framework that is not installed

    def ask(self, workload: str) -> tuple[float, float, list[float]]:
        """The first time: MiB that it added, 0, losses.

        From then on: seconds on the wall, seconds of the processor, losses.
        """
        self.process.stdin.write(workload + "\n")
        self.process.stdin.flush()
        return self.answer() or sys.exit(f"the process stopped during {workload}")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def peak_memory(framework, python, threads, workload):
    """MiB that the first steps add to a fresh process."""
    worker = Worker(framework, python, threads)
    peak = worker.ask(workload)[0] if workload in worker.workloads else None
    worker.close()
    return peak


def agree(name: str, losses: dict[str, list[float]]) -> None:
    """Every framework must compute the same thing."""
    ours = losses["minigen"]
    for framework, theirs in losses.items():
        if framework != "products" and any(
            abs(a - b) > 1e-4 * (1 + abs(a)) for a, b in zip(ours, theirs)
        ):
            raise AssertionError(f"{name}: minigen gives {ours}, {framework} {theirs}")


def run(
    threads: int, rounds: int, python: str, clock: int, workloads: list[str]
) -> dict[str, dict[str, list[float]]]:
    """Seconds by workload and framework, one number a round."""
    pythons = {
        "minigen": sys.executable,
        "torch": python,
        "autograd": python,
        "products": sys.executable,
    }
    workers = {name: Worker(name, pythons[name], threads) for name in COLUMNS}
    times = {}
    for name in workloads:
        here = {
            framework: worker for framework, worker in workers.items() if name in worker.workloads
        }
        agree(name, {framework: worker.ask(name)[2] for framework, worker in here.items()})
        times[name] = {framework: [] for framework in here}
    for turn in range(rounds):
        for name in workloads:
            for framework in list(times[name])[:: 1 if turn % 2 else -1]:
                time.sleep(PAUSE)
                times[name][framework].append(workers[framework].ask(name)[clock])
    for worker in workers.values():
        worker.close()
    return times


def table(times, memory, threads, rounds, clock) -> str:
    what = "processor time" if clock else "wall clock"
    ratio = "minigen / PyTorch"
    columns = f"minigen | PyTorch | autograd | products alone | {ratio} | peak MiB, {ratio}"
    lines = [
        f"**{threads} thread{'s' * (threads > 1)}**: milliseconds of {what} and their ratio in one "
        f"round, median of {rounds} rounds (smallest to largest); W7: microseconds per op",
        "",
        f"| | {columns} |",
        "|---|---|---|---|---|---|---|",
    ]
    ratios = []
    for name, row in times.items():
        cells = []
        for framework in COLUMNS:
            values = sorted(1000 * seconds for seconds in row.get(framework, []))
            middle = f"{statistics.median(values):.3g}" if values else ""
            cells.append(f"{middle} ({values[0]:.3g} to {values[-1]:.3g})" if values else "")
        ratio = ""
        if "torch" in row:  # round by round: what slows the machine down for a while slows both
            pairs = sorted(ours / theirs for ours, theirs in zip(row["minigen"], row["torch"]))
            ratios.append(statistics.median(pairs))
            ratio = f"**{ratios[-1]:.2f}** ({pairs[0]:.2f} to {pairs[-1]:.2f})"
        megabytes = " / ".join(f"{m:.0f}" for m in memory.get(name, []) if m is not None)
        lines.append(f"| {name} | {' | '.join(cells)} | {ratio} | {megabytes} |")
    if ratios:
        lines += ["", f"Geometric mean of the ratios: **{statistics.geometric_mean(ratios):.2f}**"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--python", default=sys.executable, help="interpreter that has PyTorch and autograd"
    )
    parser.add_argument(
        "--cpu", action="store_true", help="processor time: for one thread on a busy machine"
    )
    parser.add_argument("--only", nargs="+", default=list(WORKLOADS), choices=WORKLOADS)
    parser.add_argument(
        "--no-memory", action="store_true", help="skip the peaks, which need a process each"
    )
    options = parser.parse_args()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    for threads in options.threads:
        times = run(threads, options.rounds, options.python, int(options.cpu), options.only)
        memory = {}
        if not options.no_memory:
            for name in [name for name in options.only if name in TRAINING]:
                pairs = (("minigen", sys.executable), ("torch", options.python))
                memory[name] = [
                    peak_memory(framework, python, threads, name) for framework, python in pairs
                ]
        print(table(times, memory, threads, options.rounds, int(options.cpu)), end="\n\n")


if __name__ == "__main__":
    main()
