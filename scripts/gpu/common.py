"""What the scripts of this folder share: nets with other data, runs of rcaffe, PyTorch's training step in several ways, tables."""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches" / "compare"))

import torch  # noqa: E402
from torch_net import Net  # noqa: E402

MODES = "eager,channels-last,compiled,graph"


def arguments(description):
    """The flags of every script that runs rcaffe beside PyTorch."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("rcaffe", type=lambda path: Path(path).resolve(), help="the program")
    parser.add_argument("--gpu", default="0", help="number of the card [default: 0]")
    parser.add_argument("--math", default="f32", choices=["f32", "tf32"], help="rounding of both [default: f32]")
    parser.add_argument("--modes", default=MODES, help=f"ways of PyTorch [default: {MODES}]")
    parser.add_argument("--torch-device", default=None, help="where PyTorch runs, for dry runs [default: the card]")
    return parser


def prepare(flags):
    """PyTorch's device, at the precision that was asked for."""
    device = torch.device(flags.torch_device or f"cuda:{flags.gpu}")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = flags.math == "tf32"
    torch.backends.cudnn.benchmark = True
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def net_text(model, data):
    """The net file with this in place of its data layers."""
    head, *layers = re.split(r"(?m)^(?=layer\s*\{)", (ROOT / "models" / f"{model}.prototxt").read_text())
    kept = [layer for layer in layers if re.search(r'type:\s*"(\w+)"', layer).group(1) != "Data"]
    return head + data + "".join(kept)


def run(command, **environment):
    """The log of a command that must succeed, and its time."""
    start = time.perf_counter()
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env={**os.environ, **environment}, cwd=ROOT)
    seconds = time.perf_counter() - start
    log = done.stdout + done.stderr
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{log[-3000:]}")
    return log, seconds


class Step:
    """PyTorch's iteration: forward, backward, update, in one of its ways.

    eager and channels-last launch kernel by kernel; compiled is torch.compile with CUDA graphs; graph records the whole eager iteration,
    with the update, in one CUDA graph. `rate` is the learning rate in the device's memory, so that a recorded update reads it too.
    """

    def __init__(self, text, shape, mode, device):
        self.device, self.mode = device, mode
        self.layout = torch.channels_last if mode == "channels-last" else torch.contiguous_format
        net = Net(text, shape).to(device, memory_format=self.layout).train()
        self.net = torch.compile(net, mode="reduce-overhead") if mode == "compiled" else net
        self.rate = torch.tensor(1e-4, device=device)
        fused = device.type == "cuda"
        self.update = torch.optim.SGD(net.parameters(), lr=self.rate if fused else 1e-4, momentum=0.9, weight_decay=5e-4, fused=fused)
        self.data = torch.randn(shape, device=device).to(memory_format=self.layout)
        self.label = torch.ones(shape[0], dtype=torch.long, device=device)
        self.recorded = None
        if mode == "graph":
            self.record()

    def once(self):
        self.update.zero_grad(set_to_none=True)
        self.loss = self.net(self.data, self.label)
        self.loss.backward()
        self.update.step()

    def record(self):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.once()
        torch.cuda.current_stream().wait_stream(side)
        self.recorded = torch.cuda.CUDAGraph()
        self.update.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.recorded):
            self.loss = self.net(self.data, self.label)
            self.loss.backward()
            self.update.step()

    def __call__(self):
        if self.recorded:
            self.recorded.replay()
        else:
            if self.mode == "compiled" and self.device.type == "cuda":
                torch.compiler.cudagraph_mark_step_begin()
            self.once()

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def steps(text, shape, flags, device):
    """The modes that work here, one after another."""
    for mode in filter(None, flags.modes.split(",")):
        try:
            step = Step(text, shape, mode, device)
            # Until everything is compiled and every algorithm is chosen.
            for _ in range(5):
                step()
            step.wait()
        except Exception as error:  # a mode that fails must not end the others
            print(f"PyTorch {mode} failed and is left out: {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        yield mode, step


def machine(flags, device):
    """A line that says what ran where."""
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU (a dry run)"
    version = subprocess.run([flags.rcaffe, "--version"], capture_output=True, text=True).stdout.strip()
    return f"{card}; {version}, PyTorch {torch.__version__} (CUDA {torch.version.cuda}), {flags.math}"


def print_table(heads, rows):
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")
