#!/usr/bin/env python3
"""Times rcaffe beside PyTorch, and beside Caffe where there is one, on the same nets in one run.

    python3 -m venv .venv && .venv/bin/pip install torch numpy
    cargo build --release
    .venv/bin/python benches/compare/compare.py
    .venv/bin/python benches/compare/compare.py --nets lenet-64,resnet20-128 --caffe ../caffe/build/tools/caffe

An iteration is forward, backward and update (SGD with momentum and weight decay) in f32 on random data that lies in memory, with
all the CPUs that the process may use. PyTorch runs the net that torch_net.py builds from the same file in three ways: eager,
channels-last, and compiled (which needs a C++ compiler). All take turns, round by round; the tables have the medians and minima of
all rounds. `rcaffe time` and `caffe time` draw new random data in every pass: the time of that layer is taken off. `caffe time`
knows no update, so its column is forward and backward, and its ratio is to rcaffe's forward and backward. OpenBLAS takes new CPUs
for old ones: Caffe runs as it comes and with OPENBLAS_CORETYPE=SkylakeX, and the better counts.

Before a net is timed, rcaffe and PyTorch compute loss and gradients of one small batch from the same weights (dropout left out),
which must agree.
"""

import argparse
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy
import torch

from torch_net import Net

ROOT = Path(__file__).resolve().parents[2]

# Seeds that the check tries.
SEEDS = 5

# Model file, shape of an image, batch.
NETS = {
    "cifar10_full-100": ("cifar10_full", (3, 32, 32), 100),
    "lenet-64": ("lenet", (1, 28, 28), 64),
    "resnet20-128": ("resnet20", (3, 32, 32), 128),
    "alexnet-10": ("alexnet", (3, 227, 227), 10),
    "alexnet-64": ("alexnet", (3, 227, 227), 64),
    "googlenet-10": ("googlenet", (3, 224, 224), 10),
    "googlenet-32": ("googlenet", (3, 224, 224), 32),
}

DATA = """layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { %s } shape { dim: %d } data_filler { type: "gaussian" std: 1 } data_filler { value: 1 } } }
"""

SOLVER = 'net: "%s" base_lr: 0.0001 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005 max_iter: 1000000\n'

THREADS = len(os.sched_getaffinity(0))


def net_text(model, shape, batch, without=("Data",)):
    """The net file with random data in place of its data layers."""
    text = (ROOT / "models" / f"{model}.prototxt").read_text()
    head, *layers = re.split(r"(?m)^(?=layer\s*\{)", text)
    kept = [layer for layer in layers if re.search(r'type:\s*"(\w+)"', layer).group(1) not in without]
    dims = " ".join(f"dim: {dim}" for dim in (batch, *shape))
    return head + DATA % (dims, batch) + "".join(kept)


