"""PyTorch's side of training: golden values of SGD's steps, and of whole short trainings.

    python benches/peers/train_torch.py sgd > crates/lanner-nn/tests/data/sgd_golden.json
    cargo run -p lanner-evaluate --example proxy_networks \\
        | python benches/peers/train_torch.py golden > crates/lanner-evaluate/tests/data/train_golden.json

Both compute in f64 from numbers that tests make the same way.
"""

import json
import math
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

from executor_torch import number
from proxies_torch_network import WEIGHTED, Network, made

BATCH, STEPS = 12, 16


def sgd():
    count, rates = 40, [0.5, 0.5, 0.25, 0.125, 0.375]
    values = lambda t: torch.tensor([((k * 7 + t * 5) % 16) / 8 - 1 for k in range(count)])
    values = [values(t).double() for t in range(len(rates) + 1)]
    p = [nn.Parameter(values[0][k : k + 1].clone()) for k in range(count)]
    decayed = lambda k: 3 <= k < 17 or 20 <= k
    groups = [
        {"params": [p[k] for k in range(count) if decayed(k)], "weight_decay": 0.25},
        {"params": [p[k] for k in range(count) if not decayed(k)]},
    ]
    optimiser = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    steps = []
    for t, rate in enumerate(rates):
        for group in optimiser.param_groups:
            group["lr"] = rate
        for k in range(count):
            p[k].grad = values[t + 1][k : k + 1].clone()
        optimiser.step()
        steps.append([x.item() for x in p])
    return {"rates": rates, "steps": steps}


def golden(description):
    # Powers of two: products with numbers of the stream are exact.
    fan_in = lambda m: 2.0 ** -round(math.log2(m.weight[0].numel()) / 2)
    net = made(Network(description).double(), 11, fan_in)
    weights = [m.weight for m in net.modules() if isinstance(m, WEIGHTED)]
    others = [p for p in net.parameters() if not any(p is w for w in weights)]
    groups = [{"params": weights, "weight_decay": 0.01}, {"params": others}]
    optimiser = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    # Linear over two steps, then a cosine to nothing.
    after = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS - 2)
    size = BATCH * math.prod(net.input)
    net.train()
    losses = []
    for step in range(STEPS):
        if step < 2:
            for group in optimiser.param_groups:
                group["lr"] = 0.1 * (step + 1) / 3
        elif step == 2:
            for group in optimiser.param_groups:
                group["lr"] = 0.1
        else:
            after.step()
        # Two batches in turn, so that there is something to learn.
        x = (number(20 + step % 2, size) * 4).view(BATCH, *net.input)
        t = torch.tensor([(i * i + 3 * i + step % 2) % 10 for i in range(BATCH)])
        loss = F.cross_entropy(net(x), t, label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    # Statistics anew: the mean of those of both batches.
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        for k in range(2):
            net((number(20 + k, size) * 4).view(BATCH, *net.input))
    net.eval()
    x = (number(20, size) * 4).view(BATCH, *net.input)
    t = torch.tensor([(i * i + 3 * i) % 10 for i in range(BATCH)])
    with torch.no_grad():
        y = net(x)
    return {
        "arch": description["name"],
        "losses": losses,
        "outputs": y.flatten().tolist(),
        "loss": F.cross_entropy(y, t).item(),
        "hits": (y.argmax(1) == t).sum().item(),
    }


if __name__ == "__main__":
    if sys.argv[1] == "sgd":
        print(json.dumps(sgd()))
    else:
        nets = [json.loads(line) for line in sys.stdin if line.startswith("{")]
        # The test makes networks of NAS-Bench-201.
        nets = [net for net in nets if net["name"].startswith("|")]
        print("[\n" + ",\n".join(json.dumps(golden(net)) for net in nets) + "\n]")
