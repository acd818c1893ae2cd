"""Makes crates/lanner-predict/tests/data/gcn_golden.json: outputs of a small BRP-NAS GCN before and
after five AdamW steps without dropout, computed by PyTorch in f64, for given weights and graphs.

    python benches/peers/make_gcn_golden.py > crates/lanner-predict/tests/data/gcn_golden.json

The graphs are written out by hand here (see Dudziak et al. 2020): row = source, global node first.
"""

import json

import torch
from torch import nn

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
CONV1, CONV3, POOL, INPUT, OUTPUT, GLOBAL = range(6)
# Six-digit texts (see lanner_space::nasbench201) and their pruned cells: labels, arcs.
CELLS = {
    # 0->1 conv3, 1->2 skip, 0->3 pool, 2->3 conv1; the rest none.
    "301402": ([INPUT, CONV3, POOL, CONV1, OUTPUT], [(0, 1), (0, 2), (1, 3), (2, 4), (3, 4)]),
    # All skips: four ways from input to output, counted once.
    "111111": ([INPUT, OUTPUT], [(0, 1)]),
    # Nothing arrives.
    "000000": ([INPUT, OUTPUT], []),
    # All conv3x3.
    "333333": (
        [INPUT, CONV3, CONV3, CONV3, CONV3, CONV3, CONV3, OUTPUT],
        [(0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 6), (3, 6), (4, 7), (5, 7), (6, 7)],
    ),
}
NODES, LABELS, WIDTHS = 9, 6, [10, 12, 8]


def dense(labels, arcs):
    adjacency = torch.eye(NODES)
    adjacency[0, :] = 1
    for source, target in arcs:
        adjacency[source + 1, target + 1] = 1
    x = torch.zeros(NODES, LABELS)
    x[0, GLOBAL] = 1
    for node, label in enumerate(labels):
        x[node + 1, label] = 1
    return adjacency, x


pairs = [dense(*cell) for cell in CELLS.values()]
adjacency, x = torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])
targets = torch.tensor([0.9, 0.3, -0.5, 1.4])
parameters = []
for inputs, width in zip([LABELS] + WIDTHS, WIDTHS):
    bound = width**-0.5
    uniform = lambda *shape: torch.empty(*shape).uniform_(-bound, bound)
    parameters += [uniform(inputs, width), uniform(width), 1 + uniform(width), uniform(width)]
parameters += [torch.empty(1, WIDTHS[-1]).uniform_(-0.35, 0.35), torch.empty(1).uniform_(-0.35, 0.35)]
# The weights are those that f32 holds exactly.
parameters = [nn.Parameter(p.float().double()) for p in parameters]


def forward():
    h = x
    for weight, bias, gamma, beta in zip(*(parameters[i : 4 * len(WIDTHS) : 4] for i in range(4))):
        z = torch.bmm(adjacency, h @ weight) + bias
        h = torch.relu(nn.functional.layer_norm(z, (weight.shape[1],), gamma, beta))
    return (h[:, 0] @ parameters[-2].T + parameters[-1])[:, 0]


flat = lambda: torch.cat([p.detach().reshape(-1) for p in parameters]).tolist()
record = {"texts": list(CELLS), "widths": WIDTHS, "targets": targets.tolist(), "lr": 0.01, "weight_decay": 0.05}
record["parameters"] = flat()
record["outputs"] = forward().tolist()
optimiser = torch.optim.AdamW(parameters, lr=record["lr"], weight_decay=record["weight_decay"])
record["losses"] = []
for _ in range(5):
    optimiser.zero_grad()
    loss = ((forward() - targets) ** 2).sum()
    loss.backward()
    optimiser.step()
    record["losses"].append(loss.item())
record["trained_outputs"] = forward().tolist()
print(json.dumps(record))
