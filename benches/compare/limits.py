#!/usr/bin/env python3
"""What rcaffe takes of memory and of time to start, beside what it should take at most. Needs nothing but Python.

    cargo build --release
    python3 benches/compare/limits.py

Memory: the peak resident size of training AlexNet with a batch of 64, beside 0.8 of what Caffe needs at least: the bytes that it
logs as "Memory required for data", twice (data and gradients), and the parameters twice. Start: the time from the start of the
program to the first iteration of cifar10_full, whose data must be there (`rcaffe data cifar10 data`); the best of several runs.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RCAFFE = ROOT / "target/release/rcaffe"

DATA = """layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 64 dim: 3 dim: 227 dim: 227 } shape { dim: 64 } data_filler { type: "gaussian" std: 1 } data_filler { value: 1 } } }
"""

SOLVER = """net: "%s" base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005 max_iter: %d display: 1
snapshot_after_train: false
"""

RUNS = 10


def without_data(model):
    """A net file in parts: what stands before the layers, and the layers that are no data layers."""
    head, *layers = re.split(r"(?m)^(?=layer\s*\{)", (ROOT / "models" / f"{model}.prototxt").read_text())
    return head, [layer for layer in layers if 'type: "Data"' not in layer]


def memory(folder):
    head, layers = without_data("alexnet")
    net, solver = folder / "net.prototxt", folder / "solver.prototxt"
    net.write_text(head + DATA + "".join(layers))
    solver.write_text(SOLVER % (net, 2))
    with open(folder / "log", "w") as log:
        process = subprocess.Popen([RCAFFE, "train", "--solver", solver], stderr=log, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
    text = (folder / "log").read_text()
    if status != 0:
        sys.exit(text[-1000:])
    data = 2 * int(re.findall(r"Memory required for data: (\d+)", text)[-1])
    log = subprocess.run([RCAFFE, "time", "--model", net, "--iterations", "1"], capture_output=True, text=True, cwd=folder).stderr
    parameters = float(re.search(r"of blobs, (\S+) KiB of parameters", log).group(1)) * 1024
    peak, estimate = usage.ru_maxrss * 1024, data + parameters
    print(f"AlexNet, batch 64: peak {peak / 1e6:.0f} MB; Caffe's estimate {estimate / 1e6:.0f} MB "
          f"(data {data / 1e6:.0f}, parameters {parameters / 1e6:.0f}); {peak / estimate:.2f} of it, at most 0.8")


def start(folder):
    solver = folder / "start.prototxt"
    solver.write_text(SOLVER % (ROOT / "models/cifar10_full.prototxt", 1))
    solving, first = [], []
    for _ in range(RUNS):
        begin = time.perf_counter()
        # Paths to data in the net file are relative to the repository.
        command = [RCAFFE, "train", "--solver", solver, "--log", folder / "start.log"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for line in process.stderr:
            if "] Solving " in line:
                solving.append(time.perf_counter() - begin)
            if "] Iteration 0 " in line:
                first.append(time.perf_counter() - begin)
                break
        process.stderr.read()
        if process.wait() != 0:
            sys.exit("rcaffe train failed: is the data there? `rcaffe data cifar10 data` makes it")
    print(f"cifar10_full: in its first iteration after {1e3 * min(solving):.0f} ms, through it after {1e3 * min(first):.0f} ms "
          f"(best of {RUNS}); at most 200 ms")


with tempfile.TemporaryDirectory() as temporary:
    memory(Path(temporary))
    start(Path(temporary))
