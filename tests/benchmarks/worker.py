"""One framework in a process of its own: reads workloads' names, answers with times and losses."""

import importlib
import json
import resource
import sys
import time

REPEATS = {"W1": 30, "W2": 4, "W3": 4, "W4": 4, "W5": 1, "W5kv": 1, "W6": 1, "W7": 20, "W8": 8}


def measure(step, repeats):
    """Seconds of wall clock and of processor for one step, and the losses seen."""
    wall, cpu, losses = time.perf_counter(), time.process_time(), []
    for _ in range(repeats):
        losses.append(step())
    return (time.perf_counter() - wall) / repeats, (time.process_time() - cpu) / repeats, losses


def main(framework, threads):
    if framework == "torch":
        import torch

        torch.set_num_threads(threads)
    module = importlib.import_module(f"with_{framework}")
    print(json.dumps([name for name in REPEATS if hasattr(module, name)]), flush=True)
    steps = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in steps:
            steps[name] = getattr(module, name)()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            first = [steps[name]() for _ in range(1 if name in ("W5", "W5kv", "W6") else 6)]
            peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            print(json.dumps([peak, 0, first]), flush=True)
        else:
            print(json.dumps(measure(steps[name], REPEATS[name])), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
