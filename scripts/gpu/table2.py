#!/usr/bin/env python3
"""25,000 iterations of cifar10_full with triangular2 rates (Smith, Table 2), beside PyTorch on one card.

    python3 scripts/gpu/table2.py path/to/rcaffe

The training run itself, `rcaffe train` from start to end, against loops of PyTorch with the same net, batch, rates and precision, both
with their data on the card: 10,000 images of 3×32×32 (rcaffe's built-in set, so that nothing has to be downloaded; which images they
are does not change the time). Tests and snapshots are left out on both sides; PyTorch's time to compile is told apart. Takes about five
minutes.
"""

import re
import sys
import tempfile
import time
from pathlib import Path

import torch
from common import arguments, machine, net_text, prepare, print_table, run, steps

BATCH, SHAPE, IMAGES = 100, (3, 32, 32), 10_000

DATA = """layer { name: "data" type: "Data" top: "data" top: "label" transform_param { mean_value: 128 }
  data_param { source: "synthetic:shapes/train" batch_size: %d } }
"""

SOLVER = """net: "%s" lr_policy: "triangular2" base_lr: 0.001 max_lr: 0.005 stepsize: 2000 momentum: 0.9 weight_decay: 0.004
max_iter: %d display: %d snapshot_after_train: false random_seed: 42
"""


def rcaffe(flags, folder, text):
    """Seconds of the whole run."""
    net, solver = folder / "net.prototxt", folder / "solver.prototxt"
    net.write_text(text)
    solver.write_text(SOLVER % (net, flags.iterations, max(1, flags.iterations // 10)))
    log, seconds = run([flags.rcaffe, "train", "--solver", solver, "--gpu", flags.gpu, "--math", flags.math])
    rates = re.findall(r"Iteration \d+ \(([\d.e+]+) iter/s", log)
    return seconds, float(rates[-1]) if rates else float("nan")


def rate(iteration):
    """triangular2, as in the paper's appendix."""
    cycle = 1 + iteration // 4000
    x = abs(iteration / 2000 - 2 * cycle + 1)
    return 0.001 + 0.004 * min(1, max(0, (1 - x) / 2**cycle))


def pytorch(step, images, labels, iterations):
    """Seconds of a loop."""
    # All rates are on the card before the loop, as all images are.
    rates = torch.tensor([rate(iteration) for iteration in range(iterations)], device=step.device)
    step.wait()
    start = time.perf_counter()
    for iteration in range(iterations):
        first = iteration * BATCH % IMAGES
        step.data.copy_(images[first : first + BATCH])
        step.label.copy_(labels[first : first + BATCH])
        step.rate.copy_(rates[iteration])
        step()
    step.wait()
    return time.perf_counter() - start


def main():
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=25_000)
    flags = parser.parse_args()
    device = prepare(flags)
    text = net_text("cifar10_full", DATA % BATCH)
    with tempfile.TemporaryDirectory() as folder:
        # The first run compiles the kernels and keeps them.
        first, _ = rcaffe(argparse_copy(flags, iterations=10), Path(folder), text)
        ours, speed = rcaffe(flags, Path(folder), text)
    print(f"rcaffe: {ours:.2f} s, {speed:.0f} iterations a second at the end; 10 iterations with new kernels: {first:.2f} s", file=sys.stderr)
    images, labels = torch.randn((IMAGES, *SHAPE), device=device), torch.randint(0, 10, (IMAGES,), device=device)
    rows = [["rcaffe train", f"{ours:.1f}", f"{1e3 * ours / flags.iterations:.3f}", ""]]
    begin = time.perf_counter()
    # Without the data layer, which PyTorch's net does not know.
    for mode, step in steps(net_text("cifar10_full", ""), (BATCH, *SHAPE), flags, device):
        preparing = time.perf_counter() - begin
        seconds = pytorch(step, images, labels, flags.iterations)
        print(f"PyTorch {mode}: {seconds:.2f} s, {preparing:.1f} s before", file=sys.stderr)
        rows.append([f"PyTorch {mode}", f"{seconds:.1f}", f"{1e3 * seconds / flags.iterations:.3f}", f"**{seconds / ours:.2f}×**"])
        begin = time.perf_counter()
    print(f"\n{machine(flags, device)}: cifar10_full, batch {BATCH}, {flags.iterations} iterations.\n")
    print_table(["", "seconds", "ms an iteration", "PyTorch / rcaffe"], rows)


def argparse_copy(flags, **changes):
    """The flags with some of them changed."""
    return type(flags)(**{**vars(flags), **changes})


if __name__ == "__main__":
    main()
