"""A Caffe net file as a PyTorch module: the same layers, the same parameters, the same loss.

It knows the layer types of the nets in models/ that compare.py times, and no more. A BatchNorm with the Scale behind it becomes one
BatchNorm2d, as a user of PyTorch would write it.
"""

import re

import torch
from torch import nn
from torch.nn import functional as F

TOKEN = re.compile(r'\s*(?:#[^\n]*\s*)*("(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[A-Za-z0-9_.+-]+|[{}:])')


def parse(text):
    """A message in Caffe's text format as a dictionary: every field is a list of its values."""
    text = re.sub(r"(\s*(#[^\n]*)?)*$", "", text)
    tokens, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"no token at {text[at:at + 40]!r}")
        tokens.append(match.group(1))
        at = match.end()
    message, rest = _message(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"a closing brace too many behind {tokens[max(0, rest - 5):rest]}")
    return message


def _message(tokens, at):
    message = {}
    while at < len(tokens) and tokens[at] != "}":
        name, at = tokens[at], at + 1
        if tokens[at] == ":":
            at += 1
        if tokens[at] == "{":
            value, at = _message(tokens, at + 1)
        else:
            value = _scalar(tokens[at])
        message.setdefault(name, []).append(value)
        at += 1
    return message, at


def _scalar(token):
    if token[0] in "\"'":
        return token[1:-1]
    for convert in (int, float):
        try:
            return convert(token)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(token, token)


def one(message, field, default=None):
    """The value of a field that is given at most once."""
    return message.get(field, [default])[0]


def takes_part(layer):
    """Whether a layer is in the training net."""
    return all(one(rule, "phase", "TRAIN") == "TRAIN" for rule in layer.get("include", []))


class Relu(nn.Module):
    def __init__(self, in_place):
        super().__init__()
        self.in_place = in_place

    def forward(self, x):
        return F.relu(x, inplace=self.in_place)


class LrnWithinChannel(nn.Module):
    def __init__(self, size, alpha, beta):
        super().__init__()
        self.size, self.alpha, self.beta = size, alpha, beta

    def forward(self, x):
        mean = F.avg_pool2d(x * x, self.size, stride=1, padding=(self.size - 1) // 2)
        return x * (1 + self.alpha * mean) ** -self.beta


class Concat(nn.Module):
    def forward(self, *x):
        return torch.cat(x, 1)


class Sum(nn.Module):
    def forward(self, *x):
        total = x[0] + x[1]
        for other in x[2:]:
            total = total + other
        return total


class Loss(nn.Module):
    """The mean over a batch of the cross entropy, times the loss weight."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, scores, labels):
        loss = F.cross_entropy(scores.flatten(1), labels)
        return loss if self.weight == 1 else self.weight * loss


def pair(options, field, default):
    """A value for both spatial axes, given once, as `FIELD_h` and `FIELD_w`, or as `kernel_size` for `kernel`."""
    name = "kernel_size" if field == "kernel" else field
    both = one(options, name, default)
    return one(options, f"{field}_h", both), one(options, f"{field}_w", both)


class Net(nn.Module):
    """The training net of a file, called with a batch and its labels; returns the sum of the losses.

    `owners` maps a layer's name to the module that holds its parameters.
    """

    def __init__(self, text, shape):
        super().__init__()
        self.steps, self.losses, self.owners = [], [], {}
        self.names = []
        blobs = {"data": torch.zeros(2, *shape[1:]), "label": torch.zeros(2, dtype=torch.long)}
        layers = [layer for layer in parse(text)["layer"] if takes_part(layer) and one(layer, "type") != "DummyData"]
        self.norms = {}
        with torch.no_grad():
            for layer in layers:
                self._add(layer, blobs)

    def _add(self, layer, blobs):
        kind, name = one(layer, "type"), one(layer, "name")
        bottoms, tops = layer["bottom"], layer["top"]
        if kind == "Scale":
            norm = self.norms[bottoms[0]]
            self.owners[name] = norm
            return
        module = self._module(kind, layer, [blobs[bottom] for bottom in bottoms])
        self.add_module(f"layer{len(self.steps)}", module)
        self.owners[name] = module
        if kind == "BatchNorm":
            self.norms[tops[0]] = module
            del self.owners[name]
        self.steps.append((f"layer{len(self.steps)}", tuple(bottoms), tops[0]))
        if kind == "SoftmaxWithLoss":
            self.losses.append(tops[0])
        blobs[tops[0]] = module(*(blobs[bottom] for bottom in bottoms))

    def _module(self, kind, layer, bottoms):
        x = bottoms[0]
        if kind == "Convolution":
            options = one(layer, "convolution_param")
            kernel, stride, pad = pair(options, "kernel", None), pair(options, "stride", 1), pair(options, "pad", 0)
            groups, bias = one(options, "group", 1), one(options, "bias_term", True)
            return nn.Conv2d(x.shape[1], one(options, "num_output"), kernel, stride, pad, groups=groups, bias=bias)
        if kind == "InnerProduct":
            options = one(layer, "inner_product_param")
            linear = nn.Linear(x[0].numel(), one(options, "num_output"), bias=one(options, "bias_term", True))
            return linear if x.dim() == 2 else nn.Sequential(nn.Flatten(), linear)
        if kind == "Pooling":
            options = one(layer, "pooling_param")
            kernel, stride, pad = pair(options, "kernel", None), pair(options, "stride", 1), pair(options, "pad", 0)
            if one(options, "global_pooling", False):
                kernel = tuple(x.shape[2:])
            pool = nn.AvgPool2d if one(options, "pool", "MAX") == "AVE" else nn.MaxPool2d
            return pool(kernel, stride, pad, ceil_mode=True)
        if kind == "LRN":
            options = one(layer, "lrn_param")
            size, alpha, beta = one(options, "local_size", 5), one(options, "alpha", 1.0), one(options, "beta", 0.75)
            if one(options, "norm_region") == "WITHIN_CHANNEL":
                return LrnWithinChannel(size, alpha, beta)
            return nn.LocalResponseNorm(size, alpha, beta, one(options, "k", 1.0))
        if kind == "ReLU":
            return Relu(layer["bottom"] == layer["top"])
        if kind == "Dropout":
            return nn.Dropout(one(one(layer, "dropout_param", {}), "dropout_ratio", 0.5))
        if kind == "BatchNorm":
            return nn.BatchNorm2d(x.shape[1])
        if kind == "SoftmaxWithLoss":
            return Loss(one(layer, "loss_weight", 1))
        if kind == "Concat":
            return Concat()
        if kind == "Eltwise":
            return Sum()
        raise ValueError(f"layer type {kind} is not known here")

    def forward(self, data, label):
        blobs = {"data": data, "label": label}
        for name, bottoms, top in self.steps:
            blobs[top] = getattr(self, name)(*(blobs[bottom] for bottom in bottoms))
        total = blobs[self.losses[0]]
        for loss in self.losses[1:]:
            total = total + blobs[loss]
        return total

    def parameters_by_layer(self):
        """For each layer with parameters its name and its parameters in Caffe's order: weights, bias."""
        for name, module in self.owners.items():
            parameters = list(module.parameters())
            if parameters:
                yield name, parameters