def run(command, **environment):
    """The log of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def passes(log, what="forward-backward"):
    return [float(number) for number in re.findall(rf"Iteration: \d+ {what} time: (\S+) ms", log)]


class Rcaffe:
    """`rcaffe time` on a solver."""

    def __init__(self, program, solver):
        self.command = [program, "time", "--solver", solver, "--iterations"]
        self.both, self.whole = [], []

    def round(self, count):
        log = run([*self.command, str(count)])
        data = float(re.search(r"\] data +([\d.]+)", log).group(1))
        both = [time - data for time in passes(log)]
        self.both += both
        self.whole += [time + update for time, update in zip(both, passes(log, "update"))]


class Caffe:
    """`caffe time` on a net, forward and backward."""

    def __init__(self, program, net, core):
        self.command = [program, "time", "-model", net, "-iterations"]
        self.environment = {"OPENBLAS_NUM_THREADS": str(THREADS), **({"OPENBLAS_CORETYPE": core} if core else {})}
        self.whole = []

    def round(self, count):
        log = run([*self.command, str(count)], **self.environment)
        data = float(re.search(r"\] +data\s+forward: (\S+) ms", log).group(1))
        self.whole += [time - data for time in passes(log)]


class ModeFailed(Exception):
    """A mode of PyTorch cannot run the net; what it printed says why."""


class Torch:
    """PyTorch in one of its modes, in a process of its own: threads that wait for one mode's work do not disturb another's."""

    def __init__(self, net, shape, mode):
        command = [sys.executable, __file__, "--worker", mode, str(net), *map(str, shape)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.whole = []
        # Until it has compiled, so that it does so while no one is timed.
        self.round(1)
        self.whole.clear()

    def round(self, count):
        print(count, file=self.process.stdin, flush=True)
        times = self.process.stdout.readline().split()
        if not times:
            raise ModeFailed
        self.whole += map(float, times)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def worker(mode, file, shape):
    """The process behind `Torch`: reads how many iterations to run, one number a line, and prints their times."""
    torch.set_num_threads(THREADS)
    layout = torch.channels_last if mode == "channels-last" else torch.contiguous_format
    net = Net(Path(file).read_text(), shape).to(memory_format=layout).train()
    run = torch.compile(net) if mode == "compiled" else net
    update = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4, fused=True)
    data = torch.randn(shape).to(memory_format=layout)
    label = torch.ones(shape[0], dtype=torch.long)

    def iterate():
        start = time.perf_counter()
        update.zero_grad(set_to_none=True)
        run(data, label).backward()
        update.step()
        return 1e3 * (time.perf_counter() - start)

    for line in sys.stdin:
        iterate()
        print(*(iterate() for _ in range(int(line))), flush=True)


def check(program, folder, model, shape):
    """Loss and gradients of both from the same weights; returns the number of parameters.

    With two images one unit at the kink of its ReLU, which rounding decides, moves a gradient by a hundredth: one of a few seeds
    has no such unit.
    """
    for seed in range(1, SEEDS):
        try:
            return check_seed(program, folder, model, shape, seed)
        except AssertionError as difference:
            print(f"seed {seed}: {difference}", file=sys.stderr)
    return check_seed(program, folder, model, shape, SEEDS)


def check_seed(program, folder, model, shape, seed):
    """The same with one seed."""
    text = net_text(model, shape, 2, without=("Data", "Dropout"))
    file, arrays = folder / "check.prototxt", folder / "check.npz"
    file.write_text(text)
    run([program, "dump", "--model", file, "--phase", "TRAIN", "--seed", str(seed), "--backward", "--out", arrays])
    net = Net(text, (2, *shape))
    with numpy.load(arrays) as theirs:
        compared = set()
        for layer, parameters in net.parameters_by_layer():
            for index, parameter in enumerate(parameters):
                compared.add(f"param:{layer}:{index}")
                with torch.no_grad():
                    parameter.copy_(torch.from_numpy(theirs[f"param:{layer}:{index}"]).reshape(parameter.shape))
        # What BatchNorm keeps is no parameter in PyTorch.
        missed = [key for key in theirs.files if key.startswith("param:") and key not in compared and "_bn:" not in key]
        assert not missed, f"{model}: parameters of rcaffe alone: {missed}"
        loss = net(torch.from_numpy(theirs["data:data"]), torch.from_numpy(theirs["data:label"]).long().flatten())
        loss.backward()
        expected = sum(theirs[f"data:{top}"].item() * theirs[f"diff:{top}"].item() for top in net.losses)
        assert math.isclose(loss.item(), expected, rel_tol=1e-4), f"{model}: loss {loss.item()}, rcaffe's {expected}"
        for layer, parameters in net.parameters_by_layer():
            for index, parameter in enumerate(parameters):
                gradient = torch.from_numpy(theirs[f"param_diff:{layer}:{index}"]).reshape(parameter.shape)
                error, size = (parameter.grad - gradient).norm().item(), gradient.norm().item()
                assert error <= 1e-2 * size + 1e-6, f"{model}: gradient {index} of {layer} is off by {error} of {size}"
    arrays.unlink()
    return sum(parameter.numel() for parameter in net.parameters())


def measure(arguments, folder, name):
    """All runners of a net after all rounds."""
    model, shape, batch = NETS[name]
    parameters = check(arguments.rcaffe, folder, model, shape)
    print(f"{name}: {parameters} parameters, loss and gradients agree", file=sys.stderr)
    text = net_text(model, shape, batch)
    net, solver = folder / f"{name}.prototxt", folder / f"{name}_solver.prototxt"
    net.write_text(text)
    solver.write_text(SOLVER % net)
    runners = {"rcaffe": Rcaffe(arguments.rcaffe, solver)}
    for mode in arguments.modes:
        try:
            runners[mode] = Torch(net, (batch, *shape), mode)
        except ModeFailed:
            print(f"{name}: PyTorch {mode} failed and is left out", file=sys.stderr)
    if arguments.caffe:
        runners["caffe"] = Caffe(arguments.caffe, net, None)
        runners["caffe SkylakeX"] = Caffe(arguments.caffe, net, "SkylakeX")
    least = math.ceil(arguments.iterations / arguments.rounds)
    for number in range(arguments.rounds):
        for key, runner in runners.items():
            known = statistics.median(runner.whole) if runner.whole else math.inf
            # Short iterations are repeated for half a second.
            runner.round(min(max(least, int(500 / known)), 100))
            print(f"{name}, round {number + 1}, {key}: {statistics.median(runner.whole):.1f} ms", file=sys.stderr)
    return runners


def row(name, runners, modes, statistic):
    whole = {key: statistic(runner.whole) for key, runner in runners.items()}
    ours = whole["rcaffe"]
    cells = [name, f"{ours:.1f}"]
    cells += [f"{whole[mode]:.1f}" if mode in whole else "failed" for mode in modes]
    torch_times = [whole[mode] for mode in modes if mode in whole]
    cells.append(f"**{min(torch_times) / ours:.2f}×**" if torch_times else "")
    theirs = [value for key, value in whole.items() if key.startswith("caffe")]
    if theirs:
        both = statistic(runners["rcaffe"].both)
        cells += [f"{min(theirs):.1f}", f"{both:.1f}", f"**{min(theirs) / both:.2f}×**"]
    return "| " + " | ".join(cells) + " |"


def table(title, results, modes, statistic):
    heads = ["net-batch", "rcaffe", *(f"PyTorch {mode}" for mode in modes), "best PyTorch / rcaffe"]
    if any("caffe" in runners for runners in results.values()):
        heads += ["Caffe, forward + backward", "rcaffe, forward + backward", "Caffe / rcaffe"]
    lines = [f"{title}, in ms:", "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(row(name, runners, modes, statistic) for name, runners in results.items())]) + "\n"


def machine(arguments):
    names = re.findall(r"(?m)^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text())
    versions = [run([arguments.rcaffe, "--version"]).strip(), f"PyTorch {torch.__version__}"]
    if arguments.caffe:
        versions.append(run([arguments.caffe, "-version"]).strip().splitlines()[0])
    name = names[0] if names else "unknown CPU"
    load = os.getloadavg()[0]
    return (f"{name}, {torch.backends.cpu.get_cpu_capability()}, {THREADS} threads (load average before: {load:.1f}, more than 0 "
            f"disturbs); {', '.join(versions)}.")


def main():
    if sys.argv[1:2] == ["--worker"]:
        mode, file, *shape = sys.argv[2:]
        worker(mode, file, [int(dim) for dim in shape])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(NETS), help=f"of {', '.join(NETS)} [default: all]")
    parser.add_argument("--modes", default="eager,channels-last,compiled", help="PyTorch's modes [default: all three]")
    parser.add_argument("--rcaffe", default=ROOT / "target/release/rcaffe", help="the program")
    parser.add_argument("--caffe", help="Caffe's program, if there is one")
    parser.add_argument("--rounds", type=int, default=5, help="how often all take turns [default: 5]")
    parser.add_argument("--iterations", type=int, default=20, help="least iterations of each in all [default: 20]")
    arguments = parser.parse_args()
    arguments.modes = [mode for mode in arguments.modes.split(",") if mode]
    results, description = {}, machine(arguments)
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.nets.split(","):
            try:
                results[name] = measure(arguments, Path(folder), name)
            except KeyboardInterrupt:
                print("interrupted: the tables have the nets that were done", file=sys.stderr)
                break
            for runner in results[name].values():
                if isinstance(runner, Torch):
                    runner.stop()
    print(f"    {' '.join(['python', *sys.argv])}\n\n{description}\n")
    print("Forward + backward + update, f32, all threads, in turn; at least", arguments.iterations, "iterations of each.\n")
    print(table("Medians", results, arguments.modes, statistics.median))
    print(table("Minima", results, arguments.modes, min))


if __name__ == "__main__":
    main()
