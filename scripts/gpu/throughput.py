#!/usr/bin/env python3
"""Images per second of AlexNet (batch 256) and GoogLeNet (batch 128) beside PyTorch on one card.

    python3 scripts/gpu/throughput.py path/to/rcaffe

Forward, backward and update on data that lies on the card (constant: `rcaffe` is timed by `rcaffe time`, whose whole iterations are
recorded and replayed). Takes about five minutes, most of them PyTorch's compiler.
"""

import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

from common import arguments, machine, net_text, prepare, print_table, run, steps

NETS = {"alexnet": ((3, 227, 227), 256), "googlenet": ((3, 224, 224), 128)}

DATA = """layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { %s } shape { dim: %d } data_filler { value: 0.5 } data_filler { value: 1 } } }
"""

SOLVER = 'net: "%s" base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005 max_iter: 1000000\n'


def rcaffe(flags, folder, text):
    """Milliseconds of an iteration."""
    net, solver = folder / "net.prototxt", folder / "solver.prototxt"
    net.write_text(text)
    solver.write_text(SOLVER % net)
    count = str(flags.iterations)
    log, _ = run([flags.rcaffe, "time", "--solver", solver, "--gpu", flags.gpu, "--math", flags.math, "--iterations", count])
    times = re.findall(r"Whole iterations: median ([\d.]+) ms", log)
    if not times:
        sys.exit(f"rcaffe time prints no whole iterations:\n{log[-3000:]}")
    return float(times[-1])


def torch(step, count):
    """Median milliseconds of an iteration."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        step()
        step.wait()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def main():
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(NETS), help="[default: both]")
    parser.add_argument("--batch", type=int, help="another batch for all nets")
    parser.add_argument("--iterations", type=int, default=50)
    flags = parser.parse_args()
    device = prepare(flags)
    modes = [mode for mode in flags.modes.split(",") if mode]
    rows = []
    for name in flags.nets.split(","):
        shape, batch = NETS[name]
        batch = flags.batch or batch
        text = net_text(name, DATA % (" ".join(f"dim: {dim}" for dim in (batch, *shape)), batch))
        with tempfile.TemporaryDirectory() as folder:
            ours = rcaffe(flags, Path(folder), text)
        print(f"{name}-{batch}, rcaffe: {ours:.2f} ms", file=sys.stderr)
        theirs = {}
        for mode, step in steps(text, (batch, *shape), flags, device):
            theirs[mode] = torch(step, flags.iterations)
            print(f"{name}-{batch}, PyTorch {mode}: {theirs[mode]:.2f} ms", file=sys.stderr)
        best = f"**{min(theirs.values()) / ours:.2f}×**" if theirs else ""
        rate = lambda milliseconds: f"{milliseconds:.2f} ms, {1e3 * batch / milliseconds:.0f}/s"
        rows.append([f"{name}-{batch}", rate(ours), *(rate(theirs[mode]) if mode in theirs else "failed" for mode in modes), best])
    print(f"\n{machine(flags, device)}: medians of {flags.iterations} iterations, and images a second.\n")
    print_table(["net-batch", "rcaffe", *(f"PyTorch {mode}" for mode in modes), "best PyTorch / rcaffe"], rows)


if __name__ == "__main__":
    main()
